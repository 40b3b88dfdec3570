//! What the writer compresses, what it leaves alone, and that nobody can tell from what is read.

use std::io::{Cursor, Read};

use super::*;

/// Text like a manifest's, whose numbers do not repeat.
pub(super) fn text(len: usize) -> Vec<u8> {
    let mut text = String::new();
    for number in 0_u64.. {
        if text.len() >= len {
            break;
        }
        let id = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        text += &format!("{{\"id\":\"component-{id:016x}\",\"name\":\"Weather {number}\"}}\n");
    }
    text.truncate(len);
    text.into_bytes()
}

/// Bytes in which a compressor finds nothing.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Writes a content as the store does.
pub(super) fn written(content: &[u8]) -> (Vec<u8>, Sealed) {
    let file = tempfile::tempfile().unwrap();
    let sealed = seal_stream(&mut Cursor::new(content), &file, &keys(1), 1 << 37).unwrap();
    let mut bytes = vec![0; index(file.metadata().unwrap().len())];
    file.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!((sealed.size, sealed.sha256), (content.len() as u64, sha256(content)));
    assert_eq!(sealed.stored_size, bytes.len() as u64);
    assert_eq!(Header::parse(bytes.first_chunk().unwrap()).unwrap().codec, sealed.codec);
    (bytes, sealed)
}

/// The length of a file of so much content without compression.
fn plain_len(len: usize) -> u64 {
    (HEADER_LEN + len + len.div_ceil(65536).max(1) * TAG_LEN) as u64
}

