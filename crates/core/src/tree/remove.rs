//! A tree removed, however it is nested, without following anything out of it.

use std::ffi::{CStr, CString};
use std::io::ErrorKind;
use std::os::fd::AsFd;

#[cfg(not(target_os = "linux"))]
use rustix::fs::AtFlags;
#[cfg(target_os = "linux")]
use rustix::fs::Mode;
use rustix::io::Errno;

use super::{Entries, FOLDER_MODE, Folder};
use crate::error::{Result, StoreError};
use crate::files::Action;

/// Folders that are open at a time. What is nested deeper is first moved up, so that a tree of any depth
/// goes with this many descriptors.
const MAX_OPEN: usize = 32;
/// How often folders may fill again while they are removed. Then someone does it on purpose.
const MAX_REFILLED: u32 = 64;

/// Removes what stands under a name, with all that is below it. `yard` is the daemon's own folder, on
/// the same file system, where nothing but what is to be removed lies: what is nested too deep is moved
/// there under a name that `fresh_name` makes.
///
/// # Errors
/// Where a part can't be removed: it is a mount, say, or others have taken the right away.
pub(crate) fn remove(
    yard: &Folder,
    name: &str,
    fresh_name: impl Fn() -> Result<String>,
) -> Result<()> {
    let mut names = vec![name.to_owned()];
    while let Some(name) = names.pop() {
        remove_shallow(yard, &name, &fresh_name, &mut names)?;
    }
    Ok(())
}

/// Removes a tree but for its deepest parts, which are moved to the yard; their names are added to
/// `deeper`.
fn remove_shallow(
    yard: &Folder,
    name: &str,
    fresh_name: &impl Fn() -> Result<String>,
    deeper: &mut Vec<String>,
) -> Result<()> {
    let name = CString::new(name).map_err(|_| yard.failed("removing a name", Errno::INVAL))?;
    let Some(top) = unlink_or_open(yard, &name)? else { return Ok(()) };
    let mut open = vec![(Entries::of(top)?, name)];
    let mut refilled = 0;
    loop {
        let depth = open.len();
        let Some((entries, _)) = open.last_mut() else { return Ok(()) };
        if let Some(name) = entries.next() {
            let name = name?;
            let folder = entries.folder()?;
            let Some(child) = unlink_or_open(&folder, &name)? else { continue };
            if depth < MAX_OPEN {
                open.push((Entries::of(child)?, name));
            } else {
                let fresh = fresh_name()?;
                folder
                    .renamed(&name, yard, fresh.as_str())
                    .map_err(|errno| folder.failed("moving a folder up", errno))?;
                deeper.push(fresh);
            }
            continue;
        }
        let Some((_, name)) = open.pop() else { return Ok(()) };
        let again = match open.last() {
            Some((parent, _)) => remove_emptied(&parent.folder()?, &name, &mut refilled)?,
            None => remove_emptied(yard, &name, &mut refilled)?,
        };
        if let Some(again) = again {
            open.push((Entries::of(again)?, name));
        }
    }
}

/// Removes a folder that was emptied; opens it again where something came in behind the listing.
fn remove_emptied<Fd: AsFd>(
    parent: &Folder<Fd>,
    name: &CStr,
    refilled: &mut u32,
) -> Result<Option<Folder>> {
    if parent.remove_empty(name)? {
        return Ok(None);
    }
    *refilled += 1;
    if *refilled > MAX_REFILLED {
        return Err(parent.failed("removing what others keep writing into", Errno::BUSY));
    }
    unlink_or_open(parent, name)
}

/// Removes a name that is no folder; opens it where it is one.
fn unlink_or_open<Fd: AsFd>(parent: &Folder<Fd>, name: &CStr) -> Result<Option<Folder>> {
    // A folder is refused by the system; nothing is followed, and nothing opened.
    let mut unlinked = parent.unlinked(name);
    if unlinked == Err(Errno::ACCESS) {
        // Its owner, this user, has closed the folder around it.
        parent
            .before_own(Action::SetMode)
            .and_then(|()| rustix::fs::fchmod(&parent.fd, FOLDER_MODE))
            .map_err(|errno| parent.failed("opening a closed folder", errno))?;
        unlinked = parent.unlinked(name);
    }
    match unlinked {
        Ok(()) | Err(Errno::NOENT) => return Ok(None),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(errno) => return Err(parent.failed("removing a file", errno)),
    }
    let child = match parent.child(name) {
        Err(StoreError::Io { source, .. }) if source.kind() == ErrorKind::PermissionDenied => {
            parent
                .before(Action::SetMode, name)
                .and_then(|()| reopen(parent, name))
                .map_err(|errno| parent.failed("opening a closed folder", errno))?;
            parent.child(name)?
        }
        opened => opened?,
    };
    if child.is_none() {
        // It is no folder any more, or never was one: then this says why it can't be removed.
        parent.unlink(name)?;
    }
    Ok(child)
}

/// Gives this user, who owns the folder, the right to read it back. A link is not followed.
#[cfg(target_os = "linux")]
fn reopen<Fd: AsFd>(parent: &Folder<Fd>, name: &CStr) -> rustix::io::Result<()> {
    use std::os::fd::AsRawFd;

    use rustix::fs::OFlags;

    // The system can't change the mode of a name without following it, but of what stands open; and
    // what is closed to readers can be opened as a place.
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let place = rustix::fs::openat(&parent.fd, name, flags, Mode::empty())?;
    rustix::fs::chmod(format!("/proc/self/fd/{}", place.as_raw_fd()), FOLDER_MODE)
}

/// Gives this user, who owns the folder, the right to read it back. A link is not followed.
#[cfg(not(target_os = "linux"))]
fn reopen<Fd: AsFd>(parent: &Folder<Fd>, name: &CStr) -> rustix::io::Result<()> {
    rustix::fs::chmodat(&parent.fd, name, FOLDER_MODE, AtFlags::SYMLINK_NOFOLLOW)
}
