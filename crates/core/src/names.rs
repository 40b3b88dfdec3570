//! Ids as names of files and folders.
//!
//! Ids are any printable text (`@scope/name`, `ant://...`), so nothing of them reaches a path before it
//! went through here. A plain id is its own name; any other is percent-encoded, which can be read
//! back; one that would be too long is named by its hash. Two ids never get the same name, not even
//! where the file system does not tell upper from lower case: capitals are encoded too.

use sha2::{Digest, Sha256};

/// Hexadecimal digits of the hash in the name of a long id: 160 bits, so that two never meet.
const HASH_DIGITS: usize = 40;

/// The name of an id, of at most `max_bytes`; at least 41 are needed.
pub fn file_name(id: &str, max_bytes: usize) -> String {
    let mut name = String::with_capacity(id.len());
    for (position, byte) in id.bytes().enumerate() {
        let plain = matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-')
            // A name that begins with a dot would be hidden, or the folder above.
            || (byte == b'.' && position > 0);
        if plain {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02x}"));
        }
    }
    if name.len() <= max_bytes {
        return name;
    }
    let digits: String = Sha256::digest(id).iter().map(|byte| format!("{byte:02x}")).collect();
    // No other name has a tilde.
    format!("~{}", &digits[..HASH_DIGITS])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_safe_and_each_ids_own() {
        for (id, name) in [
            ("org.example.weather", "org.example.weather"),
            ("@scope/name", "%40scope%2fname"),
            ("..", "%2e."),
            (".", "%2e"),
            (".hidden", "%2ehidden"),
            ("A", "%41"),
            ("a%41", "a%2541"),
            ("é", "%c3%a9"),
            ("a/../b", "a%2f..%2fb"),
            ("~a", "%7ea"),
        ] {
            assert_eq!(file_name(id, 200), name);
        }
        let long = "x".repeat(256);
        let other = "x".repeat(255);
        let names = [&long, &other].map(|id| file_name(id, 60));
        assert!(names.iter().all(|name| name.len() == 41 && name.starts_with('~')), "{names:?}");
        assert_eq!(BTreeSet::from(names).len(), 2);
        // A short limit cuts sooner, and never into the escape of a byte.
        assert_eq!(file_name("ABCDEFGHIJKLMNOP", 48).len(), 48);
        assert!(file_name("ABCDEFGHIJKLMNOPQ", 48).starts_with('~'));
    }
}
