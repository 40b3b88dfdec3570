//! The daemon as a process: how it starts, says that it is ready, refuses to start, and stops.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http_blobs::noise;
use crate::support::{Daemon, MASTER_KEY, Options, exchange, read_answer, wait_until};
use crate::websocket::WebSocket;

fn folder() -> TempDir {
    tempfile::Builder::new().prefix("osnova-test").tempdir().unwrap()
}

/// Runs a command that must end by itself; its exit code and its one line on stderr.
fn refused(command: &mut Command) -> (Option<i32>, String) {
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut ready = String::new();
    child.stdout.take().unwrap().take(1).read_to_string(&mut ready).unwrap();
    if !ready.is_empty() {
        child.kill().unwrap();
        child.wait().unwrap();
        panic!("a daemon that must be refused has started");
    }
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    // Log lines are JSON where stderr is no terminal.
    let lines: Vec<&str> = stderr.lines().filter(|line| !line.starts_with('{')).collect();
    let [line] = lines.as_slice() else { panic!("not one line: {stderr}") };
    let line = line.strip_prefix("osnova-storaged: ").unwrap_or_else(|| panic!("{line}"));
    (output.status.code(), line.to_owned())
}

/// That a start with these flags and this configuration ends with this code and says this.
fn assert_refused(flags: &[&str], config: &str, code: i32, says: &str) {
    let folder = folder();
    let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
    let options = Options { flags, config: config.to_owned(), ..Options::default() };
    let (found, line) = refused(&mut Daemon::command(folder.path(), &options));
    assert_eq!(found, Some(code), "{line}");
    assert!(line.contains(says), "{line:?} does not say {says:?}");
}

#[test]
fn a_bad_configuration_is_2() {
    assert_refused(&["--no-such-flag"], "", 2, "--no-such-flag");
    assert_refused(&["--listen", "http://x"], "", 2, "unix:PATH");
    assert_refused(&["--listen", "tcp:0.0.0.0:0"], "", 2, "not a loopback address");
    assert_refused(&["--ready-fd", "x"], "", 2, "--ready-fd");
    assert_refused(&["--log", "a=b=c"], "", 2, "log filter");
    assert_refused(&["surplus"], "", 2, "surplus");
    assert_refused(&[], "no_such_key = 1", 2, "no_such_key");
    assert_refused(&[], "[limits]\n\nrequest_byts = 1", 2, "line 3: unknown field");
    assert_refused(&[], "[limits]\nrequest_bytes = \"many\"", 2, "line 2");
    assert_refused(&[], "[limits", 2, "line 1");
    let folder = folder();
    let start = |options: &Options| refused(&mut Daemon::command(folder.path(), options));
    let (code, line) = refused(
        Daemon::command(folder.path(), &Options::default()).args(["--config", "/no/such/file"]),
    );
    assert_eq!(code, Some(2), "{line}");
    let (code, line) = start(&Options { key: Some("not a key".to_owned()), ..Options::default() });
    assert_eq!(code, Some(2), "{line}");
    assert!(!line.contains("not a key"), "{line}");

    let key = folder.path().join("shared");
    fs::write(&key, MASTER_KEY).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let flags = vec!["--key-file".to_owned(), key.display().to_string()];
    let options = Options { key: None, flags, ..Options::default() };
    let (code, line) = start(&options);
    assert_eq!(code, Some(2), "{line}");
    assert!(line.contains("chmod 600"), "{line}");
    fs::remove_file(key).unwrap();
    assert_eq!(start(&options).0, Some(2));

    fs::set_permissions(folder.path().join("root"), fs::Permissions::from_mode(0o777)).unwrap();
    let (code, line) = start(&Options::default());
    assert_eq!(code, Some(2), "{line}");
    assert!(line.contains("chmod go-w"), "{line}");
}

