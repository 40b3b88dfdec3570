//! Blobs: what a user waits for one of up to 10 MB, over the blob routes and as base64 in
//! JSON-RPC, and what many callers gain with small ones.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::connections;
use super::peers::Load;
use crate::bench::Bench;
use crate::client::Content;
use crate::daemon::{Daemon, Root};
use crate::framing::{Protocol, Request, SERIAL_BYTES};
use crate::load;
use crate::measure::{in_turns, short};
use crate::records;
use crate::table::{Bound, Figure, Row, Table};

const SIZES: [(&str, usize); 2] = [("1 MiB", 1 << 20), ("10 MB", 10_000_000)];
const SMALL_BYTES: usize = 4 << 10;
const SMALL_CALLERS: usize = 16;
/// How many contents one `blobs.putMany` takes.
const PUT_AT_ONCE: u64 = 1000;
/// How many different blobs are read in turns.
const READ: u64 = 4;
/// The same for small ones, whose content begins with these numbers.
const SMALL_READ: u64 = 256;
const SALT: u64 = 1 << 32;
const READ_AIM: Bound = Bound::Below(12.0);
const READ_FLOOR: Bound = Bound::Below(100.0);
const WRITE_AIM: Bound = Bound::Below(35.0);
const WRITE_FLOOR: Bound = Bound::Below(200.0);

/// The rows of one way to put and get blobs of one size.
type Rows = fn(&Bench, &mut Table, &Daemon, &str, usize) -> Result<(), String>;

/// The rows on small ones.
type SmallRows = fn(&Bench, &mut Table, &Daemon) -> Result<(), String>;

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

/// 4 KiB blobs: put and read by one caller and by many, and put a thousand in a call.
fn small(bench: &Bench, table: &mut Table) -> Result<(), String> {
    let root = Root::new(bench.directory())?;
    let (daemon, _) = Daemon::start(&root)?;
    for (what, rows) in [
        ("PUT /blobs of 4 KiB", small_puts as SmallRows),
        ("blobs.putMany of 4 KiB", small_put_many),
        ("GET /blobs of 4 KiB", small_gets),
    ] {
        if let Err(why) = rows(bench, table, &daemon) {
            table.failed(what, why);
        }
    }
    daemon.stop()
}

fn small_puts(bench: &Bench, table: &mut Table, daemon: &Daemon) -> Result<(), String> {
    let requests = [Request::put_blob(&content(SMALL_BYTES))];
    let load = |callers| Load {
        socket: daemon.socket(),
        protocol: Protocol::Http,
        requests: &requests,
        callers,
    };
    let one = load(1).run(bench)?;
    table.add(
        Row::new("PUT /blobs of 4 KiB, one caller", Figure::PerSecond(one.per_second))
            .detail(one.percentiles()),
    );
    let what = format!("PUT /blobs of 4 KiB, {SMALL_CALLERS} callers");
    let one_by_one = || Ok(load(1).run(bench)?.per_second);
    let row = load(SMALL_CALLERS).beside(bench, &what, "one caller", one_by_one)?;
    table.add(row.aim(Bound::RatioAtLeast(5.0)));
    Ok(())
}

fn small_put_many(bench: &Bench, table: &mut Table, daemon: &Daemon) -> Result<(), String> {
    const BEFORE_DATA: &str = r#"{"data":""#;
    let data = STANDARD.encode(content(SMALL_BYTES));
    let single =
        [Request::call(Protocol::JsonRpc, "blobs.put", &format!("{BEFORE_DATA}{data}\"}}"))
            .with_serial_in_params("blobs.put", BEFORE_DATA.len())];
    let single = Load {
        socket: daemon.socket(),
        protocol: Protocol::JsonRpc,
        requests: &single,
        callers: 1,
    };
    let mut number = 0_u64;
    let mut slowest = 0.0_f64;
    let many = || {
        let mut client = daemon.client()?;
        let (mut count, mut took) = (0, Duration::ZERO);
        while took < bench.duration() {
            let items: Vec<String> = (0..PUT_AT_ONCE)
                .map(|_| {
                    number += 1;
                    // No single has such a number: these digits are not hexadecimal.
                    format!(r#"{BEFORE_DATA}many{number:012}{}"}}"#, &data[SERIAL_BYTES..])
                })
                .collect();
            let params = format!(r#"{{"items":[{}]}}"#, items.join(","));
            let begin = Instant::now();
            client.call("blobs.putMany", &params)?;
            let call = begin.elapsed();
            slowest = slowest.max(call.as_secs_f64() * 1e3);
            took += call;
            count += PUT_AT_ONCE;
        }
        Ok(count as f64 / took.as_secs_f64())
    };
    let (many, singles) =
        in_turns(bench.load_rounds(), many, || Ok(single.run(bench)?.per_second))?;
    table.add(
        Row::new(
            format!("contents of 4 KiB, {PUT_AT_ONCE} in a blobs.putMany"),
            Figure::PerSecond(many),
        )
        .against("blobs.put, one by one", Figure::PerSecond(singles))
        .aim(Bound::RatioAtLeast(10.0))
        .detail(format!("the slowest call took {} ms", short(slowest))),
    );
    Ok(())
}

fn small_gets(bench: &Bench, table: &mut Table, daemon: &Daemon) -> Result<(), String> {
    let mut client = daemon.client()?;
    let gets = (0..SMALL_READ)
        .map(|salt| Ok(Request::get_blob(&client.put_stream(SMALL_BYTES as u64, SALT + salt)?)))
        .collect::<Result<Vec<Request>, String>>()?;
    let empty = records::empty(Protocol::JsonRpc);
    for callers in [1, SMALL_CALLERS] {
        let socket = daemon.socket();
        let gets = Load { socket, protocol: Protocol::Http, requests: &gets, callers };
        let empty = Load { socket, protocol: Protocol::JsonRpc, requests: &empty, callers };
        let what = format!("GET /blobs of 4 KiB, {}", connections(callers));
        let row = gets.beside(bench, &what, "empty method", || Ok(empty.run(bench)?.per_second))?;
        table.add(row);
    }
    Ok(())
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
