//! Search of records: FTS5 indices of components, applications and messages.
//!
//! The indices are contentless: they hold words, and the text stands in the records alone. An operation
//! only notes which record it changed ([`Notes`]); the writer brings the indices up to what the records
//! then say, once a group and just before its COMMIT, since FTS5 flushes its words at every savepoint
//! and a call has one of its own ([`index`]).
//!
//! A component finds its own messages by an index of their own, in which each word is marked with whose it
//! is: in the common one the time of a search, and the order of what is found, tell of the messages of others.
//!
//! An index is derived, so it never stands in the way of a record: where it can't be written the record
//! is stored all the same, the index is marked as stale, and a job builds it anew through the
//! writer, slice by slice ([`rebuild`]). Searches meanwhile find what is indexed so far.

mod fold;
pub(super) mod index;
mod query;
pub(crate) mod rebuild;
mod snippet;
mod text;

use std::cell::RefCell;
use std::collections::BTreeSet;

pub use query::{applications, components, messages};
pub(crate) use rebuild::SearchState;

/// What is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Searched {
    /// `components`.
    Components,
    /// `applications`.
    Applications,
    /// `messages`.
    Messages,
}

impl Searched {
    /// All of it.
    pub(super) const ALL: [Self; 3] = [Self::Components, Self::Applications, Self::Messages];

    /// The tables of its indices.
    fn indices(self) -> &'static [&'static str] {
        match self {
            Self::Components => &["search_components"],
            Self::Applications => &["search_applications"],
            Self::Messages => &["search_messages", "search_own_messages"],
        }
    }

    /// The namespace, which is the table of the records too.
    pub(super) fn namespace(self) -> &'static str {
        match self {
            Self::Components => "components",
            Self::Applications => "applications",
            Self::Messages => "messages",
        }
    }
}

/// Whether a line of SQLite's checks (`quick_check`, `integrity_check`) is about an index, which is built
/// anew from the records: those are whole all the same.
pub(crate) fn is_about_index(line: &str) -> bool {
    (line.starts_with("fts5: ") || line.contains(" FTS5 table "))
        && Searched::ALL.iter().flat_map(|what| what.indices()).any(|index| line.contains(index))
}

/// The records that a transaction changed and whose words are not written yet, in the order of their
/// changes. What is written in the end is what each then says.
#[derive(Debug, Default)]
pub(crate) struct Notes(RefCell<Vec<(Searched, String)>>);

impl Notes {
    /// Notes a record.
    pub(super) fn add(&self, what: Searched, key: &str) {
        self.0.borrow_mut().push((what, key.to_owned()));
    }

    /// How many notes there are: where a call's own begin.
    pub(super) fn count(&self) -> usize {
        self.0.borrow().len()
    }

    /// Strikes off the notes of a call that failed: it changes nothing, the indices neither.
    pub(super) fn truncate(&self, count: usize) {
        self.0.borrow_mut().truncate(count);
    }

    /// The records that were noted, each once; none is noted afterwards.
    pub(super) fn take(&self) -> BTreeSet<(Searched, String)> {
        self.0.take().into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_of_an_index_is_told_from_that_of_records() {
        for line in [
            "malformed inverted index for FTS5 table main.search_components",
            "unable to validate the inverted index for FTS5 table main.search_messages: SQL logic error",
            "fts5: corruption found reading blob 10 from table \"search_applications\"",
        ] {
            assert!(is_about_index(line), "{line}");
        }
        for line in [
            "ok",
            "malformed inverted index for FTS5 table main.of_someone_else",
            "fts5: corruption found reading blob 10 from table \"of_someone_else\"",
            "row 3 missing from index search_components_key",
            "Tree 7 page 9: btreeInitPage() returns error code 11",
        ] {
            assert!(!is_about_index(line), "{line}");
        }
    }
}
