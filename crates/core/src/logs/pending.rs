//! Entries that wait to be written: lines by component, bounded.

use std::collections::HashMap;
use std::mem;

use osnova_storage_api::wire::ComponentId;
use osnova_storage_api::{ApiError, ErrorCode};

use crate::error::Result;

/// How many bytes of a component's may wait, and of all. Only a disk that is full or slow lets them.
const MAX_COMPONENT_BYTES: usize = 2 << 20;
const MAX_BYTES: usize = 32 << 20;
/// When a call that found too much waiting may be tried again.
const RETRY_AFTER_MS: u64 = 200;

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Pending {
    lines: HashMap<ComponentId, Vec<u8>>,
    bytes: usize,
    /// Whether so much waits that it should be written at once; asked for once.
    pressing: bool,
    /// Whether nothing more is taken.
    pub(super) closed: bool,
}

impl Pending {
    /// Adds lines; whether so much waits now that it should be written at once.
    ///
    /// # Errors
    /// `unavailable` where too much waits, or the store closes; `too_large` where it could never wait.
    pub(super) fn add(&mut self, id: &ComponentId, lines: &[u8]) -> Result<bool> {
        if self.closed {
            return Err(ApiError::unavailable("the daemon is stopping", RETRY_AFTER_MS).into());
        }
        if lines.len() > MAX_COMPONENT_BYTES {
            let message = format!("a call appends at most {MAX_COMPONENT_BYTES} bytes");
            return Err(ApiError::new(ErrorCode::TooLarge, message).into());
        }
        let of_component = self.lines.get(id).map_or(0, Vec::len);
        if of_component + lines.len() > MAX_COMPONENT_BYTES || self.bytes + lines.len() > MAX_BYTES
        {
            let message = "too many log entries wait to be written";
            return Err(ApiError::unavailable(message, RETRY_AFTER_MS).into());
        }
        self.bytes += lines.len();
        let waiting = self.lines.entry(id.clone()).or_default();
        waiting.extend_from_slice(lines);
        self.pressing |= waiting.len() > MAX_COMPONENT_BYTES / 2 || self.bytes > MAX_BYTES / 2;
        Ok(self.pressing)
    }

    /// Whether so much waits that it should be written at once.
    pub(super) fn is_pressing(&self) -> bool {
        self.pressing
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Takes what waits of a component.
    pub(super) fn take(&mut self, id: &ComponentId) -> Option<Vec<u8>> {
        let lines = self.lines.remove(id)?;
        self.bytes -= lines.len();
        Some(lines)
    }

    /// Who has something waiting, to be written now.
    pub(super) fn waiting(&mut self) -> Vec<ComponentId> {
        self.pressing = false;
        self.lines.keys().cloned().collect()
    }

    /// Puts back what could not be written, before what has come since.
    pub(super) fn put_back(&mut self, id: ComponentId, mut lines: Vec<u8>) {
        self.bytes += lines.len();
        let since = self.lines.entry(id).or_default();
        lines.append(since);
        *since = mem::take(&mut lines);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_bounded_for_each_and_for_all() {
        let mut pending = Pending::default();
        let id = |number: usize| format!("c{number}").parse::<ComponentId>().unwrap();
        let code = |result: Result<bool>| result.unwrap_err().to_api().code();
        let half = vec![b'x'; MAX_COMPONENT_BYTES / 2];
        assert!(!pending.add(&id(0), &half).unwrap());
        assert!(pending.add(&id(0), &half).unwrap());
        assert_eq!(code(pending.add(&id(0), b"x")), ErrorCode::Unavailable);
        let more = vec![b'x'; MAX_COMPONENT_BYTES + 1];
        assert_eq!(code(pending.add(&id(1), &more)), ErrorCode::TooLarge);
        let full = &more[1..];
        for number in 1..MAX_BYTES / MAX_COMPONENT_BYTES {
            pending.add(&id(number), full).unwrap();
        }
        assert_eq!(code(pending.add(&id(99), b"x")), ErrorCode::Unavailable);
        let lines = pending.take(&id(0)).unwrap();
        assert!(pending.take(&id(0)).is_none());
        pending.add(&id(0), b"later").unwrap();
        pending.put_back(id(0), lines);
        assert!(pending.take(&id(0)).unwrap().ends_with(b"xlater"));
        assert_eq!(pending.bytes, MAX_BYTES - MAX_COMPONENT_BYTES);
    }
}
