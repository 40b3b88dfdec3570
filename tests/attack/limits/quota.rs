//! Bytes that are kept: of a component's contents, and of the whole store.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::fixture::{ALICE, House, MALLORY, call, noise};
use crate::support::HttpAnswer;
use crate::wire::{Connection, Door, code, head};

const LIMIT: usize = 100_000;

fn put(door: &Door, headers: &str, content: &[u8]) -> HttpAnswer {
    door.connect().ask("PUT /blobs", headers, content).expect("no answer")
}

/// Puts a content in chunks, without saying its length before.
fn put_in_chunks(door: &Door, headers: &str, content: &[u8]) -> HttpAnswer {
    let mut connection: Connection = door.connect();
    let headers = format!("{headers}Transfer-Encoding: chunked\r\n\r\n");
    connection.send(head("PUT /blobs", &headers).as_bytes());
    for part in content.chunks(9_000) {
        connection.send(format!("{:x}\r\n", part.len()).as_bytes());
        connection.send(part);
        connection.send(b"\r\n");
    }
    connection.send(b"0\r\n\r\n");
    connection.answer(true).expect("no answer")
}

#[track_caller]
fn assert_kept(answer: &HttpAnswer) {
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[track_caller]
fn assert_over(answer: &HttpAnswer) {
    assert_eq!((answer.status, code(answer).as_str()), (429, "quota_exceeded"), "{answer:?}");
}

#[test]
fn a_component_may_hold_so_much() {
    let house = House::start(&format!("[blobs]\ncomponent_limit_bytes = {LIMIT}\n"));
    let (mallory, alice) = (house.component(MALLORY), house.component(ALICE));
    let door = house.tcp_door();
    let (large, small) = (noise(1, 60_000), noise(2, LIMIT - 60_000));
    // One over at once, by every way in.
    let over = noise(3, LIMIT + 1);
    assert_over(&put(&door, &mallory, &over));
    assert_over(&put_in_chunks(&door, &mallory, &over));
    let data = format!(r#"{{"data":"{}"}}"#, STANDARD.encode(&over));
    assert_eq!(call(&door, &mallory, "blobs.put", &data).unwrap_err(), "quota_exceeded");
    // One over in all.
    assert_kept(&put(&door, &mallory, &large));
    assert_over(&put(&door, &mallory, &noise(4, small.len() + 1)));
    assert_kept(&put_in_chunks(&door, &mallory, &small));
    let usage = call(&door, &mallory, "blobs.usage", "{}").unwrap();
    assert_eq!((&usage["bytes"], &usage["limitBytes"]), (&json!(LIMIT), &json!(LIMIT)));
    assert_over(&put(&door, &mallory, b"x"));
    let byte = format!(r#"{{"data":"{}"}}"#, STANDARD.encode(b"x"));
    assert_eq!(call(&door, &mallory, "blobs.put", &byte).unwrap_err(), "quota_exceeded");
    // By another of its tokens, or by its socket, it is no other component.
    assert_over(&put(&door, &house.component(MALLORY), b"x"));
    assert_over(&put(&Door::Unix(house.component_socket(MALLORY)), "", b"x"));
    // What it has it may put again; the others have their own quota.
    assert_kept(&put(&door, &mallory, &large));
    assert_kept(&put(&door, &alice, &large));
    assert_kept(&put(&house.owner_door(), "", &over));
    // It is refused what another holds as well as what nobody does, or a put would tell.
    assert_over(&put(&door, &mallory, &over));
    let hash = put(&door, &mallory, &large).json()["hash"].clone();
    let gone = call(&door, &mallory, "blobs.delete", &format!("[{hash}]")).unwrap();
    assert_eq!(gone["deleted"], true);
    assert_kept(&put(&door, &mallory, b"x"));
    house.assert_serves_all();
}

/// The store as a whole has a limit, for the owner too; records go on where it is reached.
#[test]
fn the_store_may_hold_so_much() {
    let house = House::start(&format!("[blobs]\nlimit_bytes = {LIMIT}\n"));
    let door = house.owner_door();
    assert_over(&put(&door, "", &noise(0, LIMIT + 1)));
    assert_over(&put_in_chunks(&door, "", &noise(0, LIMIT + 1)));
    // On disk a content takes a little more than its bytes.
    let contents: Vec<Vec<u8>> = (1..=9).map(|seed| noise(seed, 10_000)).collect();
    let kept: Vec<HttpAnswer> = contents.iter().map(|content| put(&door, "", content)).collect();
    kept.iter().for_each(assert_kept);
    let stored = house.daemon.ok("blobs.usage", json!({}))["storedBytes"].as_u64().unwrap();
    let left = LIMIT - usize::try_from(stored).unwrap();
    assert_over(&put(&door, "", &noise(10, left)));
    let alice = house.component(ALICE);
    assert_over(&put(&house.tcp_door(), &alice, &noise(10, left)));
    house.daemon.ok("preferences.set", json!(["k", 1]));
    let hash = kept[0].json()["hash"].clone();
    assert_eq!(house.daemon.ok("blobs.delete", json!([hash]))["deleted"], true);
    assert_kept(&put(&door, "", &noise(10, left)));
    house.assert_serves_all();
}
