//! Cocoons, component files and logs, through the real daemon: killed, stopped, and tricked.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};

use crate::support::{Daemon, Options};

const ID: &str = "@scope/weather";

fn put(daemon: &Daemon, content: &str) -> Value {
    let data = BASE64_STANDARD.encode(content);
    daemon.ok("identity.putCocoon", json!({ "userId": "alice@example.org", "data": data }))
}

fn present(daemon: &Daemon) -> String {
    let cocoon = daemon.ok("identity.getCocoon", json!({ "userId": "alice@example.org" }));
    let data = BASE64_STANDARD.decode(cocoon["data"].as_str().unwrap()).unwrap();
    String::from_utf8(data).unwrap()
}

#[test]
fn an_acknowledged_cocoon_survives_a_kill_and_so_does_the_one_before() {
    let mut daemon = Daemon::start();
    for round in 0..5 {
        put(&daemon, &format!("cocoon {round}"));
        daemon = Daemon::start_in(daemon.kill(), &Options::default()).unwrap();
        assert_eq!(present(&daemon), format!("cocoon {round}"));
    }
    let restored = daemon.ok("identity.restorePrevious", json!({ "userId": "alice@example.org" }));
    assert_eq!(restored["hasPrevious"], true);
    daemon = Daemon::start_in(daemon.kill(), &Options::default()).unwrap();
    assert_eq!(present(&daemon), "cocoon 3");
    assert!(!daemon.log().contains("alice"));
}

#[test]
fn logs_are_written_at_a_clean_stop_and_searched_after_a_start() {
    // Only the stop can have written them.
    let config = "[database]\nflush_interval_ms = 3600000\n".to_owned();
    let options = Options { config, ..Options::default() };
    let daemon = Daemon::start_with(&options);
    let entries = json!([
        { "level": "info", "message": "started" },
        { "level": "error", "message": "no answer", "fields": { "station": "Tegel" } },
    ]);
    daemon.ok("logs.append", json!({ "entries": entries, "componentId": ID }));
    let file = daemon.root().join("logs/components/%40scope%2fweather.log");
    assert!(!file.exists());
    let (status, folder) = daemon.stop();
    assert!(status.success());
    let daemon = Daemon::start_in(folder, &options).unwrap();
    assert_eq!(fs::read_to_string(file_in(&daemon)).unwrap().lines().count(), 2);
    let query = json!({ "level": "warn", "text": "tegel", "componentId": ID });
    let found = daemon.ok("logs.query", query.clone());
    assert_eq!(found["items"][0]["message"], "no answer");
    daemon.ok("logs.rotate", json!({ "componentId": ID }));
    assert_eq!(daemon.ok("logs.query", query), found);
    // What was read is written, and so survives a kill.
    let daemon = Daemon::start_in(daemon.kill(), &options).unwrap();
    assert_eq!(daemon.ok("logs.tail", json!({ "componentId": ID }))["items"][1], found["items"][0]);
}

fn file_in(daemon: &Daemon) -> PathBuf {
    daemon.root().join("logs/components/%40scope%2fweather.log")
}

#[test]
fn the_configuration_says_when_a_log_is_rotated() {
    let config = "[logs]\nrotate_bytes = 100\nkeep_files = 2\n".to_owned();
    let daemon = Daemon::start_with(&Options { config, ..Options::default() });
    for number in 0..5 {
        let entry = json!({ "level": "info", "message": format!("{number} {}", "x".repeat(200)) });
        daemon.ok("logs.append", json!({ "entries": [entry], "componentId": ID }));
        daemon.ok("logs.tail", json!({ "componentId": ID }));
    }
    let found = daemon.ok("logs.query", json!({ "componentId": ID }));
    assert_eq!(found["items"].as_array().unwrap().len(), 2);
}

/// A component's tree is its own to write: here it has put what would hang or lead astray whoever went
/// through it by paths.
#[test]
fn a_fifo_and_a_link_to_etc_do_not_steer_or_hang_the_daemon() {
    let daemon = Daemon::start();
    let prepared =
        daemon.ok("componentData.prepare", json!({ "version": "1.0", "componentId": ID }));
    let data = PathBuf::from(prepared["dataPath"].as_str().unwrap());
    assert!(
        data.starts_with(daemon.root().canonicalize().unwrap()) || data.starts_with(daemon.root())
    );
    fs::write(data.join("file"), "content").unwrap();
    symlink("/etc", data.join("etc")).unwrap();
    symlink(".", data.join("loop")).unwrap();
    let fifo = |path: &Path| {
        mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    };
    fifo(&data.join("fifo"));
    let of = |version: &str| json!({ "version": version, "componentId": ID });
    let usage = daemon.ok("componentData.usage", of("1.0"));
    assert_eq!(usage, json!({ "bytes": 10, "files": 2, "skipped": 3 }));
    let migrate = json!({ "fromVersion": "1.0", "toVersion": "1.1", "componentId": ID });
    let migrated = daemon.ok("componentData.migrate", migrate.clone());
    assert_eq!(migrated["skipped"], 3);
    assert_eq!(daemon.ok("componentData.usage", of("1.1"))["skipped"], 0);
    let refused = daemon.call("componentData.migrate", migrate).unwrap_err();
    assert_eq!(refused["data"]["reason"], "exists");
    // A configuration that is a FIFO, or a link to a file of another's.
    let config = PathBuf::from(prepared["configPath"].as_str().unwrap());
    fs::remove_file(&config).unwrap();
    fifo(&config);
    let absent = daemon.call("componentData.getConfig", of("1.0")).unwrap_err();
    assert_eq!(absent["data"]["code"], "not_found");
    fs::remove_file(&config).unwrap();
    symlink("/etc/hostname", &config).unwrap();
    assert_eq!(daemon.call("componentData.getConfig", of("1.0")).unwrap_err(), absent);
    assert_eq!(daemon.ok("componentData.remove", of("1.0")), json!({ "deleted": true }));
    assert!(!data.exists());
    assert!(Path::new("/etc/passwd").exists());
    let left = daemon.ok("componentData.list", json!({ "componentId": ID }));
    assert_eq!(left["items"].as_array().unwrap().len(), 1);
}
