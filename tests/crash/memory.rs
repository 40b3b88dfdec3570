//! The daemon's memory while contents stream through it: bounded, whatever their size and however slow
//! their readers.

use std::time::Instant;

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::random::Random;
use crate::support::Daemon;
use crate::wire::Connection;

/// What the daemon may take while one content streams through it (design, section 9).
const MOST_MIB: u64 = 64;
/// What each further stream may take: eight or nine pieces of 512 KiB, on their way to the connection
/// or opened ahead, and the stacks of its threads.
const MOST_MIB_A_STREAM: u64 = 6;

/// Content without an end, made as it is asked for.
struct Endless {
    part: Vec<u8>,
    made: u64,
}

impl Endless {
    const PART_BYTES: usize = 1 << 20;
    /// Each page of a part is stamped with a number of its own.
    const PAGE_BYTES: usize = 4096;

    fn new() -> Self {
        Self { part: Random::new(9).bytes(Self::PART_BYTES as u64), made: 0 }
    }

    fn next_part(&mut self) -> &[u8] {
        for page in self.part.chunks_exact_mut(Self::PAGE_BYTES) {
            self.made += 1;
            page[..8].copy_from_slice(&self.made.to_le_bytes());
        }
        &self.part
    }
}

/// The most memory that the daemon has had so far, in KiB.
fn peak_kib(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

fn mib(kib: u64) -> String {
    format!("{:.1} MiB", kib as f64 / 1024.0)
}

/// Puts a content of so many MiB; its hash.
fn put_endless(daemon: &Daemon, size_mib: u64) -> String {
    let mut connection = Connection::open(&daemon.socket()).unwrap();
    let head = format!(
        "PUT /blobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
        size_mib << 20
    );
    connection.send_raw(head.as_bytes()).unwrap();
    let mut content = Endless::new();
    let mut hash = Sha256::new();
    for _ in 0..size_mib {
        let part = content.next_part();
        hash.update(part);
        connection.send_raw(part).unwrap();
    }
    let answer = connection.answer().unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let told = answer.json()["hash"].as_str().unwrap().to_owned();
    assert_eq!(told, hex(hash));
    told
}

pub(crate) fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_stream_takes_constant_memory_both_ways() {
    let size_mib =
        std::env::var("OSNOVA_TEST_STREAM_MIB").map_or(512, |text| text.parse().unwrap());
    let daemon = Daemon::start();
    let at_start = peak_kib(&daemon);
    let started = Instant::now();
    let hash = put_endless(&daemon, size_mib);
    let put_seconds = started.elapsed().as_secs_f64();
    let after_put = peak_kib(&daemon);

    let started = Instant::now();
    let mut connection = Connection::open(&daemon.socket()).unwrap();
    let head = format!("GET /blobs/{hash} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    connection.send_raw(head.as_bytes()).unwrap();
    let answer = connection.head().unwrap();
    assert_eq!(answer.header("content-length"), Some((size_mib << 20).to_string().as_str()));
    let mut part = vec![0; Endless::PART_BYTES];
    let mut read_back = Sha256::new();
    for _ in 0..size_mib {
        connection.read_body(&mut part).unwrap();
        read_back.update(&part);
    }
    assert_eq!(hex(read_back), hash);
    let peak = peak_kib(&daemon);
    eprintln!(
        "memory: {size_mib} MiB put in {put_seconds:.1} s and got in {:.1} s; the daemon's peak: \
         {} at start, {} after the put, {} after the get",
        started.elapsed().as_secs_f64(),
        mib(at_start),
        mib(after_put),
        mib(peak),
    );
    assert!(peak < MOST_MIB << 10, "{}", mib(peak));
}

#[test]
fn slow_readers_take_bounded_memory() {
    const READERS: u64 = 32;
    const SIZE_MIB: u64 = 64;
    const READ_MIB: u64 = 8;
    let daemon = Daemon::start();
    let hash = put_endless(&daemon, SIZE_MIB);
    let mut readers: Vec<Connection> = (0..READERS)
        .map(|_| {
            let mut connection = Connection::open(&daemon.socket()).unwrap();
            let head = format!("GET /blobs/{hash} HTTP/1.1\r\nHost: localhost\r\n\r\n");
            connection.send_raw(head.as_bytes()).unwrap();
            assert_eq!(connection.head().unwrap().status, 200);
            connection
        })
        .collect();
    // In step, a small part at a time: each of them has had more than is kept for it, so everything
    // that is kept for them is there.
    let mut part = vec![0; 64 << 10];
    let mut expected = Endless::new();
    for _ in 0..READ_MIB {
        for whole in expected.next_part().chunks_exact(part.len()) {
            for reader in &mut readers {
                reader.read_body(&mut part).unwrap();
                assert!(part == whole);
            }
        }
    }
    let peak = peak_kib(&daemon);
    eprintln!("memory: {READERS} slow readers; the daemon's peak: {}", mib(peak));
    assert!(peak < (MOST_MIB + READERS * MOST_MIB_A_STREAM) << 10, "{}", mib(peak));
    // They hang up in the midst of it, and what was kept for them is free for others.
    drop(readers);
    daemon.ok("blobs.delete", json!({ "hash": hash }));
    let (status, _) = daemon.stop();
    assert!(status.success());
}
