//! What the daemon is told: flags over environment over file over default.
//!
//! Every key of the file is in `config/osnova-storage.toml` with its default; a test holds the two
//! together. An unknown key is an error.

mod file;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::Parser;
use osnova_storage_core::StoreOptions;
use osnova_storage_core::blob::BlobLimits;
use osnova_storage_core::db::storage::StorageLimits;
use osnova_storage_core::db::{DatabaseOptions, QueueLimits};
use serde::Deserialize;

use file::{File, read_file};

/// The storage daemon of Osnova.
#[derive(Debug, Clone, Default, Parser)]
#[command(name = "osnova-storaged", version, about)]
pub struct Flags {
    /// Read the configuration from this file.
    #[arg(long, env = "OSNOVA_STORAGE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Keep everything in this folder.
    #[arg(long, env = "OSNOVA_STORAGE_DATA_ROOT", value_name = "DIR")]
    pub data_root: Option<PathBuf>,
    /// Listen here: unix:PATH (the owner), component:PATH (a token is always needed) or
    /// tcp:127.0.0.1:PORT; may be given more than once.
    #[arg(long, env = "OSNOVA_STORAGE_LISTEN", value_name = "ENDPOINT", value_delimiter = ',')]
    pub listen: Vec<Endpoint>,
    /// Read the seed phrase or the master key from this file.
    #[arg(long, env = "OSNOVA_STORAGE_KEY_FILE", value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Make a seed phrase for a fresh data root, and store it in the key file.
    #[arg(long)]
    pub init: bool,
    /// Write the ready line to this file descriptor instead of stdout.
    #[arg(long, value_name = "N")]
    pub ready_fd: Option<u32>,
    /// Stop when stdin ends: when whoever started the daemon is gone.
    #[arg(long)]
    pub exit_with_parent: bool,
    /// What to log: a level (error, warn, info, debug, trace) or a filter of tracing.
    #[arg(long, env = "OSNOVA_STORAGE_LOG", value_name = "FILTER")]
    pub log: Option<String>,
}

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Endpoint {
    /// A Unix socket at this path, for the owner: whoever has the daemon's uid.
    Unix(PathBuf),
    /// A Unix socket at this path, for components: a token is always needed.
    Component(PathBuf),
    /// A TCP address.
    Tcp(SocketAddr),
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("unix", path)) if !path.is_empty() => Ok(Endpoint::Unix(path.into())),
            Some(("component", path)) if !path.is_empty() => Ok(Endpoint::Component(path.into())),
            Some(("tcp", address)) => address
                .parse()
                .map(Endpoint::Tcp)
                .map_err(|_| format!("{address:?} is not ADDRESS:PORT, such as 127.0.0.1:7117")),
            _ => Err("must be unix:PATH, component:PATH or tcp:ADDRESS:PORT".to_owned()),
        }
    }
}

impl TryFrom<String> for Endpoint {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// The limits on requests and connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest JSON-RPC request, in bytes.
    pub request_bytes: usize,
    /// The largest JSON-RPC answer, in bytes.
    pub response_bytes: usize,
    /// The most calls in a batch.
    pub batch_calls: usize,
    /// The most connections of an endpoint at a time.
    pub connections: usize,
    /// The most connections of a component at a time, over all endpoints.
    pub connections_per_component: usize,
    /// The most calls that run or wait at a time.
    pub calls: usize,
    /// The most of them that are a component's.
    pub calls_per_component: usize,
    /// The most large requests of a component that are in memory at a time, and as many answers; and its
    /// WebSockets.
    pub large_messages_per_component: usize,
    /// The most blob streams at a time.
    pub streams: usize,
    /// The most of them that are a component's.
    pub streams_per_component: usize,
    /// How long the head of a request may take to arrive, from its first byte; and the first head of a
    /// connection, from its start.
    pub header_timeout: Duration,
    /// How long a connection may lie idle between requests; a WebSocket is asked for a sign of life.
    pub idle_timeout: Duration,
    /// How long a body, or a client that is to take an answer, may stand still.
    pub stall_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_bytes: 16 << 20,
            response_bytes: 16 << 20,
            batch_calls: 1000,
            connections: 1024,
            connections_per_component: 256,
            calls: 8192,
            calls_per_component: 1024,
            large_messages_per_component: 8,
            streams: 64,
            streams_per_component: 16,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(300),
            stall_timeout: Duration::from_secs(60),
        }
    }
}

