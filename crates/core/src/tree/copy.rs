//! A tree copied into another folder, on disk when it returns.

use std::ffi::CStr;
use std::fs::Permissions;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;

use rustix::fs::{Mode, RawMode};

use super::walk::{Meter, too_large};
use super::{Bounds, Entries, Folder, Kind, Usage};
use crate::error::Result;

/// How much of a file is in memory at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// A folder that is being copied, and its copy.
struct Level {
    from: Entries,
    to: Folder,
}

/// Copies the regular files and folders below `from` into `to`, which is the daemon's own and empty; of
/// those that stand in `from` itself only what `wanted` takes. Contents and names are on disk afterwards, but for the name of `to` itself.
///
/// A file that changes meanwhile is copied as it was read. What is neither a file nor a folder is
/// passed over, and counted.
///
/// # Errors
/// `too_large` past the bounds; where anything can't be read, for a copy must not silently lack a part.
pub(crate) fn copy(
    from: Folder,
    to: Folder,
    bounds: Bounds,
    wanted: impl Fn(&CStr, Kind) -> bool,
) -> Result<Usage> {
    let device = from.own_stat()?.st_dev;
    let mut meter = Meter::new(bounds);
    let mut usage = Usage::default();
    let mut open = vec![Level { from: Entries::of(from)?, to }];
    loop {
        let depth = open.len();
        let Some(level) = open.last_mut() else { return Ok(usage) };
        let Some(name) = level.from.next() else {
            level.to.sync()?;
            open.pop();
            continue;
        };
        let name = name?;
        meter.entry()?;
        let from = level.from.folder()?;
        let Some(stat) = from.stat(&name)? else { continue };
        if depth == 1 && !wanted(&name, Kind::of(&stat)) {
            continue;
        }
        match Kind::of(&stat) {
            Kind::File => match from.file(&name)? {
                Some(mut file) => {
                    let mut copy = level.to.create(&name)?;
                    let left = bounds.copied_bytes - usage.bytes;
                    let copied = copy_file(&mut file, &mut copy, left)
                        .map_err(|error| from.failed_io("copying a file", error))?;
                    let Some(copied) = copied else {
                        let most = bounds.copied_bytes;
                        return Err(too_large(format!("the tree holds more than {most} bytes")));
                    };
                    copy.set_permissions(file_permissions(stat.st_mode))
                        .and_then(|()| copy.sync_all())
                        .map_err(|error| level.to.failed_io("writing a file", error))?;
                    usage.files += 1;
                    usage.bytes += copied;
                }
                None => usage.skipped += 1,
            },
            Kind::Folder if stat.st_dev == device => match from.child(&name)? {
                Some(child) if child.own_stat()?.st_dev == device => {
                    let to = level.to.make_child(&name)?;
                    meter.depth(depth)?;
                    let from = Entries::of(child)?;
                    open.push(Level { from, to });
                }
                _ => usage.skipped += 1,
            },
            _ => usage.skipped += 1,
        }
    }
}

/// A copy keeps who may run a file and loses every other right but this user's own: no set-uid, no
/// rights of others.
fn file_permissions(mode: RawMode) -> Permissions {
    let runs = Mode::from_raw_mode(mode).contains(Mode::XUSR);
    Permissions::from_mode(if runs { 0o700 } else { 0o600 })
}

/// Copies at most `most` bytes; `None` where there are more.
fn copy_file(from: &mut impl Read, to: &mut impl Write, most: u64) -> io::Result<Option<u64>> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut copied = 0;
    loop {
        let read = match from.read(&mut chunk) {
            Ok(0) => return Ok(Some(copied)),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        copied += read as u64;
        if copied > most {
            return Ok(None);
        }
        to.write_all(&chunk[..read])?;
    }
}
