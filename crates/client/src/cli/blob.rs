//! `blob`: content, put and read by streaming.

use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use osnova_storage_client::api::blobs::{
    self, Adopt, AdoptResult, BlobPage, BlobPut, BlobStat, CareParams, Collect, CollectResult,
    DeleteParams, GrantParams, HashParams, Upgrade, UpgradeResult, Verify, VerifyParams,
    VerifyResult,
};
use osnova_storage_client::api::wire::{BlobHash, Name, UnsignedInteger};
use osnova_storage_client::{BlobStream, ClientError, Method, PutBlob};
use sha2::{Digest, Sha256};

use super::Session;
use super::arguments::{BlobCommand, CareCommand};
use super::ask::{self, ask};
use super::failure::Failure;
use super::format;
use super::input;
use super::jobs::{self, say};
use super::many_blobs;
use super::output::output_failed;
use super::paging::pages;
use super::progress::Bar;
use super::records::deleted;
use super::refusal::explain;
use super::table::{Cell, Table};

/// From this length on a file is sent in chunks, so that a put that is cut off goes on when it is asked for
/// again. Shorter ones are sent again as fast.
const RESUMABLE_BYTES: u64 = 64 << 20;
/// How much of a file is read at a time to hash it.
const HASHED_AT_ONCE: usize = 256 << 10;

pub(super) async fn run(session: &Session, command: BlobCommand) -> Result<(), Failure> {
    match command {
        BlobCommand::Put { files, recursive, content_type, name, no_pin, expect } => {
            let about = PutBlob {
                content_type,
                name,
                expected_hash: expect,
                pin: no_pin.then_some(false),
                ..PutBlob::default()
            };
            if let ([file], false) = (files.as_slice(), recursive) {
                return put(session, file, about).await;
            }
            if about.name.is_some() || about.expected_hash.is_some() {
                return Err(Failure::usage("--name and --expect are of one file"));
            }
            many_blobs::put(session, files, recursive, about).await
        }
        BlobCommand::Get { hash, output, range } => get(session, &hash, output, range).await,
        BlobCommand::Stat { hashes } => stats::<blobs::Stat>(session, hashes).await,
        BlobCommand::Pin { hashes } => stats::<blobs::Pin>(session, hashes).await,
        BlobCommand::Unpin { hashes } => stats::<blobs::Unpin>(session, hashes).await,
        BlobCommand::Rm { hashes, component } => {
            for hash in hashes {
                let params = DeleteParams { hash, component_id: component.clone() };
                ask::show::<blobs::Delete>(session, params, |answer| {
                    session.output.line(&format!("{hash} {}", deleted(answer.deleted)))
                })
                .await?;
            }
            Ok(())
        }
        BlobCommand::Grant { hash, component_id, no_pin } => {
            let line = format!("{hash} granted to {component_id}");
            let params = GrantParams { hash, component_id, pin: no_pin.then_some(false) };
            ask::show::<blobs::Grant>(session, params, |_| session.output.line(&line)).await
        }
        BlobCommand::Ls { pinned, order, page } => {
            let params = blobs::ListParams {
                pinned,
                order_by: order,
                direction: page.direction(),
                limit: page.window.limit(),
                cursor: page.window.cursor,
            };
            let show = |found: &BlobPage| session.output.table(&table(&found.items));
            pages::<blobs::List>(
                session,
                params,
                page.window.all,
                |params| &mut params.cursor,
                |found| found.next_cursor.clone(),
                show,
            )
            .await
        }
        BlobCommand::Usage => usage(session).await,
        BlobCommand::Care(command) => care(session, command).await,
    }
}

/// Calls a method that answers what is known of a content, for each; one table for all.
async fn stats<M: Method<Params = HashParams, Result = BlobStat>>(
    session: &Session,
    hashes: Vec<BlobHash>,
) -> Result<(), Failure> {
    let mut found = Vec::new();
    for hash in hashes {
        let answer = ask::<M>(session, HashParams { hash }).await?;
        match session.output.is_json() {
            true => session.output.raw(&answer.raw)?,
            false => found.push(answer.read()?),
        }
    }
    session.output.table(&table(&found))
}

