//! Large content: how fast it streams in and out, beside what one core and the disk can do, and
//! how much memory the daemon takes for it.

use std::time::{Duration, Instant};

use crate::backup::{PROGRAMS, Program, Repository};
use crate::bench::Bench;
use crate::client::Client;
use crate::daemon::{Daemon, Root};
use crate::limits::{self, Sealed};
use crate::measure::median;
use crate::table::{Bound, Figure, Row, Table};

const GIB: u64 = 1 << 30;
/// Streams, the limits' files and what the disk must keep free.
const FREE_NEEDED_BYTES: u64 = 6 * GIB;
/// How long a started daemon is left alone before its memory counts as idle.
const SETTLE: Duration = Duration::from_secs(1);

/// Speed in and out.
pub(crate) fn speed(bench: &Bench, table: &mut Table) -> Result<(), String> {
    if bench.free_bytes() < FREE_NEEDED_BYTES {
        table.left_out("streams of 1 GiB", "less than 6 GiB of the disk are free");
        return Ok(());
    }
    let (name, bytes) = bench.pick(("256 MiB", GIB / 4), ("1 GiB", GIB));
    let root = Root::new(bench.directory())?;
    let (daemon, _) = Daemon::start(&root)?;
    let data = root.data();
    let sealed = Sealed::write(&data, bytes)?;
    let (mut put, mut hash, mut plain) = (Vec::new(), Vec::new(), Vec::new());
    let (mut get, mut open) = (Vec::new(), Vec::new());
    for round in 0..bench.rounds() as u64 {
        hash.push(limits::sha256(bytes));
        plain.push(limits::plain_write(&data, bytes, round)?);
        // A connection of its own each time: the daemon may close one that idles this long.
        let mut client = daemon.client()?;
        let begin = Instant::now();
        let blob = client.put_stream(bytes, round)?;
        put.push(begin.elapsed().as_secs_f64());
        open.push(sealed.read()?);
        let mut client = daemon.client()?;
        let begin = Instant::now();
        let received = client.get_stream(&blob)?;
        get.push(begin.elapsed().as_secs_f64());
        if received != bytes {
            return Err(format!("{received} of {bytes} bytes came back"));
        }
        delete(&mut client, &blob);
    }
    let (hash, plain) = (median(hash), median(plain));
    let detail = format!("hash {hash:.2} s, write {plain:.2} s");
    let (limit, slower) =
        if hash > plain { ("SHA-256, one core", hash) } else { ("write + fdatasync", plain) };
    table.add(
        Row::new(format!("put {name}"), Figure::Seconds(median(put)))
            .against(limit, Figure::Seconds(slower))
            .aim(Bound::RatioAtMost(1.25))
            .detail(detail),
    );
    table.add(
        Row::new(format!("get {name}"), Figure::Seconds(median(get)))
            .against("read + decrypt, one core", Figure::Seconds(median(open)))
            .aim(Bound::RatioAtMost(0.85)),
    );
    daemon.stop()
}

/// The same beside backup programs, in turns with each.
pub(crate) fn beside_backups(bench: &Bench, table: &mut Table) -> Result<(), String> {
    for program in &PROGRAMS {
        if bench.free_bytes() < FREE_NEEDED_BYTES {
            table.left_out(program.name, "less than 6 GiB of the disk are free");
        } else if let Err(why) = beside(bench, table, program) {
            table.failed(program.name, why);
        }
    }
    Ok(())
}

fn beside(bench: &Bench, table: &mut Table, program: &Program) -> Result<(), String> {
    let (name, bytes) = bench.pick(("256 MiB", GIB / 4), ("1 GiB", GIB));
    let root = Root::new(bench.directory())?;
    let (daemon, _) = Daemon::start(&root)?;
    let (mut put, mut get) = (Vec::new(), Vec::new());
    let (mut backup, mut dump) = (Vec::new(), Vec::new());
    for round in 0..bench.rounds() as u64 {
        // A repository of its own each time: what it has once it does not take in again.
        let Some(repository) = Repository::new(program, bench.directory(), bytes, round)? else {
            table.left_out(program.name, "it is not in the search path");
            return daemon.stop();
        };
        let mut client = daemon.client()?;
        let begin = Instant::now();
        let blob = client.put_stream(bytes, round)?;
        put.push(begin.elapsed().as_secs_f64());
        backup.push(repository.backup()?);
        let mut client = daemon.client()?;
        let begin = Instant::now();
        client.get_stream(&blob)?;
        get.push(begin.elapsed().as_secs_f64());
        dump.push(repository.dump()?);
        delete(&mut client, &blob);
    }
    for (what, ours, command, theirs) in
        [("put", put, "backup", backup), ("get", get, "dump", dump)]
    {
        table.add(
            Row::new(format!("{what} {name}"), Figure::Seconds(median(ours)))
                .against(format!("{} {command}", program.name), Figure::Seconds(median(theirs)))
                .aim(Bound::RatioAtMost(1.0)),
        );
    }
    daemon.stop()
}

/// Memory when idle, and its peak after 2 GiB each way.
pub(crate) fn memory(bench: &Bench, table: &mut Table) -> Result<(), String> {
    let root = Root::new(bench.directory())?;
    let (daemon, _) = Daemon::start(&root)?;
    std::thread::sleep(SETTLE);
    table.add(
        Row::new("idle", Figure::Mebibytes(daemon.memory_mib("VmRSS")?)).aim(Bound::Below(15.0)),
    );
    let (name, bytes) = bench.pick(("512 MiB", GIB / 2), ("2 GiB", 2 * GIB));
    let what = format!("peak, {name} in and out");
    if bench.free_bytes() < FREE_NEEDED_BYTES {
        table.left_out(what, "less than 6 GiB of the disk are free");
        return daemon.stop();
    }
    let mut client = daemon.client()?;
    let blob = client.put_stream(bytes, 1)?;
    client.get_stream(&blob)?;
    table.add(
        Row::new(what, Figure::Mebibytes(daemon.memory_mib("VmHWM")?))
            .aim(Bound::Below(32.0))
            .floor(Bound::Below(64.0)),
    );
    daemon.stop()
}

/// Makes room. The root goes at the end of the group in any case.
fn delete(client: &mut Client, hash: &str) {
    let _ = client.call("blobs.delete", &format!(r#"{{"hash":"{hash}"}}"#));
}
