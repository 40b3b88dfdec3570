//! Many blobs: whether a store of a hundred thousand, or of a million, starts, takes, gives and lists
//! as one of ten thousand does, what a blob takes in the database, and whether the slow look for
//! files without a row, which follows a start, is felt.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::peers::Load;
use crate::bench::Bench;
use crate::client::Client;
use crate::daemon::{Daemon, Root};
use crate::framing::{Protocol, Request};
use crate::measure::median;
use crate::table::{Bound, Figure, Row, Table};

const FEW: usize = 10_000;
const CALLERS: usize = 16;
/// How many contents one `blobs.putMany` takes.
const PUT_AT_ONCE: usize = 1000;
const SEEDING_CONNECTIONS: usize = 4;
/// So many of the contents, spread evenly, are of 4 KiB, and are read; the others are short.
const READ: usize = 10_000;
const READ_BYTES: usize = 4 << 10;
const SHORT_BYTES: usize = 100;
/// What a blob takes of the disk, with some to spare.
const DISK_BYTES_EACH: u64 = 8 << 10;
/// At most 1.5 times the cost is at least two thirds of the speed.
const AIM: Bound = Bound::RatioAtLeast(0.67);
const ROUNDS: usize = 3;
/// The thread that looks for files without a row.
const LOOKER: &str = "blob-keeper";
/// It rests for a twentieth of this between two slices: who sees it do nothing for so long sees it
/// done.
const LOOK_IS_OVER: Duration = Duration::from_secs(1);
/// A look that has not begun by then is not waited for: the daemon looks once a minute.
const BEGIN_LIMIT: Duration = Duration::from_secs(70);
const LOOK_LIMIT: Duration = Duration::from_secs(600);

pub(crate) fn hundred_thousand(bench: &Bench, table: &mut Table) -> Result<(), String> {
    measure(bench, table, "100,000", 100_000)
}

pub(crate) fn million(bench: &Bench, table: &mut Table) -> Result<(), String> {
    measure(bench, table, "1,000,000", 1_000_000)
}

fn measure(bench: &Bench, table: &mut Table, name: &str, count: usize) -> Result<(), String> {
    if bench.quick {
        table.left_out(format!("{name} blobs"), "not in a quick run");
        return Ok(());
    }
    if bench.free_bytes() < count as u64 * DISK_BYTES_EACH {
        table.left_out(format!("{name} blobs"), "too little of the disk is free");
        return Ok(());
    }
    let few = Store::seed(bench, FEW)?;
    let many = Store::seed(bench, count)?;
    table.add(
        Row::new(
            format!("contents of {SHORT_BYTES} B, {PUT_AT_ONCE} a call, until {name} are there"),
            Figure::PerSecond(many.seeded_per_second),
        )
        .against("until 10,000 are", Figure::PerSecond(few.seeded_per_second))
        .aim(AIM),
    );
    starts(bench, table, name, &many)?;
    let daemon = look(bench, table, name, &many)?;
    beside_few(bench, table, name, (&many, daemon), &few)
}

/// From start to ready.
fn starts(bench: &Bench, table: &mut Table, name: &str, store: &Store) -> Result<(), String> {
    let (mut clean, mut killed) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (daemon, took) = Daemon::start(&store.root)?;
        clean.push(took.as_secs_f64() * 1e3);
        // What is put just before the kill must be recovered from the WAL, or be removed.
        load(&daemon, &store.puts).run(bench)?;
        daemon.kill()?;
        let (daemon, took) = Daemon::start(&store.root)?;
        killed.push(took.as_secs_f64() * 1e3);
        daemon.stop()?;
    }
    table.add(
        Row::new(format!("start, {name} blobs, clean"), Figure::Millis(median(clean)))
            .aim(Bound::Below(50.0)),
    );
    table.add(
        Row::new(format!("start, {name} blobs, after kill -9"), Figure::Millis(median(killed)))
            .aim(Bound::Below(300.0)),
    );
    Ok(())
}

