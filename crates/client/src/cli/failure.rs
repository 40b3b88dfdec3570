//! How a command fails: one line on standard error, and an exit code.

use std::fmt::Write;
use std::io;

use osnova_storage_client::{ApiError, ClientError};

use super::format;

/// The daemon, or a transfer, failed.
pub(crate) const FAILED: u8 = 1;
/// The command line is wrong.
const USAGE: u8 = 2;
/// There is no connection to the daemon.
const NO_CONNECTION: u8 = 3;

/// Why a command did not do what it was asked.
pub(super) enum Failure {
    /// What to say, and the exit code.
    Told { line: String, code: u8 },
    /// Whoever read the output has gone, and wants no more of it: that is not a failure.
    NobodyReads,
}

impl Failure {
    pub(super) fn usage(line: impl Into<String>) -> Self {
        Failure::Told { line: line.into(), code: USAGE }
    }

    pub(super) fn failed(line: impl Into<String>) -> Self {
        Failure::Told { line: line.into(), code: FAILED }
    }

    /// A file could not be read or written.
    pub(super) fn file(path: &std::path::Path, error: &io::Error) -> Self {
        Failure::failed(format!("{}: {error}", path.display()))
    }

    /// The same, with a hint at the end of the line.
    pub(super) fn with_hint(self, hint: &str) -> Self {
        match self {
            Failure::Told { line, code } => Failure::Told { line: format!("{line}; {hint}"), code },
            Failure::NobodyReads => Failure::NobodyReads,
        }
    }

    /// Says it; answers with the exit code.
    pub(super) fn report(self) -> u8 {
        match self {
            Failure::Told { line, code } => {
                complain(&line);
                code
            }
            Failure::NobodyReads => 0,
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let code = match &error {
            ClientError::Connect { .. } => NO_CONNECTION,
            ClientError::Endpoint(_) | ClientError::Params(_) => USAGE,
            _ => FAILED,
        };
        let line = match &error {
            ClientError::Api(error) => describe(error),
            other => other.to_string(),
        };
        Failure::Told { line, code }
    }
}

/// The error's code, message, and all that its data says, in one line.
fn describe(error: &ApiError) -> String {
    let data = &error.data;
    let mut line = format!("{}: {}", data.code.name(), error.message);
    let mut details: Vec<String> = Vec::new();
    if let Some(reason) =
        serde_json::to_value(data.reason).ok().and_then(|word| word.as_str().map(str::to_owned))
    {
        details.push(format!("reason {reason}"));
    }
    // One bad field is in the message already.
    if let Some(fields) = data.fields.as_ref().filter(|fields| fields.len() > 1) {
        details.extend(fields.iter().map(|(name, why)| format!("{name} {why}")));
    }
    details.extend(data.current_revision.map(|revision| format!("current revision {revision}")));
    details.extend(data.holders.as_ref().map(|holders| format!("held by {}", holders.join(", "))));
    details.extend(data.index.map(|index| format!("at index {index}")));
    details.extend(data.outcome.as_ref().map(|outcome| format!("outcome {outcome}")));
    details.extend(data.retry_after_ms.map(|wait| format!("ask again in {wait} ms")));
    details.extend(data.incident.as_ref().map(|incident| format!("incident {incident}")));
    if !details.is_empty() {
        // Writing to a String never fails.
        let _ = write!(line, " ({})", details.join("; "));
    }
    line
}

/// One line on standard error.
pub(crate) fn complain(line: &str) {
    use std::io::Write;
    // Where standard error is closed too, there is nobody left to tell.
    let _ = writeln!(io::stderr(), "osnova-storage: {}", format::one_line(line));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn an_error_says_all_it_knows_in_one_line() {
        assert_eq!(
            describe(&ApiError::revision(7).at_index(3)),
            "conflict: the record has another revision (reason revision; current revision 7; at index 3)"
        );
        let fields = [("a", "is required"), ("b.c", "is unknown")];
        let fields: BTreeMap<String, String> =
            fields.iter().map(|(name, why)| ((*name).to_owned(), (*why).to_owned())).collect();
        assert_eq!(
            describe(&ApiError::validation(fields)),
            "validation_error: 2 parameters are bad; a is required (a is required; b.c is unknown)"
        );
        assert_eq!(
            describe(&ApiError::field("key", "is required")),
            "validation_error: key is required"
        );
    }
}
