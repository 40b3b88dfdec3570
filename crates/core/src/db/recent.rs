//! The latest committed changes, in memory: whoever follows the feed and is up to date needs no reading
//! of the database.
//!
//! The writer adds to it after each COMMIT, in order, so it never shows what may yet be undone. It is
//! bounded in changes and in bytes, and keeps nothing of those who look: each comes with its own
//! position, and one that is too far behind is sent to the database.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use super::feed::{Change, Part};
use super::recorder::Committed;

/// At most this many changes are kept in memory: some seconds' worth of the writer at its fastest.
pub(crate) const RING_CHANGES: usize = 4096;
/// And no more bytes than this of their keys and names.
const RING_BYTES: usize = 1 << 20;

/// Called after each commit with the latest position.
type Listener = Box<dyn Fn(u64) + Send + Sync>;

/// The latest changes.
pub struct Recent {
    ring: RwLock<Ring>,
    listener: OnceLock<Listener>,
}

struct Ring {
    changes: VecDeque<Arc<Change>>,
    bytes: usize,
    /// Everything strictly after this is here.
    whole_after: u64,
    latest: u64,
}

/// What one who follows the feed finds.
#[derive(Debug)]
pub enum Sight {
    /// What came after his position.
    Part(Part<Arc<Change>>),
    /// He is so far behind that it stands in the database only.
    Behind,
}

impl Recent {
    /// Nothing yet, in a range that begins here.
    pub(crate) fn new(first_of_range: u64) -> Self {
        let (whole_after, latest) = (first_of_range, first_of_range);
        let ring = Ring { changes: VecDeque::new(), bytes: 0, whole_after, latest };
        Self { ring: RwLock::new(ring), listener: OnceLock::new() }
    }

    /// Has this called after each commit with the latest position. It runs on the writer's thread, so it
    /// must not block. The first one stays.
    pub fn on_commit(&self, listener: impl Fn(u64) + Send + Sync + 'static) {
        let _ = self.listener.set(Box::new(listener));
    }

    /// At most `max` wanted changes, strictly after a position.
    pub fn after(&self, position: u64, max: usize, wanted: impl Fn(&Change) -> bool) -> Sight {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        if position < ring.whole_after {
            return Sight::Behind;
        }
        let end = ring.latest.max(position);
        let mut part = Part { changes: Vec::new(), position: end, more: false };
        let mut looked_at = position;
        let from = ring.changes.partition_point(|change| change.position <= position);
        for change in ring.changes.range(from..) {
            if part.changes.len() == max {
                (part.position, part.more) = (looked_at, true);
                break;
            }
            looked_at = change.position;
            if wanted(change) {
                part.changes.push(Arc::clone(change));
            }
        }
        Sight::Part(part)
    }

    /// Adds what was committed, and tells of it.
    pub(crate) fn publish(&self, committed: Committed) {
        let latest = {
            let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
            ring.add(committed);
            ring.latest
        };
        if let Some(listener) = self.listener.get() {
            listener(latest);
        }
    }
}

impl Ring {
    fn add(&mut self, committed: Committed) {
        if committed.left_out > 0 {
            self.changes.clear();
            (self.bytes, self.whole_after) = (0, committed.left_out);
        }
        for change in committed.changes {
            self.latest = change.position;
            self.bytes += bytes(&change);
            self.changes.push_back(Arc::new(change));
        }
        while self.changes.len() > RING_CHANGES || self.bytes > RING_BYTES {
            let Some(oldest) = self.changes.pop_front() else { break };
            self.bytes -= bytes(&oldest);
            self.whole_after = oldest.position;
        }
    }
}

fn bytes(change: &Change) -> usize {
    let component = change.component.as_ref().map_or(0, String::len);
    size_of::<Change>() + change.namespace.len() + change.key.get().len() + component
}

#[cfg(test)]
mod tests {
    use osnova_storage_api::events::ChangeKind;

    use super::*;

    fn committed(positions: std::ops::Range<u64>, key: &str, left_out: u64) -> Committed {
        let change = |position| Change {
            position,
            namespace: "n".to_owned(),
            key: serde_json::value::to_raw_value(&[key]).unwrap(),
            kind: ChangeKind::Put,
            component: None,
        };
        Committed { changes: positions.map(change).collect(), left_out }
    }

    fn seen(recent: &Recent, position: u64, max: usize) -> Option<(Vec<u64>, u64, bool)> {
        match recent.after(position, max, |change| change.position % 2 == 0) {
            Sight::Behind => None,
            Sight::Part(part) => {
                let positions = part.changes.iter().map(|change| change.position).collect();
                Some((positions, part.position, part.more))
            }
        }
    }

    #[test]
    fn one_who_follows_sees_each_wanted_change_once() {
        let recent = Recent::new(10);
        assert_eq!(seen(&recent, 9, 8), None);
        assert_eq!(seen(&recent, 10, 8), Some((vec![], 10, false)));
        recent.publish(committed(11..16, "k", 0));
        assert_eq!(seen(&recent, 10, 8), Some((vec![12, 14], 15, false)));
        assert_eq!(seen(&recent, 10, 1), Some((vec![12], 12, true)));
        assert_eq!(seen(&recent, 13, 1), Some((vec![14], 14, true)));
        assert_eq!(seen(&recent, 15, 1), Some((vec![], 15, false)));
        // One who has read more than was told of is not sent back.
        assert_eq!(seen(&recent, 17, 1), Some((vec![], 17, false)));
    }

    #[test]
    fn it_is_bounded_in_changes_and_in_bytes() {
        let recent = Recent::new(0);
        recent.publish(committed(1..RING_CHANGES as u64 + 11, "k", 0));
        assert_eq!(seen(&recent, 9, 1), None);
        assert_eq!(seen(&recent, 10, 1), Some((vec![12], 12, true)));
        let next = RING_CHANGES as u64 + 11;
        recent.publish(committed(next..next + 64, &"k".repeat(RING_BYTES / 32), 0));
        let ring = recent.ring.read().unwrap();
        assert!(ring.changes.len() < 64 && ring.bytes <= RING_BYTES, "{}", ring.bytes);
        assert_eq!((ring.latest, ring.whole_after), (next + 63, ring.changes[0].position - 1));
    }

    #[test]
    fn after_a_huge_commit_those_behind_read_the_database() {
        let recent = Recent::new(0);
        recent.publish(committed(1..5, "k", 0));
        recent.publish(committed(9..12, "k", 8));
        assert_eq!(seen(&recent, 4, 9), None);
        assert_eq!(seen(&recent, 8, 9), Some((vec![10], 11, false)));
    }
}