/// What the look that follows a start costs those who call meanwhile; the daemon, its look over.
fn look(bench: &Bench, table: &mut Table, name: &str, store: &Store) -> Result<Daemon, String> {
    let (daemon, _) = Daemon::start(&store.root)?;
    until_it_looks(&daemon);
    let begin = Instant::now();
    let speeds = || -> Result<_, String> {
        let [gets, puts] = [&store.gets, &store.puts].map(|calls| load(&daemon, calls).run(bench));
        Ok([gets?.per_second, puts?.per_second])
    };
    let meanwhile = speeds()?;
    if daemon.thread_rests(LOOKER).is_none() {
        table.left_out("the look after a start", "the system does not say what a thread does");
        return Ok(daemon);
    }
    let took = begin.elapsed() + until_looked(&daemon)?;
    let after = speeds()?;
    let processor = daemon.thread_seconds(LOOKER).unwrap_or(f64::NAN);
    let detail = format!("it took {:.1} s, {processor:.2} s of a core", took.as_secs_f64());
    for ((what, meanwhile), after) in ["GET", "PUT"].into_iter().zip(meanwhile).zip(after) {
        table.add(
            Row::new(
                format!("{what} of 4 KiB during the look at {name}, {CALLERS} callers"),
                Figure::PerSecond(meanwhile),
            )
            .against("after it", Figure::PerSecond(after))
            .aim(Bound::RatioAtLeast(0.9))
            .detail(detail.as_str()),
        );
    }
    Ok(daemon)
}

/// Waits until the look has begun: where the key was not loaded when the daemon looked first, it looks again
/// after its interval.
fn until_it_looks(daemon: &Daemon) {
    const RESTS: u64 = 5;
    let begin = Instant::now();
    let before = daemon.thread_rests(LOOKER);
    while begin.elapsed() < BEGIN_LIMIT {
        let rests = daemon.thread_rests(LOOKER).zip(before).map(|(now, before)| now - before);
        if rests.is_none_or(|rests| rests >= RESTS) {
            return;
        }
        std::thread::sleep(LOOK_IS_OVER / 10);
    }
}

/// Waits until the look is over; how long that took.
fn until_looked(daemon: &Daemon) -> Result<Duration, String> {
    let begin = Instant::now();
    let mut before = None;
    while begin.elapsed() < LOOK_LIMIT {
        let now = daemon.thread_rests(LOOKER);
        if now == before {
            return Ok(begin.elapsed().saturating_sub(LOOK_IS_OVER));
        }
        before = now;
        std::thread::sleep(LOOK_IS_OVER);
    }
    Err("the look for files without a row did not end".to_owned())
}

/// The same calls to both stores, in turns.
fn beside_few(
    bench: &Bench,
    table: &mut Table,
    name: &str,
    (many, daemon): (&Store, Daemon),
    few: &Store,
) -> Result<(), String> {
    const AMONG_FEW: &str = "among 10,000";
    let (few_daemon, _) = Daemon::start(&few.root)?;
    if few_daemon.thread_rests(LOOKER).is_some() {
        until_looked(&few_daemon)?;
    }
    type Asked = fn(&Store) -> &Requests;
    let rows: [(&str, Asked); 4] = [
        ("GET /blobs of 4 KiB", |store| &store.gets),
        ("PUT /blobs of 4 KiB", |store| &store.puts),
        ("blobs.list, first page", |store| &store.newest),
        ("blobs.list of the unpinned", |store| &store.unpinned),
    ];
    for (what, requests) in rows {
        let what = format!("{what}, {name}, {CALLERS} callers");
        let among_few = load(&few_daemon, requests(few));
        let other = || Ok(among_few.run(bench)?.per_second);
        let row = load(&daemon, requests(many)).beside(bench, &what, AMONG_FEW, other);
        table.add_or_fail(what, row.map(|row| row.aim(AIM)));
    }
    let (many, few) = (many.bytes_each(daemon)?, few.bytes_each(few_daemon)?);
    table.add(
        Row::new(format!("database, per blob of {name}"), Figure::Bytes(many))
            .against(AMONG_FEW, Figure::Bytes(few)),
    );
    Ok(())
}

