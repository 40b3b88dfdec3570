//! The store: a data root, opened.
//!
//! It joins the database, the files of contents, users and components, and the vault, and offers what needs more than one of them.
//! Record operations are plain functions over a transaction ([`crate::db`]); whoever serves calls
//! hands them to [`Database::submit`] or [`Database::read`].

mod care;
mod evict;
mod keeper;
mod uses;

pub use keeper::CareOptions;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use osnova_storage_api::status::{Health as Level, Service, Status};
use osnova_storage_api::vault::VaultState;
use osnova_storage_api::wire::UnsignedInteger;

use crate::background::Background;
use crate::blob::{BlobLimits, BlobStore, Readers};
use crate::clock::{Clock, SystemClock, Uptime};
use crate::component_data::ComponentData;
use crate::db::cache::CacheLimits;
use crate::db::storage::{self, StorageLimits};
use crate::db::{Database, DatabaseOptions, Environment, meta};
use crate::error::{OpenError, Result, StoreError};
use crate::files::{FileHandle, Files};
use crate::health::Health;
use crate::identity::Identity;
use crate::jobs::Jobs;
use crate::layout::{Layout, sync_dir};
use crate::logs::{LogLimits, Logs};
use crate::maintenance::{Maintenance, MaintenanceOptions};
use crate::sweep::Sweeper;
use crate::vault::Vault;
use crate::vault::keys::{KeySet, MasterKey};

/// How a data root is opened.
#[derive(Clone)]
pub struct StoreOptions {
    /// The data root.
    pub root: PathBuf,
    /// How the database is opened.
    pub database: DatabaseOptions,
    /// The bounds of the blob store.
    pub blobs: BlobLimits,
    /// The bounds of the cache.
    pub cache: CacheLimits,
    /// The bounds of `storage`.
    pub storage: StorageLimits,
    /// When logs of components are rotated, and how much of them is kept.
    pub logs: LogLimits,
    /// When the database is vacuumed without being asked.
    pub maintenance: MaintenanceOptions,
    /// When the contents are looked after without being asked.
    pub care: CareOptions,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Touches files.
    pub files: Files,
}

impl StoreOptions {
    /// The defaults for a data root.
    pub fn new(root: PathBuf) -> Self {
        Self {
            root,
            database: DatabaseOptions::default(),
            blobs: BlobLimits::default(),
            cache: CacheLimits::default(),
            storage: StorageLimits::default(),
            logs: LogLimits::default(),
            maintenance: MaintenanceOptions::default(),
            care: CareOptions::default(),
            clock: Arc::new(SystemClock),
            files: Files::real(),
        }
    }
}

/// An open data root. Closed by [`close`](Self::close) or when dropped.
pub struct Store {
    /// Ended first: they begin jobs, which write.
    maintenance: Maintenance,
    keeper: Background,
    care: care::Care,
    jobs: Arc<Jobs>,
    db: Arc<Database>,
    blobs: Arc<BlobStore>,
    identity: Identity,
    component_data: ComponentData,
    logs: Logs,
    vault: Vault,
    health: Health,
    sweeper: Sweeper,
    layout: Layout,
    clock: Arc<dyn Clock>,
    cache_counts: uses::CacheCounts,
    started: Instant,
    /// Whether the root has a key; once it has, it always has.
    initialized: AtomicBool,
    /// Held for as long as the store is open.
    _lock: FileHandle,
}

impl Store {
    /// Opens a data root, making it where it is missing, and recovers from a crash. Locked until
    /// [`unlock`](Self::unlock).
    ///
    /// # Errors
    /// See [`OpenError`]. Nothing is changed where it is in use, not ours, newer or damaged.
    pub fn open(options: StoreOptions) -> std::result::Result<Self, OpenError> {
        let layout = Layout::new(options.root, options.files);
        layout.prepare()?;
        let lock = layout.lock()?;
        let health = Health::new(Arc::clone(&options.clock));
        let vault = Vault::default();
        let readers = Readers::default();
        let environment = Environment {
            clock: Arc::clone(&options.clock),
            uptime: Uptime::new(Arc::clone(&options.clock)),
            vault: vault.clone(),
            storage: options.storage,
            cache: options.cache,
            blobs: options.blobs,
            readers: readers.clone(),
            search: Arc::default(),
        };
        let db = Database::open(&layout, &options.database, environment, &health)?;
        // The names of what was made here must survive a power cut as the first commit does.
        sync_dir(layout.files(), layout.root())?;
        let blobs = BlobStore::new(layout.clone(), options.blobs, health.clone(), readers);
        blobs.recover(&db)?;
        let blobs = Arc::new(blobs);
        let identity = Identity::open(&layout)?;
        let component_data = ComponentData::open(&layout, options.blobs.disk_reserve_bytes)?;
        let interval = options.database.queue.flush_interval;
        let clock = Arc::clone(&options.clock);
        let logs = Logs::open(&layout, options.logs, interval, clock, health.clone())?;
        let initialized = db.read(|reader| meta::key_check(reader.connection()))?.is_some();
        let db = Arc::new(db);
        let jobs = Jobs::open(Arc::clone(&db), Arc::clone(&options.clock), health.clone())?;
        let jobs = Arc::new(jobs);
        let maintenance = Maintenance::start(&db, &jobs, health.clone(), options.maintenance)?;
        let care = care::Care {
            blobs: Arc::clone(&blobs),
            db: Arc::clone(&db),
            jobs: Arc::clone(&jobs),
            vault: vault.clone(),
            cache: options.cache,
        };
        let keeper = keeper::start(care.clone(), options.care)?;
        Ok(Self {
            maintenance,
            keeper,
            care,
            jobs,
            db,
            blobs,
            vault,
            identity,
            component_data,
            logs,
            health,
            sweeper: Sweeper::default(),
            layout,
            clock: options.clock,
            cache_counts: uses::CacheCounts::default(),
            started: Instant::now(),
            initialized: AtomicBool::new(initialized),
            _lock: lock,
        })
    }