/// The pauses after failed attempts to unlock the vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnlockBackoff {
    /// The pause after the first attempts that failed; each further failure doubles it.
    pub pause: Duration,
    /// The longest pause.
    pub limit: Duration,
}

impl Default for UnlockBackoff {
    fn default() -> Self {
        Self { pause: Duration::from_secs(1), limit: Duration::from_secs(300) }
    }
}

/// An empty database takes a quarter of this.
const MIN_DATABASE_BYTES: u64 = 1 << 20;
/// The default time to finish what runs when the daemon stops.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);

/// The default time between two sweeps of what has expired.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// What the daemon runs by.
#[derive(Clone)]
pub struct Config {
    /// How the data root is opened.
    pub store: StoreOptions,
    /// Where to listen.
    pub listen: Vec<Endpoint>,
    /// Where the key is, where that was said.
    pub key_file: Option<PathBuf>,
    /// The default key file.
    pub default_key_file: Option<PathBuf>,
    /// Make a phrase for a fresh root.
    pub init: bool,
    /// The descriptor of the ready line.
    pub ready_fd: Option<u32>,
    /// Stop when stdin ends.
    pub exit_with_parent: bool,
    /// What to log.
    pub log: String,
    /// The limits on requests and connections.
    pub limits: Limits,
    /// The pauses after failed attempts to unlock the vault.
    pub unlock_backoff: UnlockBackoff,
    /// The group that may reach the sockets for components.
    pub socket_group: Option<String>,
    /// The folder in which each component's socket gets a folder of its own.
    pub component_sockets: PathBuf,
    /// Origins whose pages may call.
    pub allowed_origins: Vec<String>,
    /// What `Host` may be on TCP, beside the names of this machine.
    pub allowed_hosts: Vec<String>,
    /// The time between two sweeps of what has expired.
    pub sweep_interval: Duration,
    /// How long to finish what runs when stopping.
    pub shutdown_grace: Duration,
}

/// A bad configuration.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    /// One clear line.
    pub(crate) fn new(line: String) -> Self {
        Self(line)
    }
}

