//! The components' own files, whatever a component has put among them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use common::{Root, code, component_caller, json, owner, reason};
use osnova_storage_api::component_data::{
    DataUsage, ListParams, MigrateParams, MigratedData, PreparedData, SetConfigParams, UsageParams,
    VersionParams,
};
use osnova_storage_api::wire::Limit;
use osnova_storage_api::{ConflictReason, ErrorCode};
use osnova_storage_core::Store;
use osnova_storage_core::error::Result;
use rustix::fs::{CWD, FileType, Mode, mknodat};

const ID: &str = "org.example.weather";

fn version(text: &str) -> VersionParams {
    VersionParams { version: text.parse().unwrap(), component_id: Some(ID.parse().unwrap()) }
}

fn prepare(store: &Store, text: &str) -> Result<PreparedData> {
    store.component_data().prepare(&owner(), &version(text))
}

fn migrate(store: &Store, from: &str, to: &str) -> Result<MigratedData> {
    let params = MigrateParams {
        from_version: from.parse().unwrap(),
        to_version: to.parse().unwrap(),
        component_id: Some(ID.parse().unwrap()),
    };
    store.component_data().migrate(&owner(), &params)
}

fn usage(store: &Store, text: Option<&str>) -> Result<DataUsage> {
    let params = UsageParams {
        version: text.map(|text| text.parse().unwrap()),
        component_id: Some(ID.parse().unwrap()),
    };
    store.component_data().usage(&owner(), &params)
}

fn remove(store: &Store, text: &str) -> bool {
    store.component_data().remove(&owner(), &version(text)).unwrap().deleted
}

fn config(store: &Store, text: &str) -> Result<String> {
    let config = store.component_data().get_config(&owner(), &version(text))?;
    Ok(config.config.get().to_owned())
}

fn set_config(store: &Store, text: &str, config: &str) -> Result<String> {
    let VersionParams { version, component_id } = version(text);
    let params = SetConfigParams { version, config: json(config), component_id };
    let stored = store.component_data().set_config(&owner(), &params)?;
    Ok(stored.config.get().to_owned())
}

fn versions(store: &Store) -> Vec<String> {
    let params = ListParams { limit: None, cursor: None, component_id: Some(ID.parse().unwrap()) };
    let page = store.component_data().list(&owner(), &params).unwrap();
    page.items.iter().map(|item| item.version.to_string()).collect()
}

fn tree(root: &Root, text: &str) -> PathBuf {
    root.path().join("components").join(ID).join(format!("v{text}"))
}

/// What is in the yard: everything that is being made or removed.
fn yard(root: &Root) -> usize {
    fs::read_dir(root.path().join("components/.tmp")).unwrap().count()
}

