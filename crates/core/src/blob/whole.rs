//! Files as wholes: what is wrong with one, its content read to the end, and which file it is.

use std::io;
use std::sync::Arc;

use osnova_storage_api::wire::BlobHash;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::format::{AnyBlob, Codec, FormatError, HEADER_LEN, MAGIC};
use super::{BlobStore, GoOn};
use crate::db::blobs::Written;
use crate::error::{Result, StoreError};
use crate::files::FileHandle;
use crate::vault::keys::KeySet;

/// How much of a content is read at a time, in bytes.
const PART_BYTES: usize = 1 << 20;

/// What is wrong with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("the file is missing")]
    Missing,
    #[error("the file is sealed under another master key")]
    OtherKey,
    #[error("the file is damaged: {0}")]
    Damaged(&'static str),
}

/// Tells a file from every other that was ever written, of the same content too: the header's tag, which
/// depends on the file's own random key and which a new master key leaves as it is; of format 0 the nonce and
/// what follows.
pub(crate) type FileTag = [u8; 16];

impl BlobStore {
    /// Opens the file of a content, or says what is wrong with it.
    ///
    /// # Errors
    /// Where the file system fails: the file may be fine.
    pub(super) fn open_raw(
        &self,
        keys: &KeySet,
        hash: &BlobHash,
    ) -> Result<std::result::Result<AnyBlob<Arc<FileHandle>>, Fault>> {
        let path = self.layout.blob(hash);
        let file = match self.files().open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Err(Fault::Missing));
            }
            Err(source) => return Err(StoreError::io("open", &path, source)),
        };
        match AnyBlob::open(Arc::new(file), hash.as_bytes(), &[keys]) {
            Ok(blob) => Ok(Ok(blob)),
            Err(FormatError::Io(source)) => Err(StoreError::io("read", &path, source)),
            Err(error) => Ok(Err(fault(&error))),
        }
    }

    /// Reads the file of a content to its end: every byte is authenticated, and the whole is hashed.
    ///
    /// # Errors
    /// Those of `go_on`, which is told how many bytes were read since the last time; where the file system
    /// fails.
    pub(super) fn read_whole(
        &self,
        keys: &KeySet,
        hash: &BlobHash,
        go_on: GoOn<'_>,
    ) -> Result<std::result::Result<(Written, u8), Fault>> {
        let blob = match self.open_raw(keys, hash)? {
            Ok(blob) => blob,
            Err(fault) => return Ok(Err(fault)),
        };
        let mut range = blob.whole();
        let mut hasher = Sha256::new();
        let most = usize::try_from(blob.plaintext_len()).unwrap_or(PART_BYTES).min(PART_BYTES);
        let mut part = Zeroizing::new(vec![0; most]);
        while range.remaining() > 0 {
            match range.fill(&mut part) {
                Ok(length) => {
                    hasher.update(&part[..length]);
                    go_on(length as u64)?;
                }
                Err(FormatError::Io(source)) => {
                    return Err(StoreError::io("read", &self.layout.blob(hash), source));
                }
                Err(error) => return Ok(Err(fault(&error))),
            }
        }
        if <[u8; 32]>::from(hasher.finalize()) != *hash.as_bytes() {
            return Ok(Err(Fault::Damaged("the content does not have this hash")));
        }
        let codec = match &blob {
            AnyBlob::Format1(reader) => reader.header().codec.number(),
            AnyBlob::Format0(_) => Codec::None.number(),
        };
        let written = Written {
            hash: *hash,
            size: blob.plaintext_len(),
            stored_size: blob.stored_len(),
            codec,
        };
        Ok(Ok((written, blob.format())))
    }

    /// Which file lies under the name of a content; `None` where there is none, or one too short to be told.
    ///
    /// # Errors
    /// Where the file system fails.
    pub(super) fn file_tag(&self, hash: &BlobHash) -> Result<Option<FileTag>> {
        let path = self.layout.blob(hash);
        let tell = || {
            let file = self.files().open(&path)?;
            let mut tag = FileTag::default();
            let mut magic = [0; MAGIC.len()];
            file.read_exact_at(&mut magic, 0)?;
            let place = if magic == MAGIC { HEADER_LEN - tag.len() } else { 0 };
            file.read_exact_at(&mut tag, place as u64)?;
            Ok::<_, io::Error>(tag)
        };
        match tell() {
            Ok(tag) => Ok(Some(tag)),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof
                ) =>
            {
                Ok(None)
            }
            Err(source) => Err(StoreError::io("read", &path, source)),
        }
    }

    /// The same for one that is to be removed: what can't be read is removed all the same, and left where a
    /// crash comes between.
    pub(super) fn tag_to_remove(&self, hash: &BlobHash) -> Option<FileTag> {
        self.file_tag(hash).unwrap_or(None)
    }
}

fn fault(error: &FormatError) -> Fault {
    match error {
        FormatError::UnknownKey => Fault::OtherKey,
        FormatError::Damaged { what } => Fault::Damaged(what),
        // Whoever reads the whole never begins behind the end, and IO errors are told apart before.
        FormatError::OutOfRange { .. } | FormatError::Io(_) => Fault::Damaged("it ends early"),
    }
}
