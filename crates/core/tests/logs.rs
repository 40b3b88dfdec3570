//! The components' logs: written in time, rotated, compressed, searched from either end.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;

use common::{Root, START, code, component_caller, json, owner};
use osnova_storage_api::ErrorCode;
use osnova_storage_api::components::Direction;
use osnova_storage_api::logs::{
    AppendParams, LogEntry, LogInput, LogLevel, LogPage, LogRotated, LogTail, QueryParams,
    RotateParams, TailParams,
};
use osnova_storage_api::status::Health;
use osnova_storage_api::wire::{Accepted, Cursor, Limit, TimestampMs};
use osnova_storage_core::Store;
use osnova_storage_core::error::Result;
use osnova_storage_core::logs::LogLimits;
use proptest::prelude::*;

const ID: &str = "@scope/Weather";
/// Its name in that of its files.
const NAME: &str = "%40scope%2f%57eather";
const NEVER: Duration = Duration::from_secs(3600);

/// Nothing is written but by reading, rotating or closing.
fn open(root: &Root, limits: LogLimits) -> Store {
    let mut options = root.options();
    options.database.queue.flush_interval = NEVER;
    options.logs = limits;
    Store::open(options).unwrap()
}

fn small() -> LogLimits {
    LogLimits { rotate_bytes: 1000, ..LogLimits::default() }
}

fn entry(message: &str) -> LogInput {
    let message = message.parse().unwrap();
    LogInput { level: LogLevel::Info, message, timestamp_ms: None, fields: None }
}

fn append(store: &Store, entries: Vec<LogInput>) -> Result<Accepted> {
    let component_id = Some(ID.parse().unwrap());
    store.logs().append(&owner(), &AppendParams { entries, component_id })
}

fn say(store: &Store, messages: &[&str]) {
    append(store, messages.iter().map(|message| entry(message)).collect()).unwrap();
}

fn tail(store: &Store, lines: u16) -> LogTail {
    let component_id = Some(ID.parse().unwrap());
    let params = TailParams { lines: Some(Limit(lines)), component_id };
    store.logs().tail(&owner(), &params).unwrap()
}

fn rotate(store: &Store) -> LogRotated {
    let component_id = Some(ID.parse().unwrap());
    store.logs().rotate(&owner(), &RotateParams { component_id }).unwrap()
}

fn everything() -> QueryParams {
    QueryParams {
        level: None,
        from_ms: None,
        to_ms: None,
        text: None,
        limit: None,
        cursor: None,
        direction: None,
        component_id: Some(ID.parse().unwrap()),
    }
}

fn query(store: &Store, params: &QueryParams) -> LogPage {
    store.logs().query(&owner(), params).unwrap()
}

/// All pages of a query.
fn all(store: &Store, mut params: QueryParams) -> Vec<String> {
    let mut found = Vec::new();
    loop {
        let page = query(store, &params);
        found.extend(messages(&page.items));
        params.cursor = page.next_cursor;
        if params.cursor.is_none() {
            return found;
        }
    }
}

fn forth() -> QueryParams {
    QueryParams { direction: Some(Direction::Ascending), ..everything() }
}

fn messages(items: &[LogEntry]) -> Vec<String> {
    items.iter().map(|entry| entry.message.as_str().to_owned()).collect()
}

fn folder(root: &Root) -> PathBuf {
    root.path().join("logs/components")
}

