//! Time: for a head, for silence, for a body that stands still, for an answer that is not taken.

use std::io::Read;
use std::time::Duration;

use crate::fixture::{House, assert_call, noise};
use crate::support::wait_until;
use crate::web_socket::WebSocket;
use crate::wire::{Connection, Door, code, head, request};

/// A short look.
const GLANCE: Duration = Duration::from_millis(20);

/// Sends a byte now and then until the daemon hangs up; how many it took.
fn trickle(house: &House, connection: &mut Connection) -> usize {
    let mut sent = 0;
    wait_until("the end of a slow client", || {
        connection.send(b"x");
        sent += 1;
        if sent % 8 == 0 {
            house.assert_serves_all();
        }
        connection.is_closed(GLANCE).then_some(())
    });
    sent
}

/// A client that sends its head byte by byte (slow-loris), and one that sends nothing.
#[test]
fn a_head_has_so_long() {
    let house = House::start("[limits]\nheader_timeout_ms = 400\n");
    for (door, headers) in house.doors() {
        let mut slow = door.connect();
        slow.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nX-Header: ");
        assert!(trickle(&house, &mut slow) > 1);
        let mut silent = door.connect();
        wait_until("the end of a silent client", || silent.is_closed(GLANCE).then_some(()));
        // Who was let in once may be as slow at the next request.
        let mut known = door.connect();
        assert_call(&mut known, &headers);
        known.send(b"POST / HTTP/1.1\r\nX-Header: ");
        assert!(trickle(&house, &mut known) > 1);
    }
    house.assert_serves_all();
}

#[test]
fn a_connection_may_lie_idle_for_so_long() {
    let house = House::start("[limits]\nidle_timeout_ms = 400\n");
    for (door, headers) in house.doors() {
        let mut idle = door.connect();
        for _ in 0..3 {
            assert_call(&mut idle, &headers);
        }
        wait_until("the end of an idle connection", || idle.is_closed(GLANCE).then_some(()));
    }
    house.assert_serves_all();
}

/// A WebSocket that lies idle stays where its client answers pings, and ends where it does not.
#[test]
fn an_idle_web_socket_must_show_that_it_lives() {
    let house = House::start("[limits]\nidle_timeout_ms = 2000\n");
    let (door, headers) = (house.tcp_door(), house.owner());
    let mut alive = WebSocket::open(&door, "/", &headers).unwrap();
    let mut dead = WebSocket::open(&door, "/", &headers).unwrap();
    let pings = std::thread::scope(|scope| {
        let listening = scope.spawn(move || {
            let mut pings = 0;
            while dead.frame().is_some() {
                pings += 1;
            }
            pings
        });
        wait_until("the end of a dead WebSocket", || {
            // Only answers what comes in: pings.
            alive.0.0.get_ref().read_timeout(Some(GLANCE));
            alive.answer_a_ping();
            listening.is_finished().then_some(())
        });
        listening.join().unwrap()
    });
    assert!(pings > 0, "nobody asked whether it lives");
    alive.0.0.get_ref().read_timeout(None);
    assert!(alive.ask(&request("auth.whoami", "{}"))["result"].is_object());
    house.assert_serves_all();
}

/// A daemon with one place for a stream, so that a stream that does not end shows.
const ONE_STREAM: &str = "[limits]\nstall_timeout_ms = 700\nstreams = 1\n";

fn put(door: &Door, headers: &str, content: &[u8]) -> Option<String> {
    let answer = door.connect().ask("PUT /blobs", headers, content).expect("no answer");
    let body = answer.json();
    if answer.status != 200 {
        assert_eq!(code(&answer), "unavailable", "{answer:?}");
    }
    body["hash"].as_str().map(str::to_owned)
}

#[test]
fn a_body_that_stands_still_is_given_up() {
    let house = House::start(ONE_STREAM);
    let (json, parts) =
        ("Content-Type: application/json\r\n", "Content-Type: multipart/mixed; boundary=b\r\n");
    for (door, headers) in house.doors() {
        for (line, body) in [
            ("PUT /blobs", "Content-Length: 1000000\r\n\r\nsome of it"),
            ("PUT /blobs", "Transfer-Encoding: chunked\r\n\r\n5\r\nsome \r\n"),
            ("POST /blobs", "Content-Length: 1000000\r\n\r\n--b\r\n\r\nsome of it"),
            ("POST /blobs", "Transfer-Encoding: chunked\r\n\r\n8\r\n--b\r\nX: \r\n"),
            ("POST /", "Content-Length: 1000000\r\n\r\n{\"jsonrpc\""),
            ("POST /", "Transfer-Encoding: chunked\r\n\r\n5\r\nsome \r\n"),
        ] {
            let mut connection = door.connect();
            let kind = if line == "POST /blobs" { parts } else { json };
            connection.send(head(line, &format!("{headers}{kind}{body}")).as_bytes());
            // The test does not: that the daemon answers at all is the time-out.
            let told = connection.answer(true).map(|answer| (answer.status, code(&answer)));
            let refused = told.as_ref().is_none_or(|(status, _)| *status >= 400);
            assert!(refused, "{line} {body:?}: {told:?}");
            wait_until("the place of the stream", || put(&door, &headers, b"whole"));
        }
    }
    let blobs = house.daemon.ok("blobs.list", serde_json::json!({}));
    assert_eq!(blobs["items"].as_array().unwrap().len(), 1, "{blobs}");
    house.assert_serves_all();
}

#[test]
fn an_answer_that_is_not_taken_is_given_up() {
    let house = House::start(ONE_STREAM);
    let content = noise(1, 32 << 20);
    let hash = put(&house.owner_door(), "", &content).unwrap();
    let line = format!("GET /blobs/{hash}");
    for (door, headers) in house.doors() {
        let request = head(&line, &format!("{headers}\r\n"));
        // The one before may not have given its place back yet.
        let lazy = wait_until("a stream", || {
            let mut lazy = door.connect();
            lazy.send(request.as_bytes());
            let mut status = [0; 12];
            lazy.0.read_exact(&mut status).unwrap();
            (&status == b"HTTP/1.1 200").then_some(lazy)
        });
        // It holds the only place, and takes nothing.
        wait_until("the place of the stream", || {
            let answer = door.connect().ask(&line, &format!("{headers}Range: bytes=0-0\r\n"), b"");
            let answer = answer.expect("no answer");
            match answer.status {
                206 => Some(()),
                _ => {
                    assert_eq!((answer.status, code(&answer).as_str()), (503, "unavailable"));
                    None
                }
            }
        });
        let taken = lazy.rest().len();
        assert!(taken < content.len(), "all was sent to a client that took nothing");
    }
    house.assert_serves_all();
}
