//! Durable writes: how many the daemon takes, beside PostgreSQL, Redis and a commit per write;
//! what one of them costs, beside what the disk takes; what a batch of them costs, beside one.

use std::cell::RefCell;
use std::time::Instant;

use super::connections;
use super::peers::{self, Load};
use crate::bench::Bench;
use crate::client::envelope;
use crate::daemon::{Daemon, Root};
use crate::framing::Protocol;
use crate::limits;
use crate::load;
use crate::measure::{in_turns, median};
use crate::postgres::Script;
use crate::records;
use crate::redis::Redis;
use crate::table::{Bound, Figure, Row, Table};

/// Connections, and how many times PostgreSQL's durable updates ours shall be.
const AIMS: [(usize, f64); 4] = [(1, 1.0), (16, 1.4), (64, 2.5), (256, 4.0)];
const MANY: usize = 64;
const BATCH: usize = 100;
/// How often a batch and one write are sent in turns, per round.
const BATCH_TURNS: usize = 40;

/// Durable single-record writes of 2 KB.
pub(crate) fn many(bench: &Bench, table: &mut Table) -> Result<(), String> {
    let root = Root::new(bench.directory())?;
    let (daemon, _) = Daemon::start(&root)?;
    records::seed_components(&mut daemon.client()?, 0, records::RECORDS)?;
    let sets = records::sets(Protocol::JsonRpc);
    let puts = records::puts(Protocol::JsonRpc, records::RECORDS);
    let many = Load {
        socket: daemon.socket(),
        protocol: Protocol::JsonRpc,
        requests: &sets,
        callers: MANY,
    };
    // The first sets insert; all that follow update, as pgbench's do.
    many.run(bench)?;
    for (method, requests) in
        [("preferences.set of 2 KB", &sets), ("components.put of 2 KB", &puts)]
    {
        let ours = (&daemon, method, requests.as_slice());
        peers::beside_postgres(bench, table, ours, Script::Update, AIMS);
    }
    let what = format!("preferences.set of 2 KB, {}", connections(MANY));
    let row = many.beside(bench, &what, "commit per write", || {
        Ok(limits::commit_per_write(&root.data(), bench.duration())?.per_second)
    });
    table.add_or_fail(what.clone(), row.map(|row| row.aim(Bound::RatioAtLeast(14.0))));
    match Redis::start(bench.directory()) {
        Ok(redis) => {
            let row = many.beside(bench, &what, "Redis, fsync always", || {
                Ok(redis.sets(bench.plan(MANY))?.per_second)
            });
            table.add_or_fail(what, row.map(|row| row.aim(Bound::RatioAtLeast(0.8))));
        }
        Err(why) => table.left_out(format!("{what}, against Redis"), why),
    }
    let requests = records::sets(Protocol::WebSocket);
    let shared = Load { protocol: Protocol::WebSocket, requests: &requests, ..many };
    let what = format!("preferences.set of 2 KB, {MANY} on one WebSocket");
    let row = shared.beside(bench, &what, "own connections", || Ok(many.run(bench)?.per_second));
    table.add_or_fail(what, row);
    daemon.stop()
}

/// One caller's durable `preferences.set`.
pub(crate) fn one(bench: &Bench, table: &mut Table) -> Result<(), String> {
    let root = Root::new(bench.directory())?;
    let (daemon, _) = Daemon::start(&root)?;
    let requests = records::small_sets(Protocol::JsonRpc);
    let plan = bench.plan(1);
    let last = RefCell::new([String::new(), String::new()]);
    let (ours, disk) = in_turns(
        bench.rounds(),
        || {
            let set = load::run(daemon.socket(), Protocol::JsonRpc, &requests, plan)?;
            last.borrow_mut()[0] = set.percentiles();
            Ok(set.p95_ms)
        },
        || {
            let limit = limits::in_place_writes(&root.data(), plan.duration)?;
            last.borrow_mut()[1] = limit.percentiles();
            Ok(limit.p95_ms)
        },
    )?;
    let [set, limit] = last.take();
    table.add(
        Row::new("preferences.set, p95", Figure::Millis(ours))
            .against("8 KiB + fdatasync", Figure::Millis(disk))
            .aim(Bound::RatioAtMostPlus(1.5, 0.2))
            .floor(Bound::Below(10.0))
            .detail(format!("{set}; disk {limit}")),
    );
    daemon.stop()
}

/// A JSON-RPC batch of 100 writes, in turns with one write.
pub(crate) fn batch(bench: &Bench, table: &mut Table) -> Result<(), String> {
    let root = Root::new(bench.directory())?;
    let (daemon, _) = Daemon::start(&root)?;
    let mut client = daemon.client()?;
    let (mut batches, mut singles) = (Vec::new(), Vec::new());
    for turn in 0..BATCH_TURNS * bench.rounds() {
        let batch = records::batch_of_sets(BATCH, turn);
        let begin = Instant::now();
        client.batch(&batch)?;
        batches.push(begin.elapsed().as_secs_f64() * 1e3);
        let value = format!(r#"{{"turn":{turn}}}"#);
        let single = envelope("preferences.set", &records::set_params(turn, &value));
        let begin = Instant::now();
        let answer = client.post(single.as_bytes())?;
        singles.push(begin.elapsed().as_secs_f64() * 1e3);
        if crate::framing::find(&answer, b"\"result\":").is_none() {
            return Err(crate::framing::failure(200, &answer));
        }
    }
    table.add(
        Row::new("batch of 100 preferences.set, p50", Figure::Millis(median(batches)))
            .against("one, p50", Figure::Millis(median(singles)))
            .aim(Bound::RatioAtMost(3.0)),
    );
    daemon.stop()
}