fn table(items: &[BlobStat]) -> Table {
    let headings = ["hash", "size", "on disk", "type", "name", "pinned", "named by", "created"];
    let mut table = Table::new(&headings);
    for blob in items {
        table.row(vec![
            Cell::from(blob.hash.to_string()),
            Cell::size(blob.size.0),
            blob.stored_size.map_or_else(|| Cell::from(""), |size| Cell::size(size.0)),
            Cell::maybe(blob.content_type.as_ref()),
            Cell::maybe(blob.name.as_ref()),
            Cell::from(if blob.pinned { "pinned" } else { "-" }),
            Cell::from(blob.references.0.to_string()),
            Cell::time(blob.created_at.0),
        ]);
    }
    table
}

async fn usage(session: &Session) -> Result<(), Failure> {
    ask::show::<blobs::Usage>(session, blobs::UsageParams {}, |usage| {
        let mut table = Table::pairs();
        table.pair("blobs", usage.count.0.to_string());
        table.pair("size", Cell::size(usage.bytes.0));
        if let Some(bytes) = usage.stored_bytes {
            table.pair("on disk", Cell::size(bytes.0));
        }
        table.pair("limit", Cell::size(usage.limit_bytes.0));
        session.output.table(&table)
    })
    .await
}

/// Begins a job that looks after contents, and says in words what came of it.
async fn care(session: &Session, command: CareCommand) -> Result<(), Failure> {
    let size = format::size;
    match command {
        CareCommand::Collect(waiting) => {
            jobs::begin::<Collect, CollectResult>(session, CareParams {}, &waiting, |done| {
                let (count, bytes) = (counted(done.contents, "content"), size(done.bytes.0));
                let stored = size(done.stored_bytes.0);
                say(session, &format!("{count} removed: {bytes}, {stored} on disk"))
            })
            .await
        }
        CareCommand::Adopt(waiting) => {
            jobs::begin::<Adopt, AdoptResult>(session, CareParams {}, &waiting, |done| {
                let (files, bytes) = (counted(done.files, "file"), size(done.bytes.0));
                let (adopted, removed) = (done.adopted.0, done.removed.0);
                let (aside, left) = (done.quarantined.0, done.unreadable.0);
                let left = match left {
                    0 => String::new(),
                    left => format!("{left} left that can't be read, "),
                };
                let line = format!(
                    "{files} looked at: {adopted} adopted ({bytes}), {aside} put aside, \
                     {left}{removed} removed"
                );
                say(session, &line)
            })
            .await
        }
        CareCommand::Verify { hash, rate, waiting } => {
            let params = VerifyParams { hash, bytes_per_second: rate.map(UnsignedInteger) };
            jobs::begin::<Verify, VerifyResult>(session, params, &waiting, |found| {
                show_verified(session, found)
            })
            .await
        }
        CareCommand::Upgrade(waiting) => {
            jobs::begin::<Upgrade, UpgradeResult>(session, CareParams {}, &waiting, |done| {
                let (count, bytes) = (counted(done.contents, "content"), size(done.bytes.0));
                say(session, &format!("{count} written anew: {bytes}"))?;
                match done.damaged.0 {
                    0 => Ok(()),
                    _ => Err(Failure::failed(format!("{} damaged", are(done.damaged, "content")))),
                }
            })
            .await
        }
    }
}

fn show_verified(session: &Session, found: &VerifyResult) -> Result<(), Failure> {
    for problem in &found.problems {
        let aside = if problem.quarantined { ", put aside" } else { "" };
        say(session, &format!("{} {}{aside}", problem.hash, problem.problem))?;
    }
    let (count, bytes) = (counted(found.contents, "content"), format::size(found.bytes.0));
    say(session, &format!("{count} read: {bytes}"))?;
    match found.damaged.0 {
        0 => Ok(()),
        _ => Err(Failure::failed(format!("{} damaged", are(found.damaged, "content")))),
    }
}

