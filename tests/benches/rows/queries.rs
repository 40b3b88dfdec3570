//! What one user waits for in lists and searches, among 1,000 components and 10,000 transactions, and
//! for a stored value of a component.

use crate::bench::Bench;
use crate::daemon::{Daemon, Root};
use crate::framing::{Protocol, Request};
use crate::load;
use crate::records;
use crate::table::{Bound, Figure, Row, Table};

/// What the seed of the system asks of every query.
const FLOOR: Bound = Bound::Below(10.0);
const COMPONENTS: usize = 1000;
const TRANSACTIONS: usize = 10_000;
const PROTOCOL: Protocol = Protocol::JsonRpc;

/// Every list and search: its method and its params.
const QUERIES: [(&str, &str); 12] = [
    ("components.list", r#"{"orderBy":"name"}"#),
    ("components.list", r#"{"type":"backend","orderBy":"lastUsed"}"#),
    ("components.search", r#"{"query":"wallet bri"}"#),
    ("applications.list", "{}"),
    ("applications.search", r#"{"query":"compo"}"#),
    ("transactions.list", "{}"),
    ("transactions.list", r#"{"address":"0x0000a007","status":"confirmed"}"#),
    ("transactions.stats", "{}"),
    ("transactions.stats", r#"{"address":"0x0000a007"}"#),
    ("messages.list", r#"{"channel":"channel-3"}"#),
    ("messages.search", r#"{"query":"ledger"}"#),
    ("events.list", "{}"),
];

/// All rows of this group.
pub(crate) fn measure(bench: &Bench, table: &mut Table) -> Result<(), String> {
    let root = Root::new(bench.directory())?;
    let (daemon, _) = Daemon::start(&root)?;
    let mut client = daemon.client()?;
    records::seed_components(&mut client, 0, COMPONENTS)?;
    records::seed_transactions(&mut client, TRANSACTIONS)?;
    records::seed_applications_and_messages(&mut client, COMPONENTS)?;
    let run = |requests: &[Request]| load::run(daemon.socket(), PROTOCOL, requests, bench.plan(1));
    for (method, params) in QUERIES {
        let found = run(&[Request::call(PROTOCOL, method, params)])?;
        let what = format!("{method} {params}, p95");
        let row = Row::new(what, Figure::Millis(found.p95_ms)).floor(FLOOR);
        table.add(row.detail(found.percentiles()));
    }
    for (what, requests) in [
        ("storage.write of 2 KB, p95", records::stored(PROTOCOL, true)),
        ("storage.read of 2 KB, p95", records::stored(PROTOCOL, false)),
    ] {
        if what.starts_with("storage.write") {
            // Each key is there before it is measured.
            for number in 0..records::STORED {
                client.call("storage.write", &records::stored_params(number, true))?;
            }
        }
        let found = run(&requests)?;
        let row = Row::new(what, Figure::Millis(found.p95_ms)).floor(FLOOR);
        table.add(row.detail(found.percentiles()));
    }
    daemon.stop()
}
