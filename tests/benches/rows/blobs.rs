//! Blobs: what a user waits for one of up to 10 MB, over the blob routes and as base64 in
//! JSON-RPC, and what many callers gain with small ones.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::bench::Bench;
use crate::client::Content;
use crate::daemon::{Daemon, Root};
use crate::framing::{Protocol, Request};
use crate::load;
use crate::table::{Bound, Figure, Row, Table};

const SIZES: [(&str, usize); 2] = [("1 MiB", 1 << 20), ("10 MB", 10_000_000)];
const SMALL_BYTES: usize = 4 << 10;
const SMALL_CALLERS: usize = 16;
/// How many different blobs are read in turns.
const READ: u64 = 4;
const READ_AIM: Bound = Bound::Below(12.0);
const READ_FLOOR: Bound = Bound::Below(100.0);
const WRITE_AIM: Bound = Bound::Below(35.0);
const WRITE_FLOOR: Bound = Bound::Below(200.0);

/// The rows of one way to put and get blobs of one size.
type Rows = fn(&Bench, &mut Table, &Daemon, &str, usize) -> Result<(), String>;

/// All rows of this group.
pub(crate) fn measure(bench: &Bench, table: &mut Table) -> Result<(), String> {
    for (name, bytes) in SIZES {
        // A root for each size, so that its content is gone before the next.
        let root = Root::new(bench.directory())?;
        let (daemon, _) = Daemon::start(&root)?;
        for (way, rows) in
            [("blobs over HTTP", over_http as Rows), ("blobs over JSON-RPC", over_json_rpc)]
        {
            if let Err(why) = rows(bench, table, &daemon, name, bytes) {
                table.failed(format!("{way} of {name}"), why);
            }
        }
        daemon.stop()?;
    }
    small(bench, table)
}

fn over_http(
    bench: &Bench,
    table: &mut Table,
    daemon: &Daemon,
    name: &str,
    bytes: usize,
) -> Result<(), String> {
    let mut client = daemon.client()?;
    let mut gets = Vec::new();
    for salt in 0..READ {
        let hash = client.put_stream(bytes as u64, salt)?;
        gets.push(Request::get_blob(&hash));
    }
    let read = load::run(daemon.socket(), Protocol::Http, &gets, bench.plan(1))?;
    table.add(
        Row::new(format!("GET /blobs of {name}, p95"), Figure::Millis(read.p95_ms))
            .aim(READ_AIM)
            .floor(READ_FLOOR)
            .detail(read.percentiles()),
    );
    let puts = [Request::put_blob(&content(bytes))];
    let write = load::run(daemon.socket(), Protocol::Http, &puts, bench.plan(1))?;
    table.add(
        Row::new(format!("PUT /blobs of {name}, p95"), Figure::Millis(write.p95_ms))
            .aim(WRITE_AIM)
            .floor(WRITE_FLOOR)
            .detail(format!("{}; {} puts", write.percentiles(), write.calls)),
    );
    Ok(())
}

fn over_json_rpc(
    bench: &Bench,
    table: &mut Table,
    daemon: &Daemon,
    name: &str,
    bytes: usize,
) -> Result<(), String> {
    let mut client = daemon.client()?;
    let hash = client.put_stream(bytes as u64, READ)?;
    let params = format!(r#"{{"hash":"{hash}"}}"#);
    let gets = [Request::call(Protocol::JsonRpc, "blobs.get", &params)];
    let read = load::run(daemon.socket(), Protocol::JsonRpc, &gets, bench.plan(1))?;
    table.add(
        Row::new(format!("blobs.get of {name}, p95"), Figure::Millis(read.p95_ms))
            .floor(READ_FLOOR)
            .detail(read.percentiles()),
    );
    const BEFORE_DATA: &str = r#"{"data":""#;
    let data = STANDARD.encode(content(bytes));
    let params = format!(r#"{BEFORE_DATA}{data}","pin":true}}"#);
    // The serial number's digits are base64 as good as any: each put has content of its own.
    let puts = [Request::call(Protocol::JsonRpc, "blobs.put", &params)
        .with_serial_in_params("blobs.put", BEFORE_DATA.len())];
    let write = load::run(daemon.socket(), Protocol::JsonRpc, &puts, bench.plan(1))?;
    table.add(
        Row::new(format!("blobs.put of {name}, p95"), Figure::Millis(write.p95_ms))
            .floor(WRITE_FLOOR)
            .detail(format!("{}; {} puts", write.percentiles(), write.calls)),
    );
    Ok(())
}

/// 4 KiB blobs, put by many callers and by one.
fn small(bench: &Bench, table: &mut Table) -> Result<(), String> {
    let root = Root::new(bench.directory())?;
    let (daemon, _) = Daemon::start(&root)?;
    let puts = [Request::put_blob(&content(SMALL_BYTES))];
    let one = load::run(daemon.socket(), Protocol::Http, &puts, bench.plan(1))?;
    let plan = bench.plan(SMALL_CALLERS);
    let many = load::run(daemon.socket(), Protocol::Http, &puts, plan)?;
    table.add(
        Row::new(
            format!("PUT /blobs of 4 KiB, {SMALL_CALLERS} callers"),
            Figure::PerSecond(many.per_second),
        )
        .against("one caller", Figure::PerSecond(one.per_second))
        .aim(Bound::RatioAtLeast(5.0))
        .detail(many.percentiles()),
    );
    daemon.stop()
}

fn content(bytes: usize) -> Vec<u8> {
    let mut content = Content::new(READ + 1);
    let mut all = Vec::with_capacity(bytes);
    while all.len() < bytes {
        let piece = content.next_piece();
        all.extend_from_slice(&piece[..piece.len().min(bytes - all.len())]);
    }
    all
}
