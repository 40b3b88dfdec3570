//! The formats under random content and deliberate damage. The vectors and golden files stand in
//! `tests/vectors.rs`; here files are made on the spot, in many sizes and with every kind of harm.

mod compression;
mod damage;
mod fuzz;
mod old_format;
mod streams;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::cipher::{ChunkNonce, FileCiphers};
use super::*;
use crate::vault::keys::{KeySet, MasterKey};

const CHUNK: usize = 4096;

fn keys(seed: u8) -> KeySet {
    KeySet::new(MasterKey::from_bytes(&[seed; 32]))
}

fn sha256(content: &[u8]) -> ContentHash {
    Sha256::digest(content).into()
}

fn content(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|i| (i * 31 + i / 251 + usize::from(seed)).to_le_bytes()[0]).collect()
}

fn seal_with(content: &[u8], mut sealer: Sealer) -> Vec<u8> {
    let size = sealer.chunk_size().bytes();
    let mut file = vec![0; HEADER_LEN];
    let count = content.len().div_ceil(size).max(1);
    for number in 0..count {
        let chunk = &content[number * size..content.len().min((number + 1) * size)];
        let mut stored = vec![0; chunk.len() + TAG_LEN];
        sealer.seal_chunk(chunk, number + 1 == count, None, &mut stored);
        file.extend(stored);
    }
    file[..HEADER_LEN].copy_from_slice(&sealer.finish(&sha256(content)).header);
    file
}

fn seal(content: &[u8], chunk_log2: u8, file_key: u8) -> Vec<u8> {
    let size = ChunkSize::from_log2(chunk_log2).unwrap();
    seal_with(
        content,
        Sealer::with_file_key(&FileKey::from_bytes(&[file_key; 32]), [9; 24], size, &keys(1)),
    )
}

/// A compressed file made by hand, also such as no writer makes. `stored` gives each chunk as it
/// is to be sealed; `tamper` may change the list of stored lengths before it is sealed.
fn seal_zstd(content: &[u8], stored: &[Vec<u8>], tamper: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    use chacha20poly1305::aead::{Aead, KeyInit, Payload};
    let file_key = FileKey::from_bytes(&[3; 32]);
    let ciphers = FileCiphers::new(&file_key);
    let mut body = Vec::new();
    let mut lens = Vec::new();
    for (number, chunk) in (0_u64..).zip(stored) {
        let mut sealed = vec![0; chunk.len() + TAG_LEN];
        let nonce = ChunkNonce::opening(number, number + 1 == stored.len() as u64);
        ciphers.seal_chunk(nonce, chunk, &mut sealed);
        lens.extend(u32::try_from(sealed.len()).unwrap().to_be_bytes());
        body.extend(sealed);
    }
    tamper(&mut lens);
    let mut header = Header {
        codec: Codec::Zstd,
        chunk_size: ChunkSize::from_log2(12).unwrap(),
        plaintext_len: content.len() as u64,
        body_len: (body.len() + lens.len() + TAG_LEN) as u64,
        slots: [file_key.wrap(&keys(1), [9; 24]), Slot::EMPTY],
        tag: [0; 16],
    };
    header.tag = ciphers.header_tag(&header.prefix(), &sha256(content));
    let mut index_key = [0; 32];
    crate::vault::keys::hkdf_sha256(&[3; 32], b"", b"osnova-blob-v1/index", &mut index_key);
    let payload = Payload { msg: &lens, aad: &header.prefix() };
    let index = chacha20poly1305::ChaCha20Poly1305::new(&index_key.into())
        .encrypt(&[0; 12].into(), payload)
        .unwrap();
    [&header.to_bytes()[..], &body, &index].concat()
}

fn compressed(content: &[u8]) -> Vec<Vec<u8>> {
    let chunk = |chunk: &[u8]| {
        let shorter = zstd::bulk::compress(chunk, 3).unwrap();
        if shorter.len() < chunk.len() { shorter } else { chunk.to_vec() }
    };
    content.chunks(CHUNK).map(chunk).collect()
}

fn read(file: &[u8], content: &[u8]) -> Result<Vec<u8>, FormatError> {
    read_range(file, content, 0, u64::MAX)
}

fn read_range(file: &[u8], content: &[u8], offset: u64, len: u64) -> Result<Vec<u8>, FormatError> {
    let blob = AnyBlob::open(file, &sha256(content), &[&keys(1)])?;
    let mut range = blob.range(offset, len)?;
    let mut out = Vec::new();
    let mut piece = vec![0; 5000];
    loop {
        match range.fill(&mut piece)? {
            0 => return Ok(out),
            got => out.extend_from_slice(&piece[..got]),
        }
        // Whatever was answered before an error shows up must be right.
        let from = index(offset);
        assert!(out[..] == content[from..from + out.len()], "wrong bytes were answered");
    }
}

fn damaged(file: &[u8], content: &[u8]) -> &'static str {
    match read(file, content) {
        Err(FormatError::Damaged { what }) => what,
        Err(error) => panic!("another error: {error}"),
        Ok(_) => panic!("the damage went unnoticed"),
    }
}

