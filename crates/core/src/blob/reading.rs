//! A content opened for reading, whole or in part.

use std::sync::Arc;

use osnova_storage_api::ApiError;
use osnova_storage_api::wire::{BlobHash, Name};

use super::damaged::Damaged;
use super::format::{AnyBlob, AnyRange, FormatError, ReadAhead};
use super::readers::Reading;
use crate::error::{Result, StoreError};
use crate::files::FileHandle;

/// From this length on a range is decrypted on two threads; below, starting them costs more.
const READ_AHEAD_BYTES: u64 = 2 << 20;
/// How much is handed out at a time where one thread decrypts, in bytes.
const PART_BYTES: u64 = 256 << 10;

/// What goes with a content for as long as it is read.
pub(super) struct Watch {
    /// The cache leaves it alone meanwhile.
    #[expect(dead_code, reason = "held for what its drop does")]
    pub(super) reading: Reading,
    /// Where damage is told that a reader meets.
    pub(super) damaged: Arc<Damaged>,
}

/// A content opened for reading. It stays readable when it is deleted meanwhile.
pub struct OpenBlob {
    blob: AnyBlob<Arc<FileHandle>>,
    hash: BlobHash,
    content_type: Option<Name>,
    watch: Arc<Watch>,
}

impl OpenBlob {
    pub(super) fn new(
        blob: AnyBlob<Arc<FileHandle>>,
        hash: BlobHash,
        content_type: Option<Name>,
        watch: Watch,
    ) -> Self {
        Self { blob, hash, content_type, watch: Arc::new(watch) }
    }

    /// Its hash.
    pub fn hash(&self) -> &BlobHash {
        &self.hash
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.blob.plaintext_len()
    }

    /// What the caller said it is.
    pub fn content_type(&self) -> Option<&Name> {
        self.content_type.as_ref()
    }

    /// `length` bytes from `offset` on, fewer where the content ends before, part by part. Only the
    /// chunks that are needed are touched, and only what authenticates is handed out.
    ///
    /// # Errors
    /// `validation_error` where `offset` lies behind the end.
    pub fn parts(&self, offset: u64, length: u64) -> Result<Parts> {
        let source = match &self.blob {
            AnyBlob::Format1(blob) if length.min(self.size()) >= READ_AHEAD_BYTES => {
                ReadAhead::start(blob, offset, length).map(Source::Ahead)
            }
            blob => blob.range(offset, length).map(Source::Inline),
        };
        let source = source.map_err(to_store_error)?;
        Ok(Parts { source, hash: self.hash, watch: Arc::clone(&self.watch) })
    }

    /// The same in one piece; the caller has bounded `length`.
    ///
    /// # Errors
    /// As [`parts`](Self::parts), and where it can't be read.
    pub fn read(&self, offset: u64, length: u64) -> Result<Vec<u8>> {
        let mut parts = self.parts(offset, length)?;
        let mut whole = parts.next_part()?.unwrap_or_default();
        while let Some(part) = parts.next_part()? {
            whole.extend_from_slice(&part);
        }
        Ok(whole)
    }
}

/// A range of a content, part by part.
pub struct Parts {
    source: Source,
    hash: BlobHash,
    watch: Arc<Watch>,
}

enum Source {
    /// Decrypted by threads that run ahead.
    Ahead(ReadAhead),
    /// Decrypted when it is asked for.
    Inline(AnyRange<Arc<FileHandle>>),
}

impl Parts {
    /// The next part, or nothing at the end. Blocks on disk.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where it does not authenticate; IO errors.
    pub fn next_part(&mut self) -> Result<Option<Vec<u8>>> {
        self.next().inspect_err(|error| {
            if matches!(error, StoreError::Damaged(_)) {
                self.watch.damaged.note(self.hash);
            }
        })
    }

    fn next(&mut self) -> Result<Option<Vec<u8>>> {
        match &mut self.source {
            Source::Ahead(ahead) => ahead.next_piece().map_err(to_store_error),
            Source::Inline(range) => {
                let length = usize::try_from(range.remaining().min(PART_BYTES)).unwrap_or(0);
                let mut part = vec![0; length];
                let mut filled = 0;
                while filled < length {
                    filled += range.fill(&mut part[filled..]).map_err(to_store_error)?;
                }
                Ok((length > 0).then_some(part))
            }
        }
    }
}

fn to_store_error(error: FormatError) -> StoreError {
    match error {
        FormatError::OutOfRange { .. } => {
            StoreError::Refused(ApiError::field("offset", "lies behind the end of the content"))
        }
        other => other.into(),
    }
}
