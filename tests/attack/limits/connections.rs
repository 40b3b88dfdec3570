//! Connections: of an endpoint, and of a component over all of them.

use std::time::Duration;

use crate::fixture::{ALICE, House, MALLORY, assert_call, assert_served};
use crate::support::wait_until;
use crate::web_socket::WebSocket;
use crate::wire::{Connection, Door, assert_busy, request};

/// A short look.
const GLANCE: Duration = Duration::from_millis(5);

/// A connection that has shown who it is, and stays.
fn known(door: &Door, headers: &str) -> Connection {
    let mut connection = door.connect();
    assert_call(&mut connection, headers);
    connection
}

/// Whether a newcomer is served; where not, he is told so by type.
fn is_let_in(door: &Door, headers: &str) -> bool {
    let answer = door.connect().post(headers, &request("auth.whoami", "{}")).expect("no answer");
    if answer.status != 200 {
        assert_busy(&answer);
    }
    answer.status == 200
}

/// Where all places of an endpoint are taken by those who are known, a newcomer is told so, nobody is
/// thrown out for him, and the other endpoints have their own places.
#[test]
fn an_endpoint_has_so_many_places() {
    let house = House::start("[limits]\nconnections = 3\n");
    let doors = house.doors();
    for (position, (door, headers)) in doors.iter().enumerate() {
        let mut inside: Vec<Connection> = (0..3).map(|_| known(door, headers)).collect();
        assert!(!is_let_in(door, headers), "{door:?}");
        for (other, headers) in
            doors.iter().enumerate().filter(|(at, _)| *at != position).map(|(_, it)| it)
        {
            assert_served(other, headers);
        }
        for connection in &mut inside {
            assert_call(connection, headers);
        }
        // Who goes makes room.
        drop(inside.pop());
        wait_until("a free place", || is_let_in(door, headers).then_some(()));
        for connection in &mut inside {
            assert_call(connection, headers);
        }
    }
}

/// Strangers give way to a newcomer, the oldest first, and never a connection that is known.
#[test]
fn strangers_give_way() {
    let house = House::start("[limits]\nconnections = 3\n");
    for (door, headers) in house.doors() {
        let mut inside = known(&door, &headers);
        let mut strangers: Vec<Connection> = (0..2).map(|_| door.connect()).collect();
        // A half request is as strange as none.
        strangers[1].send(b"POST / HTTP/1.1\r\nHost: localhost\r\n");
        let mut newcomer = known(&door, &headers);
        wait_until("the oldest stranger's end", || strangers[0].is_closed(GLANCE).then_some(()));
        let mut next = known(&door, &headers);
        wait_until("the other stranger's end", || strangers[1].is_closed(GLANCE).then_some(()));
        for connection in [&mut inside, &mut newcomer, &mut next] {
            assert_call(connection, &headers);
        }
        // All are known now: even a request of the owner's finds no place.
        assert!(!is_let_in(&door, &headers));
    }
}

/// A guess at a token makes nobody known.
#[test]
fn wrong_tokens_keep_no_places() {
    let house = House::start("[limits]\nconnections = 3\n");
    let wrong = format!("Authorization: Bearer {}\r\n", "0".repeat(64));
    let mut guesses = Vec::new();
    for _ in 0..10 {
        let mut connection = house.tcp_door().connect();
        let answer = connection.post(&wrong, &request("auth.whoami", "{}")).unwrap();
        assert_eq!((answer.status, answer.header("connection")), (401, Some("close")));
        guesses.push(connection);
    }
    assert_served(&house.tcp_door(), &house.owner());
    for mut guess in guesses {
        wait_until("the end of a guess", || guess.is_closed(GLANCE).then_some(()));
    }
}

/// A component has so many connections over all endpoints together; the owner and other components have
/// theirs.
#[test]
fn a_component_has_so_many_connections() {
    let house = House::start("[limits]\nconnections_per_component = 2\n");
    let own_door = Door::Unix(house.component_socket(MALLORY));
    let (first, second) = (house.component(MALLORY), house.component(MALLORY));
    let one = known(&own_door, "");
    let mut other = WebSocket::open(&house.tcp_door(), "/", &first).unwrap();
    // By another of its tokens, at any endpoint, it is still the same component.
    for (door, headers) in [
        (house.tcp_door(), first.as_str()),
        (house.component_door(), second.as_str()),
        (own_door.clone(), ""),
        (own_door.clone(), first.as_str()),
    ] {
        assert!(!is_let_in(&door, headers), "{door:?}");
        assert_busy(&WebSocket::open(&door, "/", headers).unwrap_err());
    }
    assert!(other.ask(&request("auth.whoami", "{}"))["result"].is_object());
    let alice = house.component(ALICE);
    assert_served(&house.tcp_door(), &alice);
    assert_served(&house.component_door(), &alice);
    assert_served(&Door::Unix(house.component_socket(ALICE)), "");
    house.assert_serves_all();
    drop(one);
    wait_until("a free place", || is_let_in(&house.tcp_door(), &second).then_some(()));
    drop(other);
    wait_until("a free place", || is_let_in(&own_door, "").then_some(()));
}
