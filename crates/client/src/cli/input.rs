//! What a command reads, bounded.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;

use super::failure::Failure;

/// Where an input comes from.
pub(super) enum Source {
    /// Standard input.
    Standard,
    /// A file.
    File(PathBuf),
}

impl Source {
    /// A file, or standard input where it is `-`.
    pub(super) fn of(path: PathBuf) -> Self {
        if path.as_os_str() == "-" { Source::Standard } else { Source::File(path) }
    }

    fn name(&self) -> String {
        match self {
            Source::Standard => "standard input".to_owned(),
            Source::File(path) => path.display().to_string(),
        }
    }
}

/// Reads a text of at most so many bytes.
pub(super) async fn read_text(source: Source, max_bytes: u64) -> Result<String, Failure> {
    let name = source.name();
    let bytes = read_bytes(source, max_bytes).await?;
    String::from_utf8(bytes).map_err(|_| Failure::usage(format!("{name} is not UTF-8 text")))
}

/// Reads at most so many bytes, on a thread of its own: Ctrl-C ends the program meanwhile.
pub(super) async fn read_bytes(source: Source, max_bytes: u64) -> Result<Vec<u8>, Failure> {
    let name = source.name();
    let read = tokio::task::spawn_blocking(move || read_up_to(&source, max_bytes)).await;
    match read.map_err(io::Error::other).and_then(|bytes| bytes) {
        Ok(bytes) if bytes.len() as u64 > max_bytes => {
            Err(Failure::usage(format!("{name} holds more than {max_bytes} bytes")))
        }
        Ok(bytes) => Ok(bytes),
        Err(error) => Err(Failure::usage(format!("{name}: {error}"))),
    }
}

/// One byte more than allowed tells that there is more.
fn read_up_to(source: &Source, max_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match source {
        Source::Standard => io::stdin().lock().take(max_bytes + 1).read_to_end(&mut bytes)?,
        Source::File(path) => File::open(path)?.take(max_bytes + 1).read_to_end(&mut bytes)?,
    };
    Ok(bytes)
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
