//! Clients that send all that they have before they read: a refusal must reach them too, within bounds.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::fixture::{House, noise};
use crate::support::wait_until;
use crate::wire::{Door, bearer, code, head};

/// The status and the typed code that a client is told that sends its head, then all of its body, and
/// only then reads.
fn told(door: &Door, line: &str, headers: &str, body: &[u8]) -> (u16, String) {
    let mut connection = door.connect();
    let length = format!("Content-Length: {}\r\n\r\n", body.len());
    let head = head(line, &format!("Content-Type: application/json\r\n{headers}{length}"));
    let wire = connection.0.get_mut();
    wire.write_all(head.as_bytes()).unwrap();
    // The daemon has its answer ready before the rest comes.
    std::thread::sleep(Duration::from_millis(20));
    for part in body.chunks(64 << 10) {
        wire.write_all(part).unwrap_or_else(|error| panic!("{door:?} {line}: {error}"));
    }
    let answer = connection.answer(true).unwrap_or_else(|| panic!("{door:?} {line}: no answer"));
    (answer.status, code(&answer))
}

/// The daemon answered who it did not let in, and closed the socket with the rest unread: the client's
/// write failed (EPIPE), or its answer was thrown away with the connection (a reset), so that nobody
/// with a wrong token and a large call ever learned that it was wrong.
#[test]
fn who_is_turned_away_learns_why() {
    let house = House::start("");
    let body = noise(1, 300_000);
    let wrong = bearer("osn_nobody_knows_this_token");
    for door in [house.owner_door(), house.component_door(), house.tcp_door()] {
        for line in ["POST /", "PUT /blobs"] {
            for _ in 0..5 {
                let told = told(&door, line, &wrong, &body);
                assert_eq!(told, (401, "unauthorized".to_owned()), "{door:?} {line}");
            }
        }
    }
    house.assert_serves_all();
}

#[test]
fn a_request_far_over_the_limit_is_answered_too() {
    let house = House::start("");
    let body = noise(1, 20 << 20);
    for (door, headers) in house.doors() {
        assert_eq!(told(&door, "POST /", &headers, &body), (413, "too_large".to_owned()));
        let plain = format!("{headers}Content-Type: text/plain\r\n");
        let answer = told(&door, "GET /nowhere", &plain, &body);
        assert_eq!(answer, (404, "not_found".to_owned()));
    }
    house.assert_serves_all();
}

/// A stranger wins nothing by that: neither his bytes nor his silence are waited for long, and meanwhile
/// he gives way to whoever comes.
#[test]
fn a_stranger_is_not_listened_to_for_long() {
    let house = House::start("");
    let headers = "Content-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n";
    let unending = head("POST /", headers);
    for door in [house.component_door(), house.tcp_door()] {
        let mut silent = door.connect();
        let begun = Instant::now();
        assert!(silent.send(unending.as_bytes()));
        assert_eq!(silent.answer(true).map(|answer| answer.status), Some(401));
        // The end of what the daemon says comes at once; that it listens no more shows by writing.
        wait_until("the end of a silent stranger", || {
            std::thread::sleep(Duration::from_millis(50));
            (!silent.send(b" ")).then_some(())
        });
        assert!(begun.elapsed() > Duration::from_millis(500));
        let mut eager = door.connect();
        eager.send(unending.as_bytes());
        let part = [b' '; 64 << 10];
        let taken = (0..1000).take_while(|_| eager.send(&part)).count();
        assert!(taken < 1000, "{door:?} took {taken} parts");
    }
    house.assert_serves_all();
}
