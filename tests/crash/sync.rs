//! System calls that fail under the daemon: it stays up, claims nothing that it can't be sure of, says
//! what is wrong, and goes on by itself once they work again.

use std::thread;

use serde_json::{Value, json};

use crate::faults::Faults;
use crate::on_disk;
use crate::random::Random;
use crate::support::{Daemon, HttpAnswer, Options, wait_until};

/// The sync of a COMMIT, and of a checkpoint before it.
const SYNC_OF_COMMIT: &str = "sync *-wal EIO";

fn set(daemon: &Daemon, key: &str, value: u64) -> Result<Value, Value> {
    daemon.call("preferences.set", json!({ "key": key, "value": value }))
}

fn value(daemon: &Daemon, key: &str) -> Value {
    daemon.ok("preferences.get", json!({ "key": key }))["value"].take()
}

fn put(daemon: &Daemon, content: &[u8]) -> HttpAnswer {
    let head = format!(
        "PUT /blobs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n",
        content.len()
    );
    daemon.http(&head, content)
}

fn get(daemon: &Daemon, hash: &str) -> HttpAnswer {
    daemon.http(&format!("GET /blobs/{hash} HTTP/1.1\r\nHost: localhost\r\n"), b"")
}

fn status(daemon: &Daemon) -> String {
    daemon.ok("status.get", json!({}))["status"].as_str().unwrap().to_owned()
}

fn hash_of(answer: &HttpAnswer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["hash"].as_str().unwrap().to_owned()
}

/// Kills the daemon, starts it without faults, has it checked, stops it, and checks what it left.
fn restart_and_check(daemon: Daemon, check: impl FnOnce(&Daemon)) {
    let daemon = Daemon::start_in(daemon.kill(), &Options::default()).unwrap();
    on_disk::check_started(&daemon.root());
    check(&daemon);
    let root = daemon.root();
    let (status, _folder) = daemon.stop();
    assert!(status.success());
    on_disk::check_stopped(&root);
}

#[test]
fn a_commit_whose_sync_fails_is_of_unknown_outcome() {
    let Some(faults) = Faults::prepare("a_commit_whose_sync_fails_is_of_unknown_outcome") else {
        return;
    };
    let daemon = faults.start();
    set(&daemon, "before", 1).unwrap();
    faults.set(&[SYNC_OF_COMMIT]);
    let error = set(&daemon, "during", 1).unwrap_err();
    assert_eq!(error["data"]["code"], "io_error", "{error}");
    assert_eq!(error["data"]["outcome"], "unknown", "{error}");
    assert_eq!(status(&daemon), "degraded");
    for _ in 0..3 {
        let error = set(&daemon, "during", 2).unwrap_err();
        assert_eq!(error["data"]["code"], "io_error", "{error}");
        assert_eq!(value(&daemon, "before"), 1, "reads go on");
    }
    // What failed is not seen either: nobody may build on it.
    daemon.fails("not_found", "preferences.get", json!({ "key": "during" }));

    faults.clear();
    set(&daemon, "after", 1).unwrap();
    assert_eq!(status(&daemon), "ok");
    restart_and_check(daemon, |daemon| {
        assert_eq!(value(daemon, "before"), 1);
        assert_eq!(value(daemon, "after"), 1);
    });
}

/// Many calls share a commit, so all of them share its failed sync. Those who repeat theirs with the
/// same `requestId` once the disk works again have it done once.
#[test]
fn all_of_a_group_learn_that_its_sync_failed() {
    let Some(faults) = Faults::prepare("all_of_a_group_learn_that_its_sync_failed") else { return };
    let daemon = faults.start();
    set(&daemon, "counter", 0).unwrap();
    let count = |number: u64| {
        let key = format!("k{number}");
        let params = json!({ "key": key, "value": number, "ifRevision": 0, "requestId": key });
        daemon.call("preferences.set", params)
    };
    let all = || -> Vec<_> {
        thread::scope(|scope| {
            let calls: Vec<_> = (0..16).map(|number| scope.spawn(move || count(number))).collect();
            calls.into_iter().map(|call| call.join().unwrap()).collect()
        })
    };
    faults.set(&[SYNC_OF_COMMIT]);
    for error in all() {
        assert_eq!(error.unwrap_err()["data"]["code"], "io_error");
    }
    faults.clear();
    let first: Vec<_> = all().into_iter().map(Result::unwrap).collect();
    let again: Vec<_> = all().into_iter().map(Result::unwrap).collect();
    assert_eq!(first, again);
    restart_and_check(daemon, |daemon| {
        for number in 0..16 {
            assert_eq!(value(daemon, &format!("k{number}")), number);
        }
    });
}