impl Config {
    /// Joins the flags with the file they name and the defaults. `environment` reads a variable.
    ///
    /// # Errors
    /// One clear line.
    pub fn load(
        flags: Flags,
        environment: &dyn Fn(&str) -> Option<PathBuf>,
    ) -> Result<Self, ConfigError> {
        let file = match &flags.config {
            Some(path) => read_file(path)?,
            None => File::default(),
        };
        let default_root = default_data_root(environment);
        let root =
            flags.data_root.or(file.data_root).or(default_root.clone()).ok_or_else(|| {
                ConfigError("no data root: give --data-root, or set HOME".to_owned())
            })?;
        let mut listen =
            if flags.listen.is_empty() { file.listen.unwrap_or_default() } else { flags.listen };
        let is_default = Some(&root) == default_root.as_ref();
        let sockets = default_sockets(&root, is_default, environment);
        if listen.is_empty() {
            listen.push(Endpoint::Unix(sockets.join("storage.sock")));
            listen.push(Endpoint::Component(sockets.join("component.sock")));
        }
        let remote = file.access.dangerously_allow_remote_tcp.unwrap_or(false);
        check_endpoints(&listen, remote)?;
        let defaults = Limits::default();
        let queue = QueueLimits::default();
        let database = DatabaseOptions::default();
        let blobs = BlobLimits::default();
        let mut store = StoreOptions::new(root);
        store.database = DatabaseOptions {
            queue: QueueLimits {
                queued_calls: file.database.queued_calls.unwrap_or(queue.queued_calls),
                queued_bytes: file.database.queued_bytes.unwrap_or(queue.queued_bytes),
                flush_interval: file
                    .database
                    .flush_interval_ms
                    .map_or(queue.flush_interval, Duration::from_millis),
                ..queue
            },
            readers: file.database.readers.unwrap_or(database.readers),
            limit_bytes: file.database.limit_bytes.filter(|bytes| *bytes > 0),
            wal_limit_bytes: file.database.wal_limit_bytes.unwrap_or(database.wal_limit_bytes),
        };
        store.blobs = BlobLimits {
            limit_bytes: file.blobs.limit_bytes.unwrap_or(blobs.limit_bytes),
            component_limit_bytes: file
                .blobs
                .component_limit_bytes
                .map_or(blobs.component_limit_bytes, |bytes| {
                    Some(bytes).filter(|bytes| *bytes > 0)
                }),
            disk_reserve_bytes: file.blobs.disk_reserve_bytes.unwrap_or(blobs.disk_reserve_bytes),
            uploads: file.blobs.upload_limits(),
        };
        store.storage = StorageLimits {
            component_limit_bytes: file
                .storage
                .component_limit_bytes
                .map_or(store.storage.component_limit_bytes, |bytes| {
                    Some(bytes).filter(|bytes| *bytes > 0)
                }),
        };
        store.logs = file.logs.limits();
        store.maintenance = file.maintenance.options();
        let asked = &file.limits;
        let millis = |asked: Option<u64>, default| asked.map_or(default, Duration::from_millis);
        let limits = Limits {
            request_bytes: asked.request_bytes.unwrap_or(defaults.request_bytes),
            response_bytes: asked.response_bytes.unwrap_or(defaults.response_bytes),
            batch_calls: asked.batch_calls.unwrap_or(defaults.batch_calls),
            connections: asked.connections.unwrap_or(defaults.connections),
            connections_per_component: asked
                .connections_per_component
                .unwrap_or(defaults.connections_per_component),
            calls: asked.calls.unwrap_or(defaults.calls),
            calls_per_component: asked.calls_per_component.unwrap_or(defaults.calls_per_component),
            large_messages_per_component: asked
                .large_messages_per_component
                .unwrap_or(defaults.large_messages_per_component),
            streams: asked.streams.unwrap_or(defaults.streams),
            streams_per_component: asked
                .streams_per_component
                .unwrap_or(defaults.streams_per_component),
            header_timeout: millis(asked.header_timeout_ms, defaults.header_timeout),
            idle_timeout: millis(asked.idle_timeout_ms, defaults.idle_timeout),
            stall_timeout: millis(asked.stall_timeout_ms, defaults.stall_timeout),
        };
        let backoff = UnlockBackoff::default();
        let unlock_backoff = UnlockBackoff {
            pause: millis(file.access.unlock_backoff_ms, backoff.pause),
            limit: millis(file.access.unlock_backoff_limit_ms, backoff.limit),
        };
        let sweep_interval = millis(file.storage.sweep_interval_ms, SWEEP_INTERVAL);
        if sweep_interval.is_zero() {
            return Err(ConfigError("storage.sweep_interval_ms must be at least 1".to_owned()));
        }
        check_limits(&store, &limits)?;
        Ok(Self {
            store,
            listen,
            key_file: flags.key_file.or(file.key_file),
            default_key_file: default_key_file(environment),
            init: flags.init,
            ready_fd: flags.ready_fd,
            exit_with_parent: flags.exit_with_parent,
            log: flags.log.or(file.log).unwrap_or_else(|| "info".to_owned()),
            limits,
            unlock_backoff,
            socket_group: file.access.socket_group.filter(|group| !group.is_empty()),
            component_sockets: sockets.join("components"),
            allowed_origins: file.access.allowed_origins.unwrap_or_default(),
            allowed_hosts: file.access.allowed_hosts.unwrap_or_default(),
            sweep_interval,
            shutdown_grace: file.shutdown_grace_ms.map_or(SHUTDOWN_GRACE, Duration::from_millis),
        })
    }
}

