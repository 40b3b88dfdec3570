//! Sizes: of a request, of an answer, of a batch.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::fixture::{House, noise};
use crate::web_socket::{CONTINUATION, FINAL, TEXT, WebSocket, frame, frame_head};
use crate::wire::{Door, code, code_of, head, request};

const LIMIT: usize = 10_000;

/// A call that is exactly so long.
fn call_of(length: usize) -> String {
    let empty = request("preferences.get", r#"[""]"#);
    let key = "k".repeat(length - empty.len());
    let call = request("preferences.get", &format!(r#"["{key}"]"#));
    assert_eq!(call.len(), length);
    call
}

/// Posts a body in chunks, without saying its length before.
fn post_in_chunks(door: &Door, headers: &str, body: &str) -> (u16, String) {
    let mut connection = door.connect();
    let headers =
        format!("{headers}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
    connection.send(head("POST /", &headers).as_bytes());
    for part in body.as_bytes().chunks(1000) {
        connection.send(format!("{:x}\r\n", part.len()).as_bytes());
        connection.send(part);
        connection.send(b"\r\n");
    }
    connection.send(b"0\r\n\r\n");
    let answer = connection.answer(true).expect("no answer");
    (answer.status, code(&answer))
}

#[test]
fn a_request_over_the_limit_is_too_large() {
    let house = House::start(&format!("[limits]\nrequest_bytes = {LIMIT}\n"));
    // The longest that is taken reaches its method, which does not like the key.
    let (most, over) = (call_of(LIMIT), call_of(LIMIT + 1));
    for (door, headers) in house.doors() {
        let answer = door.connect().post(&headers, &most).unwrap();
        assert_eq!((answer.status, code(&answer).as_str()), (200, "validation_error"));
        let answer = door.connect().post(&headers, &over).unwrap();
        assert_eq!((answer.status, code(&answer).as_str()), (413, "too_large"));
        assert_eq!(post_in_chunks(&door, &headers, &most), (200, "validation_error".to_owned()));
        assert_eq!(post_in_chunks(&door, &headers, &over), (413, "too_large".to_owned()));
    }
    house.assert_serves_all();
}

/// A length that is only said is refused before anything of it comes.
#[test]
fn a_body_that_is_announced_too_large_is_not_waited_for() {
    let house = House::start(&format!("[limits]\nrequest_bytes = {LIMIT}\n"));
    for (door, headers) in house.doors() {
        let mut connection = door.connect();
        let headers = format!(
            "{headers}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            u64::MAX >> 1
        );
        connection.send(head("POST /", &headers).as_bytes());
        // Enough to be over the limit, far from all that was announced.
        connection.send(&[b' '; LIMIT + 1]);
        let answer = connection.answer(true).unwrap();
        assert_eq!((answer.status, code(&answer).as_str()), (413, "too_large"));
    }
    house.assert_serves_all();
}

#[test]
fn a_web_socket_message_over_the_limit_is_too_large() {
    let house = House::start(&format!("[limits]\nrequest_bytes = {LIMIT}\n"));
    let open = |(door, headers): &(Door, String)| WebSocket::open(door, "/", headers).unwrap();
    for door in &house.doors() {
        let mut socket = open(door);
        assert_eq!(code_of(&socket.ask(&call_of(LIMIT))), "validation_error");
        assert_eq!(code_of(&socket.ask(&call_of(LIMIT + 1))), "too_large");
        assert_eq!(socket.close_code(), Some(1009));
        // One that only says to be so long.
        for length in [LIMIT as u64 + 1, 1 << 40, u64::MAX >> 1] {
            let mut socket = open(door);
            socket.send_raw(&frame_head(FINAL | TEXT, length, true));
            assert_eq!(code_of(&socket.receive().unwrap()), "too_large", "{length}");
            assert_eq!(socket.close_code(), Some(1009), "{length}");
        }
        // One in pieces that never ends.
        let mut socket = open(door);
        let mut sent = socket.send_raw(&frame(TEXT, &[b' '; 100]));
        let mut pieces = 1;
        while sent && pieces < LIMIT {
            sent = socket.send_raw(&frame(CONTINUATION, &[b' '; 100]));
            pieces += 1;
        }
        assert!(!sent, "a message of {pieces} pieces was taken");
    }
    house.assert_serves_all();
}

#[test]
fn an_answer_over_the_limit_is_too_large() {
    let limit = 100_000;
    let house = House::start(&format!("[limits]\nresponse_bytes = {limit}\n"));
    let daemon = &house.daemon;
    let put = daemon.ok("blobs.put", json!({ "data": STANDARD.encode(noise(1, limit)) }));
    // Base64 makes four characters of three bytes, and there is more in an answer than data.
    let most = (limit - 4096) / 4 * 3;
    let data = daemon.ok("blobs.get", json!({ "hash": put["hash"], "length": most }));
    assert_eq!(data["data"].as_str().unwrap().len(), most.div_ceil(3) * 4);
    daemon.fails("too_large", "blobs.get", json!({ "hash": put["hash"], "length": most + 1 }));

    // Two records fit alone, and not together.
    let value = "v".repeat(limit / 2);
    for key in ["a", "b"] {
        daemon.ok("preferences.set", json!({ "key": key, "value": value }));
        daemon.ok("preferences.get", json!([key]));
    }
    daemon.fails("too_large", "preferences.list", json!({}));
    assert_eq!(daemon.ok("preferences.list", json!({ "limit": 1 }))["items"][0]["key"], "a");
    // A write whose answer would not fit is not done.
    daemon.fails("too_large", "preferences.set", json!({ "key": "c", "value": "v".repeat(limit) }));
    daemon.fails("not_found", "preferences.get", json!(["c"]));
    // Of a batch each answer that does not fit is told so alone.
    let get = |key: &str| request("preferences.get", &format!(r#"["{key}"]"#));
    let batch = daemon.post(&format!("[{},{},{}]", get("a"), get("b"), get("c")));
    let answers: Vec<serde_json::Value> = serde_json::from_str(&batch).unwrap();
    let codes: Vec<String> = answers.iter().map(code_of).collect();
    assert_eq!(codes, ["", "too_large", "not_found"]);
    house.assert_serves_all();
}

#[test]
fn a_batch_over_the_limit_is_refused_as_a_whole() {
    let house = House::start("[limits]\nbatch_calls = 3\n");
    let batch = |calls: usize| {
        let call = |key| request("preferences.set", &format!(r#"{{"key":"k{key}","value":1}}"#));
        format!("[{}]", (0..calls).map(call).collect::<Vec<_>>().join(","))
    };
    for (door, headers) in house.doors() {
        let refused = door.connect().post(&headers, &batch(4)).unwrap();
        assert_eq!((refused.status, code(&refused).as_str()), (200, "too_large"));
        let mut socket = WebSocket::open(&door, "/", &headers).unwrap();
        assert_eq!(code_of(&socket.ask(&batch(4))), "too_large");
    }
    house.assert_untouched();
    let answers: serde_json::Value = serde_json::from_str(&house.daemon.post(&batch(3))).unwrap();
    assert_eq!(answers.as_array().unwrap().len(), 3);
    assert_eq!(
        house.daemon.ok("preferences.list", json!({}))["items"].as_array().unwrap().len(),
        3
    );
    house.assert_serves_all();
}
