//! The program with the real daemon: how it is run here, and what it does where the daemon goes away.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::support::{Daemon, Options, wait_until};

/// The program itself.
pub(crate) fn program() -> PathBuf {
    // It is another crate's: the workspace's tests build it first.
    let path = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("osnova-storage");
    assert!(path.exists(), "build it first: cargo build -p osnova-storage-client");
    path
}

fn command(daemon: &Daemon, arguments: &[&str]) -> Command {
    let endpoint = format!("unix:{}", daemon.socket().display());
    let mut command = Command::new(program());
    command.env_clear().args(["--endpoint", &endpoint]).args(arguments);
    command
}

/// Runs a command to its end.
pub(crate) fn run(daemon: &Daemon, arguments: &[&str]) -> Output {
    command(daemon, arguments).output().unwrap()
}

/// The exit code, standard output and standard error.
pub(crate) fn told(daemon: &Daemon, arguments: &[&str]) -> (i32, String, String) {
    let output = run(daemon, arguments);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// What a command prints that must succeed.
pub(crate) fn prints(daemon: &Daemon, arguments: &[&str]) -> String {
    let (code, out, error) = told(daemon, arguments);
    assert_eq!((code, error.as_str()), (0, ""), "{arguments:?}: {out}");
    out
}

/// A command that runs until it is told to stop, and the files that hold what it says.
struct Follower {
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Follower {
    fn start(daemon: &Daemon, folder: &Path, arguments: &[&str]) -> Self {
        let [out, err] = ["out", "err"].map(|end| folder.join(format!("{}.{end}", arguments[0])));
        let [to_out, to_err] = [&out, &err].map(|path| File::create(path).unwrap());
        let mut command = command(daemon, arguments);
        let child = command.stdout(to_out).stderr(to_err).spawn().unwrap();
        Self { child, out, err }
    }

    /// Waits until it has said this; all that it has said.
    fn says(&mut self, path: fn(&Self) -> &Path, what: &str) -> String {
        wait_until(what, || {
            let ended = self.child.try_wait().unwrap();
            let said = std::fs::read_to_string(path(self)).unwrap();
            assert!(ended.is_none(), "{ended:?}: {}", std::fs::read_to_string(&self.err).unwrap());
            said.contains(what).then_some(said)
        })
    }

    fn out(&self) -> &Path {
        &self.out
    }

    fn err(&self) -> &Path {
        &self.err
    }

    /// Ends it as Ctrl-C does; its exit code and all that it complained of.
    fn interrupt(mut self) -> (Option<i32>, String) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        let status = self.child.wait().unwrap();
        (status.code(), std::fs::read_to_string(&self.err).unwrap())
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // Only ever this test's own child; one that has ended already is not an error.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `logs tail -f` and `events` say that they go on until Ctrl-C, and ended where the daemon was away for
/// longer than a third of a second: an update of the daemon ended whoever followed a log.
#[test]
fn followers_wait_for_a_daemon_that_is_away() {
    let component = "org.example.weather";
    let append = |daemon: &Daemon, message: &str| {
        let entries = json!([{ "level": "info", "message": message }]);
        daemon.ok("logs.append", json!({ "componentId": component, "entries": entries }));
    };
    let set = |daemon: &Daemon, key: &str| {
        let set = daemon.ok("preferences.set", json!({ "key": key, "value": 1 }));
        set["revision"].as_u64().unwrap()
    };
    let said = tempfile::tempdir().unwrap();
    let daemon = Daemon::start();
    append(&daemon, "the first");
    let follow = ["logs", "tail", "--follow", "--component", component];
    let mut logs = Follower::start(&daemon, said.path(), &follow);
    logs.says(Follower::out, "the first");
    let before = set(&daemon, "before");
    let from = (before - 1).to_string();
    let mut events = Follower::start(&daemon, said.path(), &["events", "--after", &from]);
    events.says(Follower::out, "before");

    let (_, folder) = daemon.stop();
    for follower in [&mut logs, &mut events] {
        follower.says(Follower::err, "the connection is lost");
    }
    // Longer than what ended them.
    std::thread::sleep(Duration::from_secs(1));
    let daemon = Daemon::start_in(folder, &Options::default()).unwrap();
    append(&daemon, "the second");
    let last = set(&daemon, "after");
    logs.says(Follower::out, "the second");
    let printed = events.says(Follower::out, "after");
    let keys: Vec<&str> = printed.lines().filter_map(|line| line.split('\t').nth(3)).collect();
    assert_eq!(keys, ["before", "after"], "{printed}");

    let (code, err) = logs.interrupt();
    assert_eq!(code, Some(130));
    let notes: Vec<&str> = err.lines().collect();
    assert_eq!(notes.len(), 2, "{err}");
    assert!(notes[0].contains("the connection is lost"), "{err}");
    assert_eq!(notes[1], "osnova-storage: the connection is back");
    let (code, err) = events.interrupt();
    assert_eq!(code, Some(130));
    assert_eq!(err.lines().count(), 3, "{err}");
    let bookmark = format!("osnova-storage: --after {last} goes on from here\n");
    assert!(err.ends_with(&bookmark), "{err}");

    // Who has not begun yet is told at once.
    let gone = daemon.socket();
    let (_, _folder) = daemon.stop();
    let endpoint = format!("unix:{}", gone.display());
    for follow in [&["events"][..], &follow] {
        let mut command = Command::new(program());
        let output = command.env_clear().args(["--endpoint", &endpoint]).args(follow).output();
        assert_eq!(output.unwrap().status.code(), Some(3), "{follow:?}");
    }
}
