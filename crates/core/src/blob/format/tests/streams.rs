//! The drivers: sealing whole streams, reading ahead, and what happens when disks and sources fail.

use std::fs::File;
use std::io::Read;
use std::sync::Mutex;

use super::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_stream_is_sealed_as_it_is_whatever_the_source_gives_at_once(
        len in prop_oneof![0..3000_usize, 250_000..270_000_usize, 1_300_000..1_320_000_usize, Just(262_144), Just(262_144 + 524_288)],
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
fn reading_ahead_gives_the_same_bytes_in_order_and_stops_at_damage() {
    let content = content(3_000_000, 0);
    let mut file = seal(&content, 16, 7);
    let ahead = |file: &[u8], offset: usize, len: u64| {
        let blob = BlobReader::open(file.to_vec(), &sha256(&content), &[&keys(1)]).unwrap();
        let mut ahead = ReadAhead::start(&blob, offset as u64, len).unwrap();
        let mut out = Vec::new();
        loop {
            match ahead.next_piece() {
                Ok(Some(piece)) => out.extend(piece),
                Ok(None) => return (out, None),
                Err(error) => {
                    assert!(ahead.next_piece().is_err(), "an end after an error");
                    return (out, Some(error));
                }
            }
        }
    };
    for (offset, len) in
        [(0, u64::MAX), (1, 2_999_999), (70_000, 524_288), (0, 524_289), (5, 0), (3_000_000, 9)]
    {
        let (out, error) = ahead(&file, offset, len);
        assert!(error.is_none());
        assert!(out == content[offset..offset + index(len.min((3_000_000 - offset) as u64))]);
    }
    file[HEADER_LEN + 20 * (65536 + TAG_LEN)] ^= 1;
    let (out, error) = ahead(&file, 0, u64::MAX);
    assert!(matches!(error, Some(FormatError::Damaged { .. })));
    assert!(out == content[..5 * 256 * 1024], "all pieces before the damaged one, and no other");
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

    fn file_len(&self) -> io::Result<u64> {
        self.file.lock().unwrap().file_len()
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

/// The system may tell only once that written bytes are lost: to the flush in the background, and
/// not again to the sync at the end. If the error got lost there, a file would count as durable that
/// is not.
#[test]
fn a_flush_that_fails_in_the_background_fails_the_file() {
    struct Lossy;
    impl WriteAt for Lossy {
        fn write_all_at(&self, _: &[u8], _: u64) -> io::Result<()> {
            Ok(())
        }

        fn flush_behind(&self) -> io::Result<()> {
            Err(io::Error::from_raw_os_error(5))
        }
    }
    let mut source = io::repeat(7).take(40 << 20);
    let error = seal_stream(&mut source, &Lossy, &keys(1), u64::MAX).unwrap_err();
    assert!(matches!(error, SealError::Output(error) if error.raw_os_error() == Some(5)));
}