/// Every trick that a component may leave among its files, and two files of 11 bytes.
fn play_tricks(data: &Path) {
    fs::create_dir(data.join("inner")).unwrap();
    fs::write(data.join("inner/file"), "four").unwrap();
    fs::write(data.join("file"), "seven77").unwrap();
    symlink("/etc", data.join("to-etc")).unwrap();
    symlink("../..", data.join("inner/loop")).unwrap();
    mknodat(CWD, data.join("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    UnixListener::bind(data.join("socket")).unwrap();
}

#[test]
fn a_version_is_prepared_once_and_completed() {
    let root = Root::new();
    let store = root.open();
    let prepared = prepare(&store, "1.2.3").unwrap();
    assert!(prepared.created);
    assert_eq!(Path::new(&prepared.path), tree(&root, "1.2"));
    assert_eq!(fs::read_to_string(&prepared.config_path).unwrap(), "{}\n");
    assert!(Path::new(&prepared.data_path).is_dir());
    // Patches share it.
    assert!(!prepare(&store, "1.2.9-beta.1").unwrap().created);
    fs::remove_file(&prepared.config_path).unwrap();
    fs::write(Path::new(&prepared.data_path).join("kept"), "x").unwrap();
    assert!(prepare(&store, "1.2").unwrap().created);
    assert!(Path::new(&prepared.data_path).join("kept").exists());
    prepare(&store, "1.10").unwrap();
    prepare(&store, "0.9").unwrap();
    // Something in the place of a part is not taken for it.
    let config = PathBuf::from(prepare(&store, "0.9").unwrap().config_path);
    fs::remove_file(&config).unwrap();
    fs::create_dir(&config).unwrap();
    assert_eq!(reason(&prepare(&store, "0.9")), ConflictReason::Exists);
    fs::remove_dir(&config).unwrap();
    mknodat(CWD, &config, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    assert_eq!(reason(&prepare(&store, "0.9")), ConflictReason::Exists);
    fs::remove_file(&config).unwrap();
    prepare(&store, "0.9").unwrap();
    assert_eq!(versions(&store), ["0.9", "1.2", "1.10"]);
    assert_eq!(yard(&root), 0);
}

#[test]
fn versions_are_listed_in_pages() {
    let root = Root::new();
    let store = root.open();
    for text in ["1.0", "1.1", "2.0"] {
        prepare(&store, text).unwrap();
    }
    // What the component puts beside them is no version.
    let folder = root.path().join("components").join(ID);
    for name in ["v01.3", "v1.2.3", "v7", "other"] {
        fs::create_dir(folder.join(name)).unwrap();
    }
    symlink("/etc", folder.join("v3.0")).unwrap();
    let component_id = Some(ID.parse().unwrap());
    let mut params = ListParams { limit: Some(Limit(2)), cursor: None, component_id };
    let first = store.component_data().list(&owner(), &params).unwrap();
    params.cursor = first.next_cursor;
    let second = store.component_data().list(&owner(), &params).unwrap();
    assert_eq!((first.items.len(), second.items.len()), (2, 1));
    assert_eq!(second.items[0].version.to_string(), "2.0");
    assert!(second.next_cursor.is_none());
    params.component_id = Some("another".parse().unwrap());
    assert_eq!(code(&store.component_data().list(&owner(), &params)), ErrorCode::ValidationError);
}

#[test]
fn a_configuration_is_replaced_as_a_whole() {
    let root = Root::new();
    let store = root.open();
    assert_eq!(code(&config(&store, "1.0")), ErrorCode::NotFound);
    assert_eq!(code(&set_config(&store, "1.0", "1")), ErrorCode::NotFound);
    prepare(&store, "1.0").unwrap();
    assert_eq!(config(&store, "1.0").unwrap(), "{}");
    let text = r#"{ "b": 1.0, "a": 12345678901234567890 }"#;
    assert_eq!(set_config(&store, "1.0.7", text).unwrap(), text);
    assert_eq!(config(&store, "1.0").unwrap(), text);
    assert_eq!(yard(&root), 0);
}

#[test]
fn a_configuration_is_opened_only_as_a_regular_file() {
    let root = Root::new();
    let store = root.open();
    let path = PathBuf::from(prepare(&store, "1.0").unwrap().config_path);
    let secret = root.path().join("secret.json");
    fs::write(&secret, "1").unwrap();
    fs::remove_file(&path).unwrap();
    symlink(&secret, &path).unwrap();
    assert_eq!(code(&config(&store, "1.0")), ErrorCode::NotFound);
    // To set it replaces the link, and not what it points to.
    set_config(&store, "1.0", "2").unwrap();
    assert_eq!(fs::read_to_string(&secret).unwrap(), "1");
    fs::remove_file(&path).unwrap();
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    assert_eq!(code(&config(&store, "1.0")), ErrorCode::NotFound);
    set_config(&store, "1.0", "3").unwrap();
    assert_eq!(config(&store, "1.0").unwrap(), "3");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(code(&config(&store, "1.0")), ErrorCode::NotFound);
    assert_eq!(reason(&set_config(&store, "1.0", "4")), ConflictReason::Exists);
    fs::remove_dir(&path).unwrap();
    for bad in [&b"{"[..], b"\xff", b"", &vec![b' '; 2 << 20]] {
        fs::write(&path, bad).unwrap();
        assert_eq!(code(&config(&store, "1.0")), ErrorCode::IntegrityError);
    }
}

#[test]
fn a_version_that_is_no_folder_is_not_gone_through() {
    let root = Root::new();
    let store = root.open();
    prepare(&store, "1.0").unwrap();
    let outside = root.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("config.json"), "1").unwrap();
    symlink(&outside, tree(&root, "2.0")).unwrap();
    assert_eq!(reason(&prepare(&store, "2.0")), ConflictReason::Exists);
    assert_eq!(code(&config(&store, "2.0")), ErrorCode::NotFound);
    assert_eq!(code(&usage(&store, Some("2.0"))), ErrorCode::NotFound);
    assert_eq!(code(&migrate(&store, "2.0", "3.0")), ErrorCode::NotFound);
    assert_eq!(reason(&migrate(&store, "1.0", "2.0")), ConflictReason::Exists);
    assert!(remove(&store, "2.0"));
    assert_eq!(fs::read_to_string(outside.join("config.json")).unwrap(), "1");
}

#[test]
fn tricks_do_not_steer_or_hang_counting_copying_and_removing() {
    let root = Root::new();
    let store = root.open();
    play_tricks(Path::new(&prepare(&store, "1.0").unwrap().data_path));
    set_config(&store, "1.0", "[1,2]").unwrap();
    let counted = usage(&store, Some("1.0")).unwrap();
    assert_eq!((counted.files.0, counted.bytes.0, counted.skipped.0), (3, 16, 4));
    let migrated = migrate(&store, "1.0", "2.0").unwrap();
    assert_eq!((migrated.files.0, migrated.bytes.0, migrated.skipped.0), (3, 16, 4));
    let copy = PathBuf::from(&migrated.data_path);
    assert_eq!(fs::read_to_string(copy.join("inner/file")).unwrap(), "four");
    for trick in ["to-etc", "fifo", "socket", "inner/loop"] {
        assert!(fs::symlink_metadata(copy.join(trick)).is_err(), "{trick}");
    }
    assert_eq!(config(&store, "2.0").unwrap(), "[1,2]");
    assert_eq!(usage(&store, None).unwrap().files.0, 6);
    assert!(remove(&store, "1.0"));
    assert!(!remove(&store, "1.0"));
    assert!(Path::new("/etc").is_dir());
    assert_eq!(versions(&store), ["2.0"]);
    assert_eq!(yard(&root), 0);
}

#[test]
fn migrating_never_takes_the_place_of_anything() {
    let root = Root::new();
    let store = root.open();
    let old = prepare(&store, "1.0").unwrap();
    fs::write(Path::new(&old.data_path).join("file"), "old").unwrap();
    fs::write(Path::new(&old.path).join("beside"), "not copied").unwrap();
    // What was prepared and not touched gives way.
    let new = prepare(&store, "2.0").unwrap();
    migrate(&store, "1.0", "2.0").unwrap();
    assert_eq!(fs::read_to_string(Path::new(&new.data_path).join("file")).unwrap(), "old");
    assert!(!Path::new(&new.path).join("beside").exists());
    // The old one is as it was.
    assert_eq!(fs::read_to_string(Path::new(&old.path).join("beside")).unwrap(), "not copied");
    assert_eq!(reason(&migrate(&store, "1.0", "2.0")), ConflictReason::Exists);
    let touched: [fn(&PreparedData); 4] = [
        |new| fs::write(Path::new(&new.data_path).join("file"), "new").unwrap(),
        |new| fs::write(&new.config_path, "{\"a\":1}").unwrap(),
        |new| fs::write(Path::new(&new.path).join("beside"), "new").unwrap(),
        |new| {
            fs::remove_dir(&new.data_path).unwrap();
            symlink("/etc", &new.data_path).unwrap();
        },
    ];
    for (minor, touch) in touched.iter().enumerate() {
        let text = format!("3.{minor}");
        let new = prepare(&store, &text).unwrap();
        touch(&new);
        assert_eq!(reason(&migrate(&store, "1.0", &text)), ConflictReason::Exists, "{text}");
    }
    assert_eq!(fs::read_to_string(tree(&root, "3.0").join("data/file")).unwrap(), "new");
    assert_eq!(code(&migrate(&store, "1.0", "1.0.5")), ErrorCode::ValidationError);
    assert_eq!(code(&migrate(&store, "9.0", "4.0")), ErrorCode::NotFound);
    assert_eq!(yard(&root), 0);
}

/// Copies are a component's to make, and must leave the disk what records need.
#[test]
fn a_copy_leaves_the_disk_its_reserve() {
    let root = Root::new();
    let mut options = root.options();
    options.blobs.disk_reserve_bytes = u64::MAX;
    let store = Store::open(options).unwrap();
    prepare(&store, "1.0").unwrap();
    assert_eq!(code(&migrate(&store, "1.0", "2.0")), ErrorCode::DiskFull);
    assert_eq!(versions(&store), ["1.0"]);
    assert_eq!(yard(&root), 0);
}

#[test]
fn a_copy_that_can_not_be_finished_leaves_nothing() {
    let root = Root::new();
    let store = root.open();
    let mut deep = PathBuf::from(prepare(&store, "1.0").unwrap().data_path);
    for _ in 0..70 {
        deep.push("d");
    }
    fs::create_dir_all(&deep).unwrap();
    assert_eq!(code(&migrate(&store, "1.0", "2.0")), ErrorCode::TooLarge);
    assert_eq!(code(&usage(&store, None)), ErrorCode::TooLarge);
    assert_eq!((versions(&store), yard(&root)), (vec!["1.0".to_owned()], 0));
    assert!(remove(&store, "1.0"));
}

/// A crash while a copy is made leaves it in the yard; one while the prepared target is taken away
/// leaves a part of that.
#[test]
fn what_a_crash_leaves_of_a_migration_is_cleaned_up_or_taken_up() {
    let root = Root::new();
    let store = root.open();
    prepare(&store, "1.0").unwrap();
    set_config(&store, "1.0", "7").unwrap();
    let new = prepare(&store, "2.0").unwrap();
    store.close();
    drop(store);
    let left = root.path().join("components/.tmp/left");
    fs::create_dir(&left).unwrap();
    play_tricks(&left);
    fs::remove_dir(&new.data_path).unwrap();
    let store = root.open();
    // The cleaning goes on beside; a second start finds what it has not reached, or nothing.
    while yard(&root) > 0 {
        std::thread::yield_now();
    }
    assert_eq!(versions(&store), ["1.0", "2.0"]);
    migrate(&store, "1.0", "2.0").unwrap();
    assert_eq!(config(&store, "2.0").unwrap(), "7");
    assert!(Path::new(&new.data_path).is_dir());
}

#[test]
fn a_component_has_its_own_and_no_others() {
    let root = Root::new();
    let store = root.open();
    let weather = component_caller(ID);
    let other = component_caller("../weather");
    let mine = VersionParams { component_id: None, ..version("1.0") };
    let prepared = store.component_data().prepare(&weather, &mine).unwrap();
    assert_eq!(prepared.component_id.as_str(), ID);
    assert!(!store.component_data().prepare(&weather, &version("1.0")).unwrap().created);
    assert_eq!(
        code(&store.component_data().get_config(&other, &version("1.0"))),
        ErrorCode::NotFound
    );
    assert_eq!(code(&store.component_data().remove(&other, &version("1.0"))), ErrorCode::NotFound);
    assert_eq!(code(&store.component_data().prepare(&owner(), &mine)), ErrorCode::ValidationError);
    let others = store.component_data().prepare(&other, &mine).unwrap();
    let its_own = root.path().join("components").join("%2e.%2fweather").join("v1.0");
    assert_eq!(Path::new(&others.path), its_own);
    assert!(tree(&root, "1.0").is_dir());
}
