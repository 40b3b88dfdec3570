//! The formats under random content and deliberate damage. The vectors and golden files stand in
//! `tests/vectors.rs`; here files are made on the spot, in many sizes and with every kind of harm.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Mutex;
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
        sealer.seal_chunk(chunk, number + 1 == count, &mut stored);
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

/// A compressed file made by hand, as long as no writer makes them. `stored` gives each chunk as it
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

    #[test]
    fn a_stream_is_sealed_as_it_is_whatever_the_source_gives_at_once(
        len in prop_oneof![0..3000_usize, 250_000..270_000_usize, 1_300_000..1_320_000_usize, Just(262_144), Just(1_310_720)],
        at_once in 1..200_000_usize,
    ) {
        let content = content(len, 2);
        let file = tempfile::tempfile().unwrap();
        let at_once = at_once.max(len / 1000 + 1);
        let sealed = seal_stream(&mut Slow { rest: &content, at_once }, &file, &keys(1), len as u64).unwrap();
        prop_assert_eq!(sealed.sha256, sha256(&content));
        prop_assert_eq!(sealed.size, len as u64);
        prop_assert_eq!(sealed.stored_size, file.metadata().unwrap().len());
        let blob = BlobReader::open(&file, &sealed.sha256, &[&keys(1)]).unwrap();
        let mut back = Vec::new();
        blob.whole().read_to_end(&mut back).unwrap();
        prop_assert!(back == content);
    }
}

/// A source that gives little at once and is interrupted now and then.
struct Slow<'a> {
    rest: &'a [u8],
    at_once: usize,
}

impl Read for Slow<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.at_once += 1;
        if self.at_once.is_multiple_of(5) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let len = self.at_once.min(out.len());
        self.rest.read(&mut out[..len])
    }
}

#[test]
fn chunks_can_not_be_swapped_repeated_dropped_or_taken_from_another_file() {
    let content = content(3 * CHUNK, 0);
    let file = seal(&content, 12, 7);
    let [first, second, third] = [0, 1, 2].map(|number| file[chunk_range(number)].to_vec());
    let made_of = |chunks: &[&Vec<u8>]| {
        let mut made = file[..HEADER_LEN].to_vec();
        chunks.iter().for_each(|chunk| made.extend_from_slice(chunk));
        made
    };
    assert!(read(&made_of(&[&first, &second, &third]), &content).unwrap() == content);
    let other = seal(&content, 12, 8)[chunk_range(1)].to_vec();
    for chunks in [
        [&second, &first, &third],
        [&first, &first, &third],
        [&first, &third, &second],
        [&first, &other, &third],
    ] {
        assert_eq!(damaged(&made_of(&chunks), &content), "a chunk does not authenticate");
    }
    assert_eq!(
        damaged(&made_of(&[&first, &second]), &content),
        "the file has not the length its header says"
    );
    // A header of another file: of the same content under another key, and of another content.
    let same_content = seal(&content, 12, 8);
    let with_header = |header: &[u8]| [&header[..HEADER_LEN], &file[HEADER_LEN..]].concat();
    assert_eq!(damaged(&with_header(&same_content), &content), "a chunk does not authenticate");
    let other_content = seal(&self::content(3 * CHUNK, 1), 12, 7);
    assert_eq!(
        damaged(&with_header(&other_content), &content),
        "the header does not authenticate for this hash"
    );
}

/// The lengths in the header are bound by the tag, so a shorter file with a header to match, which
/// anybody can make who holds the file, does not open.
#[test]
fn a_file_cut_at_a_chunk_with_its_header_edited_does_not_open() {
    let content = content(3 * CHUNK, 0);
    let mut file = seal(&content, 12, 7);
    file.truncate(chunk_range(1).end);
    let mut header = Header::parse(file.first_chunk().unwrap()).unwrap();
    header.plaintext_len = 2 * CHUNK as u64;
    header.body_len = 2 * (CHUNK + TAG_LEN) as u64;
    file[..HEADER_LEN].copy_from_slice(&header.to_bytes());
    assert_eq!(damaged(&file, &content), "the header does not authenticate for this hash");
}

