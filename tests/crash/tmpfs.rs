//! A disk that is really full: a data root on a small file system in memory.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use crate::on_disk;
use crate::random::Random;
use crate::support::{Daemon, Options};
use crate::wire::Connection;

/// A mounted file system, unmounted when it is dropped.
struct Mounted(PathBuf);

impl Mounted {
    /// Mounts; `None`, said by name, where that is not permitted.
    fn tmpfs(test: &str, at: &Path, size: &str) -> Option<Self> {
        fs::create_dir(at).unwrap();
        fs::set_permissions(at, Permissions::from_mode(0o700)).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size},mode=0700"), "tmpfs"])
            .arg(at)
            .stderr(Stdio::null())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(at.to_owned()));
        }
        eprintln!("SKIPPED {test}: mounting a tmpfs is not permitted here");
        None
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(&self.0).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} could not be unmounted", self.0.display());
        }
    }
}

/// Writes a file until there is not a byte left.
fn fill(path: &Path) {
    let mut file = fs::File::create(path).unwrap();
    let error = std::io::copy(&mut std::io::repeat(0), &mut file).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
}

#[test]
fn a_disk_filled_by_blobs_still_takes_records() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    let test = "a_disk_filled_by_blobs_still_takes_records";
    let Some(mounted) = Mounted::tmpfs(test, &root, "64m") else { return };
    let config = "[blobs]\ndisk_reserve_bytes = 8388608\n".to_owned();
    let options = Options { config, ..Options::default() };
    let daemon = Daemon::start_in(folder, &options).unwrap();
    let mut connection = Connection::open(&daemon.socket()).unwrap();
    let mut random = Random::new(1);
    let mut hashes = Vec::new();
    let refused = loop {
        let answer = connection.put(&random.bytes(5 << 20)).unwrap();
        if answer.status != 200 {
            break answer;
        }
        hashes.push(answer.json()["hash"].as_str().unwrap().to_owned());
    };
    assert_eq!((refused.status, &refused.json()["data"]["code"]), (507, &json!("disk_full")));
    assert!(hashes.len() > 5, "{}", hashes.len());
    assert_eq!(daemon.ok("status.get", json!({}))["status"], "degraded");
    assert!(on_disk::files(&root.join("blobs/.tmp")).is_empty());
    // The reserve is there for records.
    for number in 0..100 {
        daemon.ok("preferences.set", json!({ "key": format!("k{number}"), "value": number }));
    }
    daemon.ok("blobs.delete", json!({ "hash": hashes[0] }));
    daemon.ok("blobs.delete", json!({ "hash": hashes[1] }));
    let answer = daemon.ok("blobs.put", json!({ "data": "YQ==" }));
    assert_eq!(answer["created"], true);
    assert_eq!(daemon.ok("status.get", json!({}))["status"], "ok");
    let (status, folder) = daemon.stop();
    assert!(status.success());
    on_disk::check_stopped(&root);
    drop(mounted);
    drop(folder);
}

/// Without a reserve: blobs, records and another program fill the disk to the last byte. Each is refused
/// by its own error, and what was acknowledged is read. A start needs room for a commit, and says in
/// its one line that there is none; once there is some, nothing is lost.
#[test]
fn a_disk_filled_to_the_last_byte_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    let test = "a_disk_filled_to_the_last_byte_loses_nothing";
    let Some(mounted) = Mounted::tmpfs(test, &root, "16m") else { return };
    let config = "[blobs]\ndisk_reserve_bytes = 0\n".to_owned();
    let options = Options { config, ..Options::default() };
    fs::write(root.join("of-another-program"), vec![0; 1 << 20]).unwrap();
    let daemon = Daemon::start_in(folder, &options).unwrap();
    let mut connection = Connection::open(&daemon.socket()).unwrap();
    let mut random = Random::new(2);
    let mut contents = Vec::new();
    let mut size = 4 << 20;
    while size >= 1024 {
        let content = random.bytes(size);
        let answer = connection.put(&content).unwrap();
        if answer.status == 200 {
            contents.push((answer.json()["hash"].as_str().unwrap().to_owned(), content));
        } else {
            assert_eq!(answer.json()["data"]["code"], "disk_full");
            size /= 2;
        }
    }
    let mut written = 0;
    let text = "x".repeat(10_000);
    let refused = loop {
        let params = json!({ "key": format!("k{written}"), "value": text });
        match daemon.call("preferences.set", params) {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused["data"]["code"], "disk_full", "{refused}");
    let check = |daemon: &Daemon, contents: &[(String, Vec<u8>)]| {
        let mut connection = Connection::open(&daemon.socket()).unwrap();
        for (hash, content) in contents {
            assert!(connection.get(hash).unwrap().body == *content);
        }
        for number in 0..written {
            daemon.ok("preferences.get", json!({ "key": format!("k{number}") }));
        }
    };
    check(&daemon, &contents);
    drop(connection);
    fill(&root.join("the-last-bytes"));

    let folder = daemon.kill();
    // A start commits once. Whether the log has room left for that differs from run to run; where it
    // has not the start is refused, in one line. Stdin ends at once, so a daemon that starts stops.
    let mut command = Daemon::command(folder.path(), &options);
    if !command.arg("--exit-with-parent").output().unwrap().status.success() {
        let stderr = fs::read_to_string(folder.path().join("stderr")).unwrap();
        let line = stderr.lines().last().unwrap();
        assert!(line.starts_with("osnova-storaged: ") && line.contains("full"), "{line}");
    }

    fs::remove_file(root.join("of-another-program")).unwrap();
    let daemon = Daemon::start_in(folder, &options).unwrap();
    on_disk::check_started(&root);
    check(&daemon, &contents);
    let (hash, _) = contents.remove(0);
    daemon.ok("blobs.delete", json!({ "hash": hash }));
    daemon.ok("preferences.set", json!({ "key": "after", "value": 1 }));
    assert_eq!(daemon.ok("status.get", json!({}))["status"], "ok");
    check(&daemon, &contents);
    let (status, folder) = daemon.stop();
    assert!(status.success());
    on_disk::check_stopped(&root);
    drop(mounted);
    drop(folder);
}