/// The files of the log, without the name of the component.
fn files(root: &Root) -> Vec<String> {
    let names = fs::read_dir(folder(root)).unwrap();
    let mut names: Vec<String> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|name| name.strip_prefix(NAME).unwrap().to_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn what_was_appended_is_read_at_once_and_as_it_was() {
    let root = Root::new();
    let store = open(&root, LogLimits::default());
    assert_eq!(tail(&store, 10).items, []);
    assert_eq!(query(&store, &everything()).items, []);
    let full = LogInput {
        level: LogLevel::Error,
        message: "two\nlines, \"quoted\"".parse().unwrap(),
        timestamp_ms: Some(TimestampMs(5)),
        fields: Some(json("{\n  \"n\": 1.0,\r\n  \"big\": 12345678901234567890 }")),
    };
    append(&store, vec![full, entry("second")]).unwrap();
    let items = tail(&store, 10).items;
    assert_eq!(items[0].message.as_str(), "two\nlines, \"quoted\"");
    assert_eq!((items[0].timestamp_ms.0, items[0].level), (5, LogLevel::Error));
    let fields = items[0].fields.as_ref().unwrap().get();
    assert_eq!(fields, "{   \"n\": 1.0,    \"big\": 12345678901234567890 }");
    // Without a time of its own it has that of the call.
    assert_eq!(items[1].timestamp_ms.0, START * 1000);
    let text = fs::read_to_string(folder(&root).join(format!("{NAME}.log"))).unwrap();
    assert_eq!(text.lines().count(), 2);
    assert_eq!(messages(&tail(&store, 1).items), ["second"]);
}

#[test]
fn it_is_written_after_the_interval_and_at_a_clean_stop() {
    let root = Root::new();
    let mut options = root.options();
    options.database.queue.flush_interval = Duration::from_millis(1);
    let store = Store::open(options).unwrap();
    say(&store, &["soon"]);
    let present = folder(&root).join(format!("{NAME}.log"));
    while fs::read_to_string(&present).map_or(0, |text| text.lines().count()) < 1 {
        std::thread::yield_now();
    }
    drop(store);
    let store = open(&root, LogLimits::default());
    say(&store, &["at the end"]);
    assert!(!fs::read_to_string(&present).unwrap().contains("at the end"));
    store.close();
    assert!(fs::read_to_string(&present).unwrap().contains("at the end"));
    assert_eq!(code(&append(&store, vec![entry("late")])), ErrorCode::Unavailable);
}

#[test]
fn too_much_is_refused_and_does_not_wait() {
    let root = Root::new();
    let store = open(&root, LogLimits::default());
    let fields = Some(json(&format!("\"{}\"", "x".repeat(300 << 10))));
    let refused = append(&store, vec![entry("short"), LogInput { fields, ..entry("long") }]);
    assert_eq!(common::fields(&refused.unwrap_err()), ["entries.1"]);
    assert_eq!(tail(&store, 10).items, []);
    let long = entry(&"x".repeat(60_000));
    let much = || vec![long.clone(); 30];
    // The second wakes the thread, which writes meanwhile; so often as nobody can write it is full.
    let refused = append(&store, vec![long.clone(); 40]);
    assert_eq!(code(&refused), ErrorCode::TooLarge);
    append(&store, much()).unwrap();
    assert_eq!(tail(&store, 1000).items.len(), 30);
}

#[test]
fn a_log_that_can_not_be_written_is_kept_in_memory_and_said_in_the_status() {
    let root = Root::new();
    let mut options = root.options();
    options.database.queue.flush_interval = Duration::from_millis(1);
    let store = Store::open(options).unwrap();
    let present = folder(&root).join(format!("{NAME}.log"));
    fs::create_dir(&present).unwrap();
    say(&store, &["kept"]);
    while common::status(&store) == Health::Ok {
        std::thread::yield_now();
    }
    assert_eq!(tail(&store, 10).items, []);
    fs::remove_dir(&present).unwrap();
    assert_eq!(messages(&tail(&store, 10).items), ["kept"]);
    // The thread finds out when it writes the next time.
    while common::status(&store) != Health::Ok {
        say(&store, &["more"]);
        std::thread::yield_now();
    }
}

#[test]
fn a_query_takes_what_its_filter_says() {
    let root = Root::new();
    let store = open(&root, LogLimits::default());
    let levels =
        [LogLevel::Trace, LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Error];
    let entries = levels.iter().enumerate().map(|(number, level)| LogInput {
        level: *level,
        message: format!("Message ÄB {number}").parse().unwrap(),
        timestamp_ms: Some(TimestampMs(1000 + number as i64)),
        fields: match number {
            3 => Some(json(r#"{"Ort":["Nieder\u00dcngling"],"\u00C9tat":"a\\nb"}"#)),
            4 => Some(json(r#"{"Station":"Tegel"}"#)),
            _ => None,
        },
    });
    append(&store, entries.collect()).unwrap();
    let found = |params: QueryParams| {
        let numbers = all(&store, QueryParams { direction: Some(Direction::Ascending), ..params });
        numbers.iter().map(|text| text.rsplit(' ').next().unwrap().parse().unwrap()).collect()
    };
    let found: &dyn Fn(QueryParams) -> Vec<usize> = &found;
    let time = |ms| Some(TimestampMs(ms));
    assert_eq!(found(everything()), [0, 1, 2, 3, 4]);
    assert_eq!(found(QueryParams { level: Some(LogLevel::Warn), ..everything() }), [3, 4]);
    assert_eq!(found(QueryParams { level: Some(LogLevel::Trace), ..everything() }).len(), 5);
    // Half open.
    let range = QueryParams { from_ms: time(1001), to_ms: time(1003), ..everything() };
    assert_eq!(found(range), [1, 2]);
    let text = |text: &str| QueryParams { text: Some(text.parse().unwrap()), ..everything() };
    assert_eq!(found(text("äb 2")), [2]);
    assert_eq!(found(text("tegel")), [4]);
    assert_eq!(found(text("nowhere")), Vec::<usize>::new());
    // Python's json writes what is beyond ASCII as escapes.
    assert_eq!(found(text("niederüng")), [3]);
    assert_eq!(found(text("état")), [3]);
    assert_eq!(found(text("A\\NB")), [3]);
    assert_eq!(found(text("u00dc")), Vec::<usize>::new());
    let both = QueryParams { level: Some(LogLevel::Error), ..text("MESSAGE") };
    assert_eq!(found(both), [4]);
    // The newest first where nothing else is said.
    assert_eq!(messages(&query(&store, &everything()).items)[0], "Message ÄB 4");
}

#[test]
fn files_are_closed_compressed_and_dropped_and_searched_all_the_same() {
    let root = Root::new();
    let store = open(&root, LogLimits { keep_files: 3, ..small() });
    let expected: Vec<String> = (0..61).map(|number| format!("message {number}")).collect();
    for message in &expected {
        say(&store, &[message, &"x".repeat(100)]);
        tail(&store, 1);
    }
    let compressed = files(&root);
    assert_eq!(compressed.len(), 4, "{compressed:?}");
    assert!(compressed[1..].iter().all(|name| name.ends_with(".zst")), "{compressed:?}");
    assert_eq!(compressed[0], ".log");
    let found = all(&store, QueryParams { limit: Some(Limit(7)), ..forth() });
    let numbered: Vec<&String> = found.iter().filter(|text| text.starts_with("message")).collect();
    // The last ones without a gap.
    assert!(numbered.len() > 10);
    assert!(expected.iter().rev().zip(numbered.iter().rev()).all(|(a, b)| a == *b));
    let mut back = all(&store, QueryParams { limit: Some(Limit(7)), ..everything() });
    back.reverse();
    assert_eq!(back, found);
    // Rotating goes on, and stops where there is nothing more to close.
    let rotated = rotate(&store);
    assert!(rotated.rotated);
    assert_eq!(rotated.files.0, 3);
    assert!(!rotate(&store).rotated);
    assert_eq!(all(&store, forth()).last().unwrap(), &"x".repeat(100));
    assert_eq!(messages(&tail(&store, 2).items)[0], "message 60");
    let mode = |name: &str| {
        use std::os::unix::fs::PermissionsExt;
        let path = folder(&root).join(format!("{NAME}{name}"));
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(mode(&files(&root)[0]), 0o600);
}

#[test]
fn a_file_that_is_old_is_closed_before_it_grows() {
    let root = Root::new();
    // The age of a file is told by its file system, which goes by the system's clock.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    root.clock.set(i64::try_from(now.as_secs()).unwrap());
    let store = open(&root, LogLimits { rotate_age: Duration::from_secs(3600), ..small() });
    say(&store, &["first"]);
    tail(&store, 1);
    root.clock.advance(3000);
    say(&store, &["second"]);
    tail(&store, 1);
    assert_eq!(files(&root), [".log"]);
    root.clock.advance(1000);
    say(&store, &["third"]);
    assert_eq!(messages(&tail(&store, 9).items), ["first", "second", "third"]);
    assert_eq!(files(&root), [".log", ".log.1.zst"]);
}

#[test]
fn a_cursor_goes_on_where_it_was_though_files_are_closed_and_dropped_meanwhile() {
    let root = Root::new();
    let store = open(&root, LogLimits { keep_files: 2, ..LogLimits::default() });
    say(&store, &["a", "b", "c", "d"]);
    let two = |cursor: Option<Cursor>, params: QueryParams| {
        let page = query(&store, &QueryParams { limit: Some(Limit(2)), cursor, ..params });
        (messages(&page.items), page.next_cursor)
    };
    let (found, cursor) = two(None, forth());
    assert_eq!(found, ["a", "b"]);
    let (found, back) = two(None, everything());
    assert_eq!(found, ["d", "c"]);
    rotate(&store);
    say(&store, &["e"]);
    let (found, cursor) = two(cursor, forth());
    assert_eq!(found, ["c", "d"]);
    let (found, cursor) = two(cursor, forth());
    assert_eq!((found, cursor), (vec!["e".to_owned()], None));
    assert_eq!(two(back.clone(), everything()).0, ["b", "a"]);
    // The file that a cursor stands in may be gone.
    for message in ["f", "g"] {
        rotate(&store);
        say(&store, &[message]);
    }
    assert_eq!(two(back.clone(), everything()).0, Vec::<String>::new());
    // A cursor is one of its query alone.
    let foreign = QueryParams { cursor: back, level: Some(LogLevel::Warn), ..everything() };
    assert_eq!(code(&store.logs().query(&owner(), &foreign)), ErrorCode::ValidationError);
}

#[test]
fn whoever_follows_a_log_misses_nothing() {
    let root = Root::new();
    let store = open(&root, LogLimits::default());
    let mut position = tail(&store, 10).position;
    let mut seen = Vec::new();
    for round in 0..4 {
        say(&store, &[&format!("{round} a"), &format!("{round} b")]);
        if round == 2 {
            rotate(&store);
        }
        let page = query(&store, &QueryParams { cursor: Some(position), ..forth() });
        assert!(page.next_cursor.is_none());
        seen.extend(messages(&page.items));
        position = page.position.unwrap();
    }
    assert_eq!(seen.len(), 8);
    assert_eq!(seen, all(&store, forth()));
    let page = query(&store, &QueryParams { cursor: Some(position), ..forth() });
    assert_eq!(page.items, []);
    // One that begins where the log has already an end goes on there.
    let position = tail(&store, 1).position;
    say(&store, &["later"]);
    let page = query(&store, &QueryParams { cursor: Some(position), ..forth() });
    assert_eq!(messages(&page.items), ["later"]);
}

#[test]
fn a_line_that_a_crash_has_torn_is_passed_over_and_spoils_no_other() {
    let root = Root::new();
    let store = open(&root, LogLimits::default());
    say(&store, &["before"]);
    let position = tail(&store, 1).position;
    drop(store);
    let present = folder(&root).join(format!("{NAME}.log"));
    let mut text = fs::read_to_string(&present).unwrap();
    text.push_str("{\"timestampMs\":1,\"level\":\"info\",\"mess");
    fs::write(&present, &text).unwrap();
    let store = open(&root, LogLimits::default());
    assert_eq!(messages(&tail(&store, 10).items), ["before"]);
    assert_eq!(all(&store, forth()), ["before"]);
    say(&store, &["after"]);
    assert_eq!(messages(&tail(&store, 10).items), ["before", "after"]);
    let page = query(&store, &QueryParams { cursor: Some(position), ..forth() });
    assert_eq!(messages(&page.items), ["after"]);
}

#[test]
fn a_compression_that_a_crash_has_ended_is_begun_again() {
    let root = Root::new();
    let store = open(&root, LogLimits::default());
    say(&store, &["one"]);
    tail(&store, 1);
    store.close();
    drop(store);
    let path = |name: &str| folder(&root).join(format!("{NAME}{name}"));
    fs::rename(path(".log"), path(".log.1")).unwrap();
    fs::write(path(".log.1.zst.tmp"), "half").unwrap();
    let store = open(&root, LogLimits::default());
    while files(&root) != [".log.1.zst"] {
        std::thread::yield_now();
    }
    assert_eq!(all(&store, forth()), ["one"]);
    // Both are there where the crash came between the two: one is read.
    drop(store);
    let text = zstd::decode_all(fs::File::open(path(".log.1.zst")).unwrap()).unwrap();
    fs::write(path(".log.1"), text).unwrap();
    let store = open(&root, LogLimits::default());
    assert_eq!(all(&store, forth()), ["one"]);
}

#[test]
fn links_and_folders_among_the_files_lead_nowhere() {
    let root = Root::new();
    let store = open(&root, LogLimits::default());
    let outside = root.path().join("outside");
    fs::write(&outside, "kept").unwrap();
    let path = |name: &str| folder(&root).join(format!("{NAME}{name}"));
    symlink(&outside, path(".log")).unwrap();
    symlink(&outside, path(".log.1.zst")).unwrap();
    fs::create_dir(path(".log.2")).unwrap();
    fs::write(path(".log.3.zst"), "no log of ours").unwrap();
    say(&store, &["never there"]);
    assert_eq!(tail(&store, 10).items, []);
    assert_eq!(all(&store, forth()), Vec::<String>::new());
    assert_eq!(fs::read_to_string(&outside).unwrap(), "kept");
    fs::remove_file(path(".log")).unwrap();
    assert_eq!(messages(&tail(&store, 10).items), ["never there"]);
}

#[test]
fn a_search_ends_at_its_bound_and_goes_on_by_its_cursor() {
    let root = Root::new();
    let store = open(&root, LogLimits { rotate_bytes: 20 << 20, ..LogLimits::default() });
    say(&store, &["needle"]);
    let hay = "x".repeat(60_000);
    // 36 MB, over two files.
    for _ in 0..20 {
        append(&store, vec![entry(&hay); 30]).unwrap();
        tail(&store, 1);
    }
    let params = QueryParams { text: Some("needle".parse().unwrap()), ..everything() };
    let first = query(&store, &params);
    assert_eq!(first.items, []);
    let second = query(&store, &QueryParams { cursor: first.next_cursor, ..params });
    assert_eq!(messages(&second.items), ["needle"]);
    assert!(second.next_cursor.is_none());
    // A page of large entries is closed before its answer is too large.
    let page = query(&store, &QueryParams { limit: Some(Limit(1000)), ..everything() });
    assert!(page.items.len() > 100 && page.items.len() < 200);
    assert!(page.next_cursor.is_some());
}

#[test]
fn a_component_has_its_own_log_and_no_others() {
    let root = Root::new();
    let store = open(&root, LogLimits::default());
    let weather = component_caller(ID);
    let entries = vec![entry("mine")];
    store.logs().append(&weather, &AppendParams { entries, component_id: None }).unwrap();
    let ask = |id: &str, named: Option<&str>| {
        let component_id = named.map(|id| id.parse().unwrap());
        store.logs().tail(&component_caller(id), &TailParams { lines: None, component_id })
    };
    assert_eq!(messages(&ask(ID, None).unwrap().items), ["mine"]);
    assert_eq!(ask("other", None).unwrap().items, []);
    assert_eq!(code(&ask("other", Some(ID))), ErrorCode::NotFound);
    // Ids that look like names of files are others all the same.
    for id in [&format!("{ID}.log"), &format!("{ID}.log.1"), "@scope/weather"] {
        assert_eq!(ask(id, None).unwrap().items, [], "{id}");
    }
    let unnamed = store.logs().tail(&owner(), &TailParams { lines: None, component_id: None });
    assert_eq!(code(&unnamed), ErrorCode::ValidationError);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever is appended, rotated and reopened in whatever order, and in whatever steps it is read,
    /// each entry is there once, in its order.
    #[test]
    fn every_entry_is_found_once_in_its_order(
        steps in proptest::collection::vec((0..4_u8, 1..40_usize), 1..25),
        limit in 1..9_u16,
    ) {
        let root = Root::new();
        let limits = LogLimits { keep_files: 100, ..small() };
        let mut store = open(&root, limits);
        let mut expected = Vec::new();
        for (step, count) in steps {
            match step {
                0 => drop(rotate(&store)),
                1 => {
                    drop(store);
                    store = open(&root, limits);
                }
                _ => {
                    let fresh: Vec<String> = (0..count)
                        .map(|number| format!("{} {}", expected.len() + number, "x".repeat(count)))
                        .collect();
                    append(&store, fresh.iter().map(|text| entry(text)).collect()).unwrap();
                    expected.extend(fresh);
                }
            }
        }
        let limit = Some(Limit(limit));
        prop_assert_eq!(&all(&store, QueryParams { limit, ..forth() }), &expected);
        let mut back = all(&store, QueryParams { limit, ..everything() });
        back.reverse();
        prop_assert_eq!(&back, &expected);
        let last: Vec<String> = expected.iter().rev().take(5).rev().cloned().collect();
        prop_assert_eq!(messages(&tail(&store, 5).items), last);
    }
}