#[test]
fn a_data_root_in_use_is_3_and_says_by_whom() {
    let daemon = Daemon::start();
    daemon.ok("preferences.set", json!(["k", 1]));
    let (code, line) = refused(&mut Daemon::command(daemon.folder(), &Options::default()));
    assert_eq!(code, Some(3), "{line}");
    let words: Vec<&str> = line.split(|c: char| !c.is_ascii_digit()).collect();
    assert!(words.contains(&daemon.pid().to_string().as_str()), "{line}");
    assert_eq!(daemon.ok("preferences.get", json!(["k"]))["value"], 1);
    // A crash frees it.
    let daemon = Daemon::start_in(daemon.kill(), &Options::default()).unwrap();
    assert_eq!(daemon.ok("preferences.get", json!(["k"]))["value"], 1);
}

#[test]
fn a_wrong_key_is_4_and_changes_nothing() {
    let (_, folder) = Daemon::start().stop();
    let key = Some(MASTER_KEY.replace('4', "5"));
    let wrong = Options { key, ..Options::default() };
    let (code, line) = refused(&mut Daemon::command(folder.path(), &wrong));
    assert_eq!(code, Some(4), "{line}");
    let daemon = Daemon::start_in(folder, &Options::default()).unwrap();
    assert_eq!(daemon.ok("vault.status", json!({}))["locked"], false);
}

#[test]
fn a_damaged_or_newer_database_is_5_and_stays_as_it_is() {
    let (_, folder) = Daemon::start().stop();
    let path = folder.path().join("root/osnova.db");
    let good = fs::read(&path).unwrap();
    let refused_with = |content: &[u8], says: &str| {
        fs::write(&path, content).unwrap();
        let (code, line) = refused(&mut Daemon::command(folder.path(), &Options::default()));
        assert_eq!(code, Some(5), "{line}");
        assert!(line.contains(says), "{line}");
        assert!(fs::read(&path).unwrap() == content, "the database was changed");
    };
    refused_with(&[b"garbage ".repeat(1000)].concat(), "damaged");
    let altered = |sql: &str| {
        let other = folder.path().join("other.db");
        fs::write(&other, &good).unwrap();
        let database = rusqlite::Connection::open(&other).unwrap();
        database.pragma_update(None, "journal_mode", "DELETE").unwrap();
        database.execute_batch(sql).unwrap();
        database.pragma_update(None, "journal_mode", "WAL").unwrap();
        drop(database);
        fs::read(&other).unwrap()
    };
    let newer = altered("INSERT INTO schema_version VALUES (9999, 0, 'of tomorrow')");
    refused_with(&newer, "newer");
    refused_with(&altered("PRAGMA application_id = 7"), "not one of osnova-storage");
    refused_with(&altered("DELETE FROM schema_version WHERE version = 2"), "damaged");
    fs::write(&path, &good).unwrap();
    Daemon::start_in(folder, &Options::default()).unwrap();
}

