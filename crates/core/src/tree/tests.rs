//! Each trick that a tree may play on whoever walks it.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use osnova_storage_api::ErrorCode;

use super::*;

const WIDE: Bounds = Bounds { depth: 64, entries: 10_000, copied_bytes: 1 << 20 };

struct Ground {
    folder: tempfile::TempDir,
}

impl Ground {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("tree")).unwrap();
        fs::create_dir(folder.path().join("outside")).unwrap();
        fs::write(folder.path().join("outside/kept"), "0123456789").unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn open(&self) -> Folder {
        Folder::open_own(&Files::real(), self.folder.path(), "test").unwrap()
    }

    fn tree(&self) -> Folder {
        self.open().child("tree").unwrap().unwrap()
    }

    /// A tree with every kind of thing that is neither a file nor a folder.
    fn with_tricks() -> Self {
        let ground = Self::new();
        let tree = ground.path("tree");
        fs::create_dir(tree.join("inner")).unwrap();
        fs::write(tree.join("inner/file"), "four").unwrap();
        fs::write(tree.join("file"), "seven77").unwrap();
        symlink("/etc", tree.join("to-etc")).unwrap();
        symlink("/etc/hostname", tree.join("to-a-file")).unwrap();
        symlink("..", tree.join("inner/loop")).unwrap();
        symlink("nowhere", tree.join("dangling")).unwrap();
        fifo(&tree.join("fifo"));
        UnixListener::bind(tree.join("socket")).unwrap();
        ground
    }
}

fn fifo(path: &Path) {
    rustix::fs::mknodat(rustix::fs::CWD, path, FileType::Fifo, FILE_MODE, 0).unwrap();
}

/// Removes; says how many folders had to be moved up.
fn remove_from(yard: &Folder, name: &str) -> Result<u64> {
    let count = AtomicU64::new(0);
    remove(yard, name, || Ok(format!("deep-{}", count.fetch_add(1, Ordering::Relaxed))))?;
    Ok(count.into_inner())
}

fn code<T: std::fmt::Debug>(result: Result<T>) -> ErrorCode {
    result.unwrap_err().to_api().code()
}

/// Nests folders by going into each, for no path is that long.
fn nest(root: &Path, levels: usize) {
    let mut folder = Folder::open_own(&Files::real(), root, "test").unwrap();
    for _ in 0..levels {
        folder = folder.make_child("deeper").unwrap();
    }
    folder.write_new("bottom", b"x").unwrap();
}

#[test]
fn only_regular_files_are_counted_and_nothing_is_followed_or_waited_for() {
    let ground = Ground::with_tricks();
    let counted = usage(ground.tree(), WIDE).unwrap();
    assert_eq!(counted, Usage { bytes: 11, files: 2, skipped: 6 });
}

#[test]
fn walks_end_at_their_bounds() {
    let ground = Ground::new();
    nest(&ground.path("tree"), 5);
    assert!(usage(ground.tree(), Bounds { depth: 5, ..WIDE }).is_ok());
    assert_eq!(code(usage(ground.tree(), Bounds { depth: 4, ..WIDE })), ErrorCode::TooLarge);
    assert!(usage(ground.tree(), Bounds { entries: 6, ..WIDE }).is_ok());
    assert_eq!(code(usage(ground.tree(), Bounds { entries: 5, ..WIDE })), ErrorCode::TooLarge);
    // A sparse file that claims to be huge is counted, and is no content to copy without end.
    let sparse = File::create(ground.path("tree/sparse")).unwrap();
    sparse.set_len(1 << 40).unwrap();
    assert_eq!(usage(ground.tree(), WIDE).unwrap().bytes, (1 << 40) + 1);
    let to = ground.open().make_child("copy").unwrap();
    assert_eq!(code(copy(ground.tree(), to, WIDE, |_, _| true)), ErrorCode::TooLarge);
}

#[test]
fn a_copy_holds_the_files_and_folders_and_no_trick() {
    let ground = Ground::with_tricks();
    let tree = ground.path("tree");
    fs::set_permissions(tree.join("file"), fs::Permissions::from_mode(0o6755)).unwrap();
    let to = ground.open().make_child("copy").unwrap();
    let copied = copy(ground.tree(), to, WIDE, |_, _| true).unwrap();
    assert_eq!(copied, Usage { bytes: 11, files: 2, skipped: 6 });
    let copy = ground.path("copy");
    assert_eq!(fs::read_to_string(copy.join("inner/file")).unwrap(), "four");
    assert_eq!(fs::read_to_string(copy.join("file")).unwrap(), "seven77");
    // Who runs it may, and none but this user; what the owner gave to others is not carried over.
    let mode = fs::metadata(copy.join("file")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o700);
    let mut names: Vec<_> =
        fs::read_dir(&copy).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["file", "inner"]);
    // The source is as it was.
    assert_eq!(fs::read_link(tree.join("to-etc")).unwrap(), Path::new("/etc"));
}

