//! `blob put` of many files: small ones go together, all files of a directory too.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use osnova_storage_client::api::blobs::{BlobPut, PutMany};
use osnova_storage_client::{Method, PutBlob, SmallBlob};

use super::Session;
use super::blob::{show_put, upload};
use super::failure::Failure;
use super::refusal::explain;

/// A file of fewer bytes goes with others: a larger one gains nothing by it.
const SMALL_BYTES: u64 = 1 << 20;
/// How many small files are read before they are sent, and from how many bytes on.
const TOGETHER: usize = 1000;
const TOGETHER_BYTES: u64 = 8 << 20;
/// How deep a directory is followed.
const MAX_DEPTH: usize = 128;

/// A file that is put.
struct Found {
    path: PathBuf,
    /// What to call it.
    name: Option<String>,
    /// Its length where it is a small regular file.
    small: Option<u64>,
}

/// Stores the files in their order, of directories all regular files; a line for each as it is stored.
pub(super) async fn put(
    session: &Session,
    files: Vec<PathBuf>,
    recursive: bool,
    about: PutBlob,
) -> Result<(), Failure> {
    // On a thread of its own: Ctrl-C ends the program meanwhile.
    let found = tokio::task::spawn_blocking(move || find(files, recursive)).await;
    let mut found = VecDeque::from(found.map_err(|error| Failure::failed(error.to_string()))??);
    while let Some(first) = found.pop_front() {
        let Some(length) = first.small else {
            let about = PutBlob { name: first.name, ..about.clone() };
            let stored = upload(session, &first.path, about).await?;
            show_put(session, &stored, Some(&first.path))?;
            continue;
        };
        let mut bytes = length;
        let mut together = vec![first];
        while let Some(length) = found.front().and_then(|next| next.small)
            && together.len() < TOGETHER
            && bytes < TOGETHER_BYTES
        {
            bytes += length;
            together.extend(found.pop_front());
        }
        put_together(session, together, &about).await?;
    }
    Ok(())
}

async fn put_together(
    session: &Session,
    files: Vec<Found>,
    about: &PutBlob,
) -> Result<(), Failure> {
    let content_type = about.content_type.clone();
    let read = move || -> Result<_, Failure> {
        let mut contents = Vec::new();
        for file in &files {
            let bytes = read(&file.path).map_err(|error| Failure::file(&file.path, &error))?;
            let (name, content_type) = (file.name.clone(), content_type.clone());
            contents.push(SmallBlob {
                bytes: bytes.into(),
                content_type,
                name,
                expected_hash: None,
            });
        }
        Ok((files, contents))
    };
    let read = tokio::task::spawn_blocking(read).await;
    let (files, contents) = read.map_err(|error| Failure::failed(error.to_string()))??;
    let stored: Vec<BlobPut> = session
        .client
        .put_blobs(contents, about.pin)
        .await
        .map_err(|error| explain(session, error, &PutMany::SPEC))?;
    files
        .iter()
        .zip(&stored)
        .try_for_each(|(file, stored)| show_put(session, stored, Some(&file.path)))
}

/// Reads a file that was small when it was found.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(SMALL_BYTES).read_to_end(&mut bytes)?;
    match bytes.len() as u64 {
        SMALL_BYTES => Err(io::Error::other("has grown while it was read")),
        _ => Ok(bytes),
    }
}

/// All files that are meant, those of a directory by their names.
fn find(files: Vec<PathBuf>, recursive: bool) -> Result<Vec<Found>, Failure> {
    let mut found = Vec::new();
    for path in files {
        if path == Path::new("-") {
            return Err(Failure::usage("standard input is put alone"));
        }
        let metadata = std::fs::metadata(&path).map_err(|error| Failure::file(&path, &error))?;
        if metadata.is_dir() && recursive {
            find_in(&path, "", 0, &mut found)?;
        } else if metadata.is_dir() {
            let why = format!("{} is a directory; --recursive puts what is in it", path.display());
            return Err(Failure::usage(why));
        } else {
            let small =
                Some(metadata.len()).filter(|length| metadata.is_file() && *length < SMALL_BYTES);
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            found.push(Found { path, name, small });
        }
    }
    Ok(found)
}

/// The regular files in a directory and below it, named from where the first began. Links are not followed.
fn find_in(
    directory: &Path,
    prefix: &str,
    depth: usize,
    found: &mut Vec<Found>,
) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::file(directory, &error);
    if depth > MAX_DEPTH {
        return Err(failed(io::Error::other("is too deep")));
    }
    let mut entries = std::fs::read_dir(directory)
        .and_then(Iterator::collect::<io::Result<Vec<_>>>)
        .map_err(failed)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let failed = |error: io::Error| Failure::file(&path, &error);
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            find_in(&path, &format!("{name}/"), depth + 1, found)?;
        } else if kind.is_file() {
            let length = entry.metadata().map_err(failed)?.len();
            let small = Some(length).filter(|length| *length < SMALL_BYTES);
            found.push(Found { path, name: Some(name), small });
        }
    }
    Ok(())
}