/// Calls of one kind.
struct Requests {
    protocol: Protocol,
    requests: Vec<Request>,
}

fn load<'a>(daemon: &'a Daemon, calls: &'a Requests) -> Load<'a> {
    let Requests { protocol, requests } = calls;
    Load { socket: daemon.socket(), protocol: *protocol, requests, callers: CALLERS }
}

/// A root with blobs, and what is asked of it.
struct Store {
    root: Root,
    seeded_per_second: f64,
    gets: Requests,
    puts: Requests,
    newest: Requests,
    unpinned: Requests,
}

impl Store {
    /// Makes one of `count` contents.
    fn seed(bench: &Bench, count: usize) -> Result<Self, String> {
        let root = Root::new(bench.directory())?;
        let (daemon, _) = Daemon::start(&root)?;
        let batches = count / PUT_AT_ONCE;
        let begin = Instant::now();
        let gets = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..SEEDING_CONNECTIONS)
                .map(|first| {
                    let daemon = &daemon;
                    scope.spawn(move || {
                        let mut client = daemon.client()?;
                        let mut gets = Vec::new();
                        for batch in (first..batches).step_by(SEEDING_CONNECTIONS) {
                            put_batch(&mut client, batch, READ / batches, &mut gets)?;
                        }
                        Ok::<_, String>(gets)
                    })
                })
                .collect();
            let mut all = Vec::new();
            for thread in threads {
                all.extend(thread.join().map_err(|_| "a seeding thread panicked")??);
            }
            Ok::<_, String>(all)
        })?;
        let seeded_per_second = count as f64 / begin.elapsed().as_secs_f64();
        daemon.stop()?;
        let over_http = |requests| Requests { protocol: Protocol::Http, requests };
        let list = |params| {
            let protocol = Protocol::JsonRpc;
            Requests { protocol, requests: vec![Request::call(protocol, "blobs.list", params)] }
        };
        Ok(Self {
            root,
            seeded_per_second,
            gets: over_http(gets),
            puts: over_http(vec![Request::put_blob(&[b'p'; READ_BYTES])]),
            newest: list("{}"),
            unpinned: list(r#"{"pinned":false}"#),
        })
    }

    /// Stops the daemon; the bytes of the database for each blob.
    fn bytes_each(&self, daemon: Daemon) -> Result<f64, String> {
        let usage = daemon.client()?.call("blobs.usage", "{}")?;
        let count = usage["count"].as_f64().ok_or("blobs.usage says no count")?;
        daemon.stop()?;
        Ok(self.root.database_bytes() as f64 / count)
    }
}

/// Puts a batch, the first `read` of it of 4 KiB, whose reads are added to `gets`.
fn put_batch(
    client: &mut Client,
    batch: usize,
    read: usize,
    gets: &mut Vec<Request>,
) -> Result<(), String> {
    let items: Vec<String> = (0..PUT_AT_ONCE)
        .map(|number| {
            let length = if number < read { READ_BYTES } else { SHORT_BYTES };
            let content = format!("{:0>length$}", batch * PUT_AT_ONCE + number);
            format!(r#"{{"data":"{}"}}"#, STANDARD.encode(content))
        })
        .collect();
    let answer = client.call("blobs.putMany", &format!(r#"{{"items":[{}]}}"#, items.join(",")))?;
    let items = answer["items"].as_array().ok_or("blobs.putMany answers no items")?;
    for item in items.iter().take(read) {
        let hash = item["hash"].as_str().ok_or("blobs.putMany answers no hash")?;
        gets.push(Request::get_blob(hash));
    }
    Ok(())
}
