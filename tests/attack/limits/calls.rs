//! Calls that run or wait at a time: all, and those of a component.

use std::time::Duration;

use rusqlite::Connection as Database;
use serde_json::{Value, json};

use crate::fixture::{ALICE, House, MALLORY, call};
use crate::support::wait_until;
use crate::web_socket::WebSocket;
use crate::wire::{code_of, request};

/// A batch of writes; each waits until all of them have begun.
fn batch_of_writes(count: usize) -> String {
    let hash = "0".repeat(64);
    let writes: Vec<String> =
        (0..count).map(|_| request("blobs.pin", &format!(r#"["{hash}"]"#))).collect();
    format!("[{}]", writes.join(","))
}

fn codes(answers: &Value) -> Vec<String> {
    answers.as_array().unwrap().iter().map(code_of).collect()
}

/// The calls of a batch count as one each.
#[test]
fn a_component_may_have_so_many_calls_in_flight() {
    let house = House::start("[limits]\ncalls_per_component = 3\n");
    let mallory = house.component(MALLORY);
    let mut connection = house.tcp_door().connect();
    for _ in 0..3 {
        let answers = connection.post(&mallory, &batch_of_writes(5)).unwrap().json();
        assert_eq!(
            codes(&answers),
            ["not_found", "not_found", "not_found", "unavailable", "unavailable"]
        );
        assert!(answers[3]["error"]["data"]["retryAfterMs"].as_u64().unwrap() > 0);
    }
    // The owner is bound by what the daemon can bear alone.
    let answers = house.owner_door().connect().post("", &batch_of_writes(5)).unwrap().json();
    assert_eq!(codes(&answers), ["not_found"; 5]);
}

#[test]
fn there_may_be_so_many_calls_in_flight() {
    let house = House::start("[limits]\ncalls = 3\n");
    for (door, headers) in house.doors() {
        let mut connection = door.connect();
        let answers = connection.post(&headers, &batch_of_writes(4)).unwrap().json();
        assert_eq!(codes(&answers), ["not_found", "not_found", "not_found", "unavailable"]);
        let mut socket = WebSocket::open(&door, "/", &headers).unwrap();
        let answers = socket.ask(&batch_of_writes(4));
        assert_eq!(codes(&answers), ["not_found", "not_found", "not_found", "unavailable"]);
    }
    house.assert_serves_all();
}

/// Keeps the daemon from writing, as a backup tool would that holds the lock of its database.
fn hold_the_database(house: &House) -> Database {
    let database = Database::open(house.daemon.root().join("osnova.db")).unwrap();
    database.busy_timeout(Duration::from_secs(10)).unwrap();
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    database
}

/// Writes of a component wait, as many as it may have; the others are served meanwhile, and it is again
/// once they are done.
#[test]
fn who_has_too_many_calls_waiting_is_told_so_and_the_others_are_served() {
    let house = House::start("[limits]\ncalls_per_component = 3\n");
    let (mallory, alice) = (house.component(MALLORY), house.component(ALICE));
    let door = house.tcp_door();
    let lock = hold_the_database(&house);
    let mut socket = WebSocket::open(&door, "/", &mallory).unwrap();
    let hash = "0".repeat(64);
    for _ in 0..3 {
        assert!(socket.send(&request("blobs.pin", &format!(r#"["{hash}"]"#))));
    }
    wait_until("three calls that wait", || {
        call(&door, &mallory, "blobs.usage", "{}").err().map(|code| assert_eq!(code, "unavailable"))
    });
    for (headers, method) in [(&alice, "blobs.usage"), (&house.owner(), "preferences.list")] {
        call(&door, headers, method, "{}").unwrap();
    }
    lock.execute_batch("ROLLBACK").unwrap();
    for _ in 0..3 {
        assert_eq!(code_of(&socket.receive().unwrap()), "not_found");
    }
    call(&door, &mallory, "blobs.usage", "{}").unwrap();
    assert_eq!(house.daemon.ok("preferences.list", json!({}))["items"], json!([]));
}
