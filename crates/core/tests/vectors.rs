//! The formats against files that must stay readable for ever: vectors made by another
//! implementation of the same specification, and golden files written by this one when the format
//! was new. Each is read; what is determined by its keys is also written, byte for byte.
//!
//! A golden file is never changed or removed. When the format gets a new version, its golden files
//! are added, and these stay.

#![allow(clippy::unwrap_used, reason = "helpers of tests, where a panic is the answer")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use osnova_storage_core::blob::format::{
    AnyBlob, ChunkSize, Codec, Compressor, FileKey, FormatError, HEADER_LEN, Header, Sealer,
    TAG_LEN,
};
use osnova_storage_core::vault::keys::{KeySet, MasterKey};
use serde_json::Value;
use sha2::{Digest, Sha256};

const PHRASE: &str =
    "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";

fn vectors_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

fn vectors() -> Value {
    serde_json::from_slice(&fs::read(vectors_dir().join("blobs.json")).unwrap()).unwrap()
}

fn blobs(vectors: &Value) -> Vec<(&str, &Value)> {
    let blobs = vectors["blobs"].as_array().unwrap();
    blobs.iter().map(|blob| (blob["name"].as_str().unwrap(), blob)).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

fn unhex(value: &Value) -> Vec<u8> {
    let digits = value.as_str().unwrap();
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    unhex(value).try_into().unwrap()
}

fn keys() -> KeySet {
    KeySet::new(MasterKey::from_phrase(PHRASE).unwrap())
}

fn other_keys() -> KeySet {
    KeySet::new(MasterKey::from_bytes(&[0x5a; 32]))
}

/// Reads everything through a small buffer, so that chunks are handed out in parts.
fn read_whole(blob: &AnyBlob<&[u8]>) -> Result<Vec<u8>, FormatError> {
    let mut range = blob.whole();
    let mut content = Vec::new();
    let mut piece = [0; 1000];
    loop {
        let len = range.fill(&mut piece)?;
        if len == 0 {
            return Ok(content);
        }
        content.extend_from_slice(&piece[..len]);
    }
}

/// Seals deterministically and answers the file.
fn seal(content: &[u8], sealer: Sealer) -> Vec<u8> {
    seal_with(content, sealer, None)
}

fn seal_with(
    content: &[u8],
    mut sealer: Sealer,
    mut compressor: Option<&mut Compressor>,
) -> Vec<u8> {
    let chunk_size = sealer.chunk_size().bytes();
    let mut file = vec![0; HEADER_LEN];
    let count = content.len().div_ceil(chunk_size).max(1);
    for number in 0..count {
        let chunk = &content[number * chunk_size..content.len().min((number + 1) * chunk_size)];
        let mut stored = vec![0; chunk.len() + TAG_LEN];
        let last = number + 1 == count;
        let len = sealer.seal_chunk(chunk, last, compressor.as_deref_mut(), &mut stored);
        file.extend_from_slice(&stored[..len]);
    }
    let trailer = sealer.finish(&Sha256::digest(content).into());
    file.extend_from_slice(&trailer.after_chunks);
    file[..HEADER_LEN].copy_from_slice(&trailer.header);
    file
}

#[test]
fn the_phrase_of_the_vectors_gives_their_master_key() {
    let vectors = vectors();
    let keys = KeySet::new(MasterKey::from_phrase(vectors["phrase"].as_str().unwrap()).unwrap());
    assert_eq!(hex(keys.master().as_bytes()), vectors["masterKey"].as_str().unwrap());
    assert_eq!(keys.key_id().to_string(), vectors["keyId"].as_str().unwrap());
}

#[test]
fn every_vector_is_read() {
    let vectors = vectors();
    let blobs = blobs(&vectors);
    assert_eq!(blobs.len(), 9);
    for (name, blob) in blobs {
        let (file, plaintext) = (unhex(&blob["file"]), unhex(&blob["plaintext"]));
        let sha256 = array(&blob["sha256"]);
        let opened = AnyBlob::open(file.as_slice(), &sha256, &[&other_keys(), &keys()]).unwrap();
        assert_eq!(u64::from(opened.format()), blob["format"].as_u64().unwrap(), "{name}");
        assert_eq!(opened.plaintext_len(), plaintext.len() as u64, "{name}");
        assert!(read_whole(&opened).unwrap() == plaintext, "{name}");
        if let AnyBlob::Format1(opened) = opened {
            let codec = if blob["codec"] == 0 { Codec::None } else { Codec::Zstd };
            let log2 = u8::try_from(blob["chunkSizeLog2"].as_u64().unwrap()).unwrap();
            assert_eq!(opened.header().codec, codec, "{name}");
            assert_eq!(Some(opened.header().chunk_size), ChunkSize::from_log2(log2), "{name}");
            assert_eq!(opened.key_id(), keys().key_id(), "{name}");
        }
    }
}

#[test]
fn every_range_around_a_boundary_of_every_vector_is_read() {
    let vectors = vectors();
    for (name, blob) in blobs(&vectors) {
        let (file, plaintext) = (unhex(&blob["file"]), unhex(&blob["plaintext"]));
        let sha256 = array(&blob["sha256"]);
        let opened = AnyBlob::open(file.as_slice(), &sha256, &[&keys()]).unwrap();
        let len = plaintext.len();
        let places: Vec<usize> =
            [0, 1, 4095, 4096, 4097, 8191, 8192, 8193, len.saturating_sub(1), len]
                .into_iter()
                .filter(|&place| place <= len)
                .collect();
        for &from in &places {
            for &to in places.iter().filter(|&&to| to >= from) {
                let mut range = opened.range(from as u64, (to - from) as u64).unwrap();
                let mut content = vec![0; to - from + 1];
                let got = range.fill(&mut content).unwrap();
                assert!(content[..got] == plaintext[from..to], "{name}: {from}..{to}");
            }
        }
        assert!(
            matches!(opened.range(len as u64 + 1, 0), Err(FormatError::OutOfRange { .. })),
            "{name}"
        );
        assert_eq!(opened.range(0, u64::MAX).unwrap().remaining(), len as u64, "{name}");
    }
}

#[test]
fn uncompressed_vectors_are_written_byte_for_byte() {
    let vectors = vectors();
    let mut written = 0;
    for (name, blob) in blobs(&vectors) {
        if blob["format"] != 1 || blob["codec"] != 0 {
            continue;
        }
        let file_key = FileKey::from_bytes(&array(&blob["fileKey"]));
        let log2 = u8::try_from(blob["chunkSizeLog2"].as_u64().unwrap()).unwrap();
        let chunk_size = ChunkSize::from_log2(log2).unwrap();
        let sealer =
            Sealer::with_file_key(&file_key, array(&blob["slotNonce"]), chunk_size, &keys());
        let file = seal(&unhex(&blob["plaintext"]), sealer);
        assert_eq!(hex(&file), blob["file"].as_str().unwrap(), "{name}");
        written += 1;
    }
    assert_eq!(written, 6);
}

#[test]
fn a_header_of_every_vector_survives_being_parsed() {
    let vectors = vectors();
    for (name, blob) in blobs(&vectors).into_iter().filter(|(_, blob)| blob["format"] == 1) {
        let file = unhex(&blob["file"]);
        let header = Header::parse(file.first_chunk().unwrap()).unwrap();
        assert!(header.to_bytes()[..] == file[..HEADER_LEN], "{name}");
    }
}

#[test]
fn every_vector_fails_with_a_wrong_hash_or_key() {
    let vectors = vectors();
    for (name, blob) in blobs(&vectors) {
        let file = unhex(&blob["file"]);
        let sha256 = array(&blob["sha256"]);
        let mut wrong = sha256;
        wrong[31] ^= 1;
        let error = AnyBlob::open(file.as_slice(), &wrong, &[&keys()]).err().unwrap();
        assert!(matches!(error, FormatError::Damaged { .. }), "{name}: {error}");

        let error = AnyBlob::open(file.as_slice(), &sha256, &[&other_keys()]).err().unwrap();
        // A format 0 file does not name its key.
        let told_apart = matches!(error, FormatError::UnknownKey) || blob["format"] == 0;
        assert!(told_apart, "{name}: {error}");
        assert!(AnyBlob::open(file.as_slice(), &sha256, &[]).is_err(), "{name}");
    }
}

/// Every bit of every vector matters: with any one flipped, the file does not open, or the read
/// fails before it has answered anything that is not so in the content. Only the empty slot B may
/// change, as the header's tag leaves the slots out.
#[test]
fn no_flipped_bit_of_a_vector_goes_unnoticed() {
    let vectors = vectors();
    let slot_b = 112..192;
    for (name, blob) in blobs(&vectors) {
        let (mut file, plaintext) = (unhex(&blob["file"]), unhex(&blob["plaintext"]));
        let sha256 = array(&blob["sha256"]);
        // All of what is not chunks, and a sample of the chunks.
        let step = if file.len() > 1000 { 131 } else { 1 };
        let places = (0..file.len().min(300)).chain((300..file.len()).step_by(step));
        for place in places.filter(|place| blob["format"] == 0 || !slot_b.contains(place)) {
            for bit in [0x01, 0x80] {
                file[place] ^= bit;
                let read = AnyBlob::open(file.as_slice(), &sha256, &[&keys()])
                    .and_then(|blob| read_whole(&blob));
                assert!(read.is_err(), "{name}: bit {bit:#x} of byte {place} went unnoticed");
                file[place] ^= bit;
            }
        }
        let read =
            AnyBlob::open(file.as_slice(), &sha256, &[&keys()]).and_then(|blob| read_whole(&blob));
        assert!(read.unwrap() == plaintext);
    }
}

#[test]
fn a_vector_cut_off_or_extended_anywhere_is_noticed() {
    let vectors = vectors();
    for (name, blob) in blobs(&vectors) {
        let file = unhex(&blob["file"]);
        let sha256 = array(&blob["sha256"]);
        for len in (0..file.len()).filter(|len| *len < 300 || len % 37 == 0) {
            let error = AnyBlob::open(&file[..len], &sha256, &[&keys()]).err().unwrap();
            assert!(matches!(error, FormatError::Damaged { .. }), "{name}: cut to {len}: {error}");
        }
        for more in [1, 16, 4096 + 16] {
            let longer = [file.as_slice(), &vec![0; more]].concat();
            let error = AnyBlob::open(longer.as_slice(), &sha256, &[&keys()]).err().unwrap();
            assert!(matches!(error, FormatError::Damaged { .. }), "{name}: {more} more: {error}");
        }
    }
}

/// The golden files of format 1: name, length of the content, chunk size, and the byte of which
/// file key and slot nonce consist.
const GOLDEN: [(&str, usize, u8, u8); 4] = [
    ("format1-empty.enc", 0, 16, 0x11),
    ("format1-one-chunk.enc", 1000, 16, 0x22),
    ("format1-exact-chunks.enc", 2 * 4096, 12, 0x33),
    ("format1-last-chunk-of-one-byte.enc", 2 * 4096 + 1, 12, 0x44),
];

/// A golden file with a second slot, as a change of the master key leaves it. The second nonce was
/// random, so it is only read.
const GOLDEN_TWO_KEYS: &str = "format1-two-keys.enc";

/// A golden file of four chunks of 4 KiB, compressed but for the last, which is short. What zstd makes of
/// a chunk may differ from version to version, so it is compared by what is read.
const GOLDEN_ZSTD: &str = "format1-zstd.enc";

fn golden_dir() -> PathBuf {
    vectors_dir().join("golden")
}

/// The content of the golden files.
fn golden_content(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 + i / 251).to_le_bytes()[0]).collect()
}

