//! Giving sealed files their names and their rows: one, or many together, which share their syncs and their
//! commit.

use std::collections::BTreeSet;
use std::thread;

use osnova_storage_api::blobs::BlobPut;
use osnova_storage_api::wire::{BlobHash, UnsignedInteger, UploadId};

use super::temporary::Temporary;
use super::{BlobStore, ROW_WEIGHT};
use crate::caller::Caller;
use crate::db::blobs::{self, Holding, Written, uploads};
use crate::db::{Database, Tx};
use crate::error::{Result, StoreError};
use crate::health::Cause;
use crate::vault::keys::KeySet;

/// Many files are synced on so many threads: the disk serves those who wait at the same time together.
const SYNCING_THREADS: usize = 8;
/// For fewer files than this a thread is not worth its start.
const FILES_PER_THREAD: usize = 16;

/// A content that is sealed in a file of its own and not entered yet.
pub struct SealedBlob {
    pub(super) temporary: Temporary,
    pub(super) written: Written,
    pub(super) holding: Holding,
    /// The upload of which it is the content.
    pub(super) upload: Option<UploadId>,
}

/// A content that is entered.
#[derive(Clone)]
struct Entered {
    written: Written,
    holding: Holding,
    upload: Option<UploadId>,
    /// It has a row, and its file is missing or damaged: it is healed.
    lost: bool,
}

/// A file that was given its name.
struct Named {
    hash: BlobHash,
    /// Nothing had this name, and no row was there: the file is rubbish if it gets none.
    is_new: bool,
}

impl BlobStore {
    /// Gives sealed files their names and their rows, all or none; a file whose content is there already is
    /// dropped. The answers stand in the order of the files.
    ///
    /// # Errors
    /// As [`put`](Self::put). Nothing is entered then.
    pub fn enter(
        &self,
        db: &Database,
        keys: &KeySet,
        caller: &Caller,
        sealed: Vec<SealedBlob>,
    ) -> Result<Vec<BlobPut>> {
        let all: Vec<Written> = sealed.iter().map(|sealed| sealed.written).collect();
        let upload = sealed.iter().find_map(|sealed| sealed.upload.clone());
        self.make_room(db, caller, &all, upload.as_ref())?;
        let here = self.sync_unless_here(db, caller, &sealed)?;
        let _locks = self.locks.lock_all(all.iter().map(|written| written.hash));
        let mut named = Vec::new();
        let entered = self
            .name_all(db, keys, sealed, &here, &mut named)
            .and_then(|entered| self.enter_rows(db, caller, entered, !named.is_empty()));
        match entered {
            Ok(created) => {
                let answers = all.into_iter().zip(created).map(|(written, created)| BlobPut {
                    hash: written.hash,
                    size: UnsignedInteger(written.size),
                    created,
                });
                Ok(answers.collect())
            }
            Err(error) => {
                let may_be_there =
                    matches!(error, StoreError::OutcomeUnknown | StoreError::Internal(_));
                if !may_be_there && db.is_settled() {
                    // The rows are certainly not there, and no crash brings back those of earlier puts; the
                    // names are ours and locked: the files are rubbish.
                    for named in named.iter().filter(|named| named.is_new) {
                        self.unlink(&named.hash);
                    }
                }
                Err(error)
            }
        }
    }

    /// Writes to disk what may be needed; says which contents are here already.
    ///
    /// A component must not learn from the time a put takes whether another holds the content, so its files
    /// are synced before they are looked for again.
    fn sync_unless_here(
        &self,
        db: &Database,
        caller: &Caller,
        sealed: &[SealedBlob],
    ) -> Result<Vec<bool>> {
        let is_here =
            |sealed: &SealedBlob| db.read(|reader| blobs::is_stored(reader, &sealed.written.hash));
        let here = sealed.iter().map(is_here).collect::<Result<Vec<bool>>>()?;
        let needed: Vec<&Temporary> = sealed
            .iter()
            .zip(&here)
            .filter(|(_, here)| !**here || !caller.is_owner())
            .map(|(sealed, _)| &sealed.temporary)
            .collect();
        sync_all(&needed).map_err(|error| self.noted_file_error(error))?;
        Ok(here)
    }