#[test]
fn a_name_is_opened_only_as_what_it_is_to_be() {
    let ground = Ground::with_tricks();
    let tree = ground.tree();
    for name in ["to-etc", "to-a-file", "dangling", "fifo", "socket", "inner", "absent"] {
        assert!(tree.file(name).unwrap().is_none(), "{name} was opened as a file");
    }
    for name in ["to-etc", "to-a-file", "dangling", "fifo", "socket", "file", "absent"] {
        assert!(tree.child(name).unwrap().is_none(), "{name} was opened as a folder");
    }
    // What is exchanged between the look and the opening is found out by what is open.
    for name in ["to-a-file", "fifo", "socket", "inner"] {
        assert!(
            tree.open_regular(name, Action::Open, OPEN_FILE).unwrap().is_none(),
            "{name} was opened"
        );
    }
    for name in ["to-a-file", "fifo", "inner"] {
        assert!(tree.append(name).is_err(), "{name} was opened to append");
    }
    assert!(tree.read("file", 6).is_err());
    assert_eq!(tree.read("file", 7).unwrap().unwrap(), b"seven77");
}

#[test]
fn replacing_replaces_a_link_and_not_what_it_points_to() {
    let ground = Ground::new();
    symlink("../outside/kept", ground.path("tree/config")).unwrap();
    symlink("../outside/kept", ground.path("tree/beside")).unwrap();
    ground.tree().replace("config", "beside", b"new").unwrap();
    assert_eq!(fs::read_to_string(ground.path("outside/kept")).unwrap(), "0123456789");
    assert!(fs::symlink_metadata(ground.path("tree/config")).unwrap().is_file());
    assert_eq!(fs::read_to_string(ground.path("tree/config")).unwrap(), "new");
    assert!(!ground.path("tree/beside").exists());
}

#[test]
fn removing_takes_the_tricks_and_nothing_outside() {
    let ground = Ground::with_tricks();
    symlink("../outside", ground.path("tree/inner/out")).unwrap();
    remove_from(&ground.open(), "tree").unwrap();
    assert!(!ground.path("tree").exists());
    assert_eq!(fs::read_to_string(ground.path("outside/kept")).unwrap(), "0123456789");
    // A link in the place of the tree goes, and what it points to stays.
    symlink("outside", ground.path("tree")).unwrap();
    remove_from(&ground.open(), "tree").unwrap();
    assert!(fs::symlink_metadata(ground.path("tree")).is_err());
    assert!(ground.path("outside/kept").exists());
    remove_from(&ground.open(), "absent").unwrap();
}

#[test]
fn a_tree_nested_deeper_than_any_path_is_removed() {
    let ground = Ground::new();
    nest(&ground.path("tree"), 3000);
    // So few are open at a time that it goes with any limit.
    let moved = remove_from(&ground.open(), "tree").unwrap();
    assert!(moved > 90, "{moved}");
    let left: Vec<_> = fs::read_dir(ground.folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn a_tree_whose_folders_are_closed_is_removed() {
    let ground = Ground::new();
    let closed = ground.path("tree/closed");
    fs::create_dir_all(closed.join("inner")).unwrap();
    fs::write(closed.join("file"), "x").unwrap();
    fs::set_permissions(closed.join("inner"), fs::Permissions::from_mode(0o0)).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o0)).unwrap();
    // Whoever may read all the same (root) counts it, others pass over it: nobody fails.
    assert!(usage(ground.tree(), WIDE).is_ok());
    remove_from(&ground.open(), "tree").unwrap();
    assert!(!ground.path("tree").exists());
}

#[test]
fn errors_name_no_names() {
    let ground = Ground::new();
    fs::create_dir(ground.path("tree/unspoken")).unwrap();
    let error = ground.tree().append("unspoken").unwrap_err();
    assert!(!error.to_string().contains("unspoken"), "{error}");
}
