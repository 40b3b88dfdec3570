//! The limits of the machine, measured in the same run as what is compared with them: what the
//! disk takes to make 8 KiB or 1 GiB durable, what SQLite takes for a commit of its own, what one
//! core hashes and deciphers in a second.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use sha2::{Digest, Sha256};

use crate::client::{Content, PIECE_BYTES};
use crate::measure::{Samples, Summary};
use crate::records;

/// The chunk of the sealed file that is read back.
const CHUNK_BYTES: usize = 64 << 10;
const TAG_BYTES: usize = 16;
/// The file in which 8 KiB are overwritten again and again.
const IN_PLACE_BYTES: u64 = 8 << 20;
const IN_PLACE_WRITE_BYTES: usize = 8 << 10;

/// Overwrites 8 KiB of a file and waits for fdatasync, over and over.
pub(crate) fn in_place_writes(directory: &Path, duration: Duration) -> Result<Summary, String> {
    let path = directory.join("in-place");
    let file =
        OpenOptions::new().write(true).create(true).truncate(true).open(&path).map_err(text)?;
    let mut block = vec![0x5a_u8; IN_PLACE_WRITE_BYTES];
    let places = IN_PLACE_BYTES / IN_PLACE_WRITE_BYTES as u64;
    for place in 0..places {
        let at = place * IN_PLACE_WRITE_BYTES as u64;
        file.write_all_at(&block, at).map_err(text)?;
    }
    file.sync_all().map_err(text)?;
    let mut samples = Samples::default();
    let start = Instant::now();
    let mut count = 0_u64;
    while start.elapsed() < duration {
        block[..8].copy_from_slice(&count.to_le_bytes());
        let at = (count % places) * IN_PLACE_WRITE_BYTES as u64;
        let begin = Instant::now();
        file.write_all_at(&block, at).map_err(text)?;
        file.sync_data().map_err(text)?;
        samples.add(begin.elapsed());
        count += 1;
    }
    let summary = samples.summary(start.elapsed().as_secs_f64());
    fs::remove_file(&path).map_err(text)?;
    Ok(summary)
}

/// Writes a record of 2 KB with a commit of its own, in process, as durably as the daemon does.
pub(crate) fn commit_per_write(directory: &Path, duration: Duration) -> Result<Summary, String> {
    let path = directory.join("limit.db");
    let database = rusqlite::Connection::open(&path).map_err(text)?;
    database
        .execute_batch(
            "PRAGMA page_size=4096; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
             PRAGMA temp_store=MEMORY;
             CREATE TABLE records(key TEXT PRIMARY KEY, value TEXT NOT NULL, updated_at INTEGER);",
        )
        .map_err(text)?;
    let mut put = database
        .prepare(
            "INSERT INTO records VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE
             SET value = excluded.value, updated_at = excluded.updated_at",
        )
        .map_err(text)?;
    database.execute_batch("BEGIN").map_err(text)?;
    let values: Vec<(String, String)> = (0..records::RECORDS)
        .map(|number| (records::component_id(number), records::manifest(number)))
        .collect();
    for (key, value) in &values {
        put.execute((key, value, 0)).map_err(text)?;
    }
    database.execute_batch("COMMIT").map_err(text)?;
    let mut samples = Samples::default();
    let start = Instant::now();
    let mut count = 0_usize;
    while start.elapsed() < duration {
        let (key, value) = &values[count.wrapping_mul(7919) % values.len()];
        let begin = Instant::now();
        put.execute((key, value, count as i64)).map_err(text)?;
        samples.add(begin.elapsed());
        count += 1;
    }
    let summary = samples.summary(start.elapsed().as_secs_f64());
    drop(put);
    database.close().map_err(|(_, error)| text(error))?;
    fs::remove_file(&path).map_err(text)?;
    Ok(summary)
}

/// Seconds to hash `bytes` on one core.
pub(crate) fn sha256(bytes: u64) -> f64 {
    let mut content = Content::new(1);
    let mut hash = Sha256::new();
    let start = Instant::now();
    for _ in 0..bytes / PIECE_BYTES as u64 {
        hash.update(content.next_piece());
    }
    std::hint::black_box(hash.finalize());
    start.elapsed().as_secs_f64()
}

/// Seconds to write `bytes` to a new file and have them on the disk.
pub(crate) fn plain_write(directory: &Path, bytes: u64, salt: u64) -> Result<f64, String> {
    let path = directory.join("plain");
    let mut content = Content::new(salt);
    let start = Instant::now();
    let mut file = File::create(&path).map_err(text)?;
    for _ in 0..bytes / PIECE_BYTES as u64 {
        file.write_all(content.next_piece()).map_err(text)?;
    }
    file.sync_data().map_err(text)?;
    let seconds = start.elapsed().as_secs_f64();
    fs::remove_file(&path).map_err(text)?;
    Ok(seconds)
}

/// A file of sealed chunks, to be read and deciphered on one core.
pub(crate) struct Sealed {
    file: File,
    cipher: ChaCha20Poly1305,
    bytes: u64,
}

impl Sealed {
    /// Writes it, without a name, so that it vanishes with its last user.
    pub(crate) fn write(directory: &Path, bytes: u64) -> Result<Self, String> {
        let cipher = ChaCha20Poly1305::new(&Key::from([7; 32]));
        let mut file = tempfile::tempfile_in(directory).map_err(text)?;
        let mut content = Content::new(2);
        let mut index = 0;
        for _ in 0..bytes / PIECE_BYTES as u64 {
            for chunk in content.next_piece().chunks(CHUNK_BYTES) {
                let mut chunk = chunk.to_vec();
                let tag = cipher
                    .encrypt_inout_detached(&nonce(index), b"", chunk.as_mut_slice().into())
                    .map_err(text)?;
                chunk.extend_from_slice(&tag);
                file.write_all(&chunk).map_err(text)?;
                index += 1;
            }
        }
        file.sync_all().map_err(text)?;
        Ok(Self { file, cipher, bytes })
    }

    /// Seconds to read and decipher it.
    pub(crate) fn read(&self) -> Result<f64, String> {
        let mut chunk = vec![0_u8; CHUNK_BYTES + TAG_BYTES];
        let mut input = &self.file;
        std::io::Seek::rewind(&mut input).map_err(text)?;
        let start = Instant::now();
        for index in 0..self.bytes / CHUNK_BYTES as u64 {
            input.read_exact(&mut chunk).map_err(text)?;
            let (content, tag) = chunk.split_at_mut(CHUNK_BYTES);
            let tag: [u8; TAG_BYTES] = (&*tag).try_into().map_err(text)?;
            self.cipher
                .decrypt_inout_detached(&nonce(index), b"", content.into(), &tag.into())
                .map_err(text)?;
        }
        Ok(start.elapsed().as_secs_f64())
    }
}

fn nonce(index: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&index.to_le_bytes());
    Nonce::from(bytes)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