#[test]
fn an_endpoint_that_is_taken_is_6() {
    let live = Daemon::start();
    let other = folder();
    let listen = |endpoint: String| {
        let flags = vec!["--listen".to_owned(), endpoint];
        let options = Options { flags, ..Options::default() };
        refused(&mut Daemon::command(other.path(), &options))
    };
    let (code, line) = listen(format!("unix:{}", live.socket().display()));
    assert_eq!((code, line.contains("in use")), (Some(6), true), "{line}");
    live.ok("status.get", json!({}));
    let file = other.path().join("file");
    fs::write(&file, "precious").unwrap();
    let (code, line) = listen(format!("unix:{}", file.display()));
    assert_eq!((code, line.contains("not a socket")), (Some(6), true), "{line}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    let long = other.path().join("x".repeat(120));
    let (code, line) = listen(format!("unix:{}", long.display()));
    assert_eq!((code, line.contains("too long")), (Some(6), true), "{line}");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (code, line) = listen(format!("tcp:{}", port.local_addr().unwrap()));
    assert_eq!((code, line.contains("in use")), (Some(6), true), "{line}");
    // The sockets that it had bound before are gone again.
    assert!(!other.path().join("s/storage.sock").exists());
}

#[test]
fn a_socket_that_a_crash_left_is_replaced() {
    let daemon = Daemon::start();
    let socket = daemon.socket();
    let folder = daemon.kill();
    assert!(socket.exists());
    let daemon = Daemon::start_in(folder, &Options::default()).unwrap();
    daemon.ok("status.get", json!({}));
    // One that another has bound meanwhile is not this daemon's to remove.
    fs::remove_file(&socket).unwrap();
    let other = UnixListener::bind(&socket).unwrap();
    let (status, _folder) = daemon.stop();
    assert!(status.success());
    assert!(socket.exists());
    drop(other);
}

/// Starts a daemon whose stdin is a pipe, and that ends with it.
fn with_parent() -> Daemon {
    let folder = folder();
    let mut command = Daemon::command(folder.path(), &Options::default());
    command.arg("--exit-with-parent").stdin(Stdio::piped());
    Daemon::start_command(folder, command).unwrap()
}

/// Has a daemon stop.
type Stop = fn(&mut Daemon);

#[test]
fn every_way_to_stop_is_clean() {
    let ways: [(&str, Stop); 5] = [
        ("SIGTERM", |daemon| daemon.signal(Signal::TERM)),
        ("SIGINT", |daemon| daemon.signal(Signal::INT)),
        ("system.shutdown", |daemon| {
            assert_eq!(daemon.ok("system.shutdown", json!({})), json!({ "accepted": true }));
        }),
        ("the end of stdin", Daemon::close_stdin),
        ("two signals", |daemon| {
            daemon.signal(Signal::TERM);
            daemon.signal(Signal::INT);
        }),
    ];
    for (way, stop) in ways {
        let mut daemon = with_parent();
        let socket = daemon.socket();
        daemon.ok("preferences.set", json!(["k", 1]));
        assert!(socket.exists());
        stop(&mut daemon);
        assert_eq!(daemon.wait().code(), Some(0), "{way}");
        assert!(!socket.exists(), "{way}");
        // A clean stop leaves nothing behind in the WAL: the database's one file is whole.
        let wal = fs::metadata(daemon.root().join("osnova.db-wal"));
        assert!(!wal.is_ok_and(|wal| wal.len() > 0), "{way}");
        let database = rusqlite::Connection::open(daemon.root().join("osnova.db")).unwrap();
        let value: String =
            database.query_row("SELECT value FROM user_preferences", [], |row| row.get(0)).unwrap();
        assert_eq!(value, "1", "{way}");
    }
}

#[test]
fn a_clean_stop_writes_what_was_deferred() {
    let config = "[database]\nflush_interval_ms = 600000\n".to_owned();
    let options = Options { config, ..Options::default() };
    let daemon = Daemon::start_with(&options);
    let component = json!([{ "componentId": "c", "name": "n", "version": "1", "type": "backend", "manifest": {} }]);
    daemon.ok("components.put", component);
    daemon.ok("components.touch", json!(["c", 1_700_000_000]));
    let (_, folder) = daemon.stop();
    let daemon = Daemon::start_in(folder, &options).unwrap();
    assert_eq!(daemon.ok("components.get", json!(["c"]))["lastUsed"], 1_700_000_000);
}

/// A configuration under which a stop that waits for something would fail its test by its length.
const LONG_GRACE: &str = "shutdown_grace_ms = 3600000\n";

fn stopping(daemon: &Daemon) {
    daemon.signal(Signal::TERM);
    wait_until("the daemon to take the signal", || {
        daemon.log().contains("stopping: SIGTERM").then_some(())
    });
}

#[test]
fn what_runs_is_finished_before_the_stop() {
    let options = Options { config: LONG_GRACE.to_owned(), ..Options::default() };
    let mut daemon = Daemon::start_with(&options);
    let large = noise(1, 48 << 20);
    let put = |length| format!("PUT /blobs HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n");
    let hash = daemon.http(&put(large.len()), &large).json()["hash"].as_str().unwrap().to_owned();
    let small = noise(2, 100_000);

    let mut putting = daemon.connect();
    write!(putting, "{}\r\n", put(small.len())).unwrap();
    putting.write_all(&small[..50_000]).unwrap();
    let temporaries = daemon.root().join("blobs/.tmp");
    wait_until("the put to have begun", || fs::read_dir(&temporaries).unwrap().next().map(drop));
    let mut getting = BufReader::new(daemon.connect());
    write!(getting.get_mut(), "GET /blobs/{hash} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        getting.read_line(&mut line).unwrap();
    }
    stopping(&daemon);
    wait_until("the socket to go", || (!daemon.socket().exists()).then_some(()));

    let mut content = vec![0; large.len()];
    getting.read_exact(&mut content).unwrap();
    assert!(content == large);
    putting.write_all(&small[50_000..]).unwrap();
    let answer = read_answer(&mut putting, true);
    assert_eq!(answer.status, 200);
    let stored = answer.json()["hash"].as_str().unwrap().to_owned();
    assert_eq!(daemon.wait().code(), Some(0));
    let folder = daemon.kill();
    let daemon = Daemon::start_in(folder, &options).unwrap();
    let back = daemon.http(&format!("GET /blobs/{stored} HTTP/1.1\r\nHost: x\r\n"), b"");
    assert!(back.body == small);
}

#[test]
fn who_only_waits_does_not_hold_the_stop() {
    let mut daemon =
        Daemon::start_with(&Options { config: LONG_GRACE.to_owned(), ..Options::default() });
    let mut kept_alive = daemon.connect();
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"vault.status"}"#;
    let head = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
        call.len()
    );
    assert_eq!(exchange(&mut kept_alive, &head, call.as_bytes()).status, 200);
    let silent = daemon.connect();
    let mut socket = WebSocket::open(&daemon);
    assert_eq!(socket.ask(call)["result"]["locked"], false);
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait().code(), Some(0));
    assert!(socket.receive().is_none());
    drop((kept_alive, silent));
}

