//! The parser under files that someone made to harm it, for as long as is asked for:
//!
//! ```text
//! OSNOVA_FUZZ_SECONDS=3600 cargo test --release -p osnova-storage-core --lib fuzz -- --nocapture
//! ```
//!
//! Files of every kind are cut, spliced and overwritten at random. Some are made by one who knows the file
//! key: their headers and indices authenticate whatever they say. A reader never panics, never takes more
//! memory than a bound, and answers nothing but the bytes of the content it was asked for.

use std::time::{Duration, Instant};

use super::compression::{text, written};
use super::old_format::seal_format0;
use super::*;

/// How long it runs where nothing is asked for: a sample in every test run.
const SAMPLE: Duration = Duration::from_secs(2);

/// Numbers at which parsers err.
const NUMBERS: [u64; 14] = [
    0,
    1,
    15,
    16,
    17,
    4095,
    4096,
    4097,
    1 << 24,
    u32::MAX as u64,
    1 << 32,
    MAX_PLAINTEXT_LEN,
    MAX_PLAINTEXT_LEN + 1,
    u64::MAX,
];

/// xorshift64: <https://www.jstatsoft.org/article/view/v008i14>
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        index(self.next() % length(bound.max(1)))
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// A whole file and its content.
fn whole(dice: &mut Dice) -> (Vec<u8>, Vec<u8>) {
    let sizes = [0, 1, 100, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 10 * CHUNK + 7, 70_000];
    let size = dice.one_of(&sizes);
    let content = match dice.below(2) {
        0 => content(size, dice.next().to_le_bytes()[0]),
        _ => text(size),
    };
    let file = match dice.below(4) {
        0 => seal(&content, 12, 3),
        1 if !content.is_empty() => seal_zstd(&content, &compressed(&content), |_| ()),
        2 => seal_format0(&content, [1; 12]),
        _ => written(&content).0,
    };
    (file, content)
}

/// A file whose header and index authenticate and need not fit.
fn forged(dice: &mut Dice) -> (Vec<u8>, Vec<u8>) {
    let size = dice.one_of(&[0, 1, CHUNK, 5 * CHUNK + 3]);
    let content = text(size);
    if dice.below(2) == 0 && size > 0 {
        let chunks = compressed(&content);
        let at = dice.below(chunks.len());
        let number = dice.one_of(&NUMBERS).to_be_bytes();
        let cut = dice.below(8);
        let file = seal_zstd(&content, &chunks, |lens| {
            lens[4 * at..4 * at + 4].copy_from_slice(&number[4..]);
            lens.truncate(lens.len().saturating_sub(cut));
        });
        return (file, content);
    }
    let mut file = seal(&content, 12, 3);
    let mut prefix: [u8; 32] = file[..32].try_into().unwrap();
    for _ in 0..=dice.below(3) {
        match dice.below(4) {
            0 => prefix[8] = dice.one_of(&[0, 1, 2, 255]),
            1 => prefix[9] = dice.one_of(&[0, 11, 12, 13, 16, 24, 25, 63, 64, 255]),
            2 => prefix[12..20].copy_from_slice(&dice.one_of(&NUMBERS).to_be_bytes()),
            _ => prefix[20..28].copy_from_slice(&dice.one_of(&NUMBERS).to_be_bytes()),
        }
    }
    let tag =
        FileCiphers::new(&FileKey::from_bytes(&[3; 32])).header_tag(&prefix, &sha256(&content));
    file[..32].copy_from_slice(&prefix);
    file[HEADER_LEN - TAG_LEN..HEADER_LEN].copy_from_slice(&tag);
    (file, content)
}

/// Harms a file in one way.
fn harm(file: &mut Vec<u8>, dice: &mut Dice) {
    let at = dice.below(file.len());
    match dice.below(8) {
        _ if file.is_empty() => file.push(0),
        0 => file[at] ^= 1 << dice.below(8),
        1 => file.truncate(at),
        2 => file.extend(vec![dice.next().to_le_bytes()[0]; dice.below(5000)]),
        3 => {
            let number = dice.one_of(&NUMBERS).to_be_bytes();
            for (place, byte) in file[at..].iter_mut().zip(number) {
                *place = byte;
            }
        }
        4 => {
            let (from, count) = (dice.below(file.len()), dice.below(300));
            let piece = file[from..file.len().min(from + count)].to_vec();
            file.splice(at..at, piece);
        }
        5 => {
            let end = file.len().min(at + dice.below(300));
            file.drain(at..end);
        }
        6 => {
            // Of another file key: under one and the same, whoever has it can pass off any chunk.
            let (other, _) = written(&text(dice.below(30_000)));
            let from = at.min(other.len());
            file.truncate(at);
            file.extend_from_slice(&other[from..]);
        }
        _ => file[at.min(HEADER_LEN - 1)] = dice.next().to_le_bytes()[0],
    }
}

#[test]
fn a_file_made_to_harm_never_does() {
    let asked = std::env::var("OSNOVA_FUZZ_SECONDS").ok().map(|text| text.parse().unwrap());
    let time = asked.map_or(SAMPLE, Duration::from_secs);
    let begun = Instant::now();
    let (mut tried, mut read_whole) = (0_u64, 0_u64);
    while begun.elapsed() < time {
        // Said in a failure, so that it can be made again.
        let seed = length(begun.elapsed().subsec_nanos() as usize) ^ (tried << 32) | 1;
        let mut dice = Dice(seed);
        let (mut file, content) =
            if dice.below(3) == 0 { forged(&mut dice) } else { whole(&mut dice) };
        let before = file.clone();
        for _ in 0..dice.below(4) {
            harm(&mut file, &mut dice);
        }
        let tell = (seed, file.len(), content.len());
        let outcome = std::panic::catch_unwind(|| {
            let offset = length(content.len()) * (seed % 5) / 4;
            if let Ok(part) = read_range(&file, &content, offset, seed % 9000) {
                let from = index(offset);
                assert!(part[..] == content[from..from + part.len()]);
            }
            read(&file, &content).ok()
        });
        let read = outcome.unwrap_or_else(|_| panic!("panicked: seed, file, content {tell:?}"));
        if let Some(read) = read {
            assert!(read == content, "wrong bytes: seed, file, content {tell:?}");
            read_whole += 1;
        } else {
            assert!(file != before || is_forged(&before, &content), "refused: {tell:?}");
        }
        tried += 1;
    }
    println!("{tried} files in {:?}, {read_whole} of them whole", begun.elapsed());
    assert!(read_whole > 0 && read_whole < tried);
}

/// Whether a file was never one that a writer makes.
fn is_forged(file: &[u8], content: &[u8]) -> bool {
    [&seal(content, 12, 3), &seal_format0(content, [1; 12])].iter().all(|whole| *whole != file)
}
