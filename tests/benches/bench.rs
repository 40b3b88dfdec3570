//! What all rows share: where temporary directories go, how long and how often things are
//! measured, and the PostgreSQL that several groups compare with, started when first asked for.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::load::Plan;
use crate::postgres::Postgres;

/// What `statfs` calls tmpfs and ramfs.
const MEMORY_FILE_SYSTEMS: [u64; 2] = [0x0102_1994, 0x8584_58f6];
/// The longest directory under which a Unix socket can still be named.
const DIRECTORY_LENGTH_LIMIT: usize = 70;

/// One run of the benchmark.
pub(crate) struct Bench {
    directory: PathBuf,
    pub(crate) quick: bool,
    postgres: OnceCell<Result<Postgres, String>>,
}

impl Bench {
    /// Chooses the directory: the one asked for, else the first of the usual ones that lies on a
    /// disk and whose name is short enough for a socket.
    pub(crate) fn new(asked: Option<PathBuf>, quick: bool) -> Result<Self, String> {
        let usual = [
            std::env::temp_dir(),
            PathBuf::from("/var/tmp"),
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")),
        ];
        let directory = match asked {
            Some(directory) => directory
                .canonicalize()
                .map_err(|error| format!("{}: {error}", directory.display()))?,
            None => usual
                .into_iter()
                .find(|directory| {
                    let short = directory.as_os_str().len() <= DIRECTORY_LENGTH_LIMIT;
                    short && is_on_disk(directory)
                })
                .ok_or("no temporary directory lies on a disk: use --dir DIR")?,
        };
        Ok(Self { directory, quick, postgres: OnceCell::new() })
    }

    /// Where temporary directories are made.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn title(&self) -> String {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        format!(
            "osnova-storage {}: every write is synced before it is answered \
             (synchronous=FULL); {cores} cores shared by server and callers{}",
            env!("CARGO_PKG_VERSION"),
            if self.quick { "; quick" } else { "" }
        )
    }

    /// How `callers` are measured.
    pub(crate) fn plan(&self, callers: usize) -> Plan {
        Plan {
            callers,
            warm_up: self.pick(Duration::from_millis(200), Duration::from_millis(500)),
            duration: self.duration(),
        }
    }

    pub(crate) fn duration(&self) -> Duration {
        self.pick(Duration::from_millis(800), Duration::from_millis(2000))
    }

    /// How long pgbench runs, in the whole seconds it takes.
    pub(crate) fn peer_seconds(&self) -> u64 {
        self.pick(1, 2)
    }

    /// How often what is compared by its time is measured, in turns with what it is compared to.
    pub(crate) fn rounds(&self) -> usize {
        self.pick(1, 3)
    }

    /// The same for what runs under a load of many calls, each of them a measurement already.
    pub(crate) fn load_rounds(&self) -> usize {
        self.pick(1, 2)
    }

    /// The value for a quick run, or for a full one.
    pub(crate) fn pick<T>(&self, quick: T, full: T) -> T {
        if self.quick { quick } else { full }
    }

    /// PostgreSQL, or why it is not here.
    pub(crate) fn postgres(&self) -> Result<&Postgres, &String> {
        self.postgres.get_or_init(|| Postgres::start(&self.directory)).as_ref()
    }

    /// The free bytes of the disk that is measured.
    pub(crate) fn free_bytes(&self) -> u64 {
        rustix::fs::statvfs(&self.directory).map_or(0, |disk| disk.f_bavail * disk.f_frsize)
    }
}

fn is_on_disk(directory: &Path) -> bool {
    rustix::fs::statfs(directory)
        .is_ok_and(|disk| !MEMORY_FILE_SYSTEMS.contains(&(disk.f_type as u64)))
}