#[test]
fn a_damaged_chunk_fails_only_the_ranges_that_need_it() {
    let content = content(4 * CHUNK, 0);
    let mut file = seal(&content, 12, 7);
    file[chunk_range(2).start] ^= 1;
    let chunk = CHUNK as u64;
    assert!(read_range(&file, &content, 0, 2 * chunk).unwrap() == content[..2 * CHUNK]);
    assert!(read_range(&file, &content, 3 * chunk, chunk).unwrap() == content[3 * CHUNK..]);
    assert!(read_range(&file, &content, 2 * chunk - 1, 2).is_err());
    // A reader that has met the damage hands out what is before it, and never goes past.
    let blob = BlobReader::open(file, &sha256(&content), &[&keys(1)]).unwrap();
    let mut whole = blob.whole();
    let mut out = vec![0; content.len()];
    assert_eq!(whole.fill(&mut out).unwrap(), 2 * CHUNK);
    assert!(
        out[..2 * CHUNK] == content[..2 * CHUNK] && out[2 * CHUNK..].iter().all(|&byte| byte == 0)
    );
    for _ in 0..3 {
        assert!(matches!(whole.fill(&mut out), Err(FormatError::Damaged { .. })));
    }
}

#[test]
fn an_index_that_lies_is_refused() {
    let content = content(3 * CHUNK, 0);
    let chunks = compressed(&content);
    let lie = |tamper: fn(&mut Vec<u8>)| damaged(&seal_zstd(&content, &chunks, tamper), &content);
    assert_eq!(
        lie(|lens| lens[..4].copy_from_slice(&u32::MAX.to_be_bytes())),
        "the index has a chunk of impossible length"
    );
    assert_eq!(
        lie(|lens| lens[..4].copy_from_slice(&15_u32.to_be_bytes())),
        "the index has a chunk of impossible length"
    );
    assert_eq!(lie(|lens| lens[3] ^= 1), "the lengths in the index do not fill the body");
    assert_eq!(lie(|lens| lens.truncate(8)), "the index does not authenticate");
    let swapped = lie(|lens| {
        // Moves a byte from one chunk to the next: the sum stays.
        lens[3] -= 1;
        lens[7] += 1;
    });
    assert_eq!(swapped, "a chunk does not authenticate");
}

#[test]
fn a_chunk_that_decompresses_to_more_or_less_is_refused() {
    let content = content(CHUNK, 0);
    for other in [vec![0; 100 * CHUNK], vec![0; CHUNK - 1], vec![0; CHUNK + 1]] {
        let bomb = zstd::bulk::compress(&other, 3).unwrap();
        let file = seal_zstd(&content, &[bomb], |_| ());
        assert_eq!(damaged(&file, &content), "a chunk does not decompress to its length");
    }
    let file = seal_zstd(&content, &[b"not zstd".to_vec()], |_| ());
    assert_eq!(damaged(&file, &content), "a chunk does not decompress to its length");
}