#[test]
fn a_stuck_client_holds_the_stop_no_longer_than_the_grace() {
    let config = "shutdown_grace_ms = 200\n".to_owned();
    let mut daemon = Daemon::start_with(&Options { config, ..Options::default() });
    let mut stuck = daemon.connect();
    stuck.write_all(b"PUT /blobs HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf").unwrap();
    let temporaries = daemon.root().join("blobs/.tmp");
    wait_until("the put to have begun", || fs::read_dir(&temporaries).unwrap().next().map(drop));
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait().code(), Some(0));
    assert!(daemon.log().contains("at the end of the shutdown grace"));
    let mut rest = Vec::new();
    let _ = stuck.read_to_end(&mut rest);
    assert!(!rest.starts_with(b"HTTP/1.1 200"));
    let folder = daemon.kill();
    let daemon = Daemon::start_in(folder, &Options::default()).unwrap();
    assert_eq!(daemon.ok("blobs.list", json!({})), json!({ "items": [] }));
    assert!(fs::read_dir(daemon.root().join("blobs/.tmp")).unwrap().next().is_none());
}

#[test]
fn the_ready_line_says_where_and_who() {
    let flags = vec!["--listen".to_owned(), "tcp:127.0.0.1:0".to_owned()];
    let daemon = Daemon::start_with(&Options { flags, ..Options::default() });
    assert_eq!(daemon.endpoints().len(), 2);
    assert_eq!(daemon.endpoints()[0], format!("unix:{}", daemon.socket().display()));
    let port = daemon.endpoints()[1].strip_prefix("http://127.0.0.1:").unwrap();
    assert_ne!(port.parse::<u16>().unwrap(), 0);
}

/// The line goes to the descriptor that is named, whether that is a pipe or, as with hosts that make
/// socket pairs of their pipes, a socket; and then nothing goes to stdout.
#[test]
fn the_ready_line_goes_to_the_descriptor_that_is_named() {
    let (pipe, pipe_end) = std::io::pipe().unwrap();
    let (socket, socket_end) = UnixStream::pair().unwrap();
    let ways: [(Box<dyn Read>, OwnedFd); 2] =
        [(Box::new(pipe), pipe_end.into()), (Box::new(socket), socket_end.into())];
    for (told, end) in ways {
        let folder = folder();
        let mut command = Daemon::command(folder.path(), &Options::default());
        // Stdin's number is as good as any, and can be given without help of the shell.
        command.args(["--ready-fd", "0"]).stdin(end);
        let mut child = command.spawn().unwrap();
        drop(command);
        let mut line = String::new();
        BufReader::new(told).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(ready["event"], "ready");
        assert_eq!(ready["pid"], child.id());
        assert!(ready["version"].is_string());
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM)
            .unwrap();
        let mut stdout = String::new();
        child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        assert_eq!((stdout.as_str(), child.wait().unwrap().code()), ("", Some(0)));
    }
}

