//! Fresh ids for requests, so that a repeat is known as one.

use std::sync::atomic::{AtomicU64, Ordering};

use osnova_storage_api::wire::RequestId;

/// Makes request ids: a random part drawn once for the client, and a number.
///
/// The daemon keeps them per caller for a day, so they must differ between all clients of a caller,
/// which 128 random bits do; nobody gains by guessing one.
#[derive(Debug)]
pub(crate) struct RequestIds {
    random: u128,
    next: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new() -> std::io::Result<Self> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| std::io::Error::other(error.to_string()))?;
        Ok(Self { random: u128::from_le_bytes(random), next: AtomicU64::new(0) })
    }

    /// An id that was not given before. Always some: 49 characters at most, all printable.
    pub(crate) fn next(&self) -> Option<RequestId> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        RequestId::try_from(format!("{:032x}-{number:x}", self.random)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ() {
        let (one, other) = (RequestIds::new().unwrap(), RequestIds::new().unwrap());
        let first = one.next().unwrap();
        assert_ne!(first, one.next().unwrap());
        assert_ne!(first, other.next().unwrap());
    }
}