#[test]
fn a_file_wrapped_under_two_keys_opens_with_either_and_survives_a_torn_slot() {
    let content = content(100, 0);
    let file = tempfile::tempfile().unwrap();
    let (old, new) = (keys(1), keys(2));
    let sealed = seal_stream(&mut content.as_slice(), &file, &old, u64::MAX).unwrap();
    let open = |keys: &[&KeySet]| BlobReader::open(file.try_clone().unwrap(), &sealed.sha256, keys);
    assert!(matches!(open(&[&new]), Err(FormatError::UnknownKey)));

    assert!(open(&[&old]).unwrap().rewrap(&new, &[&old]).unwrap());
    assert!(!open(&[&old]).unwrap().rewrap(&new, &[&old]).unwrap(), "wrapped already");
    assert_eq!(open(&[&new]).unwrap().key_id(), new.key_id());
    assert_eq!(open(&[&old]).unwrap().key_id(), old.key_id());
    assert_eq!(open(&[&new, &old]).unwrap().key_id(), new.key_id());

    // The next rotation takes the place of the oldest key.
    let newest = keys(3);
    assert!(open(&[&new, &old]).unwrap().rewrap(&newest, &[&new, &old]).unwrap());
    assert!(open(&[&new]).is_ok() && open(&[&newest]).is_ok());
    assert!(matches!(open(&[&old]), Err(FormatError::UnknownKey)));

    // A slot that names a known key and does not open is passed over for the other.
    WriteAt::write_all_at(&file, &[0xff; 40], 32 + 30).unwrap();
    assert_eq!(open(&[&newest, &new]).unwrap().key_id(), new.key_id());
    assert!(matches!(open(&[&newest]), Err(FormatError::Damaged { .. })));
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

    fn len(&self) -> io::Result<u64> {
        ReadAt::len(self.file)
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

/// Fails every operation behind a place, with an error that is not about the content.
struct Failing {
    behind: u64,
    file: Mutex<Vec<u8>>,
    source: u64,
}

impl ReadAt for Failing {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        if offset >= self.behind {
            return Err(io::Error::from_raw_os_error(5));
        }
        self.file.lock().unwrap().read_exact_at(buf, offset)
    }

    fn len(&self) -> io::Result<u64> {
        ReadAt::len(&*self.file.lock().unwrap())
    }
}

impl WriteAt for Failing {
    fn write_all_at(&self, _: &[u8], offset: u64) -> io::Result<()> {
        if offset >= self.behind { Err(io::Error::from_raw_os_error(28)) } else { Ok(()) }
    }
}

impl Read for Failing {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.source == 0 {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let len = out.len().min(index(self.source));
        self.source -= len as u64;
        Ok(len)
    }
}

fn failing(behind: u64, source: u64, file: Vec<u8>) -> Failing {
    Failing { behind, source, file: Mutex::new(file) }
}

#[test]
fn a_failing_disk_is_not_mistaken_for_damage() {
    let content = content(10 * CHUNK, 0);
    let file = seal(&content, 12, 7);
    let open =
        |behind| BlobReader::open(failing(behind, 0, file.clone()), &sha256(&content), &[&keys(1)]);
    assert!(matches!(open(0), Err(FormatError::Io(error)) if error.raw_os_error() == Some(5)));
    let error = open(100).unwrap().whole().fill(&mut [0; 10]).unwrap_err();
    assert!(matches!(error, FormatError::Io(error) if error.raw_os_error() == Some(5)));
}

#[test]
fn a_failing_source_is_told_from_a_failing_file_at_any_length() {
    for len in [0, 1000, 300_000, 5_000_000] {
        let error = seal_stream(
            &mut failing(0, len, vec![]),
            &failing(u64::MAX, 0, vec![]),
            &keys(1),
            u64::MAX,
        )
        .unwrap_err();
        assert!(
            matches!(error, SealError::Source(error) if error.kind() == io::ErrorKind::ConnectionReset),
            "{len}"
        );
        let mut source = io::repeat(7).take(len);
        let error =
            seal_stream(&mut source, &failing(0, 0, vec![]), &keys(1), u64::MAX).unwrap_err();
        assert!(
            matches!(error, SealError::Output(error) if error.raw_os_error() == Some(28)),
            "{len}"
        );
    }
    // In the middle of a long stream, while the other threads are at work.
    let error = seal_stream(&mut io::repeat(7), &failing(9_000_000, 0, vec![]), &keys(1), u64::MAX)
        .unwrap_err();
    assert!(matches!(error, SealError::Output(error) if error.raw_os_error() == Some(28)));
}

#[test]
fn the_limit_allows_just_so_much_and_a_refused_file_does_not_open() {
    for limit in [0, 1, 1000, 262_143, 262_144, 262_145, 3_000_000] {
        let seal = |len: u64, file: &File| {
            seal_stream(&mut io::repeat(7).take(len), file, &keys(1), limit)
        };
        let file = tempfile::tempfile().unwrap();
        assert_eq!(seal(limit, &file).unwrap().size, limit);
        let file = tempfile::tempfile().unwrap();
        let error = seal(limit + 1, &file).unwrap_err();
        assert!(matches!(error, SealError::TooLarge { limit: named } if named == limit));
        assert!(AnyBlob::open(&file, &[0; 32], &[&keys(1)]).is_err());
    }
}

#[test]
fn a_source_without_end_is_cut_off_by_the_limit() {
    let file = tempfile::tempfile().unwrap();
    let error = seal_stream(&mut io::repeat(7), &file, &keys(1), 4_000_000).unwrap_err();
    assert!(matches!(error, SealError::TooLarge { limit: 4_000_000 }));
}

#[test]
#[should_panic(expected = "after the last one")]
fn nothing_is_sealed_after_the_last_chunk() {
    let mut sealer = Sealer::new(&keys(1)).unwrap();
    let mut out = [0; 17];
    sealer.seal_chunk(b"x", true, &mut out);
    sealer.seal_chunk(b"y", true, &mut out);
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