/// `1 file`, `2 files`.
fn counted(count: UnsignedInteger, what: &str) -> String {
    let plural = if count.0 == 1 { "" } else { "s" };
    format!("{} {what}{plural}", count.0)
}

/// `1 file is`, `2 files are`.
fn are(count: UnsignedInteger, what: &str) -> String {
    format!("{} {}", counted(count, what), if count.0 == 1 { "is" } else { "are" })
}

async fn put(session: &Session, path: &Path, about: PutBlob) -> Result<(), Failure> {
    let stored = upload(session, path, about).await?;
    show_put(session, &stored, None)
}

/// A line of a content that was stored: its hash, and its file where it is one of many.
pub(super) fn show_put(
    session: &Session,
    stored: &BlobPut,
    file: Option<&Path>,
) -> Result<(), Failure> {
    if session.output.is_json() {
        let text =
            serde_json::to_string(stored).map_err(|error| Failure::failed(error.to_string()))?;
        return session.output.bytes(format!("{text}\n").as_bytes());
    }
    match file {
        None => session.output.line(&stored.hash.to_string()),
        Some(file) => session.output.line(&format!("{} {}", stored.hash, file.display())),
    }
}

/// Stores a file, or standard input where it is `-`, as it is read; a person sees how far it is.
pub(super) async fn upload(
    session: &Session,
    path: &Path,
    mut about: PutBlob,
) -> Result<BlobPut, Failure> {
    let file = match path == Path::new("-") {
        true => input::standard(),
        false => std::fs::File::open(path),
    };
    let file = file.map_err(|error| Failure::file(path, &error))?;
    let metadata = file.metadata().map_err(|error| Failure::file(path, &error))?;
    if metadata.is_dir() {
        return Err(Failure::usage(format!("{} is a directory", path.display())));
    }
    if path != Path::new("-") {
        // A pipe or a device has no length of its own, and standard input may be read in part.
        about.length = metadata.is_file().then_some(metadata.len());
        let file_name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        about.name = about.name.or(file_name);
    }
    let stored = match about.length {
        Some(length) if length >= RESUMABLE_BYTES && path != Path::new("-") => {
            resumable(session, path, file, length, about).await?
        }
        _ => {
            let bar = Bar::new(about.length);
            about.progress = bar.progress();
            session.client.put_blob(tokio::fs::File::from_std(file), about).await
        }
    };
    stored.map_err(|error| explain(session, error, &blobs::Put::SPEC))
}

/// Stores a large file in chunks, or goes on with an upload of it that was cut off.
///
/// It is known again by its hash, which therefore is made first: a file that has changed since is another.
async fn resumable(
    session: &Session,
    path: &Path,
    file: std::fs::File,
    length: u64,
    mut about: PutBlob,
) -> Result<Result<BlobPut, ClientError>, Failure> {
    let failed = |error: io::Error| Failure::file(path, &error);
    let hash = match about.expected_hash {
        Some(hash) => hash,
        None => {
            let copy = file.try_clone().map_err(failed)?;
            // On a thread of its own: Ctrl-C ends the program meanwhile.
            let hashed = tokio::task::spawn_blocking(move || hash_of(copy)).await;
            hashed.map_err(io::Error::other).and_then(|hash| hash).map_err(failed)?
        }
    };
    about.expected_hash = Some(hash);
    let begun = ask::<blobs::ListUploads>(session, blobs::ListUploadsParams {}).await?.read()?;
    let found = begun.items.into_iter().find(|upload| {
        upload.expected_hash == Some(hash)
            && upload.size.is_some_and(|size| size.0 == length)
            && upload.name.as_ref().map(Name::as_str) == about.name.as_deref()
            && upload.content_type.as_ref().map(Name::as_str) == about.content_type.as_deref()
            && upload.pinned == about.pin.unwrap_or(true)
    });
    let bar = Bar::new(Some(length));
    about.progress = bar.progress();
    let file = tokio::fs::File::from_std(file);
    Ok(match found {
        Some(upload) => {
            session.client.resume_upload(file, &upload.upload_id, about.progress.as_deref()).await
        }
        None => session.client.upload(file, about).await,
    })
}