/// Found by reading the writer and the blob store together. A put's commit failed in its sync: its row
/// is not seen, but its frames stand in the WAL. The client repeats the put while the disk still
/// fails; that put is refused before it is begun, and the blob store took "refused" for "there is
/// certainly no row" and removed the file. A kill then, and the start recovered the first put's row
/// from the WAL: a row without a file. A refusal before the WAL is settled keeps the file now.
#[test]
fn a_row_that_may_come_back_keeps_its_file() {
    let Some(faults) = Faults::prepare("a_row_that_may_come_back_keeps_its_file") else { return };
    let daemon = faults.start();
    set(&daemon, "before", 1).unwrap();
    faults.set(&[SYNC_OF_COMMIT]);
    let error = put(&daemon, b"perhaps").json();
    assert_eq!(error["data"]["outcome"], "unknown", "{error}");
    for _ in 0..2 {
        assert_eq!(put(&daemon, b"perhaps").json()["data"]["code"], "io_error");
    }
    restart_and_check(daemon, |daemon| {
        // Whether it came back or not, it can be put and read.
        let hash = hash_of(&put(daemon, b"perhaps"));
        assert_eq!(get(daemon, &hash).body, b"perhaps");
    });
}

/// The same with the disk well again before the kill: then the row does not come back, and the put
/// that is repeated makes its own.
#[test]
fn a_put_of_unknown_outcome_can_be_repeated() {
    let Some(faults) = Faults::prepare("a_put_of_unknown_outcome_can_be_repeated") else { return };
    let daemon = faults.start();
    let kept = hash_of(&put(&daemon, b"kept"));
    faults.set(&[SYNC_OF_COMMIT]);
    assert_eq!(put(&daemon, b"perhaps").json()["data"]["outcome"], "unknown");
    let error = daemon.call("blobs.delete", json!({ "hash": kept })).unwrap_err();
    assert_eq!(error["data"]["code"], "io_error", "{error}");
    assert_eq!(get(&daemon, &kept).body, b"kept");
    faults.clear();
    let answer = put(&daemon, b"perhaps");
    assert_eq!(answer.json()["created"], true);
    let hash = hash_of(&answer);
    assert_eq!(status(&daemon), "ok");
    restart_and_check(daemon, |daemon| {
        assert_eq!(get(daemon, &hash).body, b"perhaps");
        assert_eq!(get(daemon, &kept).body, b"kept");
    });
}

/// Deferred writes that found the WAL unsettled used to wait for the next call: nothing woke the
/// writer for them again. They come through by themselves now, and settle the WAL as they do.
#[test]
fn deferred_writes_outlive_a_failed_sync() {
    let Some(faults) = Faults::prepare("deferred_writes_outlive_a_failed_sync") else { return };
    let daemon = faults.start();
    let component = json!({
        "componentId": "c", "name": "c", "version": "1.0.0", "type": "backend", "manifest": {},
    });
    daemon.ok("components.put", json!({ "component": component }));
    faults.set(&[SYNC_OF_COMMIT]);
    set(&daemon, "during", 1).unwrap_err();
    daemon.ok("components.touch", json!({ "componentId": "c", "usedAt": 7 }));
    let refused = || daemon.log().contains("can't be truncated").then_some(());
    wait_until("the deferred write to meet the fault", refused);
    faults.clear();
    wait_until("the deferred write", || {
        let found = daemon.ok("components.get", json!({ "componentId": "c" }));
        (found["lastUsed"] == 7).then_some(())
    });
    assert_eq!(status(&daemon), "ok");
    restart_and_check(daemon, |daemon| {
        assert_eq!(daemon.ok("components.get", json!({ "componentId": "c" }))["lastUsed"], 7);
    });
}

