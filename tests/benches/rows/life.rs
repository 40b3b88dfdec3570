//! The daemon's life: how long it takes to be ready, on a fresh root and on a used one, after a
//! clean stop and after a kill, and how large its database is.

use crate::bench::Bench;
use crate::daemon::{Daemon, Root};
use crate::framing::Protocol;
use crate::load;
use crate::measure::median;
use crate::records;
use crate::table::{Bound, Figure, Row, Table};

const COMPONENTS: usize = 1000;
const TRANSACTIONS: usize = 10_000;
/// The callers whose writes a kill interrupts the recovery of.
const WRITERS: usize = 16;

/// From start to ready.
pub(crate) fn start(bench: &Bench, table: &mut Table) -> Result<(), String> {
    let rounds = bench.pick(3, 7);
    let mut fresh = Vec::new();
    for _ in 0..rounds {
        let root = Root::new(bench.directory())?;
        let (daemon, took) = Daemon::start(&root)?;
        fresh.push(took.as_secs_f64() * 1e3);
        daemon.stop()?;
    }
    table.add(Row::new("fresh root", Figure::Millis(median(fresh))));

    let root = Root::new(bench.directory())?;
    let (daemon, _) = Daemon::start(&root)?;
    records::seed_components(&mut daemon.client()?, 0, COMPONENTS)?;
    daemon.stop()?;
    let (mut clean, mut killed) = (Vec::new(), Vec::new());
    let sets = records::sets(Protocol::JsonRpc);
    for _ in 0..rounds {
        let (daemon, took) = Daemon::start(&root)?;
        clean.push(took.as_secs_f64() * 1e3);
        // What is written just before the kill must be recovered from the WAL.
        let mut plan = bench.plan(WRITERS);
        plan.duration /= 4;
        load::run(daemon.socket(), Protocol::JsonRpc, &sets, plan)?;
        daemon.kill()?;
        let (daemon, took) = Daemon::start(&root)?;
        killed.push(took.as_secs_f64() * 1e3);
        daemon.stop()?;
    }
    table.add(
        Row::new("1,000 components, clean", Figure::Millis(median(clean))).aim(Bound::Below(50.0)),
    );
    table.add(
        Row::new("1,000 components, after kill -9", Figure::Millis(median(killed)))
            .aim(Bound::Below(300.0)),
    );
    Ok(())
}

/// The database of 1,000 components and 10,000 transactions, after a clean stop.
pub(crate) fn size(bench: &Bench, table: &mut Table) -> Result<(), String> {
    let root = Root::new(bench.directory())?;
    let (daemon, _) = Daemon::start(&root)?;
    let mut client = daemon.client()?;
    records::seed_components(&mut client, 0, COMPONENTS)?;
    records::seed_transactions(&mut client, TRANSACTIONS)?;
    drop(client);
    daemon.stop()?;
    let megabytes = root.database_bytes() as f64 / 1e6;
    if megabytes == 0.0 {
        return Err("no database in the data root".to_owned());
    }
    table.add(
        Row::new("1,000 components of 2 KB, 10,000 transactions", Figure::Megabytes(megabytes))
            .aim(Bound::Below(12.0))
            .floor(Bound::Below(100.0)),
    );
    Ok(())
}