/// The hash of a file from its beginning.
fn hash_of(mut file: std::fs::File) -> io::Result<BlobHash> {
    file.rewind()?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; HASHED_AT_ONCE];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(BlobHash::new(hash.finalize().into())),
            length => hash.update(&buffer[..length]),
        }
    }
}

async fn get(
    session: &Session,
    hash: &BlobHash,
    output: Option<PathBuf>,
    range: Option<(u64, Option<u64>)>,
) -> Result<(), Failure> {
    let stream = match range {
        None => session.client.get_blob(hash, ..).await,
        Some((first, None)) => session.client.get_blob(hash, first..).await,
        Some((first, Some(last))) => session.client.get_blob(hash, first..=last).await,
    };
    let stream = stream.map_err(|error| explain(session, error, &blobs::Get::SPEC))?;
    let bar = Bar::new(Some(stream.length()));
    let stream = match bar.progress() {
        Some(progress) => stream.with_progress(progress),
        None => stream,
    };
    match output {
        Some(path) if path != Path::new("-") => to_file(stream, &path).await,
        None if session.output.is_terminal() && !is_text(stream.content_type()) => {
            drop(bar);
            Err(Failure::usage("the content may not be text; use -o FILE, or -o - to print it"))
        }
        _ => to_stdout(stream).await,
    }
}

fn is_text(content_type: Option<&str>) -> bool {
    content_type.is_some_and(|kind| kind.starts_with("text/") || kind == "application/json")
}

async fn to_stdout(mut stream: BlobStream) -> Result<(), Failure> {
    let mut stdout = io::stdout();
    while let Some(chunk) = stream.next_chunk().await.map_err(|error| broken(&error))? {
        stdout.write_all(&chunk).map_err(|error| output_failed(&error))?;
    }
    stdout.flush().map_err(|error| output_failed(&error))
}

fn broken(error: &io::Error) -> Failure {
    Failure::failed(format!("the transfer broke: {error}"))
}

/// Writes beside the file, and renames when all of it is there and on disk.
async fn to_file(mut stream: BlobStream, path: &Path) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::file(path, &error);
    let mut part = Part::create(path).map_err(failed)?;
    while let Some(chunk) = stream.next_chunk().await.map_err(|error| broken(&error))? {
        part.file.write_all(&chunk).map_err(failed)?;
    }
    part.finish().map_err(failed)
}

/// A file on its way to its name; removed when it is dropped before it got there.
struct Part<'a> {
    file: std::fs::File,
    temporary: PathBuf,
    path: &'a Path,
    finished: bool,
}

impl<'a> Part<'a> {
    fn create(path: &'a Path) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?;
        let mut temporary = std::ffi::OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}.part", std::process::id()));
        let temporary = path.with_file_name(temporary);
        let file = std::fs::File::options().write(true).create_new(true).open(&temporary)?;
        Ok(Self { file, temporary, path, finished: false })
    }

    fn finish(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        std::fs::rename(&self.temporary, self.path)?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        if !self.finished {
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_only_when_it_is_complete() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("film");
        std::fs::write(&path, "old").unwrap();
        let mut part = Part::create(&path).unwrap();
        part.file.write_all(b"ne").unwrap();
        drop(part);
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);

        let mut part = Part::create(&path).unwrap();
        part.file.write_all(b"new").unwrap();
        part.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