    /// Gives files their names where they are needed. Under the locks on the hashes.
    fn name_all(
        &self,
        db: &Database,
        keys: &KeySet,
        sealed: Vec<SealedBlob>,
        here: &[bool],
        named: &mut Vec<Named>,
    ) -> Result<Vec<Entered>> {
        let mut seen = BTreeSet::new();
        let mut entered = Vec::new();
        for (SealedBlob { temporary, written, holding, upload }, here) in
            sealed.into_iter().zip(here)
        {
            let hash = written.hash;
            if !seen.insert(hash) {
                // The same content again among these.
                entered.push(Entered { written, holding, upload, lost: false });
                continue;
            }
            let stored = db.read(|reader| blobs::is_stored(reader, &hash))?;
            // To put a content again heals one whose file is missing, or can't be opened, for whatever
            // reason; the caller may be about to discard the last whole copy.
            let lost = stored && self.open_file(keys, &hash).is_err();
            if !stored || lost {
                if *here {
                    // It was removed or damaged meanwhile: the file counts after all.
                    temporary.sync().map_err(|error| self.noted_file_error(error))?;
                }
                let is_new = !self.keep_what_lies_there(keys, &hash)? && !stored;
                temporary
                    .rename(&self.layout.blob(&hash))
                    .map_err(|error| self.noted_file_error(error))?;
                named.push(Named { hash, is_new });
            }
            entered.push(Entered { written, holding, upload, lost });
        }
        Ok(entered)
    }

    /// Commits the rows, once the names are on disk; says which the caller did not hold before.
    fn enter_rows(
        &self,
        db: &Database,
        caller: &Caller,
        entered: Vec<Entered>,
        any_named: bool,
    ) -> Result<Vec<bool>> {
        if any_named {
            self.sync_folder().map_err(|error| self.noted_file_error(error))?;
            self.health.clear(Cause::BlobsIo);
        }
        let healed: Vec<BlobHash> =
            entered.iter().filter(|it| it.lost).map(|it| it.written.hash).collect();
        let (caller, limits, weight) = (caller.clone(), self.limits, ROW_WEIGHT * entered.len());
        let operation = move |tx: &Tx<'_>| {
            let enter = |content: &Entered| {
                if content.lost {
                    blobs::set_stored(tx, &content.written)?;
                }
                let Entered { written, holding, .. } = content;
                match &content.upload {
                    None => blobs::insert(tx, &caller, written, holding, &limits),
                    Some(id) => uploads::commit(tx, &caller, id, written, holding),
                }
            };
            entered.iter().map(enter).collect::<Result<Vec<bool>>>()
        };
        let created = db.write(weight, operation)?;
        for hash in &healed {
            self.damaged.healed(hash);
        }
        Ok(created)
    }

    /// Puts aside a file that is about to be replaced, unless it is the content that replaces it. True where
    /// such a one lies there. Under the lock on the hash.
    fn keep_what_lies_there(&self, keys: &KeySet, hash: &BlobHash) -> Result<bool> {
        if !self.has_file(hash) {
            return Ok(false);
        }
        let is_whole = matches!(self.open_raw(keys, hash), Ok(Ok(_)));
        if !is_whole {
            self.quarantine(hash)?;
        }
        Ok(is_whole)
    }
}

/// Writes the content of files to disk; one error of them where there are any.
fn sync_all(files: &[&Temporary]) -> Result<()> {
    let sync = |files: &[&Temporary]| files.iter().try_for_each(|file| file.sync());
    let mut shares = files.chunks(files.len().div_ceil(SYNCING_THREADS).max(FILES_PER_THREAD));
    let Some(first) = shares.next() else { return Ok(()) };
    thread::scope(|scope| {
        let mut here = vec![first];
        let mut others = Vec::new();
        for share in shares {
            match thread::Builder::new().spawn_scoped(scope, move || sync(share)) {
                Ok(thread) => others.push(thread),
                Err(_) => here.push(share),
            }
        }
        let mut outcome = here.into_iter().try_for_each(sync);
        for thread in others {
            let panicked = |_| Err(StoreError::Internal("a thread that syncs panicked".to_owned()));
            outcome = outcome.and(thread.join().unwrap_or_else(panicked));
        }
        outcome
    })
}
