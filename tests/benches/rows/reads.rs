//! Reads: what one user waits for, and how many the daemon serves, beside what the same server
//! does for a method that does nothing and beside PostgreSQL.

use std::path::PathBuf;

use serde_json::Value;

use super::peers::{self, Load};
use crate::bench::Bench;
use crate::daemon::{Daemon, Root};
use crate::framing::{Protocol, Request};
use crate::load;
use crate::postgres::Script;
use crate::records;
use crate::table::{Bound, Figure, Row, Table};

const FEW: usize = 1000;
const FLOOR: Bound = Bound::Below(10.0);
/// Connections, and how many times PostgreSQL's reads ours shall be.
const AIMS: [(usize, f64); 4] = [(1, 1.2), (16, 1.0), (64, 1.4), (256, 2.0)];
/// The callers with whom the method is compared with an empty one.
const BESIDE_EMPTY: usize = 64;

/// Point reads by a component, known by a token or by a socket of its own, beside the owner's.
pub(crate) fn access(bench: &Bench, table: &mut Table) -> Result<(), String> {
    let root = Root::new(bench.directory())?;
    let (daemon, _) = Daemon::start(&root)?;
    let mut client = daemon.client()?;
    records::seed_components(&mut client, 0, records::RECORDS)?;
    let who = r#"{"componentId":"bench","scopes":["components:read","blobs:read"]}"#;
    let text = |answer: Value, path: &str| {
        let found = answer.pointer(path).and_then(Value::as_str).map(str::to_owned);
        found.ok_or_else(|| format!("no {path} in {answer}"))
    };
    let token = text(client.call("auth.createToken", who)?, "/token")?;
    let bound = PathBuf::from(text(client.call("auth.openSocket", who)?, "/path")?);
    let plain = || records::reads(Protocol::JsonRpc, records::RECORDS);
    let header = format!("Authorization: Bearer {token}");
    let with_token: Vec<Request> =
        plain().into_iter().map(|request| request.with_header(&header)).collect();
    let reads = plain();
    for (what, socket, requests) in [
        ("components.get, 64 connections, by a token", daemon.socket(), with_token.as_slice()),
        ("components.get, 64 connections, by a component's socket", bound.as_path(), &reads),
    ] {
        let (protocol, callers) = (Protocol::JsonRpc, BESIDE_EMPTY);
        let owner = Load { socket: daemon.socket(), protocol, requests: &reads, callers };
        let row = Load { socket, requests, ..owner }
            .beside(bench, what, "the owner", || Ok(owner.run(bench)?.per_second));
        table.add_or_fail(what.to_owned(), row.map(|row| row.aim(Bound::RatioAtLeast(0.95))));
    }
    daemon.stop()
}

/// What one caller waits for among 1,000 components.
pub(crate) fn metadata(bench: &Bench, table: &mut Table) -> Result<(), String> {
    let root = Root::new(bench.directory())?;
    let (daemon, _) = Daemon::start(&root)?;
    records::seed_components(&mut daemon.client()?, 0, FEW)?;
    let run = |requests: &[Request]| {
        let socket = daemon.socket();
        load::run(socket, Protocol::JsonRpc, requests, bench.plan(1))
    };
    let get = run(&records::reads(Protocol::JsonRpc, FEW))?;
    table.add(
        Row::new("components.get, p95", Figure::Millis(get.p95_ms))
            .aim(Bound::Below(0.35))
            .floor(FLOOR)
            .detail(get.percentiles()),
    );
    let page = r#"{"limit":100}"#;
    let list = run(&[Request::call(Protocol::JsonRpc, "components.list", page)])?;
    table.add(
        Row::new("components.list of 100, p95", Figure::Millis(list.p95_ms))
            .floor(FLOOR)
            .detail(list.percentiles()),
    );
    daemon.stop()
}

/// Point reads of a 2 KB record.
pub(crate) fn points(bench: &Bench, table: &mut Table) -> Result<(), String> {
    let root = Root::new(bench.directory())?;
    let (daemon, _) = Daemon::start(&root)?;
    records::seed_components(&mut daemon.client()?, 0, records::RECORDS)?;
    for (protocol, way) in
        [(Protocol::JsonRpc, "64 connections"), (Protocol::WebSocket, "64 on one WebSocket")]
    {
        let load =
            |requests| Load { socket: daemon.socket(), protocol, requests, callers: BESIDE_EMPTY };
        let empty = records::empty(protocol);
        let reads = records::reads(protocol, records::RECORDS);
        let what = format!("components.get, {way}");
        let row = load(&reads)
            .beside(bench, &what, "empty method", || Ok(load(&empty).run(bench)?.per_second));
        let row = row.map(|row| row.aim(Bound::RatioAtLeast(0.6)));
        table.add_or_fail(what, row);
    }
    let reads = records::reads(Protocol::JsonRpc, records::RECORDS);
    let ours = (&daemon, "components.get", reads.as_slice());
    peers::beside_postgres(bench, table, ours, Script::Read, AIMS);
    daemon.stop()
}
