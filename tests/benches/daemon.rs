//! The daemon under test: the release binary, started on a throw-away root with a throw-away key,
//! asked for its memory, stopped or killed. A daemon that is dropped is killed, so that no error
//! leaves one behind.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::client::Client;
use crate::process;

const READY_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// Any 32 bytes will do: nothing sealed under it outlives the run.
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// A data root with all that a daemon needs, removed when dropped.
pub(crate) struct Root {
    directory: TempDir,
}

impl Root {
    /// Makes an empty root under `parent`.
    pub(crate) fn new(parent: &Path) -> Result<Self, String> {
        let directory =
            tempfile::Builder::new().prefix("osnova-bench-").tempdir_in(parent).map_err(text)?;
        let root = Self { directory };
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let mut file = options.open(root.key_file()).map_err(text)?;
        std::io::Write::write_all(&mut file, KEY.as_bytes()).map_err(text)?;
        let mut builder = fs::DirBuilder::new();
        builder.mode(0o700).create(root.data()).map_err(text)?;
        Ok(root)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("s")
    }

    fn key_file(&self) -> PathBuf {
        self.directory.path().join("key")
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("stderr")
    }

    /// The size of the database with its WAL, in bytes.
    pub(crate) fn database_bytes(&self) -> u64 {
        ["osnova.db", "osnova.db-wal"]
            .iter()
            .filter_map(|name| fs::metadata(self.data().join(name)).ok())
            .map(|metadata| metadata.len())
            .sum()
    }
}

/// A running daemon.
pub(crate) struct Daemon {
    child: Child,
    socket: PathBuf,
    log: PathBuf,
}

impl Daemon {
    /// Starts the daemon on `root`; returns it with the time from its start to its ready line.
    pub(crate) fn start(root: &Root) -> Result<(Self, Duration), String> {
        let log = fs::File::create(root.log()).map_err(text)?;
        let begin = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_osnova-storaged"))
            .arg("--data-root")
            .arg(root.data())
            .arg("--key-file")
            .arg(root.key_file())
            .arg("--listen")
            .arg(format!("unix:{}", root.socket().display()))
            .env_clear()
            .env("HOME", root.directory.path())
            .env("XDG_RUNTIME_DIR", root.directory.path())
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("the daemon does not start: {error}"))?;
        let stdout = child.stdout.take().ok_or("no standard output")?;
        let daemon = Self { child, socket: root.socket(), log: root.log() };
        let (sender, ready) = mpsc::channel();
        // Reads to the end, so that the daemon never blocks on what it prints after.
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let seen = Instant::now();
                let event: Value = serde_json::from_str(&line).unwrap_or_default();
                if event["event"] == "ready" {
                    let _ = sender.send(seen);
                }
            }
        });
        match ready.recv_timeout(READY_LIMIT) {
            Ok(seen) => Ok((daemon, seen - begin)),
            Err(_) => Err(daemon.explain("the daemon did not become ready")),
        }
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    pub(crate) fn client(&self) -> Result<Client, String> {
        Client::connect(&self.socket).map_err(|error| self.explain(&error))
    }

    /// A line of `/proc/PID/status` that tells memory (`VmRSS`, `VmHWM`), in MiB.
    pub(crate) fn memory_mib(&self, name: &str) -> Result<f64, String> {
        let status = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(status).map_err(text)?;
        status
            .lines()
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .filter_map(|rest| rest.trim().strip_suffix(" kB")?.parse::<f64>().ok())
            .map(|kib| kib / 1024.0)
            .next()
            .ok_or_else(|| format!("no {name} in the status of the process"))
    }

    /// How often a thread of it has waited for something so far; `None` where the system does not say.
    pub(crate) fn thread_rests(&self, name: &str) -> Option<u64> {
        let status = fs::read_to_string(self.thread(name)?.join("status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        line.trim().parse().ok()
    }

    /// How long a thread of it has run on a processor so far.
    pub(crate) fn thread_seconds(&self, name: &str) -> Option<f64> {
        let stat = fs::read_to_string(self.thread(name)?.join("schedstat")).ok()?;
        let nanos: f64 = stat.split_whitespace().next()?.parse().ok()?;
        Some(nanos / 1e9)
    }

    /// Where the system tells of a thread.
    fn thread(&self, name: &str) -> Option<PathBuf> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).ok()?;
        threads.filter_map(|entry| Some(entry.ok()?.path())).find(|thread| {
            fs::read_to_string(thread.join("comm")).is_ok_and(|comm| comm.trim() == name)
        })
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(mut self) -> Result<(), String> {
        process::signal(&self.child, Signal::TERM)?;
        match process::wait(&mut self.child, STOP_LIMIT)? {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(self.explain(&format!("the daemon ended: {status}"))),
            None => Err(self.explain("the daemon did not stop")),
        }
    }

    /// Kills it, as a crash would.
    pub(crate) fn kill(mut self) -> Result<(), String> {
        self.child.kill().map_err(text)?;
        self.child.wait().map_err(text)?;
        Ok(())
    }

    fn explain(&self, what: &str) -> String {
        const LINES: usize = 3;
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(LINES)..].join(" / ");
        format!("{what}; it said: {last}")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