fn golden_sealer(log2: u8, byte: u8) -> Sealer {
    let chunk_size = ChunkSize::from_log2(log2).unwrap();
    Sealer::with_file_key(&FileKey::from_bytes(&[byte; 32]), [byte; 24], chunk_size, &keys())
}

#[test]
fn every_golden_file_is_read_and_written_again_byte_for_byte() {
    for (name, len, log2, byte) in GOLDEN {
        let file = fs::read(golden_dir().join(name)).unwrap();
        let content = golden_content(len);
        let sha256 = Sha256::digest(&content).into();
        let opened = AnyBlob::open(file.as_slice(), &sha256, &[&keys()]).unwrap();
        assert!(read_whole(&opened).unwrap() == content, "{name}");
        assert!(seal(&content, golden_sealer(log2, byte)) == file, "{name}");
    }
}

#[test]
fn the_golden_file_of_two_keys_opens_with_either() {
    let file = fs::read(golden_dir().join(GOLDEN_TWO_KEYS)).unwrap();
    let content = golden_content(100);
    for keys in [keys(), other_keys()] {
        let sha256 = Sha256::digest(&content).into();
        let opened = AnyBlob::open(file.as_slice(), &sha256, &[&keys]).unwrap();
        assert!(read_whole(&opened).unwrap() == content);
    }
}

#[test]
fn the_compressed_golden_file_is_read_and_one_like_it_is_written() {
    let content = golden_content(3 * 4096 + 100);
    let sha256 = Sha256::digest(&content).into();
    let golden = fs::read(golden_dir().join(GOLDEN_ZSTD)).unwrap();
    let mut compressor = Compressor::new().unwrap();
    let written = seal_with(&content, golden_sealer(12, 0x66), Some(&mut compressor));
    for file in [golden.as_slice(), written.as_slice()] {
        assert!(file.len() < content.len() / 2);
        let opened = AnyBlob::open(file, &sha256, &[&keys()]).unwrap();
        assert!(read_whole(&opened).unwrap() == content);
        let AnyBlob::Format1(opened) = opened else { panic!("it is of format 1") };
        assert_eq!(opened.header().codec, Codec::Zstd);
    }
    // All but what depends on the frames: magic to the length of the content, and the slots.
    assert!(golden[..20] == written[..20] && golden[28..192] == written[28..192]);
}
