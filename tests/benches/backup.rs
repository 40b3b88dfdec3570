//! Backup programs as peers: they seal, name by content and make durable as the daemon does. Each
//! works on a repository of its own in a temporary directory, with its own defaults but for the
//! cache, which a local repository does not need. A program that is not in the search path is left
//! out; none is ever installed.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::client::{Content, PIECE_BYTES};
use crate::process;

/// No command takes so long, on any machine, unless it hangs.
const COMMAND_LIMIT: Duration = Duration::from_secs(600);
const STOP_LIMIT: Duration = Duration::from_secs(10);
const PASSWORD: &str = "nothing sealed under it outlives the run";

/// Those that are known, with what keeps each from drawing and from caching.
pub(crate) const PROGRAMS: [Program; 2] = [
    Program { name: "restic", variables: "RESTIC", options: &["--quiet", "--no-cache"] },
    Program { name: "rustic", variables: "RUSTIC", options: &["--no-progress", "--no-cache"] },
];

/// How a program is called.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    variables: &'static str,
    options: &'static [&'static str],
}

/// A repository and a file to be backed up into it.
pub(crate) struct Repository<'a> {
    program: &'a Program,
    path: PathBuf,
    directory: TempDir,
}

impl<'a> Repository<'a> {
    /// Makes an empty one under `parent`, beside a file of `bytes` that no other `salt` gives.
    /// `None` where the program is not here.
    pub(crate) fn new(
        program: &'a Program,
        parent: &Path,
        bytes: u64,
        salt: u64,
    ) -> Result<Option<Self>, String> {
        let Some(path) = process::find(program.name) else { return Ok(None) };
        let directory = tempfile::Builder::new()
            .prefix("osnova-bench-backup-")
            .tempdir_in(parent)
            .map_err(text)?;
        let repository = Self { program, path, directory };
        let mut file = File::create(repository.source()).map_err(text)?;
        let mut content = Content::new(salt);
        for _ in 0..bytes / PIECE_BYTES as u64 {
            file.write_all(content.next_piece()).map_err(text)?;
        }
        // What the disk still has to write must not burden what is measured next.
        file.sync_all().map_err(text)?;
        repository.run(&["init"])?;
        Ok(Some(repository))
    }

    /// Seconds to back the file up.
    pub(crate) fn backup(&self) -> Result<f64, String> {
        self.run(&["backup", &self.source().to_string_lossy()])
    }

    /// Seconds to read the file back; it is thrown away, as the daemon's answer is.
    pub(crate) fn dump(&self) -> Result<f64, String> {
        let source = self.source();
        let source = source.to_string_lossy();
        match self.program.name {
            "rustic" => self.run(&["dump", &format!("latest:{source}")]),
            _ => self.run(&["dump", "latest", &source]),
        }
    }

    fn source(&self) -> PathBuf {
        self.directory.path().join("content")
    }

    /// Runs a command to its end; the seconds that it took.
    fn run(&self, words: &[&str]) -> Result<f64, String> {
        let Program { name, variables, options } = *self.program;
        let complaints = self.directory.path().join("stderr");
        let mut command = Command::new(&self.path);
        command
            .args(words)
            .args(options)
            .env_clear()
            .env("HOME", self.directory.path())
            .env(format!("{variables}_REPOSITORY"), self.directory.path().join("repository"))
            .env(format!("{variables}_PASSWORD"), PASSWORD)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&complaints).map_err(text)?);
        let begin = Instant::now();
        let mut child = command.spawn().map_err(|error| format!("{name}: {error}"))?;
        let stdout = child.stdout.take();
        let status = std::thread::scope(|scope| {
            // As a client of the daemon takes what it is sent.
            scope.spawn(move || stdout.map(drain));
            let status = process::wait(&mut child, COMMAND_LIMIT);
            if !matches!(status, Ok(Some(_))) {
                process::end(&mut child, Signal::TERM, STOP_LIMIT);
            }
            status
        })?;
        let seconds = begin.elapsed().as_secs_f64();
        match status {
            None => Err(format!("{name} did not end")),
            Some(status) if status.success() => Ok(seconds),
            Some(status) => {
                let complaints = fs::read_to_string(complaints).unwrap_or_default();
                let last = complaints.lines().last().unwrap_or_default();
                Err(format!("{name} {}: {status}: {last}", words[0]))
            }
        }
    }
}

/// Reads to the end.
fn drain(mut output: impl Read) {
    let mut piece = vec![0; PIECE_BYTES];
    while output.read(&mut piece).is_ok_and(|count| count > 0) {}
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