/// The WAL can't grow, or can't be written: the change is certainly not done, and the error says so by
/// not saying "unknown".
#[test]
fn a_wal_that_cannot_be_written_refuses_records() {
    let Some(faults) = Faults::prepare("a_wal_that_cannot_be_written_refuses_records") else {
        return;
    };
    let daemon = faults.start();
    set(&daemon, "before", 1).unwrap();
    let kept = hash_of(&put(&daemon, b"kept"));
    for (rule, code) in [("write *-wal ENOSPC", "disk_full"), ("write *-wal EIO", "io_error")] {
        faults.set(&[rule]);
        for _ in 0..3 {
            let error = set(&daemon, "during", 1).unwrap_err();
            assert_eq!(error["data"]["code"], code, "{error}");
            assert_eq!(error["data"].get("outcome"), None, "{error}");
        }
        assert_eq!(status(&daemon), "degraded");
        assert_eq!(put(&daemon, b"a content").json()["data"]["code"], code);
        daemon.fails(code, "blobs.delete", json!({ "hash": kept }));
        assert_eq!(value(&daemon, "before"), 1, "reads go on");
        assert_eq!(get(&daemon, &kept).body, b"kept", "so do blobs");
        assert!(on_disk::leftovers(&daemon.root()).is_empty(), "a refused put leaves no file");
        faults.clear();
        set(&daemon, code, 1).unwrap();
        assert_eq!(status(&daemon), "ok");
        daemon.fails("not_found", "preferences.get", json!({ "key": "during" }));
    }
    restart_and_check(daemon, |daemon| {
        assert_eq!(value(daemon, "disk_full"), 1);
        assert_eq!(value(daemon, "io_error"), 1);
        assert_eq!(get(daemon, &kept).body, b"kept");
    });
}

/// A database file that can't be written keeps checkpoints from their end, not commits from theirs. The
/// status says that the WAL grows, which nothing did before.
#[test]
fn checkpoints_that_fail_do_not_stop_commits() {
    let Some(faults) = Faults::prepare("checkpoints_that_fail_do_not_stop_commits") else { return };
    let daemon = faults.start();
    faults.set(&["write *.db ENOSPC", "sync *.db EIO"]);
    write_mib(&daemon, 25);
    assert_eq!(status(&daemon), "degraded", "the WAL grows");
    faults.clear();
    wait_until("the WAL to be copied", || {
        set(&daemon, "after", 1).unwrap();
        (status(&daemon) == "ok").then_some(())
    });
    restart_and_check(daemon, |daemon| {
        assert_eq!(value(daemon, "large"), large_value(24));
        assert_eq!(value(daemon, "after"), 1);
    });
}

/// Writes so many MiB to the WAL: of values that differ everywhere, for SQLite writes only the pages
/// of a value that change.
fn write_mib(daemon: &Daemon, size_mib: u32) {
    for number in 0..size_mib {
        daemon.ok("preferences.set", json!({ "key": "large", "value": large_value(number) }));
    }
}

fn large_value(number: u32) -> String {
    format!("{number:08}").repeat((1 << 20) / 8 - 1)
}

/// The pages of the WAL were counted by a hook that `PRAGMA wal_autocheckpoint` takes off, and settling
/// the WAL ran that pragma again: from then on nobody knew that the WAL grew, and nothing copied it.
#[test]
fn the_wal_stays_bounded_after_a_failed_sync() {
    let Some(faults) = Faults::prepare("the_wal_stays_bounded_after_a_failed_sync") else { return };
    let daemon = faults.start();
    faults.set(&[SYNC_OF_COMMIT]);
    set(&daemon, "during", 1).unwrap_err();
    faults.clear();
    write_mib(&daemon, 100);
    let wal = std::fs::metadata(daemon.root().join("osnova.db-wal")).unwrap().len();
    assert!(wal < 48 << 20, "the WAL has {wal} bytes");
}

