//! Clients that ask for much and take nothing: what waits for them in the daemon's memory is bounded,
//! and the others are served.

use std::io::Write;
use std::time::Duration;

use crate::fixture::{ALICE, House, MALLORY, assert_served, call, noise};
use crate::support::wait_until;
use crate::web_socket::{FINAL, TEXT, WebSocket, frame};
use crate::wire::{Connection, Wire, assert_busy, is_timeout, request};

/// What a component may cost that has two large answers in memory, with all that they are made of.
const BOUND: u64 = 192 << 20;
/// How large the content is that is asked for; its answer is larger by a third.
const CONTENT: usize = 8 << 20;
/// At this level the log tells of every call.
const CONFIG: &str =
    "log = \"debug\"\n[limits]\nlarge_messages_per_component = 2\nstall_timeout_ms = 1000\n";

/// A house with a component, its header line, and a call of its own that has a large answer.
fn house_with_a_large_content() -> (House, String, String) {
    let house = House::start(CONFIG);
    let mallory = house.component(MALLORY);
    let content = noise(1, CONTENT);
    let put = house.tcp_door().connect().ask("PUT /blobs", &mallory, &content).unwrap().json();
    let get = request("blobs.get", &format!("[{}]", put["hash"]));
    (house, mallory, get)
}

/// Asserts that what came in since costs no more than it may, and that the others are served.
fn assert_bounded(house: &House, before: u64, alice: &str) {
    let cost = house.resident_bytes().saturating_sub(before);
    assert!(cost < BOUND, "a client that takes nothing costs {} MiB", cost >> 20);
    house.assert_serves_all();
    assert_served(&house.tcp_door(), alice);
}

/// Sends what is taken of it within a moment; none where the daemon has hung up.
fn push(wire: &mut Wire, bytes: &[u8]) -> Option<usize> {
    match wire.write(bytes) {
        Ok(count) => Some(count),
        Err(error) if is_timeout(&error) => Some(0),
        Err(_) => None,
    }
}

/// More and more calls over a WebSocket, whose answers nobody takes: the daemon cuts it off.
#[test]
fn a_web_socket_whose_client_takes_nothing_costs_so_much() {
    let (house, mallory, get) = house_with_a_large_content();
    let alice = house.component(ALICE);
    let before = house.resident_bytes();
    let mut socket = WebSocket::open(&house.tcp_door(), "/", &mallory).unwrap();
    let wire = socket.0.0.get_mut();
    wire.write_timeout(Duration::from_millis(20));
    let calls = frame(FINAL | TEXT, get.as_bytes()).repeat(1000);
    let mut sent = 0;
    wait_until("the end of the WebSocket", || {
        assert_bounded(&house, before, &alice);
        match push(wire, &calls[sent % calls.len()..]) {
            Some(count) => {
                sent += count;
                None
            }
            None => Some(()),
        }
    });
    // It holds nothing any more: its next client is served.
    call(&house.tcp_door(), &mallory, "blobs.usage", "{}").unwrap();
    house.assert_serves_all();
}

/// The same over many connections, a call on each.
#[test]
fn many_connections_whose_client_takes_nothing_cost_so_much() {
    let (house, mallory, get) = house_with_a_large_content();
    let alice = house.component(ALICE);
    let before = house.resident_bytes();
    let count = 12;
    let open: Vec<Connection> = (0..count)
        .map(|_| {
            let mut connection = house.tcp_door().connect();
            let json = "Content-Type: application/json\r\n";
            let length = get.len();
            let headers = format!("{mallory}{json}Content-Length: {length}\r\n\r\n{get}");
            connection.send(crate::wire::head("POST /", &headers).as_bytes());
            connection
        })
        .collect();
    // One after the other is answered, as those before are cut off.
    wait_until("all answers", || {
        assert_bounded(&house, before, &alice);
        let answered = house.daemon.log().matches("\"method\":\"blobs.get\"").count();
        (answered == count).then_some(())
    });
    drop(open);
    house.assert_serves_all();
}

/// Each WebSocket may have a large message on its way, so a component may have as many of them.
#[test]
fn a_component_has_so_many_web_sockets() {
    let house = House::start(CONFIG);
    let (mallory, alice) = (house.component(MALLORY), house.component(ALICE));
    let door = house.tcp_door();
    let open = |headers: &str| WebSocket::open(&door, "/", headers);
    let first = open(&mallory).unwrap();
    let mut second = open(&mallory).unwrap();
    assert_busy(&open(&mallory).unwrap_err());
    assert_busy(&open(&house.component(MALLORY)).unwrap_err());
    assert_served(&door, &mallory);
    for headers in [&alice, &house.owner()] {
        assert!(open(headers).unwrap().ask(&request("auth.whoami", "{}"))["result"].is_object());
    }
    assert!(second.ask(&request("auth.whoami", "{}"))["result"].is_object());
    drop(first);
    wait_until("a free place", || open(&mallory).ok());
    house.assert_serves_all();
}

/// Large requests of a component that come in at a time: more of them wait, and hold up nobody else.
#[test]
fn large_requests_wait_for_their_turn() {
    let house = House::start("[limits]\nlarge_messages_per_component = 2\n");
    let (mallory, alice) = (house.component(MALLORY), house.component(ALICE));
    let size = 200_000;
    let text = format!("{{\"pad\":\"{}\"}}", "x".repeat(size));
    let body = request("blobs.usage", &text);
    let begin = || {
        let mut connection = house.tcp_door().connect();
        let json = "Content-Type: application/json\r\n";
        let length = body.len();
        let headers = format!("{mallory}{json}Content-Length: {length}\r\n\r\n");
        connection.send(crate::wire::head("POST /", &headers).as_bytes());
        connection.send(&body.as_bytes()[..size]);
        connection
    };
    let mut open: Vec<Connection> = (0..6).map(|_| begin()).collect();
    house.assert_serves_all();
    assert_served(&house.tcp_door(), &alice);
    // Its small requests go on.
    assert_served(&house.tcp_door(), &mallory);
    for connection in &mut open {
        connection.send(&body.as_bytes()[size..]);
    }
    for connection in &mut open {
        let answer = connection.answer(true).expect("no answer");
        assert_eq!(crate::wire::code(&answer), "validation_error");
    }
    house.assert_serves_all();
}