fn check_endpoints(listen: &[Endpoint], remote: bool) -> Result<(), ConfigError> {
    let mut seen = BTreeSet::new();
    for endpoint in listen {
        if let Endpoint::Tcp(address) = endpoint
            && !address.ip().is_loopback()
            && !remote
        {
            return Err(ConfigError(format!(
                "tcp:{address} is not a loopback address: whoever reaches it may try tokens; \
                 set access.dangerously_allow_remote_tcp if you must"
            )));
        }
        let repeatable = matches!(endpoint, Endpoint::Tcp(address) if address.port() == 0);
        if !seen.insert(format!("{endpoint:?}")) && !repeatable {
            return Err(ConfigError("the same endpoint is listed twice".to_owned()));
        }
    }
    Ok(())
}

/// Refuses limits that no call could ever keep to.
fn check_limits(store: &StoreOptions, limits: &Limits) -> Result<(), ConfigError> {
    let least = [
        (limits.connections, "limits.connections must be at least 1"),
        (limits.calls, "limits.calls must be at least 1"),
        (limits.batch_calls, "limits.batch_calls must be at least 1"),
        (
            limits.large_messages_per_component,
            "limits.large_messages_per_component must be at least 1",
        ),
    ];
    let timeouts = [
        (limits.header_timeout, "limits.header_timeout_ms must be at least 1"),
        (limits.idle_timeout, "limits.idle_timeout_ms must be at least 1"),
        (limits.stall_timeout, "limits.stall_timeout_ms must be at least 1"),
    ];
    let why = if let Some((_, why)) = least.iter().find(|(limit, _)| *limit == 0) {
        *why
    } else if let Some((_, why)) = timeouts.iter().find(|(timeout, _)| timeout.is_zero()) {
        *why
    } else if store.logs.rotate_bytes == 0 || store.logs.rotate_age.is_zero() {
        "logs.rotate_bytes and logs.rotate_age_hours must be at least 1"
    } else if store.logs.keep_files == 0 {
        "logs.keep_files must be at least 1"
    } else if store.database.limit_bytes.is_some_and(|bytes| bytes < MIN_DATABASE_BYTES) {
        "database.limit_bytes must be 0, or at least 1048576"
    } else {
        return Ok(());
    };
    Err(ConfigError(why.to_owned()))
}

/// The platform's data folder, `osnova/` in it.
fn default_data_root(environment: &dyn Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let home = || environment("HOME");
    let base = if cfg!(target_os = "macos") {
        home()?.join("Library/Application Support")
    } else {
        environment("XDG_DATA_HOME")
            .filter(|path| path.is_absolute())
            .or_else(|| Some(home()?.join(".local/share")))?
    };
    Some(base.join("osnova"))
}

/// The folder of the sockets that clients look for first.
fn default_sockets(
    root: &Path,
    is_default: bool,
    environment: &dyn Fn(&str) -> Option<PathBuf>,
) -> PathBuf {
    match environment("XDG_RUNTIME_DIR").filter(|path| is_default && path.is_absolute()) {
        Some(runtime) => runtime.join("osnova"),
        None => root.join("run"),
    }
}