#[test]
fn a_full_disk_stops_blobs_and_not_records() {
    let Some(faults) = Faults::prepare("a_full_disk_stops_blobs_and_not_records") else { return };
    let daemon = faults.start();
    let (small, large) = (b"small".to_vec(), Random::new(1).bytes(2 << 20));
    for rule in ["write */blobs/.tmp/* ENOSPC", "open */blobs/.tmp/* ENOSPC"] {
        faults.set(&[rule]);
        for content in [&small, &large] {
            let answer = put(&daemon, content);
            assert_eq!(answer.status, 507);
            assert_eq!(answer.json()["data"]["code"], "disk_full");
        }
        daemon.fails("disk_full", "blobs.put", json!({ "data": "YQ==" }));
        assert_eq!(status(&daemon), "degraded", "{rule}");
        set(&daemon, "during", 1).unwrap();
        assert!(on_disk::files(&daemon.root().join("blobs/.tmp")).is_empty());
        assert!(on_disk::files(&daemon.root().join("blobs")).is_empty());
        faults.clear();
        for content in [&small, &large] {
            let hash = hash_of(&put(&daemon, content));
            assert!(get(&daemon, &hash).body == *content);
            daemon.ok("blobs.delete", json!({ "hash": hash }));
        }
        assert_eq!(status(&daemon), "ok", "{rule}");
    }
    restart_and_check(daemon, |daemon| assert_eq!(value(daemon, "during"), 1));
}

/// A put that fails on its way from the temporary to the row leaves nothing, not even a file under its
/// final name, and can be made again. (The sync of the folder used to leave the file.)
#[test]
fn a_put_that_fails_on_its_way_leaves_nothing() {
    let Some(faults) = Faults::prepare("a_put_that_fails_on_its_way_leaves_nothing") else {
        return;
    };
    let daemon = faults.start();
    let other = hash_of(&put(&daemon, b"another"));
    let content = Random::new(2).bytes(700_000);
    let rules = [
        "sync */blobs/.tmp/* EIO",
        "rename */blobs/*.enc EIO",
        "rename */blobs/*.enc ENOSPC",
        "sync */blobs EIO",
    ];
    for rule in rules {
        faults.set(&[rule]);
        for _ in 0..2 {
            let answer = put(&daemon, &content);
            let code = if rule.ends_with("ENOSPC") { "disk_full" } else { "io_error" };
            assert_eq!(answer.json()["data"]["code"], code, "{rule}");
            assert_eq!(status(&daemon), "degraded", "{rule}");
        }
        assert!(on_disk::files(&daemon.root().join("blobs/.tmp")).is_empty(), "{rule}");
        assert!(on_disk::leftovers(&daemon.root()).is_empty(), "{rule}");
        assert_eq!(daemon.ok("blobs.usage", json!({}))["count"], 1, "{rule}");
        assert_eq!(get(&daemon, &other).body, b"another");
        faults.clear();
        let answer = put(&daemon, &content);
        assert_eq!(answer.json()["created"], true, "{rule}");
        let hash = hash_of(&answer);
        assert!(get(&daemon, &hash).body == content, "{rule}");
        assert_eq!(status(&daemon), "ok", "{rule}");
        daemon.ok("blobs.delete", json!({ "hash": hash }));
    }
    restart_and_check(daemon, |daemon| assert_eq!(get(daemon, &other).body, b"another"));
}

/// A file that can't be removed is not forgotten: its hash stays in `blob_unlinks`, and the next start
/// removes it. Put again before that, it is a content like any other.
#[test]
fn a_file_that_cannot_be_removed_is_removed_later() {
    let Some(faults) = Faults::prepare("a_file_that_cannot_be_removed_is_removed_later") else {
        return;
    };
    let daemon = faults.start();
    let (gone, back) = (hash_of(&put(&daemon, b"gone")), hash_of(&put(&daemon, b"back")));
    faults.set(&["unlink */blobs/*.enc EIO"]);
    for hash in [&gone, &back] {
        assert_eq!(daemon.ok("blobs.delete", json!({ "hash": hash }))["deleted"], true);
        assert_eq!(get(&daemon, hash).status, 404);
    }
    assert_eq!(on_disk::leftovers(&daemon.root()).len(), 2);
    faults.clear();
    assert_eq!(hash_of(&put(&daemon, b"back")), back);
    restart_and_check(daemon, |daemon| {
        assert!(on_disk::leftovers(&daemon.root()).is_empty());
        assert_eq!(get(daemon, &gone).status, 404);
        assert_eq!(get(daemon, &back).body, b"back");
    });
}

