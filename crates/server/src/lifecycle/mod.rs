//! The daemon's life: start, ready, run, stop.

mod files;
mod key;
mod logging;
mod ready;
mod signals;
mod sweep;

use std::sync::Arc;
use std::time::Duration;

use osnova_storage_core::{OpenError, Store, StoreError};
use tokio::task::JoinSet;

use crate::access::{Gate, TokenError};
use crate::app::App;
use crate::config::{Config, ConfigError};
use crate::listen::{ComponentSockets, ListenError, Listener, Serving};
use crate::methods;

pub use key::KeySourceError;
pub use logging::start as start_logging;

/// Threads that may block at a time: blob streams and reads; the writer has its own.
const BLOCKING_THREADS: usize = 256;
/// How long threads that still block are waited for after everything else has ended.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// Why the daemon ended without having run to a clean stop. Each has its exit code.
#[derive(Debug, thiserror::Error)]
pub enum Exit {
    /// The configuration is bad.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The data root can't be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is no usable key where one was said to be.
    #[error("{0}")]
    Key(#[from] KeySourceError),
    /// The key is not the data root's.
    #[error("the key is not the key of this data root")]
    WrongKey,
    /// An endpoint can't be bound.
    #[error("cannot listen: {0}")]
    Listen(#[from] ListenError),
    /// The owner's token can't be read or made.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Something else.
    #[error("{0}")]
    Other(String),
}

impl Exit {
    /// The exit code of the process (design, section 7).
    pub fn code(&self) -> u8 {
        match self {
            // A full disk or a failing one: it may be well again the next time.
            Exit::Other(_) | Exit::Open(OpenError::Store(_)) => 1,
            Exit::Config(_) | Exit::Key(_) | Exit::Token(_) => 2,
            Exit::Open(OpenError::NotOurs { .. }) => 2,
            Exit::Open(OpenError::InUse { .. }) => 3,
            Exit::WrongKey => 4,
            Exit::Open(_) => 5,
            Exit::Listen(_) => 6,
        }
    }
}

/// Runs the daemon until it is told to stop.
///
/// # Errors
/// Why it could not start.
pub fn run(config: Config) -> Result<(), Exit> {
    harden();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name("server")
        .build()
        .map_err(|error| Exit::Other(format!("no runtime: {error}")))?;
    let outcome = runtime.block_on(serve(config));
    // Only streams whose clients have not moved for the whole grace are left now.
    runtime.shutdown_timeout(LAST_WAIT);
    outcome
}

/// What holds for the process from the start: its files are its own, and as many as it may have; and no
/// dump tells its keys.
fn harden() {
    files::raise_limit();
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = rustix::process::setrlimit(rustix::process::Resource::Core, none) {
        tracing::warn!(%error, "core dumps could not be turned off");
    }
    #[cfg(target_os = "linux")]
    if let Err(error) =
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
    {
        tracing::warn!(%error, "core dumps could not be turned off");
    }
}

async fn serve(config: Config) -> Result<(), Exit> {
    let store = open(&config)?;
    let registry = methods::registry().map_err(|names| {
        Exit::Other(format!("these methods are not served, or not defined: {names}"))
    })?;
    let gate = Gate::load(&store, &config)?;
    let (sockets, opened_sockets) =
        ComponentSockets::new(config.component_sockets.clone(), store.health().clone());
    let app = Arc::new(App::new(Arc::clone(&store), registry, gate, &config, sockets));
    let mut listeners = Vec::new();
    for endpoint in &config.listen {
        listeners.push(Listener::bind(endpoint, &config)?);
    }
    let endpoints: Vec<String> = listeners.iter().map(Listener::endpoint).collect();
    signals::watch(&app, config.exit_with_parent)
        .map_err(|error| Exit::Other(format!("signals can't be watched: {error}")))?;

    for (path, credential) in app.gate.sockets() {
        app.sockets.open_again(path, credential);
    }
    let places = files::places(&config);
    let connections = Serving::new(Arc::clone(&app));
    let mut serving = JoinSet::new();
    for listener in listeners {
        // Places of its own, so that a crowd on TCP can't keep the owner off the Unix socket.
        serving.spawn(listener.serve(connections.clone(), places));
    }
    serving.spawn(opened_sockets.serve(connections));
    app.tasks.spawn(sweep::run(Arc::clone(&app), config.sweep_interval));
    ready::announce(&endpoints, config.ready_fd)
        .map_err(|error| Exit::Other(format!("the ready line can't be written: {error}")))?;
    tracing::info!(?endpoints, version = env!("CARGO_PKG_VERSION"), "ready");

    app.stopped().await;
    ready::stopping();
    // Connections finish what they have begun; idle ones end at once.
    app.tasks.close();
    let finished = async {
        while serving.join_next().await.is_some() {}
        app.tasks.wait().await;
    };
    if tokio::time::timeout(config.shutdown_grace, finished).await.is_err() {
        tracing::warn!("calls still ran at the end of the shutdown grace");
        serving.abort_all();
    }
    let closing = tokio::task::spawn_blocking(move || store.close());
    closing
        .await
        .map_err(|error| Exit::Other(format!("the store could not be closed: {error}")))?;
    tracing::info!("stopped");
    Ok(())
}

/// Opens the data root and, where there is a key, unlocks it.
fn open(config: &Config) -> Result<Arc<Store>, Exit> {
    let store = Store::open(config.store.clone())?;
    let initialized = store.vault_state().initialized;
    match key::find(config, initialized)? {
        Some(master) => match store.unlock(master) {
            Ok(_) => {}
            Err(StoreError::WrongKey) => return Err(Exit::WrongKey),
            Err(error) => return Err(Exit::Open(error.into())),
        },
        None => tracing::warn!("no key was given: the vault is locked until vault.unlock"),
    }
    Ok(Arc::new(store))
}
