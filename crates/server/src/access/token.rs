//! Tokens: their forms, how one is made, and how one is compared.
//!
//! The owner's is 64 hexadecimal digits. A component's is `osn_<id>_<64 hexadecimal digits>`: the id is
//! public, it finds what the daemon keeps of the token, which is its hash.

use osnova_storage_api::wire::{Token, TokenId};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Random bytes in a token: too many to be guessed.
const SECRET_BYTES: usize = 32;
/// Random bytes in a token's id.
const ID_BYTES: usize = 8;
/// What a component's token begins with, so that people and scanners of leaks know it.
const PREFIX: &str = "osn_";
/// The hexadecimal digits of a token's secret.
pub(super) const SECRET_DIGITS: usize = 2 * SECRET_BYTES;

/// The system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("no random bytes: {0}")]
pub struct NoRandomness(getrandom::Error);

/// Random bytes as hexadecimal digits.
fn random_digits(count: usize) -> Result<Zeroizing<String>, NoRandomness> {
    let mut bytes = Zeroizing::new(vec![0; count]);
    getrandom::fill(&mut bytes).map_err(NoRandomness)?;
    Ok(bytes.iter().fold(Zeroizing::new(String::with_capacity(2 * count)), |mut text, byte| {
        use std::fmt::Write;
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// A new secret, which is the whole of the owner's token.
pub(super) fn new_secret() -> Result<Zeroizing<String>, NoRandomness> {
    random_digits(SECRET_BYTES)
}

/// A new token of a component, and its id.
pub(crate) fn new_component_token() -> Result<(TokenId, Token), NoRandomness> {
    let id = random_digits(ID_BYTES)?;
    let secret = new_secret()?;
    let token = Token::new(format!("{PREFIX}{}_{}", *id, *secret));
    let id = id.parse().map_err(|_| NoRandomness(getrandom::Error::UNEXPECTED))?;
    Ok((id, token))
}

/// The id in a component's token; `None` where it is no such token.
pub(super) fn component_token_id(token: &str) -> Option<&str> {
    let (id, secret) = token.strip_prefix(PREFIX)?.split_once('_')?;
    (secret.len() == SECRET_DIGITS).then_some(id)
}

/// What the daemon keeps of a token. Its secret is random and long, so a plain hash tells nothing.
pub(crate) fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// Whether two secrets, or their hashes, are the same. Takes the same time wherever they differ.
pub(super) fn same(own: &[u8], presented: &[u8]) -> bool {
    let difference = own.iter().zip(presented).fold(0, |seen, (a, b)| seen | (a ^ b));
    std::hint::black_box(difference) == 0 && own.len() == presented.len()
}

/// The token of an `Authorization` header (RFC 6750, section 2.1).
pub(super) fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_and_tell_their_id() {
        let (id, token) = new_component_token().unwrap();
        let (other, _) = new_component_token().unwrap();
        assert_ne!(id, other);
        assert_eq!(component_token_id(token.expose()), Some(id.as_str()));
        assert_ne!(hash(token.expose()), hash(&token.expose()[1..]));
        for bad in ["", "osn_", "osn_0_1", "osn_0123456789abcdef", &token.expose()[4..]] {
            assert_eq!(component_token_id(bad), None, "{bad}");
        }
    }

    #[test]
    fn secrets_are_the_same_only_as_a_whole() {
        assert!(same(b"abc", b"abc"));
        for other in ["", "ab", "abd", "bbc", "abcd"] {
            assert!(!same(b"abc", other.as_bytes()), "{other}");
        }
    }
}
