//! Cost as the store grows: point reads and puts among a hundred times as many records.

use crate::bench::Bench;
use crate::daemon::{Daemon, Root};
use crate::framing::{Protocol, Request};
use crate::load;
use crate::measure::Summary;
use crate::records;
use crate::table::{Bound, Figure, Row, Table};

const FEW: usize = 10_000;
const MANY: usize = 1_000_000;
const CALLERS: usize = 64;
/// At most 1.5 times the cost is at least two thirds of the speed.
const AIM: Bound = Bound::RatioAtLeast(0.67);
const PROTOCOL: Protocol = Protocol::JsonRpc;
/// Makes the requests of a row for as many records as there are.
type Requests = fn(Protocol, usize) -> Vec<Request>;
const ROWS: [(&str, Requests); 2] =
    [("components.get", records::reads), ("components.put", records::puts)];

/// All rows of this group.
pub(crate) fn measure(bench: &Bench, table: &mut Table) -> Result<(), String> {
    if bench.quick {
        table.left_out("1,000,000 components", "not in a quick run");
        return Ok(());
    }
    let root = Root::new(bench.directory())?;
    let (daemon, _) = Daemon::start(&root)?;
    records::seed_components(&mut daemon.client()?, 0, FEW)?;
    let few = speeds(bench, &daemon, FEW)?;
    records::seed_components(&mut daemon.client()?, FEW, MANY)?;
    let many = speeds(bench, &daemon, MANY)?;
    for (((name, _), few), many) in ROWS.into_iter().zip(few).zip(many) {
        table.add(
            Row::new(
                format!("{name} among 1,000,000, {CALLERS} callers"),
                Figure::PerSecond(many.per_second),
            )
            .against("among 10,000", Figure::PerSecond(few.per_second))
            .aim(AIM)
            .detail(many.percentiles()),
        );
    }
    daemon.stop()
}

fn speeds(bench: &Bench, daemon: &Daemon, count: usize) -> Result<Vec<Summary>, String> {
    ROWS.into_iter()
        .map(|(_, requests)| {
            let requests = requests(PROTOCOL, count);
            load::run(daemon.socket(), PROTOCOL, &requests, bench.plan(CALLERS))
        })
        .collect()
}
