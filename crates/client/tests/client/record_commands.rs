//! The commands of applications, the registry, keys, transactions, the cache and messages.

use serde_json::json;

use crate::program::{run, texts};
use crate::support::{Fake, Step};

const HASH: &str = "738e10c42fc3177b07bc6ea9c685e764abb4482c232963394fc91c4b30653745";
const MESSAGE: &str = r#"{"messageId":"m-1","channel":"weather","sender":"owner","timestamp":1764028800,"body":"It clears up","attachments":[],"revision":7}"#;

fn transaction(hash: &str) -> String {
    format!(
        r#"{{"txHash":"{hash}","fromAddress":"0xa11ce","toAddress":"0xb0b","amount":"0.100000000000000000001","network":"arbitrum-one","status":"pending","timestamp":1764028800,"revision":7}}"#
    )
}

#[tokio::test]
async fn applications_are_listed_shown_and_launched() {
    let application = r#"{"applicationId":"org.example.outdoors","name":"Outdoors","version":"1.4.0","manifest":{"keywords":["hiking"]},"installedAt":1764028800,"lastLaunched":1764028900,"launchCount":3,"blobs":{"readme":"738e10c42fc3177b07bc6ea9c685e764abb4482c232963394fc91c4b30653745"},"revision":7}"#;
    let page = format!(r#"{{"items":[{application}]}}"#);
    let fake = Fake::start(vec![
        Step::result(&page),
        Step::result(&page),
        Step::result(application),
        Step::result(application),
    ]);
    let row = "org.example.outdoors\tOutdoors\t1.4.0\t1764028800\t1764028900\t3\n";
    for list in [&["ls", "applications", "--order", "lastLaunched"][..], &["app", "ls", "--asc"]] {
        let output = run(&fake.endpoint(), list, "").await;
        assert_eq!(texts(&output), (0, row, ""));
    }
    let show = ["app", "show", "org.example.outdoors"];
    let output = run(&fake.endpoint(), &show, "").await;
    let (code, out, _) = texts(&output);
    assert_eq!(code, 0);
    assert!(out.contains(&format!("blob readme\t{HASH}\n")), "{out}");
    // The manifest stands at the end, as it was given.
    assert!(out.ends_with("{\"keywords\":[\"hiking\"]}\n"), "{out}");
    let output = run(&fake.endpoint(), &["app", "launch", "org.example.outdoors"], "").await;
    assert_eq!(texts(&output), (0, "org.example.outdoors launched, 3 in all\n", ""));

    let requests = fake.requests();
    assert_eq!(requests[0].params(), json!({ "orderBy": "lastLaunched" }));
    assert_eq!(requests[1].params(), json!({ "direction": "asc" }));
    // A launch that is told again counts once.
    assert!(requests[3].params()["requestId"].is_string());
}

#[tokio::test]
async fn settings_of_applications_are_json() {
    let entry = r#"{"applicationId":"a","key":"units","value":{"length" : "km"},"updatedAt":1764028800,"revision":7}"#;
    let fake = Fake::start(vec![
        Step::result(entry),
        Step::result(entry),
        Step::result(r#"{"deleted":false}"#),
    ]);
    let set = ["app", "config", "set", "a", "units", "-", "--if-revision", "0"];
    let output = run(&fake.endpoint(), &set, r#"{"length" : "km"}"#).await;
    assert_eq!(texts(&output), (0, "units set, revision 7\n", ""));
    let output = run(&fake.endpoint(), &["app", "config", "get", "a", "units"], "").await;
    assert_eq!(texts(&output), (0, "{\"length\" : \"km\"}\n", ""));
    let output = run(&fake.endpoint(), &["app", "config", "rm", "a", "units"], "").await;
    assert_eq!(texts(&output), (0, "there was nothing to delete\n", ""));
    // A text without quotes is no JSON, and nothing is sent.
    let output = run(&fake.endpoint(), &["app", "config", "set", "a", "units", "km"], "").await;
    let (code, _, err) = texts(&output);
    assert!(code == 2 && err.contains("quotes"), "{err}");
    let requests = fake.requests();
    assert_eq!(requests.len(), 3);
    let mut params = requests[0].params();
    params.as_object_mut().unwrap().remove("requestId");
    let value = json!({ "length": "km" });
    let expected = json!({ "applicationId": "a", "key": "units", "value": value, "ifRevision": 0 });
    assert_eq!(params, expected);
}

#[tokio::test]
async fn the_registry_is_read_and_changed() {
    let entry = |status: &str| {
        format!(
            r#"{{"componentId":"org.example.sky","version":"0.9.0","pid":4711,"endpoint":"unix:/s","status":"{status}","startedAt":1764028800,"restartCount":2,"revision":7}}"#
        )
    };
    let reaped = format!(r#"{{"items":[{}]}}"#, entry("crashed"));
    let fake = Fake::start(vec![Step::result(&entry("stopping")), Step::result(&reaped)]);
    let status = ["registry", "status", "org.example.sky", "stopping", "--if-revision", "6"];
    let output = run(&fake.endpoint(), &status, "").await;
    assert_eq!(texts(&output), (0, "org.example.sky stopping, revision 7\n", ""));
    let output = run(&fake.endpoint(), &["registry", "reap", "--stale", "2m"], "").await;
    let row = "org.example.sky\t0.9.0\tcrashed\t4711\t1764028800\t\t2\n";
    assert_eq!(texts(&output), (0, row, ""));
    let output = run(&fake.endpoint(), &["registry", "status", "a", "asleep"], "").await;
    let (code, _, err) = texts(&output);
    assert!(code == 2 && err.contains("crashed"), "{err}");
    let requests = fake.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].params()["status"], "stopping");
    assert_eq!(requests[0].params()["ifRevision"], 6);
    assert_eq!(requests[1].params(), json!({ "staleAfterSeconds": 120 }));
}

#[tokio::test]
async fn a_key_is_shown_by_its_public_part_or_its_index() {
    let key = r#"{"componentId":"org.example.sky","derivationIndex":4,"publicKey":"d75a98","keyType":"ed25519","createdAt":1764028800,"revision":7}"#;
    let fake = Fake::start(vec![
        Step::result(key),
        Step::result(key),
        Step::result(r#"{"derivationIndex":5}"#),
    ]);
    let by_index = ["key", "show", "--index", "4", "--component", "org.example.sky"];
    for show in [&["key", "show", "d75a98"][..], &by_index] {
        let output = run(&fake.endpoint(), show, "").await;
        let (code, out, err) = texts(&output);
        assert_eq!(code, 0, "{err}");
        assert!(out.contains("public key\td75a98\n"), "{out}");
    }
    let output = run(&fake.endpoint(), &["key", "reserve", "--component", "a"], "").await;
    assert_eq!(texts(&output), (0, "5\n", ""));
    for wrong in [&["key", "show"][..], &["key", "show", "d75a98", "--index", "4"]] {
        assert_eq!(texts(&run(&fake.endpoint(), wrong, "").await).0, 2, "{wrong:?}");
    }
    let requests = fake.requests();
    assert_eq!(requests.len(), 3);
    assert_eq!(requests[0].params(), json!({ "publicKey": "d75a98" }));
    let params = json!({ "derivationIndex": 4, "componentId": "org.example.sky" });
    assert_eq!(requests[1].params(), params);
}

#[tokio::test]
async fn transactions_are_filtered_and_all_pages_listed() {
    let first = format!(r#"{{"items":[{}],"nextCursor":"p2"}}"#, transaction("0x1"));
    let second = format!(r#"{{"items":[{}]}}"#, transaction("0x2"));
    let fake = Fake::start(vec![Step::result(&first), Step::result(&second)]);
    let list = [
        &["tx", "ls", "--all", "--asc", "--address", "0xa11ce", "--status", "pending"][..],
        &["--token-address", "ETH", "--network", "arbitrum-one", "--component", "a"],
        &["--since", "2025-11-25", "--until", "2025-11-26T00:00:00Z"],
    ]
    .concat();
    let output = run(&fake.endpoint(), &list, "").await;
    let (code, out, err) = texts(&output);
    assert_eq!((code, err), (0, ""));
    // The amount has more digits than a float could hold.
    let row = "1764028800\tpending\t0.100000000000000000001\tETH\t0xa11ce\t0xb0b\tarbitrum-one\t";
    assert_eq!(out, format!("{row}0x1\n{row}0x2\n"));
    let mut params = json!({
        "address": "0xa11ce", "status": "pending", "token": "ETH", "network": "arbitrum-one",
        "componentId": "a", "from": 1_764_028_800, "to": 1_764_115_200, "direction": "asc",
    });
    let requests = fake.requests();
    assert_eq!(requests[0].params(), params);
    params["cursor"] = json!("p2");
    assert_eq!(requests[1].params(), params);
}

#[tokio::test]
async fn sums_of_transactions_are_printed_as_they_came() {
    let stats = r#"{"count":2,"byStatus":{"pending":1,"confirmed":1,"failed":0},"byToken":[{"token":"ETH","count":2,"amount":"12345678901234567890.000000000000000001","confirmedAmount":"0"}]}"#;
    let fake = Fake::start(vec![Step::result(stats)]);
    let output = run(&fake.endpoint(), &["tx", "stats", "--address", "0xb0b"], "").await;
    let expected = "transactions\t2\npending\t1\nconfirmed\t1\nfailed\t0\n\
        ETH\t2\t12345678901234567890.000000000000000001\t0\n";
    assert_eq!(texts(&output), (0, expected, ""));
    let output = run(&fake.endpoint(), &["tx", "stats", "--json"], "").await;
    assert_eq!(texts(&output), (0, format!("{stats}\n").as_str(), ""));
    assert_eq!(fake.requests()[0].params(), json!({ "address": "0xb0b" }));
    // `--token` is the credential, here as everywhere: it never becomes a filter, and what can't be a
    // credential was meant as one. The daemon would only say that it does not know it.
    let output = run(&fake.endpoint(), &["tx", "stats", "--token", "osn_secret"], "").await;
    assert_eq!(texts(&output).0, 0);
    assert_eq!(fake.requests()[2].params(), json!({}));
    for address in ["0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48", "ETH"] {
        let output = run(&fake.endpoint(), &["tx", "ls", "--token", address], "").await;
        let (code, _, error) = texts(&output);
        assert_eq!(code, 2);
        assert!(error.contains("--token-address"), "{error}");
    }
    assert_eq!(fake.requests().len(), 3);
}

#[tokio::test]
async fn looking_at_the_cache_is_no_use_of_it() {
    let entry = format!(
        r#"{{"autonomiAddress":"ant://88df","contentHash":"88df","blobHash":"{HASH}","size":22,"dataType":"chunk","cachedAt":1764028800,"lastAccessed":1764028900,"accessCount":4,"revision":7}}"#
    );
    let fake = Fake::start(vec![
        Step::result(&entry),
        Step::result(r#"{"entries":3,"bytes":4096,"bytesLeft":14}"#),
    ]);
    let output = run(&fake.endpoint(), &["cache", "show", "ant://88df"], "").await;
    assert!(texts(&output).1.contains("accesses\t4\n"));
    let output = run(&fake.endpoint(), &["cache", "evict", "1024"], "").await;
    assert_eq!(texts(&output), (0, "entries evicted\t3\nsize\t4096\nleft\t14\n", ""));
    let requests = fake.requests();
    let asked: serde_json::Value = serde_json::from_slice(&requests[0].body).unwrap();
    assert_eq!(asked["method"], "cache.peek");
    assert_eq!(requests[1].params(), json!({ "targetBytes": 1024 }));
}

#[tokio::test]
async fn attachments_are_stored_before_the_message_that_names_them() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sky.txt");
    std::fs::write(&path, "hello, osnova\n").unwrap();
    let sky = path.to_str().unwrap();
    let stored = format!(r#"{{"hash":"{HASH}","size":14,"created":true}}"#);
    let fake = Fake::start(vec![
        Step::result(r#"{"caller":"owner","credential":"socket"}"#),
        Step::Answer(201, stored.clone()),
        Step::Answer(200, stored),
        Step::result(MESSAGE),
    ]);
    // The same content twice is named once.
    let send = ["message", "send", "weather", "-", "--attach", sky, "--attach", sky];
    let output = run(&fake.endpoint(), &send, "It clears up").await;
    assert_eq!(texts(&output), (0, "m-1\n", ""));
    let requests = fake.requests();
    assert_eq!(requests.len(), 4);
    assert_eq!(requests[1].body, b"hello, osnova\n");
    // Nothing would let go of it if it were pinned and the message could not be stored.
    let line = requests[1].head.lines().next().unwrap();
    assert!(line.contains("pin=false"), "{line}");
    let message = &requests[3].params()["message"];
    assert_eq!(message["channel"], "weather");
    assert_eq!(message["sender"], "owner");
    assert_eq!(message["body"], "It clears up");
    assert_eq!(message["attachments"], json!([HASH]));
    // A lost answer does not make two messages.
    assert!(requests[3].params()["requestId"].is_string());
}

#[tokio::test]
async fn a_message_whose_attachment_is_missing_is_not_sent() {
    let fake = Fake::start(vec![Step::result(MESSAGE)]);
    for wrong in [
        &["--attach", "/nowhere/at/all"][..],
        &["--attach", "-", "--attach", "-"],
        &["--sender", ""],
    ] {
        let send = [&["message", "send", "weather", "hi", "--sender", "me"], wrong].concat();
        let output = run(&fake.endpoint(), &send, "").await;
        assert_ne!(texts(&output).0, 0, "{wrong:?}");
    }
    assert_eq!(fake.requests().len(), 0);
    let output = run(&fake.endpoint(), &["message", "show", "m-1"], "").await;
    let expected = "message\tm-1\nchannel\tweather\nsender\towner\ntime\t1764028800\n\
        revision\t7\nbody\tIt clears up\n";
    assert_eq!(texts(&output), (0, expected, ""));
}

const MISSING: &str = r#"{"code":-32602,"message":"componentId is required of the owner","data":{"code":"validation_error","fields":{"componentId":"is required of the owner"}}}"#;

/// The daemon names its param, which a person has never seen.
#[tokio::test]
async fn the_owner_is_told_by_which_flag_to_say_whose() {
    let fake = Fake::start(vec![Step::error(MISSING)]);
    for command in [&["logs", "tail"][..], &["key", "ls"], &["data", "ls"]] {
        let output = run(&fake.endpoint(), command, "").await;
        let line = "osnova-storage: validation_error: componentId is required of the owner; say whose by \
                    --component ID\n";
        assert_eq!(texts(&output), (1, "", line), "{command:?}");
    }
    let output = run(&fake.endpoint(), &["call", "logs.tail"], "").await;
    assert!(texts(&output).2.ends_with("of the owner\n"), "{output:?}");
    let output = run(&fake.endpoint(), &["registry", "status", "running"], "").await;
    assert!(texts(&output).2.ends_with("; say which COMPONENT-ID is meant\n"), "{output:?}");
}

#[tokio::test]
async fn a_process_is_registered_and_lives() {
    let entry = r#"{"componentId":"a","version":"1.0","pid":7,"endpoint":"unix:/a","status":"starting","startedAt":5,"restartCount":0,"revision":9}"#;
    let fake = Fake::start(vec![
        Step::result(entry),
        Step::result(r#"{"accepted":true}"#),
        Step::result(entry),
        Step::result(entry),
    ]);
    let register = ["registry", "register", "1.0", "unix:/a", "--pid", "7", "--component", "a"];
    let output = run(&fake.endpoint(), &register, "").await;
    assert_eq!(texts(&output), (0, "a starting, revision 9\n", ""));
    // A component on its own socket need not say who it is.
    let output = run(&fake.endpoint(), &["registry", "heartbeat", "--pid", "7"], "").await;
    assert_eq!(texts(&output), (0, "", ""));
    for status in [&["registry", "status", "running"][..], &["registry", "status", "b", "running"]]
    {
        assert_eq!(texts(&run(&fake.endpoint(), status, "").await).0, 0, "{status:?}");
    }
    let mut params: Vec<_> = fake.requests().iter().map(|request| request.params()).collect();
    for params in &mut params {
        params.as_object_mut().unwrap().remove("requestId");
    }
    let whole = json!({ "version": "1.0", "endpoint": "unix:/a", "pid": 7, "componentId": "a" });
    let expected = [
        whole,
        json!({ "pid": 7 }),
        json!({ "status": "running" }),
        json!({ "componentId": "b", "status": "running" }),
    ];
    assert_eq!(params, expected);
    for wrong in ["0", "-1", "4294967296", "x"] {
        let register = ["registry", "register", "1.0", "unix:/a", "--pid", wrong];
        assert_eq!(texts(&run(&fake.endpoint(), &register, "").await).0, 2, "{wrong}");
    }
}

#[tokio::test]
async fn records_are_stored_as_they_are_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.json");
    let application = r#"{"applicationId":"a","name":"A","version":"1","manifest":{"n" : 1.0}}"#;
    std::fs::write(&path, application).unwrap();
    let file = path.to_str().unwrap();
    let stored = r#"{"applicationId":"a","name":"A","version":"1","manifest":{},"installedAt":5,"launchCount":0,"blobs":{},"revision":9}"#;
    let fake = Fake::start(vec![Step::result(stored)]);
    let put = ["app", "put", file, "--if-revision", "8"];
    let output = run(&fake.endpoint(), &put, "").await;
    assert_eq!(texts(&output), (0, "a stored, revision 9\n", ""));
    let sent = String::from_utf8(fake.requests()[0].body.clone()).unwrap();
    assert!(sent.contains(&format!(r#""application":{application},"ifRevision":8"#)), "{sent}");
    // A lost answer does not store it twice.
    assert!(fake.requests()[0].params()["requestId"].is_string());
    let output = run(&fake.endpoint(), &["app", "put", "-", "--json"], application).await;
    assert_eq!(texts(&output), (0, format!("{stored}\n").as_str(), ""));
    for (input, file) in [("{", "-"), ("", "-"), ("{}", "/nowhere/app.json")] {
        let output = run(&fake.endpoint(), &["app", "put", file], input).await;
        assert_eq!(texts(&output).0, 2, "{input:?} {file}");
    }
    assert_eq!(fake.requests().len(), 2);
}

#[tokio::test]
async fn transactions_are_stored_and_followed_up() {
    let fake = Fake::start(vec![Step::result(&transaction("0x88df"))]);
    let output = run(&fake.endpoint(), &["tx", "put", "-"], r#"{"txHash":"0x88df"}"#).await;
    assert_eq!(texts(&output), (0, "0x88df pending, revision 7\n", ""));
    assert_eq!(fake.requests()[0].params()["transaction"], json!({ "txHash": "0x88df" }));
    let confirm = ["--confirmed-at", "1764028900", "--gas-used", "21000", "--gas-price", "0.01"];
    let status = [&["tx", "status", "0x88df", "confirmed"][..], &confirm].concat();
    assert_eq!(texts(&run(&fake.endpoint(), &status, "").await).0, 0);
    let mut params = fake.requests()[1].params();
    params.as_object_mut().unwrap().remove("requestId");
    let expected = json!({
        "txHash": "0x88df", "status": "confirmed", "confirmedAt": 1_764_028_900,
        "gasUsed": "21000", "gasPriceGwei": "0.01",
    });
    assert_eq!(params, expected);
}

#[tokio::test]
async fn keys_are_registered() {
    let key = r#"{"componentId":"a","derivationIndex":3,"publicKey":"02ab","keyType":"ed25519","createdAt":5,"revision":9}"#;
    let fake = Fake::start(vec![Step::result(key)]);
    let register = ["key", "register", "02ab", "--type", "ed25519", "--purpose", "to sign"];
    let register = [&register[..], &["--index", "3", "--component", "a"]].concat();
    assert_eq!(texts(&run(&fake.endpoint(), &register, "").await), (0, "3\n", ""));
    let mut params = fake.requests()[0].params();
    params.as_object_mut().unwrap().remove("requestId");
    let expected = json!({
        "publicKey": "02ab", "keyType": "ed25519", "purpose": "to sign", "derivationIndex": 3,
        "componentId": "a",
    });
    assert_eq!(params, expected);
}

#[tokio::test]
async fn a_batch_is_applied_as_it_is_written() {
    let operations = r#"[{"method":"preferences.set","params":{"key":"a","value":1.0}}]"#;
    let fake = Fake::start(vec![Step::result(r#"{"results":[{}]}"#)]);
    let output = run(&fake.endpoint(), &["batch", "-"], operations).await;
    assert_eq!(texts(&output), (0, "1 write applied\n", ""));
    let sent = String::from_utf8(fake.requests()[0].body.clone()).unwrap();
    assert!(sent.contains(&format!(r#""operations":{operations}"#)), "{sent}");
    assert!(sent.contains(r#""method":"batch.apply""#), "{sent}");
}
