//! How the daemon is set beside a peer or beside itself: in turns, under the same load.

use std::cell::RefCell;
use std::path::Path;

use super::connections;
use crate::bench::Bench;
use crate::daemon::Daemon;
use crate::framing::{Protocol, Request};
use crate::load;
use crate::measure::{Summary, in_turns, short};
use crate::postgres::Script;
use crate::table::{Bound, Figure, Row, Table};

/// A load of `callers` on `socket`, each call one of `requests`.
#[derive(Clone, Copy)]
pub(super) struct Load<'a> {
    pub(super) socket: &'a Path,
    pub(super) protocol: Protocol,
    pub(super) requests: &'a [Request],
    pub(super) callers: usize,
}

impl Load<'_> {
    pub(super) fn run(&self, bench: &Bench) -> Result<Summary, String> {
        let plan = bench.plan(self.callers);
        load::run(self.socket, self.protocol, self.requests, plan)
    }

    /// How often it is answered in a second, in turns with how often `other` is.
    pub(super) fn beside(
        &self,
        bench: &Bench,
        what: &str,
        name: &str,
        other: impl FnMut() -> Result<f64, String>,
    ) -> Result<Row, String> {
        let last = RefCell::new(None);
        let ours = || {
            let summary = self.run(bench)?;
            last.replace(Some(summary));
            Ok(summary.per_second)
        };
        let (measured, against) = in_turns(bench.load_rounds(), ours, other)?;
        let detail = last.take().map(|summary: Summary| summary.percentiles());
        Ok(Row::new(what, Figure::PerSecond(measured))
            .against(name, Figure::PerSecond(against))
            .detail(detail.unwrap_or_default()))
    }
}

/// Adds a row of `method` for each number of callers, beside what PostgreSQL does for as many
/// clients; without it where it is not here.
pub(super) fn beside_postgres(
    bench: &Bench,
    table: &mut Table,
    (daemon, method, requests): (&Daemon, &str, &[Request]),
    script: Script,
    aims: [(usize, f64); 4],
) {
    for (callers, aim) in aims {
        let what = format!("{method}, {}", connections(callers));
        let load = Load { socket: daemon.socket(), protocol: Protocol::JsonRpc, requests, callers };
        let row = match bench.postgres() {
            Ok(postgres) => {
                let latency = RefCell::new(f64::NAN);
                load.beside(bench, &what, &postgres.version, || {
                    let report = postgres.bench(script, callers, bench.peer_seconds())?;
                    latency.replace(report.latency_ms);
                    Ok(report.per_second)
                })
                .map(|row| {
                    let average = short(latency.take());
                    row.aim(Bound::RatioAtLeast(aim))
                        .more_detail(format!("pgbench average {average} ms"))
                })
            }
            Err(why) => load.run(bench).map(|summary| {
                Row::new(what.as_str(), Figure::PerSecond(summary.per_second))
                    .detail(summary.percentiles())
                    .more_detail(format!("peer left out: {why}"))
            }),
        };
        table.add_or_fail(what, row);
    }
}
