//! Verifying contents: each is read to its end, and the file of a damaged one is put aside.

use osnova_storage_api::blobs::{BlobProblem, VerifyResult};
use osnova_storage_api::wire::BlobHash;

use super::whole::Fault;
use super::{BlobStore, GoOn};
use crate::db::{Database, blobs};
use crate::error::{Result, StoreError};
use crate::vault::keys::KeySet;

/// Contents that are listed with one reader.
const LISTED_AT_ONCE: usize = 500;
/// Problems that are told one by one.
const MAX_PROBLEMS: usize = 1000;

impl BlobStore {
    /// Reads one content, or all, to their ends.
    ///
    /// # Errors
    /// Those of `go_on`, which is told how many bytes were read; where the database can't be read, or a
    /// damaged file can't be put aside. A file that can't be read is a problem among the others.
    pub(crate) fn verify(
        &self,
        db: &Database,
        keys: &KeySet,
        only: Option<BlobHash>,
        go_on: GoOn<'_>,
    ) -> Result<VerifyResult> {
        let mut result = VerifyResult::default();
        if let Some(hash) = only {
            self.verify_one(db, keys, hash, go_on, &mut result)?;
            return Ok(result);
        }
        let mut after = 0;
        loop {
            let listed = db.read(|reader| blobs::contents_after(reader, after, LISTED_AT_ONCE))?;
            let Some((last, _)) = listed.last() else { return Ok(result) };
            after = *last;
            for (_, hash) in listed {
                self.verify_one(db, keys, hash, go_on, &mut result)?;
            }
        }
    }

    fn verify_one(
        &self,
        db: &Database,
        keys: &KeySet,
        hash: BlobHash,
        go_on: GoOn<'_>,
        result: &mut VerifyResult,
    ) -> Result<()> {
        go_on(0)?;
        let read = self.file_tag(&hash).unwrap_or(None);
        let mut found = self.read_whole(keys, &hash, go_on);
        if matches!(found, Ok(Err(_))) {
            // It may have been deleted or put again meanwhile. Under the lock file and row agree; the verdict
            // stands where the same file lies there, else the other one's counts, which is read without
            // pauses: puts of it wait.
            let _lock = self.locks.lock(hash);
            if !db.read(|reader| blobs::is_stored(reader, &hash))? {
                return Ok(());
            }
            if read.is_none() || self.file_tag(&hash).unwrap_or(None) != read {
                found = self.read_whole(keys, &hash, &|_| Ok(()));
            }
            if let Ok(Err(fault)) = &found {
                self.damaged.note(hash);
                let quarantined = *fault != Fault::Missing;
                if quarantined {
                    self.quarantine(&hash)?;
                }
                self.add_problem(result, hash, &fault.to_string(), quarantined);
            }
        }
        match found {
            Ok(found) => {
                if found.is_ok() {
                    self.damaged.healed(&hash);
                }
                result.contents.0 += 1;
                result.bytes.0 += found.map_or(0, |(written, _)| written.size);
            }
            Err(error @ StoreError::Io { .. }) => {
                tracing::warn!(%hash, %error, "a blob file can't be read");
                result.contents.0 += 1;
                self.add_problem(result, hash, "the file can't be read", false);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn add_problem(
        &self,
        result: &mut VerifyResult,
        hash: BlobHash,
        what: &str,
        quarantined: bool,
    ) {
        result.damaged.0 += 1;
        if result.problems.len() < MAX_PROBLEMS {
            result.problems.push(BlobProblem { hash, problem: what.to_owned(), quarantined });
        }
    }
}
