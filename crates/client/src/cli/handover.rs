//! Handing a new token to whoever asked for it: alone on standard output, or in a new file that only
//! its owner can read. It is shown once, so the file is there before the daemon is asked.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use osnova_storage_client::Token;
use serde_json::value::RawValue;

use super::failure::Failure;
use super::output::Output;

/// Where a token goes.
pub(super) struct Handover<'a> {
    output: &'a Output,
    file: Option<NewFile>,
}

impl<'a> Handover<'a> {
    /// Makes ready.
    pub(super) fn prepare(output: &'a Output, out: Option<PathBuf>) -> Result<Self, Failure> {
        if out.is_some() && output.is_json() {
            return Err(Failure::usage("--json prints the token, --out keeps it out: choose one"));
        }
        let file = match out {
            Some(path) => Some(NewFile::create(path)?),
            None => None,
        };
        Ok(Self { output, file })
    }

    /// Hands the token over; the answer it came in where JSON was asked for. Says where it is.
    pub(super) fn give(self, token: &Token, answer: &RawValue) -> Result<Option<PathBuf>, Failure> {
        if let Some(file) = self.file {
            return file.finish(format!("{}\n", token.expose()).as_bytes()).map(Some);
        }
        let printed = match self.output.is_json() {
            true => self.output.raw(answer),
            false => self.output.line(token.expose()),
        };
        match printed {
            Ok(()) => Ok(None),
            // Elsewhere that is no failure, but this is lost.
            Err(Failure::NobodyReads) => Err(Failure::failed("nobody read the token")),
            Err(failure) => Err(failure),
        }
    }
}

/// A new file that only its owner can read, and that is gone again unless its content stands in it.
pub(super) struct NewFile {
    file: File,
    path: PathBuf,
    finished: bool,
}

impl NewFile {
    /// Makes it, where nothing of its name is there.
    pub(super) fn create(path: PathBuf) -> Result<Self, Failure> {
        let file = open(&path).map_err(|error| Failure::file(&path, &error))?;
        Ok(Self { file, path, finished: false })
    }

    /// Writes the content, and keeps the file.
    pub(super) fn finish(mut self, content: &[u8]) -> Result<PathBuf, Failure> {
        let written = self.file.write_all(content).and_then(|()| self.file.sync_all());
        written.map_err(|error| Failure::file(&self.path, &error))?;
        self.finished = true;
        Ok(self.path.clone())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.finished {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A file that was not there before, for its owner alone.
fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
