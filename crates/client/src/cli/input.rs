//! Texts that a command reads, bounded.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;

use super::failure::Failure;

/// Where a text comes from.
pub(super) enum Source {
    /// Standard input.
    Standard,
    /// A file.
    File(PathBuf),
}

/// Reads a text of at most so many bytes, on a thread of its own: Ctrl-C ends the program meanwhile.
pub(super) async fn read_text(source: Source, max_bytes: u64) -> Result<String, Failure> {
    let name = match &source {
        Source::Standard => "standard input".to_owned(),
        Source::File(path) => path.display().to_string(),
    };
    let read = tokio::task::spawn_blocking(move || read_up_to(&source, max_bytes)).await;
    match read.map_err(io::Error::other).and_then(|text| text) {
        Ok(text) if text.len() as u64 > max_bytes => {
            Err(Failure::usage(format!("{name} holds more than {max_bytes} bytes")))
        }
        Ok(text) => Ok(text),
        Err(error) => Err(Failure::usage(format!("{name}: {error}"))),
    }
}

/// One byte more than allowed tells that there is more.
fn read_up_to(source: &Source, max_bytes: u64) -> io::Result<String> {
    let mut text = String::new();
    match source {
        Source::Standard => io::stdin().lock().take(max_bytes + 1).read_to_string(&mut text)?,
        Source::File(path) => File::open(path)?.take(max_bytes + 1).read_to_string(&mut text)?,
    };
    Ok(text)
}

/// The first line of a file, without the white space around it; the rest is not looked at.
pub(super) async fn first_line(path: PathBuf, max_bytes: u64) -> Result<String, Failure> {
    let name = path.display().to_string();
    let read = move || -> io::Result<String> {
        let mut line = String::new();
        BufReader::new(File::open(path)?.take(max_bytes + 1)).read_line(&mut line)?;
        Ok(line)
    };
    // On a thread of its own, since it may be a pipe that nobody writes to.
    let line = tokio::task::spawn_blocking(read).await.map_err(io::Error::other);
    match line.and_then(|line| line) {
        Ok(line) if line.len() as u64 > max_bytes => {
            Err(Failure::usage(format!("{name}: its first line is longer than {max_bytes} bytes")))
        }
        Ok(line) if line.trim().is_empty() => {
            Err(Failure::usage(format!("{name}: its first line is empty")))
        }
        Ok(line) => Ok(line.trim().to_owned()),
        Err(error) => Err(Failure::usage(format!("{name}: {error}"))),
    }
}

/// Standard input as a file, for a transfer.
pub(super) fn standard() -> io::Result<File> {
    #[cfg(unix)]
    let owned = std::os::fd::AsFd::as_fd(&io::stdin()).try_clone_to_owned();
    #[cfg(windows)]
    let owned = std::os::windows::io::AsHandle::as_handle(&io::stdin()).try_clone_to_owned();
    owned.map(File::from)
}
