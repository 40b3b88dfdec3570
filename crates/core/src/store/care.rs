//! Care for the contents, as jobs: collecting, adopting, verifying, upgrading.

use std::sync::Arc;
use std::time::{Duration, Instant};

use osnova_storage_api::ApiError;
use osnova_storage_api::blobs::{CareParams, VerifyParams};
use osnova_storage_api::jobs::Job;

use super::Store;
use crate::blob::BlobStore;
use crate::caller::Caller;
use crate::db::blobs::{candidates, uploads};
use crate::db::cache::CacheLimits;
use crate::db::{Database, blobs, meta};
use crate::error::{Result, StoreError};
use crate::jobs::{Jobs, Progress, answer};
use crate::vault::Vault;

/// About how many bytes are written to remember the uptime.
const UPTIME_WEIGHT: usize = 64;

/// What cares for the contents; cheap to clone.
#[derive(Clone)]
pub(super) struct Care {
    pub(super) blobs: Arc<BlobStore>,
    pub(super) db: Arc<Database>,
    pub(super) jobs: Arc<Jobs>,
    pub(super) vault: Vault,
    pub(super) cache: CacheLimits,
}

impl Care {
    /// Notes for how long the root has been up, while anything waits for that: an idle store is not written.
    ///
    /// # Errors
    /// Where the database can't be read or written.
    pub(super) fn remember_uptime(&self) -> Result<()> {
        if self.db.read(|reader| Ok(candidates::any(reader)? || uploads::any(reader)?))? {
            self.db.write(UPTIME_WEIGHT, meta::note_uptime)?;
        }
        Ok(())
    }

    /// Begins to collect.
    pub(super) fn collect(&self, caller: &Caller) -> Result<Job> {
        let Self { blobs, db, .. } = self.clone();
        self.jobs.start("collect", caller, "contents", move |progress| {
            progress.set_total(blobs.count_due(&db)?);
            let result = blobs.collect(&db, &steps(progress), &|| {
                progress.check()?;
                Ok(false)
            })?;
            answer(&result)
        })
    }

    /// Begins to adopt.
    pub(super) fn adopt(&self, caller: &Caller) -> Result<Job> {
        let Self { blobs, db, .. } = self.clone();
        let keys = self.vault.keys()?;
        self.jobs.start("adopt", caller, "files", move |progress| {
            answer(&blobs.adopt(&db, &keys, &steps(progress))?)
        })
    }

    /// Begins to verify.
    fn verify(&self, caller: &Caller, params: &VerifyParams) -> Result<Job> {
        let Self { blobs, db, .. } = self.clone();
        let keys = self.vault.keys()?;
        let rate = match params.bytes_per_second {
            Some(rate) if rate.0 == 0 => {
                return Err(ApiError::field("bytesPerSecond", "must be at least 1").into());
            }
            Some(rate) => rate.0,
            None => blobs.limits().verify_bytes_per_second,
        };
        let total = match params.hash {
            Some(hash) => {
                if !db.read(|reader| blobs::is_stored(reader, &hash))? {
                    return Err(StoreError::not_found("blob"));
                }
                db.read(|reader| blobs::size(reader, &hash))?
            }
            None => db.read(blobs::bytes)?,
        };
        let hash = params.hash;
        let kind = if hash.is_some() { "verifyBlob" } else { "verify" };
        self.jobs.start(kind, caller, "bytes", move |progress| {
            progress.set_total(total);
            let rate = Rate { bytes_per_second: rate, began: Instant::now() };
            let read = std::cell::Cell::new(0);
            let go_on = |bytes: u64| {
                progress.advance(bytes);
                read.set(read.get() + bytes);
                progress.pause(rate.ahead_by(read.get()))
            };
            answer(&blobs.verify(&db, &keys, hash, &go_on)?)
        })
    }

    /// Begins to upgrade.
    fn upgrade(&self, caller: &Caller) -> Result<Job> {
        let Self { blobs, db, .. } = self.clone();
        let keys = self.vault.keys()?;
        self.jobs.start("upgrade", caller, "contents", move |progress| {
            progress.set_total(db.read(blobs::count_of_format_0)?);
            answer(&blobs.upgrade(&db, &keys, &steps(progress))?)
        })
    }
}

impl Store {
    /// Begins to remove contents that nothing has kept for the grace.
    ///
    /// # Errors
    /// As [`Jobs::start`].
    pub fn collect_blobs(&self, caller: &Caller, _params: &CareParams) -> Result<Job> {
        self.care.collect(caller)
    }

    /// Begins to give files without a row their place.
    ///
    /// # Errors
    /// [`StoreError::Locked`]; as [`Jobs::start`].
    pub fn adopt_blobs(&self, caller: &Caller, _params: &CareParams) -> Result<Job> {
        self.care.adopt(caller)
    }

    /// Begins to verify one content, or all.
    ///
    /// # Errors
    /// `not_found`, `validation_error`, [`StoreError::Locked`]; as [`Jobs::start`].
    pub fn verify_blobs(&self, caller: &Caller, params: &VerifyParams) -> Result<Job> {
        self.care.verify(caller, params)
    }

    /// Begins to write files of format 0 anew.
    ///
    /// # Errors
    /// [`StoreError::Locked`]; as [`Jobs::start`].
    pub fn upgrade_blobs(&self, caller: &Caller, _params: &CareParams) -> Result<Job> {
        self.care.upgrade(caller)
    }
}

/// Reports steps as progress, and stops where the job is cancelled.
fn steps(progress: &Progress) -> impl Fn(u64) -> Result<()> + '_ {
    |done| {
        progress.advance(done);
        progress.check()
    }
}

/// How fast something may be read.
struct Rate {
    bytes_per_second: u64,
    began: Instant,
}

impl Rate {
    /// How long to wait after so many bytes.
    fn ahead_by(&self, bytes: u64) -> Duration {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second.max(1));
        let due = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        due.saturating_sub(self.began.elapsed())
    }
}
