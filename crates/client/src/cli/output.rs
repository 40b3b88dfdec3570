//! What a command prints: JSON as it came, a table on a terminal, tab separated lines elsewhere.

use std::io::{self, IsTerminal, Write};

use serde_json::value::RawValue;

use super::failure::Failure;
use super::format;
use super::indent::indent;
use super::table::Table;

/// Standard output, and in which form to write to it.
pub(super) struct Output {
    json: bool,
    terminal: bool,
}

impl Output {
    pub(super) fn new(json: bool) -> Self {
        Self { json, terminal: io::stdout().is_terminal() }
    }

    /// Whether answers are printed as JSON.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether a person is looking.
    pub(super) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// An answer as it came, and a line break.
    pub(super) fn raw(&self, answer: &RawValue) -> Result<(), Failure> {
        let mut text = answer.get().to_owned();
        text.push('\n');
        self.bytes(text.as_bytes())
    }

    /// One line, with nothing in it that moves a terminal's cursor.
    pub(super) fn line(&self, text: &str) -> Result<(), Failure> {
        self.bytes(format!("{}\n", format::one_line(text)).as_bytes())
    }

    /// A text of several lines, with nothing else in it that moves a terminal's cursor.
    pub(super) fn lines(&self, text: &str) -> Result<(), Failure> {
        self.bytes(format!("{}\n", safe_lines(text)).as_bytes())
    }

    /// Rows of columns.
    pub(super) fn table(&self, table: &Table) -> Result<(), Failure> {
        let text = if self.terminal { table.for_people() } else { table.tab_separated() };
        self.bytes(text.as_bytes())
    }

    /// JSON: indented on a terminal, as it is elsewhere.
    pub(super) fn pretty(&self, json: &str) -> Result<(), Failure> {
        let text = if self.terminal { safe_lines(&indent(json)) } else { json.to_owned() };
        self.bytes(format!("{text}\n").as_bytes())
    }

    /// Bytes as they are.
    pub(super) fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|error| output_failed(&error))
    }
}

/// Each line made safe for a terminal.
fn safe_lines(text: &str) -> String {
    text.lines().map(format::one_line).collect::<Vec<_>>().join("\n")
}

/// A reader of ours that closes its end is not a failure.
pub(super) fn output_failed(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::NobodyReads,
        _ => Failure::failed(format!("standard output: {error}")),
    }
}
