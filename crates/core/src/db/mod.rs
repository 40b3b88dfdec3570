//! The database: records in SQLite.
//!
//! One writer thread commits many calls at once ([`writer`]), a pool of read-only connections serves
//! readers, another thread checkpoints ([`checkpoint`]). Each table has a module with its SQL and its
//! operations, which know neither who runs them nor when they are committed.

pub mod application_config;
pub mod applications;
pub mod auth;
pub mod blobs;
pub mod cache;
mod checkpoint;
mod columns;
pub mod components;
mod connection;
mod decimal;
pub(crate) mod deferred;
pub mod events;
pub mod feed;
pub mod jobs;
pub mod keys;
mod keyset;
pub mod messages;
pub(crate) mod meta;
pub mod migrations;
pub(crate) mod page;
pub mod preferences;
mod queue;
mod recent;
mod recorder;
pub mod registry;
pub mod requests;
pub mod schema;
pub mod search;
mod semver;
pub mod storage;
mod totals;
pub mod transactions;
mod tx;
mod writer;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use r2d2_sqlite::SqliteConnectionManager;

pub use queue::{Job, QueueLimits};
pub use recent::{Recent, Sight};
pub(crate) use tx::Environment;
pub use tx::{Reader, Tx};

use crate::error::{OpenError, Result, StoreError};
use crate::health::{Cause, Health};
use crate::layout::Layout;
use migrations::MigrationError;

/// How a database is opened.
#[derive(Debug, Clone)]
pub struct DatabaseOptions {
    /// The bounds of the writer's queue.
    pub queue: QueueLimits,
    /// Connections that read at the same time; 0: one for each core, at least four.
    pub readers: u32,
    /// How large the database may grow, in bytes.
    pub limit_bytes: Option<u64>,
    /// How large the WAL may grow before a warning stands, in bytes.
    pub wal_limit_bytes: u64,
}

impl Default for DatabaseOptions {
    fn default() -> Self {
        Self {
            queue: QueueLimits::default(),
            readers: 0,
            limit_bytes: None,
            wal_limit_bytes: 256 << 20,
        }
    }
}

/// The open database.
pub struct Database {
    queue: Arc<queue::Queue>,
    deferred: Arc<deferred::Deferred>,
    wal: Arc<checkpoint::WalWatch>,
    unsettled: Arc<AtomicBool>,
    recent: Arc<Recent>,
    pool: r2d2::Pool<SqliteConnectionManager>,
    environment: Arc<Environment>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    root_id: [u8; meta::LENGTH],
    path: PathBuf,
}