/// Options of a daemon that looks for its key in a folder of its own.
fn keyless(folder: &Path, flags: &[&str]) -> Options {
    let env = vec![("XDG_CONFIG_HOME".to_owned(), folder.join("config").display().to_string())];
    let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
    Options { key: None, flags, env, ..Options::default() }
}

#[test]
fn init_makes_a_phrase_once_and_shows_it_to_no_log() {
    let folder = folder();
    let options = keyless(folder.path(), &["--init", "--log", "trace"]);
    let phrase_file = folder.path().join("config/osnova/master.phrase");
    let daemon = Daemon::start_in(folder, &options).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&phrase_file), 0o600);
    assert_eq!(mode(phrase_file.parent().unwrap()), 0o700);
    let phrase = fs::read_to_string(&phrase_file).unwrap();
    let words: Vec<&str> = phrase.split_whitespace().collect();
    assert_eq!(words.len(), 24);
    assert!(!daemon.log().contains(&words[..3].join(" ")), "the phrase stands on stderr");
    let state = daemon.ok("vault.status", json!({}));
    assert_eq!((&state["locked"], &state["initialized"]), (&json!(false), &json!(true)));
    let hash = daemon.ok("blobs.put", json!(["AAAA"]))["hash"].clone();

    // The next start finds it by itself, with the flag or without.
    let mut folder = daemon.stop().1;
    for flags in [&["--init"][..], &[]] {
        let options = keyless(folder.path(), flags);
        let daemon = Daemon::start_in(folder, &options).unwrap();
        assert_eq!(daemon.ok("vault.status", json!({})), state);
        assert_eq!(daemon.ok("blobs.get", json!([hash]))["data"], "AAAA");
        folder = daemon.stop().1;
        assert_eq!(fs::read_to_string(&phrase_file).unwrap(), phrase);
    }

    // A root that has a key is given no other: without its file it starts locked.
    fs::remove_file(&phrase_file).unwrap();
    let daemon = Daemon::start_in(folder, &options).unwrap();
    assert!(!phrase_file.exists());
    assert_eq!(
        daemon.ok("vault.status", json!({})),
        json!({ "locked": true, "initialized": true })
    );
    assert_eq!(daemon.ok("vault.unlock", json!([phrase.trim()])), state);
    assert_eq!(daemon.ok("blobs.get", json!([hash]))["data"], "AAAA");
}

#[test]
fn without_a_key_it_starts_locked() {
    let folder = folder();
    let options = keyless(folder.path(), &[]);
    let daemon = Daemon::start_in(folder, &options).unwrap();
    assert_eq!(
        daemon.ok("vault.status", json!({})),
        json!({ "locked": true, "initialized": false })
    );
    assert_eq!(daemon.ok("status.get", json!({}))["services"][2]["detail"], "locked");
    daemon.ok("preferences.set", json!(["k", 1]));
    assert_eq!(daemon.ok("preferences.get", json!(["k"]))["value"], 1);
    daemon.fails("locked", "blobs.put", json!(["AAAA"]));
    assert_eq!(daemon.ok("blobs.list", json!({}))["items"], json!([]));
    let state = daemon.ok("vault.unlock", json!([MASTER_KEY]));
    assert_eq!(state["keyId"], "b0d3eb19f08a56fe");
    let hash = daemon.ok("blobs.put", json!(["AAAA"]))["hash"].clone();
    daemon.fails("wrong_key", "vault.unlock", json!([MASTER_KEY.replace('4', "5")]));
    assert_eq!(daemon.ok("vault.status", json!({})), state);
    assert_eq!(daemon.ok("vault.lock", json!({})), json!({ "locked": true, "initialized": true }));
    daemon.fails("locked", "blobs.get", json!([hash]));
    assert_eq!(daemon.ok("blobs.stat", json!([hash]))["size"], 3);
    daemon.ok("vault.unlock", json!([MASTER_KEY.to_uppercase()]));
    assert_eq!(daemon.ok("blobs.get", json!([hash]))["data"], "AAAA");
}