fn chunk_range(number: usize) -> std::ops::Range<usize> {
    let from = HEADER_LEN + number * (CHUNK + TAG_LEN);
    from..from + CHUNK + TAG_LEN
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_content_in_any_chunks_is_read_back_in_any_range(
        len in prop_oneof![0..40_000_usize, (0..5_usize).prop_map(|n| n * CHUNK)],
        chunk_log2 in 12..=16_u8,
        from in 0.0..=1.0_f64,
        to in 0.0..=1.0_f64,
        piece in 1..10_000_usize,
    ) {
        let content = content(len, 0);
        let file = seal(&content, chunk_log2, 7);
        prop_assert!(read(&file, &content).unwrap() == content);
        let place = |part: f64| content.len().min(format!("{:.0}", part * len as f64).parse().unwrap());
        let (from, to) = (place(from.min(to)), place(from.max(to)));
        let blob = BlobReader::open(file, &sha256(&content), &[&keys(1)]).unwrap();
        let mut range = blob.range(from as u64, (to - from) as u64).unwrap();
        let mut out = vec![0; piece];
        let mut at = from;
        while at < to {
            prop_assert_eq!(range.remaining(), (to - at) as u64);
            let got = range.fill(&mut out).unwrap();
            prop_assert_eq!(got, piece.min(to - at));
            prop_assert!(out[..got] == content[at..at + got]);
            at += got;
        }
        prop_assert_eq!(range.fill(&mut out).unwrap(), 0);
    }

    #[test]
    fn any_compressed_content_is_read_back_in_any_range(
        runs in proptest::collection::vec((any::<u8>(), 1..3000_usize, any::<bool>()), 0..12),
        from in any::<proptest::sample::Index>(),
        to in any::<proptest::sample::Index>(),
    ) {
        let mut content = vec![0xee];
        for (byte, len, noisy) in runs {
            content.extend((0..len).map(|i| if noisy { sha256(&[byte, i.to_le_bytes()[0], i.to_le_bytes()[1]])[0] } else { byte }));
        }
        let file = seal_zstd(&content, &compressed(&content), |_| ());
        prop_assert!(read(&file, &content).unwrap() == content);
        let (from, to) = (from.index(content.len()), to.index(content.len()));
        let (from, to) = (from.min(to), from.max(to));
        prop_assert!(read_range(&file, &content, from as u64, (to - from) as u64).unwrap() == content[from..to]);
    }

    #[test]
    fn any_harm_to_a_file_is_noticed_and_answers_nothing_wrong(
        len in 0..20_000_usize,
        zstd in any::<bool>(),
        harms in proptest::collection::vec((any::<proptest::sample::Index>(), 1..=255_u8), 1..4),
    ) {
        let content = content(len, 1);
        let mut file = if zstd && len > 0 {
            seal_zstd(&content, &compressed(&content), |_| ())
        } else {
            seal(&content, 12, 7)
        };
        let whole = file.clone();
        for (place, mask) in harms {
            let place = place.index(file.len());
            // The second slot is empty, and no tag covers it.
            if !(112..192).contains(&place) {
                file[place] ^= mask;
            }
        }
        let read = read(&file, &content);
        prop_assert_eq!(read.is_ok(), file == whole);
    }

    #[test]
    fn arbitrary_bytes_never_make_the_header_parser_panic(
        mut bytes in proptest::collection::vec(any::<u8>(), HEADER_LEN),
        sane in 0..12_usize,
    ) {
        // Right up to a point, so that every check is reached.
        let good = seal(b"x", 12, 7);
        let right = [0, 8, 9, 10, 12, 13, 19, 20, 21, 28, 32, HEADER_LEN][sane];
        bytes[..right].copy_from_slice(&good[..right]);
        let bytes: [u8; HEADER_LEN] = bytes.try_into().unwrap();
        if let Ok(header) = Header::parse(&bytes) {
            prop_assert!(header.to_bytes() == bytes);
            prop_assert!(header.chunk_count() >= 1);
        }
    }

    #[test]
    fn arbitrary_files_never_make_a_reader_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..600), magic in any::<bool>()) {
        if magic && bytes.len() >= 8 {
            bytes[..8].copy_from_slice(&MAGIC);
        }
        prop_assert!(AnyBlob::open(bytes, &[0; 32], &[&keys(1)]).is_err());
    }
}

/// Counts what is read from a file.
struct Counting<'a> {
    file: &'a [u8],
    bytes: AtomicU64,
}

impl ReadAt for Counting<'_> {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.bytes.fetch_add(buf.len() as u64, Ordering::Relaxed);
        self.file.read_exact_at(buf, offset)
    }

    fn file_len(&self) -> io::Result<u64> {
        self.file.file_len()
    }
}

#[test]
fn a_range_touches_the_header_and_the_chunks_it_needs() {
    let content = content(100 * CHUNK, 0);
    let file = seal(&content, 12, 7);
    let counting = Counting { file: &file, bytes: AtomicU64::new(0) };
    let blob = BlobReader::open(&counting, &sha256(&content), &[&keys(1)]).unwrap();
    let mut out = [0; 2];
    assert_eq!(blob.range(50 * CHUNK as u64 - 1, 2).unwrap().fill(&mut out).unwrap(), 2);
    assert_eq!(out, content[50 * CHUNK - 1..=50 * CHUNK]);
    let read = counting.bytes.load(Ordering::Relaxed);
    assert_eq!(read, (HEADER_LEN + 2 * (CHUNK + TAG_LEN)) as u64);
}

#[test]
#[should_panic(expected = "after the last one")]
fn nothing_is_sealed_after_the_last_chunk() {
    let mut sealer = Sealer::new(&keys(1)).unwrap();
    let mut out = [0; 17];
    sealer.seal_chunk(b"x", true, None, &mut out);
    sealer.seal_chunk(b"y", true, None, &mut out);
}

#[test]
#[should_panic(expected = "before its last chunk")]
fn an_unfinished_file_gets_no_header() {
    let _ = Sealer::new(&keys(1)).unwrap().finish(&[0; 32]);
}

#[test]
fn no_two_files_of_the_same_content_are_alike() {
    let [one, other] = [0, 1].map(|_| seal_with(b"content", Sealer::new(&keys(1)).unwrap()));
    assert!(one[HEADER_LEN..] != other[HEADER_LEN..] && one[32..112] != other[32..112]);
}