impl Database {
    /// Opens the database of a data root, brings it to the latest version, and starts its threads.
    ///
    /// # Errors
    /// [`OpenError::Unusable`] where it is newer than this program, not ours, or damaged; it is then
    /// untouched.
    pub(crate) fn open(
        layout: &Layout,
        options: &DatabaseOptions,
        environment: Environment,
        health: &Health,
    ) -> std::result::Result<Self, OpenError> {
        let environment = Arc::new(environment);
        let path = layout.database();
        let unusable = |why: String| OpenError::Unusable { root: layout.root().to_owned(), why };
        if !connection::sqlite_is_recent() {
            return Err(unusable(format!("SQLite {} is too old", rusqlite::version())));
        }
        let refused = |error: rusqlite::Error| match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) => {
                unusable(format!("the database is damaged: {error}"))
            }
            _ => OpenError::from(error),
        };
        let not_migrated = |error: MigrationError| match error {
            MigrationError::Sqlite(error) => refused(error),
            other => unusable(other.to_string()),
        };
        if path.exists() {
            // Opening it to write would turn it to WAL mode and write its pages anew, so what it is
            // is found out before.
            let look = connection::open_to_look(&path).map_err(refused)?;
            migrations::version(&look).map_err(not_migrated)?;
        }
        let mut connection = connection::open_writer(&path).map_err(refused)?;
        let applied =
            migrations::migrate(&mut connection, migrations::latest(), environment.clock.now())
                .map_err(not_migrated)?;
        if !applied.is_empty() {
            tracing::info!(versions = ?applied, "the database was migrated");
        }
        if let Some(bytes) = options.limit_bytes {
            connection.pragma_update(None, "max_page_count", bytes / 4096).map_err(refused)?;
        }
        let transaction = connection.transaction().map_err(refused)?;
        let root_id = meta::root_id(&transaction)?;
        let first_seq =
            feed::begin_range(&transaction, environment.clock.now()).map_err(refused)?;
        environment.uptime.add_before(meta::uptime_ms(&transaction)?);
        blobs::candidates::clamp(&transaction, environment.uptime.now_ms()).map_err(refused)?;
        // A root without records has nothing to be indexed.
        let stale = meta::search_is_stale(&transaction).map_err(refused)?;
        if stale && search::index::has_nothing(&transaction).map_err(refused)? {
            meta::clear_search_stale(&transaction).map_err(refused)?;
        } else if stale {
            environment.search.want_build();
        }
        transaction.commit().map_err(refused)?;
        checkpoint::count_pages(&connection);

        let pool = r2d2::Pool::builder()
            .max_size(readers(options.readers))
            .min_idle(Some(1))
            .test_on_check_out(false)
            .connection_timeout(Duration::from_secs(10))
            .error_handler(Box::new(r2d2::NopErrorHandler))
            .build(
                SqliteConnectionManager::file(&path)
                    .with_flags(connection::reader_flags())
                    .with_init(|connection| connection::configure(connection)),
            )
            .map_err(|error| StoreError::Internal(format!("no reader can be opened: {error}")))?;

        let queue = Arc::new(queue::Queue::new(options.queue));
        let deferred = Arc::new(deferred::Deferred::default());
        let wal = Arc::new(checkpoint::WalWatch::new(options.wal_limit_bytes));
        let unsettled = Arc::new(AtomicBool::new(false));
        let recent = Arc::new(Recent::new(first_seq));
        let writer = writer::Writer {
            connection,
            queue: Arc::clone(&queue),
            deferred: Arc::clone(&deferred),
            environment: Arc::clone(&environment),
            health: health.clone(),
            wal: Arc::clone(&wal),
            recorder: recorder::Recorder::new(first_seq),
            recent: Arc::clone(&recent),
            feed_pruner: feed::Pruner::new(),
            request_pruner: requests::Pruner::new(),
            search_notes: search::Notes::default(),
            unsettled: Arc::clone(&unsettled),
        };
        let checkpointer = connection::open_writer(&path).map_err(refused)?;
        let watch = Arc::clone(&wal);
        let threads = vec![
            spawn("db-writer", move || writer.run())?,
            spawn("db-checkpoint", move || checkpoint::thread(&checkpointer, &watch))?,
        ];
        Ok(Self {
            queue,
            deferred,
            wal,
            unsettled,
            recent,
            pool,
            environment,
            threads: Mutex::new(threads),
            root_id,
            path,
        })
    }

    /// The random id of this data root.
    pub fn root_id(&self) -> &[u8; meta::LENGTH] {
        &self.root_id
    }

    /// The latest changes, in memory.
    pub fn recent(&self) -> &Recent {
        &self.recent
    }

    /// Reads with a connection of the pool, waiting for one.
    ///
    /// # Errors
    /// The operation's own, or where no connection comes free.
    pub fn read<T>(&self, operation: impl FnOnce(Reader<'_>) -> Result<T>) -> Result<T> {
        let connection = self.pool.get().map_err(|_| {
            StoreError::Refused(osnova_storage_api::ApiError::unavailable(
                "too many reads are running",
                100,
            ))
        })?;
        operation(Reader::new(&connection, &self.environment))
    }

    /// Reads with a connection that is free now; gives the operation back where none is.
    ///
    /// # Errors
    /// The operation's own.
    pub fn try_read<T, O: FnOnce(Reader<'_>) -> Result<T>>(
        &self,
        operation: O,
    ) -> std::result::Result<Result<T>, O> {
        match self.pool.try_get() {
            Some(connection) => Ok(operation(Reader::new(&connection, &self.environment))),
            None => Err(operation),
        }
    }

    /// Hands jobs to the writer together, in order: all of them, or none where there is no room.
    ///
    /// # Errors
    /// `unavailable` where the queue is full or the store is closing; the jobs get no reply then.
    pub fn submit(&self, jobs: Vec<Job>) -> Result<()> {
        self.queue.push(jobs)
    }

    /// Writes, and waits on this thread until it is durable.
    ///
    /// # Errors
    /// The operation's own, and those of a commit.
    pub fn write<T: Send + 'static>(
        &self,
        weight: usize,
        operation: impl Fn(&Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = mpsc::sync_channel(1);
        let job = Job::new(weight, operation, move |result| {
            // The receiver below waits for as long as the job lives.
            let _ = reply.send(result);
        });
        self.submit(vec![job])?;
        answer.recv().map_err(|_| StoreError::Internal("the writer ended".to_owned()))?
    }

    /// Notes something of a record that is written later (deferred). The caller has seen that it exists.
    ///
    /// # Errors
    /// `unavailable` where too much is pending, or the store is closing.
    pub(crate) fn defer<T: deferred::Merge>(
        &self,
        table: fn(&mut deferred::Pending) -> &mut deferred::Table<T>,
        key: &str,
        value: impl FnOnce(u64) -> T,
    ) -> Result<()> {
        self.deferred.add(table, key, value)?;
        self.queue.deferred_is_pending()
    }

    /// Writes what is deferred, and waits until it is durable.
    ///
    /// # Errors
    /// Those of a commit.
    pub(crate) fn flush_deferred(&self) -> Result<()> {
        // What is deferred stands at the head of the group of this write.
        self.write(0, |_| Ok(()))
    }

    /// For how long the root has been up over all its starts, in milliseconds.
    pub(crate) fn uptime_ms(&self) -> u64 {
        self.environment.uptime.now_ms()
    }

    /// How the search indices are.
    pub(crate) fn search_state(&self) -> &Arc<search::SearchState> {
        &self.environment.search
    }

    /// Whether the outcome of every commit so far is known. Where it is not, a crash may bring back
    /// what a caller was told had failed.
    pub(crate) fn is_settled(&self) -> bool {
        !self.unsettled.load(Ordering::Acquire)
    }

    /// Opens a connection that only reads, for what would keep one of the pool for too long, or needs one
    /// of its own. It must be closed before the database is.
    ///
    /// # Errors
    /// Where it can't be opened.
    pub(crate) fn open_reader(&self) -> Result<rusqlite::Connection> {
        Ok(connection::open_reader(&self.path)?)
    }

    /// Copies all of the WAL into the database and empties it; false where a reader was in the way for
    /// longer than `wait`. Writes wait meanwhile.
    ///
    /// # Errors
    /// Where it can't be written.
    pub(crate) fn checkpoint(&self, wait: Duration) -> Result<bool> {
        self.wal.try_truncate(&connection::open_writer(&self.path)?, wait)
    }

    /// The size of the file of the WAL, in bytes.
    pub(crate) fn wal_file_bytes(&self) -> u64 {
        let mut path = self.path.clone().into_os_string();
        path.push("-wal");
        std::fs::metadata(path).map_or(0, |file| file.len())
    }

    /// How many writes there have been since the start, deferred ones left out; `None` while one waits
    /// or runs.
    pub(crate) fn writes_if_idle(&self) -> Option<u64> {
        self.queue.taken_if_idle()
    }

    /// Writes that wait.
    pub fn queue_depth(&self) -> usize {
        self.queue.depth()
    }

    /// Bytes in the WAL after the last commit.
    pub fn wal_bytes(&self) -> u64 {
        self.wal.bytes()
    }

    /// Whether SQLite finds the database whole; reads all of it.
    ///
    /// # Errors
    /// [`StoreError::RecordsDamaged`] with the first thing that is wrong.
    pub fn integrity_check(&self) -> Result<()> {
        self.read(|reader| {
            let verdict: String =
                reader.connection().query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
            if verdict == "ok" { Ok(()) } else { Err(StoreError::RecordsDamaged(verdict)) }
        })
    }

    /// Takes no more writes, runs those that wait, flushes what was deferred, empties the WAL.
    pub fn close(&self) {
        self.queue.close();
        self.wal.stop();
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!(path = %self.path.display(), "a thread of the database panicked");
            }
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.close();
    }
}

