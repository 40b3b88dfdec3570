//! The changes of the transaction that runs: which position comes next, and what was recorded.
//!
//! The writer's own. It knows of savepoints only what the writer tells it, and nothing of who is told
//! of changes.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use super::feed::Change;
use super::recent::RING_CHANGES;

/// Changes that were committed together, in order.
pub(crate) struct Committed {
    /// The latest of them: no more than are kept in memory anyway.
    pub(crate) changes: VecDeque<Change>,
    /// The position of the last one that is not among them; 0 where all are.
    pub(crate) left_out: u64,
}

/// Gives positions out and records changes.
pub(crate) struct Recorder {
    next: Cell<u64>,
    changes: RefCell<VecDeque<Change>>,
    left_out: Cell<u64>,
}

impl Recorder {
    /// A recorder in a new range. Its first position is given to no change.
    pub(crate) fn new(first_of_range: u64) -> Self {
        let next = Cell::new(first_of_range + 1);
        Self { next, changes: RefCell::default(), left_out: Cell::new(0) }
    }

    /// The position of the next change.
    pub(crate) fn next(&self) -> u64 {
        self.next.get()
    }

    /// Records a change that has the next position.
    pub(crate) fn record(&self, change: Change) {
        self.next.set(change.position + 1);
        let mut changes = self.changes.borrow_mut();
        // A group may hold many calls of many items each: whoever follows reads those from the database.
        if changes.len() == RING_CHANGES
            && let Some(oldest) = changes.pop_front()
        {
            self.left_out.set(oldest.position);
        }
        changes.push_back(change);
    }

    /// Forgets what was recorded at this position and after it, and gives those positions again: it was
    /// rolled back.
    pub(crate) fn rewind(&self, position: u64) {
        self.next.set(position);
        let mut changes = self.changes.borrow_mut();
        while changes.back().is_some_and(|change| change.position >= position) {
            changes.pop_back();
        }
        if self.left_out.get() >= position {
            self.left_out.set(0);
        }
    }

    /// Forgets what was recorded, and never gives its positions again: nobody knows whether it stands.
    pub(crate) fn discard(&self) {
        self.changes.borrow_mut().clear();
        self.left_out.set(0);
    }

    /// Takes what was recorded, after it was committed; none where nothing was.
    pub(crate) fn take(&self) -> Option<Committed> {
        let changes = self.changes.take();
        let left_out = self.left_out.replace(0);
        (!changes.is_empty() || left_out > 0).then_some(Committed { changes, left_out })
    }
}

#[cfg(test)]
mod tests {
    use osnova_storage_api::events::ChangeKind;

    use super::*;

    fn record(recorder: &Recorder, count: u64) {
        for _ in 0..count {
            recorder.record(Change {
                position: recorder.next(),
                namespace: "n".to_owned(),
                key: serde_json::value::to_raw_value(&["k"]).unwrap(),
                kind: ChangeKind::Put,
                component: None,
            });
        }
    }

    fn positions(recorder: &Recorder) -> Option<(u64, Vec<u64>)> {
        let committed = recorder.take()?;
        Some((committed.left_out, committed.changes.iter().map(|change| change.position).collect()))
    }

    #[test]
    fn what_was_rolled_back_leaves_no_trace() {
        let recorder = Recorder::new(100);
        record(&recorder, 2);
        let savepoint = recorder.next();
        record(&recorder, 3);
        recorder.rewind(savepoint);
        record(&recorder, 1);
        assert_eq!(positions(&recorder), Some((0, vec![101, 102, 103])));
        record(&recorder, 1);
        recorder.rewind(104);
        assert_eq!(positions(&recorder), None);
        record(&recorder, 1);
        recorder.discard();
        assert_eq!((positions(&recorder), recorder.next()), (None, 105));
    }

    #[test]
    fn a_huge_group_leaves_its_oldest_changes_to_the_database() {
        let recorder = Recorder::new(0);
        record(&recorder, RING_CHANGES as u64 + 5);
        let (left_out, kept) = positions(&recorder).unwrap();
        assert_eq!((left_out, kept.len(), kept[0]), (5, RING_CHANGES, 6));
        // Undone as a whole, it has left nothing out either.
        let before = recorder.next();
        record(&recorder, RING_CHANGES as u64 + 5);
        recorder.rewind(before);
        record(&recorder, 1);
        assert_eq!(positions(&recorder), Some((0, vec![before])));
    }
}