    /// The database.
    pub fn db(&self) -> &Database {
        &self.db
    }

    /// The jobs.
    pub fn jobs(&self) -> &Jobs {
        &self.jobs
    }

    /// The maintenance of the database.
    pub fn maintenance(&self) -> &Maintenance {
        &self.maintenance
    }

    /// The blob files.
    pub fn blobs(&self) -> &BlobStore {
        &self.blobs
    }

    /// The users' cocoons.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The components' own files.
    pub fn component_data(&self) -> &ComponentData {
        &self.component_data
    }

    /// The components' logs.
    pub fn logs(&self) -> &Logs {
        &self.logs
    }

    /// The keys.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// What is wrong with the daemon, for whoever finds more.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Where what lies.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Loads the master key. The first key that a root is given becomes its own.
    ///
    /// # Errors
    /// [`StoreError::WrongKey`] where it is not this root's: by the check value, or, where there is
    /// none, because it does not open what is stored. Nothing is written then.
    pub fn unlock(&self, master: MasterKey) -> Result<VaultState> {
        let keys = KeySet::new(master);
        let root_id = *self.db.root_id();
        match self.db.read(|reader| meta::key_check(reader.connection()))? {
            Some(check) if keys.matches_check(&root_id, &check) => {}
            Some(_) => return Err(StoreError::WrongKey),
            None => {
                if !self.opens_what_is_stored(&keys)? {
                    return Err(StoreError::WrongKey);
                }
                let check = keys.key_check(&root_id);
                let stored = self.db.write(64, move |tx| {
                    // Another call may have given the root its key meanwhile.
                    let known = meta::key_check(tx.connection())?;
                    if known.is_none() {
                        meta::set_key_check(tx, &check)?;
                    }
                    Ok(known.unwrap_or(check))
                })?;
                if stored != check {
                    return Err(StoreError::WrongKey);
                }
            }
        }
        self.vault.load(keys);
        self.initialized.store(true, Ordering::Relaxed);
        Ok(self.vault_state())
    }

    /// Whether keys open anything of what is sealed; true too where nothing is.
    fn opens_what_is_stored(&self, keys: &KeySet) -> Result<bool> {
        let blobs = self.blobs.keys_fit(&self.db, keys)?;
        let values = self.db.read(|reader| storage::keys_fit(reader, keys))?;
        Ok(match (blobs, values) {
            (None, None) => true,
            (blobs, values) => blobs == Some(true) || values == Some(true),
        })
    }

    /// Whether the master key is loaded, and whether the root has one.
    pub fn vault_state(&self) -> VaultState {
        let key_id = self.vault.key_id();
        let initialized = self.initialized.load(Ordering::Relaxed);
        VaultState { locked: key_id.is_none(), initialized, key_id }
    }

    /// Deletes the values of `storage` that have expired, and drops uploads that have; says how many. To be
    /// called now and then: what has expired of `storage` is not shown before either. No value is deleted while the wall clock has jumped, which
    /// the status then says.
    ///
    /// # Errors
    /// Where the database can't be read or written.
    pub fn sweep(&self) -> Result<usize> {
        let uploads = self.blobs.expire_uploads(&self.db)?;
        Ok(uploads + self.sweeper.sweep(&self.db, self.clock.as_ref(), &self.health)?)
    }

    /// How the store is, part by part.
    pub fn status(&self, version: &str) -> Status {
        let causes = self.health.causes();
        let service = |name: &str, fine: Option<String>| {
            let mut worst = Level::Ok;
            let mut detail = fine;
            for (cause, notice) in &causes {
                if cause.service() == name && rank(cause.level()) > rank(worst) {
                    worst = cause.level();
                    detail = Some(notice.message.clone());
                }
            }
            Service { name: name.to_owned(), status: worst, detail }
        };
        let vault = if self.vault.keys().is_ok() { "unlocked" } else { "locked" };
        let services = vec![
            service("database", None),
            service("blobs", None),
            service("vault", Some(vault.to_owned())),
            service("logs", None),
            service("sockets", None),
        ];
        let worst = services.iter().map(|service| service.status).max_by_key(|level| rank(*level));
        Status {
            status: worst.unwrap_or(Level::Ok),
            version: version.to_owned(),
            uptime: UnsignedInteger(self.started.elapsed().as_secs()),
            services,
            notices: causes.into_iter().map(|(_, notice)| notice).collect(),
        }
    }

    /// Notes in the status what a failed call says of the store.
    pub fn note_error(&self, error: &StoreError) {
        crate::db::note_read_error(&self.health, error);
    }

    /// Cancels the jobs that run, finishes the writes that wait, flushes what was deferred, empties the
    /// WAL. Later writes are `unavailable`.
    pub fn close(&self) {
        self.maintenance.close();
        self.keeper.stop();
        self.jobs.close();
        if let Err(error) = self.care.remember_uptime() {
            tracing::debug!(%error, "the uptime is not noted: graces run longer");
        }
        self.logs.close();
        self.db.close();
        self.vault.lock();
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

fn rank(level: Level) -> u8 {
    match level {
        Level::Ok => 0,
        Level::Degraded => 1,
        Level::Error => 2,
    }
}