/// Where `--init` stores the phrase, and where the daemon looks for it.
fn default_key_file(environment: &dyn Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let base = environment("XDG_CONFIG_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| Some(environment("HOME")?.join(".config")))?;
    Some(base.join("osnova").join("master.phrase"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn environment(name: &str) -> Option<PathBuf> {
        match name {
            "HOME" => Some("/home/user".into()),
            "XDG_RUNTIME_DIR" => Some("/run/user/1000".into()),
            _ => None,
        }
    }

    fn load(flags: &[&str], file: Option<&str>) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        let mut flags = Flags::try_parse_from([&["osnova-storaged"], flags].concat()).unwrap();
        if let Some(text) = file {
            fs::write(&path, text).unwrap();
            flags.config = Some(path);
        }
        Config::load(flags, &environment)
    }

    #[test]
    fn the_shipped_file_holds_every_key_with_its_default() {
        let shipped = include_str!("../../../config/osnova-storage.toml");
        // Every key stands there, commented out; turned on, they must all be known.
        let on: String = shipped
            .lines()
            .map(|line| match line.strip_prefix("#") {
                Some(key) if key.starts_with(|c: char| c.is_ascii_lowercase()) => key,
                _ => line,
            })
            .collect::<Vec<_>>()
            .join("\n");
        let file: File = toml::from_str(&on).unwrap();
        let text = format!("{file:?}");
        assert!(!text.contains("None"), "a key is missing in config/osnova-storage.toml: {text}");
        let configured = load(&["--data-root", "/d"], Some(&on)).unwrap();
        let default = load(&["--data-root", "/d"], None).unwrap();
        assert_eq!(configured.limits, default.limits);
        assert_eq!(configured.unlock_backoff, default.unlock_backoff);
        assert_eq!(configured.socket_group, default.socket_group);
        assert_eq!(configured.shutdown_grace, default.shutdown_grace);
        assert_eq!(configured.store.maintenance, default.store.maintenance);
        let told = |config: &Config| {
            let Config { store, log, sweep_interval, .. } = config;
            let StoreOptions { database, blobs, storage, logs, .. } = store;
            format!("{database:?} {blobs:?} {storage:?} {logs:?} {sweep_interval:?} {log}")
        };
        assert_eq!(told(&configured), told(&default));
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let file = "data_root = \"/from/file\"\nlog = \"debug\"\n[blobs]\nlimit_bytes = 7\n";
        let config = load(&["--data-root", "/from/flag"], Some(file)).unwrap();
        assert_eq!(config.store.root, Path::new("/from/flag"));
        assert_eq!(config.log, "debug");
        assert_eq!(config.store.blobs.limit_bytes, 7);
        let sockets = |folder: &Path| {
            let owner = Endpoint::Unix(folder.join("storage.sock"));
            [owner, Endpoint::Component(folder.join("component.sock"))]
        };
        assert_eq!(config.listen, sockets(Path::new("/from/flag/run")));
        assert_eq!(config.component_sockets, Path::new("/from/flag/run/components"));
        let config = load(&[], None).unwrap();
        assert_eq!(config.store.root, Path::new("/home/user/.local/share/osnova"));
        assert_eq!(config.listen, sockets(Path::new("/run/user/1000/osnova")));
        assert_eq!(config.component_sockets, Path::new("/run/user/1000/osnova/components"));
    }

    #[test]
    fn reasons_to_vacuum_are_turned_off_by_0() {
        let told = |text: &str| {
            let file = format!("[maintenance]\n{text}");
            load(&["--data-root", "/d"], Some(&file)).unwrap().store.maintenance
        };
        assert_eq!(told("vacuum_free_percent = 0").free_percent, None);
        assert_eq!(told("vacuum_free_percent = 7").free_percent, Some(7));
        assert_eq!(told("vacuum_interval_hours = 0").interval, None);
        let day = Duration::from_secs(24 * 60 * 60);
        assert_eq!(told("vacuum_interval_hours = 24").interval, Some(day));
    }

    #[test]
    fn bad_configurations_are_refused() {
        for file in [
            "unknown_key = 1",
            "[limits]\nrequest_byts = 5",
            "[storage]\nsweep_interval_ms = 0",
            "listen = [\"http://x\"]",
            "=",
        ] {
            assert!(load(&[], Some(file)).is_err(), "{file}");
        }
        let refused = |endpoint| load(&["--listen", endpoint], None).is_err();
        assert!(refused("tcp:0.0.0.0:7117"));
        assert!(refused("tcp:192.168.1.1:7117"));
        assert!(!refused("tcp:127.0.0.1:7117"));
        assert!(!refused("tcp:[::1]:7117"));
        let allowed = "[access]\ndangerously_allow_remote_tcp = true";
        assert!(load(&["--listen", "tcp:0.0.0.0:7117"], Some(allowed)).is_ok());
        assert!(load(&["--listen", "unix:/a", "--listen", "unix:/a"], None).is_err());
    }
}
