//! A crowd of strangers: ten thousand connections that send nothing. A client that says who it is gets
//! through, at that endpoint and at the others.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::fixture::{House, assert_call, assert_served};
use crate::support::wait_until;
use crate::wire::{Connection, Door, Wire};

const CROWD: usize = 10_000;
/// So many come at once, before the daemon has accepted them: fewer than wait in line at a socket.
const WAVE: usize = 1000;
/// Open files that the rest of the tests need.
const SPARE_FILES: usize = 1500;

/// How large a crowd this process can hold open, once it has raised its own limit.
fn largest_crowd() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let _ = setrlimit(Resource::Nofile, raised);
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let room = usize::try_from(files).unwrap_or(usize::MAX).saturating_sub(SPARE_FILES);
    if room < CROWD {
        eprintln!("skipped: a crowd of {CROWD}: only {files} files may be open; it is of {room}");
    }
    room.min(CROWD)
}

/// Lets a crowd come to a door, and meanwhile has well-behaved clients call, at every door.
fn besiege(house: &House, door: &Door, size: usize) {
    let mut inside: Vec<(Connection, String)> =
        house.doors().into_iter().map(|(door, headers)| (door.connect(), headers)).collect();
    for (connection, headers) in &mut inside {
        assert_call(connection, headers);
    }
    let (come, served) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let all_come = AtomicBool::new(false);
    let owner = house.owner();
    std::thread::scope(|scope| {
        let crowd = scope.spawn(|| {
            let mut crowd: Vec<Wire> = Vec::with_capacity(size);
            while crowd.len() < size {
                crowd.push(door.knock().unwrap());
                if crowd.len().is_multiple_of(WAVE) {
                    // Else the system itself would have the next one wait a second, to try again.
                    assert_served(door, &owner);
                }
            }
            come.store(crowd.len(), Ordering::Relaxed);
            all_come.store(true, Ordering::Release);
            crowd
        });
        while !all_come.load(Ordering::Acquire) && !crowd.is_finished() {
            house.assert_serves_all();
            served.fetch_add(1, Ordering::Relaxed);
        }
        // All of them stand there now, and stay.
        let _crowd = crowd.join().unwrap();
        house.assert_serves_all();
        for (connection, headers) in &mut inside {
            assert_call(connection, headers);
        }
    });
    assert_eq!(come.into_inner(), size);
    assert!(served.into_inner() > 0, "the crowd had come before anybody else");
    wait_until("the end of the siege", || {
        assert_served(door, &house.owner());
        Some(())
    });
}

#[test]
fn ten_thousand_strangers_keep_nobody_out() {
    let size = largest_crowd();
    let house = House::start("");
    besiege(&house, &house.tcp_door(), size);
    besiege(&house, &house.owner_door(), size);
    house.assert_untouched();
}