/// How many connections read at the same time.
fn readers(configured: u32) -> u32 {
    if configured > 0 {
        return configured;
    }
    thread::available_parallelism()
        .map_or(4, |cores| u32::try_from(cores.get()).unwrap_or(4))
        .max(4)
}

fn spawn(
    name: &str,
    body: impl FnOnce() + Send + 'static,
) -> std::result::Result<JoinHandle<()>, OpenError> {
    thread::Builder::new().name(name.to_owned()).spawn(body).map_err(|error| {
        OpenError::Store(StoreError::Internal(format!("no thread can be started: {error}")))
    })
}

/// Notes in the health what a read's error says of the database.
pub(crate) fn note_read_error(health: &Health, error: &StoreError) {
    match error {
        StoreError::Database(cause) => match cause.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
                health.note(Cause::DatabaseDamaged, "the database is damaged");
            }
            Some(rusqlite::ErrorCode::SystemIoFailure) => {
                health.note(Cause::DatabaseIo, "reading the database failed");
            }
            _ => {}
        },
        StoreError::Sealed { .. } => {
            health.note(Cause::ValueDamaged, "a stored value of a component does not open");
        }
        StoreError::RecordsDamaged(_) => {
            health.note(Cause::RecordsDamaged, "records of the database are damaged");
        }
        StoreError::Damaged(_) => {
            health.note(Cause::BlobDamaged, "a blob file is missing or damaged");
        }
        _ => {}
    }
}