/// A write that takes only a part of what it was given is no error, and nothing may be lost by it.
#[test]
fn short_writes_are_gone_on_with() {
    let Some(faults) = Faults::prepare("short_writes_are_gone_on_with") else { return };
    let daemon = faults.start();
    faults.set(&["write */root/* short"]);
    let contents = [b"a".to_vec(), Random::new(3).bytes(3 << 20)];
    let hashes: Vec<String> =
        contents.iter().map(|content| hash_of(&put(&daemon, content))).collect();
    for number in 0..50 {
        set(&daemon, &format!("k{number}"), number).unwrap();
    }
    restart_and_check(daemon, |daemon| {
        for (hash, content) in hashes.iter().zip(&contents) {
            assert!(get(daemon, hash).body == *content);
        }
        for number in 0..50 {
            assert_eq!(value(daemon, &format!("k{number}")), number);
        }
    });
}

/// Found by reading SQLite's `walFrames`: it writes a commit's frames, syncs them, and only then enters
/// them in the index in shared memory (`-shm`). Where that file can't grow, at every 4096th frame of a
/// WAL, COMMIT fails though the commit is durable: nobody sees it until the next start recovers it
/// from the WAL. The writer took this for "certainly not done": callers were told so, and the blob
/// store removed the file of a row that then came back. Only errors from before the last frame are
/// certain; any other is of unknown outcome now, as a failed sync is.
#[test]
fn a_commit_that_fails_after_its_sync_is_of_unknown_outcome() {
    let Some(faults) = Faults::prepare("a_commit_that_fails_after_its_sync_is_of_unknown_outcome")
    else {
        return;
    };
    let daemon = faults.start();
    // Without checkpoints the WAL is never begun anew, so its index has to grow.
    faults.set(&["write *.db EIO", "write *-shm ENOSPC"]);
    let text = "x".repeat(400_000);
    let put = |number: u32| {
        // Four digits are good base64, and each time another content.
        let params = json!({ "data": format!("{number:04}"), "metadata": [text] });
        daemon.call("blobs.put", params)
    };
    let (number, error) = (0..1000)
        .find_map(|number| put(number).err().map(|error| (number, error)))
        .expect("the WAL's index has to grow some time");
    assert_eq!(error["data"]["code"], "io_error", "{error}");
    assert_eq!(error["data"]["outcome"], "unknown", "{error}");
    assert_eq!(status(&daemon), "degraded");
    assert_eq!(put(number).unwrap_err()["data"]["code"], "io_error");
    let before_kill = on_disk::files(&daemon.root().join("blobs"));
    restart_and_check(daemon, |daemon| {
        // It does come back, with its file.
        assert_eq!(daemon.ok("blobs.usage", json!({}))["count"], number + 1);
        assert_eq!(on_disk::files(&daemon.root().join("blobs")), before_kill);
    });
}

/// The same, with the disk well again: the writer settles the WAL by itself and goes on. It used to be
/// refused where the checkpoint thread was at work at that moment: against another checkpoint SQLite
/// does not wait for its lock.
#[test]
fn an_index_that_cannot_grow_does_not_stop_the_daemon_for_good() {
    let Some(faults) =
        Faults::prepare("an_index_that_cannot_grow_does_not_stop_the_daemon_for_good")
    else {
        return;
    };
    let daemon = faults.start();
    faults.set(&["write *.db EIO", "write *-shm ENOSPC"]);
    let set = |number: u32| {
        let params = json!({
            "key": format!("k{}", number % 8), "value": large_value(number),
            "requestId": format!("r{number}"),
        });
        daemon.call("preferences.set", params)
    };
    let failed = (0..1000).find(|number| set(*number).is_err()).expect("some time it has to grow");
    set(failed).unwrap_err();
    faults.clear();
    let again = set(failed).unwrap();
    assert_eq!(again["value"], large_value(failed));
    assert_eq!(status(&daemon), "ok");
    restart_and_check(daemon, |daemon| {
        for number in (failed - 7)..=failed {
            assert_eq!(value(daemon, &format!("k{}", number % 8)), large_value(number));
        }
    });
}
