//! Groups of the system, and a folder that is open to one.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::Path;

/// The system's own list of groups (group(5)).
const GROUPS: &str = "/etc/group";
/// The group may enter the folder and see what is in it, and no one else.
const FOLDER_MODE: u32 = 0o750;

/// The number of a group, by its name or its number. Groups of a directory service go by number.
///
/// # Errors
/// What is wrong, for people.
pub(super) fn id(group: &str) -> Result<u32, String> {
    let listed = fs::read_to_string(GROUPS).map_err(|error| format!("{GROUPS}: {error}"))?;
    find(&listed, group).or_else(|| group.parse().ok()).ok_or_else(|| {
        format!("there is no group {group:?} in {GROUPS} (a group's number is taken too)")
    })
}

/// The number of a group in a list of lines `name:password:number:members`.
fn find(listed: &str, group: &str) -> Option<u32> {
    listed.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != group {
            return None;
        }
        fields.nth(1)?.parse().ok()
    })
}

/// Opens a folder of the daemon's to a group.
///
/// # Errors
/// What is wrong, for people.
pub(super) fn open_folder(folder: &Path, gid: u32) -> Result<(), String> {
    let named = |why: &dyn std::fmt::Display| format!("the folder {}: {why}", folder.display());
    // Looked at and changed by its descriptor, so that it is one folder throughout.
    let opened = File::open(folder).map_err(|error| named(&error))?;
    let found = opened.metadata().map_err(|error| named(&error))?;
    if !found.is_dir() {
        return Err(named(&"is not a folder"));
    }
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(named(&"belongs to another user"));
    }
    fchown(&opened, None, Some(gid)).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => named(&"the daemon's user is not in the group"),
        _ => named(&error),
    })?;
    opened.set_permissions(Permissions::from_mode(FOLDER_MODE)).map_err(|error| named(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_by_name_and_number() {
        let listed = "root:x:0:\nosnova:x:987:a,b\nbroken\n12:x:34:\n";
        assert_eq!(find(listed, "osnova"), Some(987));
        assert_eq!(find(listed, "broken"), None);
        assert_eq!(find(listed, "osno"), None);
        // A name of digits is a name first.
        assert_eq!(find(listed, "12"), Some(34));
        assert_eq!(id("54321"), Ok(54321));
        assert!(id("-1").is_err());
    }
}
