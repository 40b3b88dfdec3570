//! A log searched, from either end, some way at a time.

use std::borrow::Cow;

use osnova_storage_api::components::Direction;
use osnova_storage_api::logs::{LogEntry, LogLevel, QueryParams};

use super::files::{Files, Set};
use super::source::{Chunk, Source};
use crate::db::page::PAGE_BYTES;
use crate::error::{Result, StoreError};

/// How much of a log a call reads, in plain bytes.
const SCAN_BYTES: u64 = 32 << 20;

/// A place in a log: the number of the file, and how many bytes of it lie before.
pub(super) type Position = (u64, u64);

/// What is searched for.
#[derive(Debug, Default)]
pub(super) struct Filter {
    level: Option<LogLevel>,
    from_ms: Option<i64>,
    to_ms: Option<i64>,
    /// In lower case.
    text: Option<String>,
}

impl Filter {
    pub(super) fn new(params: &QueryParams) -> Self {
        Self {
            level: params.level,
            from_ms: params.from_ms.map(|time| time.0),
            to_ms: params.to_ms.map(|time| time.0),
            text: params.text.as_ref().map(|text| text.as_str().to_lowercase()),
        }
    }

    /// Its parts, for the fingerprint of a cursor.
    pub(super) fn parts(&self) -> [String; 4] {
        let time = |time: Option<i64>| time.map(|time| time.to_string()).unwrap_or_default();
        [
            self.level.map(LogLevel::as_str).unwrap_or_default().to_owned(),
            time(self.from_ms),
            time(self.to_ms),
            self.text.clone().unwrap_or_default(),
        ]
    }

    fn takes(&self, entry: &LogEntry) -> bool {
        let time = entry.timestamp_ms.0;
        let holds = |text: &str, part: &str| text.to_lowercase().contains(part);
        self.level.is_none_or(|level| rank(entry.level) >= rank(level))
            && self.from_ms.is_none_or(|from| time >= from)
            && self.to_ms.is_none_or(|to| time < to)
            && self.text.as_deref().is_none_or(|part| {
                holds(entry.message.as_str(), part)
                    || entry.fields.as_ref().is_some_and(|fields| holds(&plain(fields.get()), part))
            })
    }
}

/// JSON as it is read by a person: each escape is the character it stands for, since some write all that is
/// beyond ASCII as escapes.
fn plain(json: &str) -> Cow<'_, str> {
    if !json.contains('\\') {
        return Cow::Borrowed(json);
    }
    let mut plain = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(start) = rest.find('"') {
        let (before, quoted) = rest.split_at(start);
        plain.push_str(before);
        let end = end_of_string(quoted);
        // A lone surrogate is no character: such a string stays as it is written.
        match serde_json::from_str::<String>(&quoted[..end]) {
            Ok(text) => plain.extend(["\"", text.as_str(), "\""]),
            Err(_) => plain.push_str(&quoted[..end]),
        }
        rest = &quoted[end..];
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

/// Where the JSON string ends that a text begins with.
fn end_of_string(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            b'"' if !escaped => return at + 1,
            _ => escaped = byte == b'\\' && !escaped,
        }
    }
    text.len()
}

fn rank(level: LogLevel) -> u8 {
    match level {
        LogLevel::Trace => 0,
        LogLevel::Debug => 1,
        LogLevel::Info => 2,
        LogLevel::Warn => 3,
        LogLevel::Error => 4,
    }
}

/// What a search has found.
#[derive(Debug)]
pub(super) struct Found {
    /// In the direction of the search.
    pub(super) items: Vec<LogEntry>,
    /// How far it went.
    pub(super) position: Position,
    /// Whether it stopped before the end.
    pub(super) more: bool,
}

/// Where a log ends.
pub(super) fn end_of(files: &Files, set: &Set) -> Result<Position> {
    let present = set.present();
    let end = files.source(set, present)?.map_or(0, |source| source.end());
    Ok((present, end))
}

/// Searches from a position on, at most so many items.
pub(super) fn search(
    files: &Files,
    set: &Set,
    filter: &Filter,
    direction: Direction,
    from: Position,
    limit: usize,
) -> Result<Found> {
    let forth = direction == Direction::Ascending;
    let mut numbers: Vec<u64> = set
        .numbers()
        .filter(|number| match forth {
            true => *number >= from.0,
            false => *number <= from.0,
        })
        .collect();
    if !forth {
        numbers.reverse();
    }
    let mut search = Search { filter, limit, bytes: 0, scanned: 0, items: Vec::new() };
    let mut position = from;
    for number in numbers {
        let Some(source) = files.source(set, number)? else { continue };
        if number != position.0 {
            position = (number, if forth { 0 } else { source.end() });
        }
        while let Some(chunk) = next_chunk(&source, forth, position.1)? {
            if search.scanned >= SCAN_BYTES {
                return Ok(search.stopped(position));
            }
            search.scanned += chunk.end - chunk.start;
            if let Some(at) = search.lines_of(&chunk, forth) {
                return Ok(search.stopped((number, at)));
            }
            position.1 = if forth { chunk.end } else { chunk.start };
        }
    }
    Ok(Found { items: search.items, position, more: false })
}

fn next_chunk(source: &Source, forth: bool, at: u64) -> Result<Option<Chunk>> {
    let chunk = if forth { source.after(at) } else { source.before(at) };
    chunk.map_err(|source| StoreError::Io { what: "logs: reading a file".to_owned(), source })
}

struct Search<'a> {
    filter: &'a Filter,
    limit: usize,
    bytes: usize,
    scanned: u64,
    items: Vec<LogEntry>,
}

impl Search<'_> {
    /// Takes what fits of a chunk; where the page is full before its end, how far it went.
    fn lines_of(&mut self, chunk: &Chunk, forth: bool) -> Option<u64> {
        let bytes = &chunk.bytes;
        if forth {
            let mut at = 0;
            while at < bytes.len() {
                let end = bytes[at..].iter().position(|byte| *byte == b'\n');
                let end = end.map_or(bytes.len(), |length| at + length + 1);
                if !self.takes(&bytes[at..end]) {
                    return Some(chunk.start + at as u64);
                }
                at = end;
            }
            return None;
        }
        let mut end = bytes.len();
        while end > 0 {
            let before = bytes[..end - 1].iter().rposition(|byte| *byte == b'\n');
            let at = before.map_or(0, |at| at + 1);
            if !self.takes(&bytes[at..end]) {
                return Some(chunk.start + end as u64);
            }
            end = at;
        }
        None
    }

    /// Takes a line, or passes it over; false where it is wanted and the page is full.
    fn takes(&mut self, line: &[u8]) -> bool {
        // A torn line, or another's.
        let Ok(entry) = serde_json::from_slice::<LogEntry>(line) else { return true };
        if !self.filter.takes(&entry) {
            return true;
        }
        let full = self.items.len() >= self.limit
            || (!self.items.is_empty() && self.bytes + line.len() > PAGE_BYTES);
        if !full {
            self.bytes += line.len();
            self.items.push(entry);
        }
        !full
    }

    fn stopped(self, position: Position) -> Found {
        Found { items: self.items, position, more: true }
    }
}