#[test]
fn content_of_any_shape_comes_back_whole_and_in_parts() {
    for len in [0, 1, 511, 512, 65535, 65536, 65537, 262_143, 262_144, 262_145, 900_000, 6_000_000]
    {
        let half = len / 2;
        for (shape, content) in [
            ("text", text(len)),
            ("noise", noise(len)),
            ("zeros", vec![0; len]),
            ("text, then noise", [text(half), noise(len - half)].concat()),
            ("noise, then text", [noise(half), text(len - half)].concat()),
        ] {
            let (file, sealed) = written(&content);
            assert!(read(&file, &content).unwrap() == content, "{shape} of {len}");
            assert!(sealed.stored_size <= plain_len(len), "{shape} of {len}");
            for from in [0, 1, 65535, 65536, half, len.saturating_sub(1)] {
                for to in [from + 1, 65536, 65537, half + 70_000, len] {
                    if from < to && to <= len {
                        let range = (from as u64, (to - from) as u64);
                        let part = read_range(&file, &content, range.0, range.1).unwrap();
                        assert!(part == content[from..to], "{shape} of {len}: {from}..{to}");
                    }
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_mixture_is_read_back_in_any_range(
        parts in proptest::collection::vec((0..3_u8, 0..400_000_usize), 0..6),
        from in any::<proptest::sample::Index>(),
        to in any::<proptest::sample::Index>(),
    ) {
        let mut content = vec![7];
        for (kind, len) in parts {
            content.extend(match kind {
                0 => text(len),
                1 => noise(len),
                _ => vec![0; len],
            });
        }
        let (file, _) = written(&content);
        prop_assert!(read(&file, &content).unwrap() == content);
        let (from, to) = (from.index(content.len()), to.index(content.len()));
        let (from, to) = (from.min(to), from.max(to));
        let part = read_range(&file, &content, from as u64, (to - from) as u64).unwrap();
        prop_assert!(part == content[from..to]);
    }
}

#[test]
fn what_does_not_shrink_is_written_as_without_compression() {
    for len in [0, 14, 5000, 70_000, 3_000_000] {
        let (_, sealed) = written(&noise(len));
        assert_eq!((sealed.codec, sealed.stored_size), (Codec::None, plain_len(len)), "{len}");
    }
    // Nor does a text so short that no disk would notice.
    assert_eq!(written(&text(511)).1.codec, Codec::None);
}

#[test]
fn text_takes_less_than_half() {
    for len in [2000, 65536, 300_000, 3_000_000] {
        let (_, sealed) = written(&text(len));
        assert_eq!(sealed.codec, Codec::Zstd, "{len}");
        assert!(sealed.stored_size < plain_len(len) / 2, "{len}: {}", sealed.stored_size);
    }
}

/// A block of the disk is enough for a long chunk, not less; a short one may save less than that, if
/// it is an eighth.
#[test]
fn a_small_saving_is_left() {
    for (zeros, len, codec) in [
        (3000, 65536, Codec::None),
        (5000, 65536, Codec::Zstd),
        (100, 2000, Codec::None),
        (400, 2000, Codec::Zstd),
    ] {
        let content = [vec![0; zeros], noise(len - zeros)].concat();
        assert_eq!(written(&content).1.codec, codec, "{zeros} of {len}");
    }
}

#[test]
fn a_long_content_is_judged_by_its_beginning() {
    let beginning = |len| [noise(len), text(2_000_000)].concat();
    assert_eq!(written(&beginning(0)).1.codec, Codec::Zstd);
    assert_eq!(written(&beginning(262_144)).1.codec, Codec::None);
    // A picture at its front does not spoil the rest.
    let (_, sealed) = written(&beginning(100_000));
    assert_eq!(sealed.codec, Codec::Zstd);
    assert!(sealed.stored_size < 1_000_000);
}

#[test]
fn a_content_that_may_be_too_long_for_an_index_is_not_compressed() {
    let sealer = Sealer::new(&keys(1)).unwrap();
    let most = (index::MAX_INDEX_LEN - 16) / 4 * 65536;
    assert!(sealer.may_compress(most) && !sealer.may_compress(most + 1));
    let codec = |len: usize, max_size| {
        let file = tempfile::tempfile().unwrap();
        seal_stream(&mut Cursor::new(text(len)), &file, &keys(1), max_size).unwrap().codec
    };
    assert_eq!(codec(1_000_000, most), Codec::Zstd);
    assert_eq!(codec(1_000_000, most + 1), Codec::None);
    // Of a short one all is known.
    assert_eq!(codec(100_000, u64::MAX), Codec::Zstd);
}

/// Small chunks, so that a short file has several, and one that does not shrink.
fn small() -> (Vec<u8>, Vec<u8>) {
    let content = [text(CHUNK), noise(CHUNK), text(CHUNK + 1000)].concat();
    let mut sealer = Sealer::with_file_key(
        &FileKey::from_bytes(&[4; 32]),
        [9; 24],
        ChunkSize::from_log2(12).unwrap(),
        &keys(1),
    );
    let mut compressor = Compressor::new().unwrap();
    let mut file = vec![0; HEADER_LEN];
    let mut raw = 0;
    for (number, chunk) in content.chunks(CHUNK).enumerate() {
        let mut stored = vec![0; CHUNK + TAG_LEN];
        let len = sealer.seal_chunk(chunk, number == 3, Some(&mut compressor), &mut stored);
        raw += usize::from(len == chunk.len() + TAG_LEN);
        file.extend_from_slice(&stored[..len]);
    }
    assert_eq!(raw, 1);
    let trailer = sealer.finish(&sha256(&content));
    file.extend_from_slice(&trailer.after_chunks);
    file[..HEADER_LEN].copy_from_slice(&trailer.header);
    (file, content)
}

#[test]
fn any_flipped_bit_of_a_compressed_file_is_noticed() {
    let (mut file, content) = small();
    assert!(read(&file, &content).unwrap() == content);
    for place in (0..file.len()).filter(|place| !(112..192).contains(place)) {
        for bit in [0x01, 0x80] {
            file[place] ^= bit;
            damaged_or_unknown(&file, &content, place);
            file[place] ^= bit;
        }
    }
}

#[test]
fn a_compressed_file_cut_off_or_extended_anywhere_is_noticed() {
    let (file, content) = small();
    for len in 0..file.len() {
        damaged(&file[..len], &content);
    }
    for more in [1, 4, 16, CHUNK + TAG_LEN] {
        damaged(&[file.as_slice(), &vec![0; more]].concat(), &content);
    }
    // A chunk taken out, with what would be its length.
    damaged(&[&file[..HEADER_LEN], &file[HEADER_LEN + 500..]].concat(), &content);
}

fn damaged_or_unknown(file: &[u8], content: &[u8], place: usize) {
    // The id of the key is in the clear: a flipped bit there names another.
    match read(file, content) {
        Err(FormatError::Damaged { .. } | FormatError::UnknownKey) => {}
        Err(error) => panic!("byte {place}: {error}"),
        Ok(_) => panic!("byte {place} went unnoticed"),
    }
}

#[test]
fn a_disk_that_fails_while_chunks_are_compressed_is_told() {
    struct Full;
    impl WriteAt for Full {
        fn write_all_at(&self, _: &[u8], offset: u64) -> io::Result<()> {
            // Only a while, so that what is written after it is no second chance to notice.
            let full = (100_000..400_000).contains(&offset);
            if full { Err(io::Error::from_raw_os_error(28)) } else { Ok(()) }
        }
    }
    let error = seal_stream(&mut io::repeat(7).take(1 << 30), &Full, &keys(1), 1 << 37);
    assert!(matches!(error, Err(SealError::Output(error)) if error.raw_os_error() == Some(28)));
}

/// Where nothing shrinks, few are tried, and soon after something does again, all are.
#[test]
fn no_more_are_tried_where_nothing_shrinks_until_something_does() {
    let (text, noise) = (text(65536), noise(65536));
    let mut compressor = Compressor::new().unwrap();
    let mut tried = |chunk: &[u8]| compressor.compress(chunk).is_some();
    assert!(tried(&text));
    for _ in 0..4 {
        assert!(!tried(&noise));
    }
    for _ in 0..4 {
        assert!(!tried(&text), "tried while it was to pause");
    }
    for _ in 0..10 {
        assert!(tried(&text));
    }
    for _ in 0..1000 {
        assert!(!tried(&noise));
    }
    let untried = (0..1000).position(|_| tried(&text)).unwrap();
    assert!((1..=64).contains(&untried), "{untried}");
    assert!(tried(&text));
}

#[test]
fn a_range_of_a_compressed_file_touches_the_header_the_index_and_the_chunks_it_needs() {
    let content = text(40 * 65536);
    let (file, sealed) = written(&content);
    let counting = Counting { file: &file, bytes: AtomicU64::new(0) };
    let blob = BlobReader::open(&counting, &sealed.sha256, &[&keys(1)]).unwrap();
    let mut out = [0; 2];
    assert_eq!(blob.range(20 * 65536 - 1, 2).unwrap().fill(&mut out).unwrap(), 2);
    assert_eq!(out, content[20 * 65536 - 1..=20 * 65536]);
    let chunks = blob.chunk_stored_len(19) + blob.chunk_stored_len(20);
    let read = counting.bytes.load(Ordering::Relaxed);
    assert_eq!(read, (HEADER_LEN + 40 * 4 + TAG_LEN + chunks) as u64);
}
