//! Redis as a peer: a server of its own in a temporary directory, on a Unix socket only, that
//! syncs its log before it answers (`appendfsync always`), driven by the same load generator as
//! the daemon. An absent binary leaves its rows out.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::framing::{Protocol, Request};
use crate::load::{self, Plan};
use crate::measure::Summary;
use crate::process;
use crate::records::{RECORDS, component_id, manifest};

const READY_LIMIT: Duration = Duration::from_secs(10);
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// A running server.
pub(crate) struct Redis {
    directory: TempDir,
    server: Child,
}

impl Redis {
    /// Starts a server under `parent`. `Err` says why not.
    pub(crate) fn start(parent: &Path) -> Result<Self, String> {
        let program = process::find("redis-server").ok_or("Redis not found")?;
        let directory = tempfile::Builder::new()
            .prefix("osnova-bench-redis-")
            .tempdir_in(parent)
            .map_err(|error| error.to_string())?;
        let server = Command::new(program)
            .args(["--port", "0", "--unixsocket"])
            .arg(directory.path().join("s"))
            .args(["--appendonly", "yes", "--appendfsync", "always"])
            // Neither snapshots nor rewrites of the log while it is measured.
            .args(["--save", "", "--auto-aof-rewrite-percentage", "0", "--dir"])
            .arg(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("Redis does not start: {error}"))?;
        let redis = Self { directory, server };
        let deadline = Instant::now() + READY_LIMIT;
        while UnixStream::connect(redis.socket()).is_err() {
            if Instant::now() > deadline {
                return Err("Redis did not become ready".to_owned());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(redis)
    }

    /// Durable SETs of the same records.
    pub(crate) fn sets(&self, plan: Plan) -> Result<Summary, String> {
        let requests: Vec<Request> = (0..RECORDS)
            .map(|number| Request::redis(&["SET", &component_id(number), &manifest(number)]))
            .collect();
        load::run(&self.socket(), Protocol::Redis, &requests, plan)
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("s")
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        process::end(&mut self.server, Signal::TERM, STOP_LIMIT);
    }
}
