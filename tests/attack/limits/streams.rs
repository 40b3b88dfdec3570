//! Blob streams that are open at a time: all, and those of a component.

use serde_json::json;

use crate::fixture::{ALICE, House, MALLORY, call};
use crate::support::{HttpAnswer, wait_until};
use crate::wire::{Connection, Door, assert_busy, head};

/// A put that has begun and goes no further. The daemon asks for its body only once it has its place.
fn begin(door: &Door, headers: &str) -> Connection {
    let mut connection = door.connect();
    let headers = format!("{headers}Expect: 100-continue\r\nContent-Length: 1000\r\n\r\n");
    connection.send(head("PUT /blobs", &headers).as_bytes());
    assert_eq!(connection.answer(false).expect("no answer").status, 100);
    connection.send(b"some of it");
    connection
}

fn put(door: &Door, headers: &str) -> HttpAnswer {
    door.connect().ask("PUT /blobs", headers, b"whole").expect("no answer")
}

fn get(door: &Door, headers: &str) -> HttpAnswer {
    let hash = "0".repeat(64);
    door.connect().ask(&format!("GET /blobs/{hash}"), headers, b"").expect("no answer")
}

fn assert_is_busy(door: &Door, headers: &str) {
    assert_busy(&put(door, headers));
    assert_busy(&get(door, headers));
}

fn assert_is_free(door: &Door, headers: &str) {
    let answer = put(door, headers);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(get(door, headers).status, 404);
}

#[test]
fn streams_are_counted_for_all_and_for_each_component() {
    let house = House::start("[limits]\nstreams = 2\nstreams_per_component = 1\n");
    let (mallory, alice) = (house.component(MALLORY), house.component(ALICE));
    let (door, owners) = (house.tcp_door(), house.owner());
    let first = begin(&door, &mallory);
    assert_is_busy(&door, &mallory);
    // By every way to it, it is the same component.
    assert_is_busy(&Door::Unix(house.component_socket(MALLORY)), "");
    assert_is_busy(&house.component_door(), &house.component(MALLORY));
    assert_is_free(&door, &alice);
    assert_is_free(&house.owner_door(), "");

    let second = begin(&door, &alice);
    // All of them are taken now, for the owner too; calls and what is in them go on.
    assert_is_busy(&house.owner_door(), "");
    house.assert_serves_all();
    house.daemon.ok("blobs.put", json!({ "data": "aGVsbG8=" }));
    call(&door, &mallory, "blobs.usage", "{}").unwrap();

    drop(second);
    wait_until("a free stream", || (put(&door, &owners).status == 200).then_some(()));
    assert_is_busy(&door, &mallory);
    drop(first);
    wait_until("a free stream", || (put(&door, &mallory).status == 200).then_some(()));
    house.assert_serves_all();
}
