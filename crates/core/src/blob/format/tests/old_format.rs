//! Format 0 beyond its vector: long content, read by ranges, and a nonce that looks like a magic.

use chacha20poly1305::ChaCha20Poly1305;
use chacha20poly1305::aead::{Aead, KeyInit};

use super::*;

pub(super) fn seal_format0(content: &[u8], nonce: [u8; 12]) -> Vec<u8> {
    let cipher = ChaCha20Poly1305::new(keys(1).blob_key().as_bytes().into());
    [&nonce[..], &cipher.encrypt(&nonce.into(), content).unwrap()].concat()
}

#[test]
fn content_of_any_length_is_read_whole_and_by_ranges() {
    let piece = 256 * 1024;
    for len in [0, 1, 15, 16, 17, 64, 1000, piece - 1, piece, piece + 1, 2 * piece + 77] {
        let content = content(len, 0);
        let file = seal_format0(&content, [1; 12]);
        assert!(read(&file, &content).unwrap() == content, "{len}");
        for (from, to) in [(0, len / 2), (len / 3, len), (len, len), (len / 2, len / 2 + 1)] {
            let part = read_range(&file, &content, from as u64, (to - from) as u64).unwrap();
            assert!(part == content[from..to.min(len)], "{len}: {from}..{to}");
        }
    }
}

#[test]
fn harm_anywhere_in_a_long_file_is_noticed_before_a_byte_is_answered() {
    let content = content(600_000, 0);
    let mut file = seal_format0(&content, [1; 12]);
    for place in [0, 11, 12, 300_000, 600_011, 600_012, 600_027] {
        file[place] ^= 1;
        assert_eq!(damaged(&file, &content), "the file does not authenticate");
        file[place] ^= 1;
    }
    assert_eq!(damaged(&file[..600_027], &content), "the file does not authenticate");
    assert_eq!(damaged(&file[..27], &content), "the file is too short");
    assert!(read(&file, &content).unwrap() == content);
}

#[test]
fn a_nonce_that_begins_almost_like_the_magic_is_a_nonce() {
    let file = seal_format0(b"content", *b"OSNBLOB0....");
    assert_eq!(read(&file, b"content").unwrap(), b"content");
}
