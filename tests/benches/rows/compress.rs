//! What compression costs and gains: content like JSON beside content that does not compress, put,
//! read whole, and read at random places.

use std::time::Instant;

use crate::bench::Bench;
use crate::client::Content;
use crate::daemon::{Daemon, Root};
use crate::framing::{Protocol, Request};
use crate::load;
use crate::measure::{Summary, median};
use crate::table::{Bound, Figure, Row, Table};

const MIB: u64 = 1 << 20;
const RANGE_BYTES: u64 = 4 << 10;
/// How many places are read, in turns.
const PLACES: u64 = 512;
const RANGE_CALLERS: usize = 16;
/// Both contents, each of several rounds, and what the disk must keep free.
const FREE_NEEDED_BYTES: u64 = 4 << 30;

/// What is measured of one kind of content.
struct Measured {
    put: f64,
    get: f64,
    /// Ranges read by one caller, and by many.
    range: Summary,
    ranges: Summary,
    stored: f64,
}

/// All rows of this group.
pub(crate) fn measure(bench: &Bench, table: &mut Table) -> Result<(), String> {
    if bench.free_bytes() < FREE_NEEDED_BYTES {
        table.left_out("compression", "less than 4 GiB of the disk are free");
        return Ok(());
    }
    let (name, bytes) = bench.pick(("64 MiB", 64 * MIB), ("256 MiB", 256 * MIB));
    let json = kind(bench, bytes, Content::json)?;
    let noise = kind(bench, bytes, Content::new)?;
    let share = format!("stored: {:.0} % and {:.0} %", 100.0 * json.stored, 100.0 * noise.stored);
    let others = "content that does not compress";
    table.add(
        Row::new(format!("put {name} of JSON"), Figure::Seconds(json.put))
            .against(others, Figure::Seconds(noise.put))
            .detail(share),
    );
    table.add(
        Row::new(format!("get {name} of JSON"), Figure::Seconds(json.get))
            .against(others, Figure::Seconds(noise.get)),
    );
    table.add(
        Row::new(
            format!("4 KiB anywhere in {name} of JSON, p95"),
            Figure::Millis(json.range.p95_ms),
        )
        .against(others, Figure::Millis(noise.range.p95_ms))
        .aim(Bound::RatioAtMost(1.25))
        .detail(json.range.percentiles()),
    );
    for (kind, measured) in [("JSON", json), (others, noise)] {
        table.add(
            Row::new(
                format!("4 KiB anywhere in {name} of {kind}, {RANGE_CALLERS} callers"),
                Figure::PerSecond(measured.ranges.per_second),
            )
            .against("one caller", Figure::PerSecond(measured.range.per_second))
            .detail(measured.ranges.percentiles()),
        );
    }
    Ok(())
}

fn kind(bench: &Bench, bytes: u64, content: fn(u64) -> Content) -> Result<Measured, String> {
    let root = Root::new(bench.directory())?;
    let (daemon, _) = Daemon::start(&root)?;
    let (mut put, mut get) = (Vec::new(), Vec::new());
    let mut hash = String::new();
    for round in 0..bench.rounds() as u64 {
        let mut client = daemon.client()?;
        let begin = Instant::now();
        hash = client.put_content(bytes, content(round))?;
        put.push(begin.elapsed().as_secs_f64());
        let begin = Instant::now();
        let received = client.get_stream(&hash)?;
        get.push(begin.elapsed().as_secs_f64());
        if received != bytes {
            return Err(format!("{received} of {bytes} bytes came back"));
        }
    }
    let stat = daemon.client()?.call("blobs.stat", &format!(r#"{{"hash":"{hash}"}}"#))?;
    let stored = stat["storedSize"].as_f64().ok_or("blobs.stat says no storedSize")?;
    // Spread without a pattern: by the golden ratio.
    let places =
        (0..PLACES).map(|place| place.wrapping_mul(0x9e37_79b9_7f4a_7c15) % (bytes - RANGE_BYTES));
    let ranges: Vec<Request> =
        places.map(|place| Request::get_range(&hash, place, RANGE_BYTES)).collect();
    let by = |callers| load::run(daemon.socket(), Protocol::Http, &ranges, bench.plan(callers));
    let (range, ranges) = (by(1)?, by(RANGE_CALLERS)?);
    daemon.stop()?;
    let (put, get, stored) = (median(put), median(get), stored / bytes as f64);
    Ok(Measured { put, get, range, ranges, stored })
}
