//! Clients that send what is no request: noise, halves, depths, lies about lengths. Whatever it is, it
//! gets an error or no answer at all, and the daemon serves the next client.

use std::io::Write;

use serde_json::{Value, json};

use crate::fixture::{House, assert_call, noise};
use crate::support::HttpAnswer;
use crate::web_socket::{CLOSE, CONTINUATION, FINAL, PING, TEXT, WebSocket, frame, frame_head};
use crate::wire::{code, code_of, head, request};

/// As deep as no parser should follow.
const DEPTH: usize = 100_000;

/// The statuses of all answers in a stream of bytes.
fn statuses(bytes: &[u8]) -> Vec<u16> {
    String::from_utf8_lossy(bytes)
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|answer| answer[..3].parse().unwrap())
        .collect()
}

/// Throws bytes at every door; none of them may be answered as if all were well. (An error of JSON-RPC has
/// the status 200.)
fn assert_thrown_out(house: &House, what: &str, bytes: &[u8]) {
    for (door, _) in house.doors() {
        let told = door.throw(bytes);
        let text = String::from_utf8_lossy(&told);
        assert!(!text.contains("\"result\""), "{what} at {door:?}: {text}");
        assert!(told.is_empty() || !statuses(&told).is_empty(), "{what} at {door:?}: {text}");
    }
    house.assert_serves_all();
}

#[test]
fn noise_is_thrown_out() {
    let house = House::start("");
    for seed in 0..20 {
        let length = 1 << (seed % 18);
        assert_thrown_out(&house, "noise", &noise(seed, length));
        let mut behind_a_line = b"POST / HTTP/1.1\r\n".to_vec();
        behind_a_line.extend(noise(seed, length));
        assert_thrown_out(&house, "noise for headers", &behind_a_line);
    }
    assert_thrown_out(&house, "NULs", &[0; 100_000]);
    assert_thrown_out(&house, "TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
    assert_thrown_out(&house, "HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    assert_thrown_out(&house, "ends of lines", &b"\r\n".repeat(50_000));
    assert_thrown_out(&house, "no ends of lines", &b"x".repeat(1 << 20));
    house.assert_untouched();
}

/// A write that would be done if what is wrong with its request were overlooked.
const WRITE: &str =
    r#"{"jsonrpc":"2.0","id":1,"method":"preferences.set","params":{"key":"k","value":1}}"#;

#[test]
fn heads_that_lie_are_thrown_out() {
    let house = House::start("");
    let json = "Content-Type: application/json\r\n";
    let length = format!("Content-Length: {}\r\n", WRITE.len());
    let post = |headers: &str, body: &str| {
        head("POST /", &format!("{}{json}{headers}\r\n{body}", house.owner()))
    };
    let many = "X-Header: x\r\n".repeat(10_000);
    let huge = format!("X-Header: {}\r\n", "x".repeat(1 << 20));
    let long_path = format!("/{}", "x".repeat(1 << 20));
    let chunked = "Transfer-Encoding: chunked\r\n";
    let both = format!("{length}{chunked}");
    let sizes = [
        "zz\r\n",
        "-1\r\n",
        "ffffffffffffffffff\r\n",
        "10\r\nx",
        "5 5\r\nhello\r\n0\r\n\r\n",
        "5\nhello\n0\n\n",
        "\r\n\r\n",
        "7fffffffffffffff\r\n",
    ];
    let mut cases = vec![
        ("10,000 headers".to_owned(), post(&format!("{many}{length}"), WRITE)),
        ("a head of 1 MiB".to_owned(), post(&format!("{huge}{length}"), WRITE)),
        ("a path of 1 MiB".to_owned(), head(&format!("POST {long_path}"), "\r\n")),
        // Whoever stands between might read the one, and we the other.
        ("a length and chunks".to_owned(), post(&both, &format!("0\r\n\r\n{WRITE}"))),
        ("two lengths".to_owned(), post(&format!("{length}Content-Length: 1\r\n"), WRITE)),
        ("two lengths in one".to_owned(), post("Content-Length: 82, 1\r\n", WRITE)),
        ("chunks and more".to_owned(), post("Transfer-Encoding: chunked, gzip\r\n", WRITE)),
        ("another coding".to_owned(), post("Transfer-Encoding: xchunked\r\n", WRITE)),
        ("a NUL in a header".to_owned(), post(&format!("X-Header: a\0b\r\n{length}"), WRITE)),
        ("a folded header".to_owned(), post(&format!("X-Header: a\r\n b\r\n{length}"), WRITE)),
        ("a space before the colon".to_owned(), post(&format!("X-Header : a\r\n{length}"), WRITE)),
        ("a bare CR".to_owned(), post(&format!("X-Header: a\rX-Other: b\r\n{length}"), WRITE)),
        ("a header without a name".to_owned(), post(&format!(": a\r\n{length}"), WRITE)),
        ("HTTP/9.9".to_owned(), post(&length, WRITE).replace("HTTP/1.1", "HTTP/9.9")),
        ("no version".to_owned(), post(&length, WRITE).replace(" HTTP/1.1", "")),
    ];
    for value in ["-1", "+82", "0x52", "82x", "", "99999999999999999999999", "8 2"] {
        cases.push((
            format!("length {value:?}"),
            post(&format!("Content-Length: {value}\r\n"), WRITE),
        ));
    }
    for size in sizes {
        cases.push((format!("chunk {size:?}"), post(chunked, &format!("{size}{WRITE}"))));
    }
    for (what, bytes) in &cases {
        assert_thrown_out(&house, what, bytes.as_bytes());
    }
    house.assert_untouched();
}

/// A request that stops in the middle holds up nobody, and does nothing when it is given up.
#[test]
fn half_requests_hold_up_nobody() {
    let house = House::start("");
    let whole = head(
        "POST /",
        &format!(
            "{}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{WRITE}",
            house.owner(),
            WRITE.len()
        ),
    );
    let mut open = Vec::new();
    for end in [1, 10, whole.len() / 2, whole.len() - WRITE.len(), whole.len() - 1] {
        for (door, _) in house.doors() {
            let mut connection = door.connect();
            connection.send(&whole.as_bytes()[..end]);
            open.push(connection);
        }
    }
    house.assert_serves_all();
    for connection in open {
        let told = String::from_utf8_lossy(&connection.rest()).into_owned();
        assert!(!told.contains("\"result\""), "{told}");
    }
    house.assert_serves_all();
    house.assert_untouched();
}

fn post(house: &House, body: &str) -> HttpAnswer {
    house.owner_door().connect().post("", body).expect("no answer")
}

/// Texts that are too deep, too many, or not what they should be, each with the codes of its answers.
fn bad_texts() -> Vec<(&'static str, String, Vec<&'static str>)> {
    let deep = format!("{}1{}", "[".repeat(DEPTH), "]".repeat(DEPTH));
    let deep_object = format!("{}1{}", r#"{"a":"#.repeat(DEPTH), "}".repeat(DEPTH));
    let set =
        |value: &str| request("preferences.set", &format!(r#"{{"key":"k","value":{value}}}"#));
    let call = request("auth.whoami", "{}");
    let long = "x".repeat(1 << 20);
    vec![
        ("a deep array", deep.clone(), vec!["invalid_request"]),
        ("a deep object", deep_object.clone(), vec!["invalid_request"]),
        ("depth without an end", "[".repeat(DEPTH), vec!["parse_error"]),
        ("deep params", request("preferences.set", &deep), vec!["validation_error"]),
        ("deep named params", request("preferences.set", &deep_object), vec!["validation_error"]),
        ("a deep value", set(&deep), vec!["validation_error"]),
        ("a deep object for a value", set(&deep_object), vec!["validation_error"]),
        (
            "a deep id",
            format!(r#"{{"jsonrpc":"2.0","id":{deep},"method":"auth.whoami"}}"#),
            vec!["invalid_request"],
        ),
        (
            "a deep batch",
            format!("[{call},{},{deep}]", set(&deep)),
            vec!["", "validation_error", "invalid_request"],
        ),
        ("a batch of batches", format!("[[{call}],[{call},{call}]]"), vec!["invalid_request"; 2]),
        (
            "10,000 calls",
            format!("[{}{call}]", format!("{call},").repeat(9_999)),
            vec!["too_large"],
        ),
        ("a long name", request(&long, "{}"), vec!["method_not_found"]),
        ("a name of dots", request(&".".repeat(1 << 20), "{}"), vec!["method_not_found"]),
        (
            "a long key",
            request("preferences.get", &format!(r#"["{long}"]"#)),
            vec!["validation_error"],
        ),
        ("no JSON", "}{".to_owned(), vec!["parse_error"]),
        ("nothing", String::new(), vec!["parse_error"]),
        ("NULs", "\0".repeat(1000), vec!["parse_error"]),
        (
            "half a surrogate",
            request("preferences.set", r#"{"key":"\ud800","value":1}"#),
            vec!["validation_error"],
        ),
        ("an endless number", set(&"9".repeat(2 << 20)), vec!["validation_error"]),
        (
            "many keys",
            set(&format!("{{{}\"z\":1}}", r#""a":1,"#.repeat(400_000))),
            vec!["validation_error"],
        ),
    ]
}

/// The codes in an answer, one for each call of a batch; empty where a call went well.
fn codes(answer: &Value) -> Vec<String> {
    match answer {
        Value::Array(answers) => answers.iter().map(code_of).collect(),
        one => vec![code_of(one)],
    }
}

#[test]
fn texts_beyond_measure_are_answered_by_type() {
    let house = House::start("");
    for (what, text, expected) in bad_texts() {
        let answer = post(&house, &text);
        assert_eq!((answer.status, codes(&answer.json())), (200, owned(&expected)), "{what}");
        house.assert_serves_all();
    }
    house.assert_untouched();
    let bad =
        [&b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\xfe\"}"[..], b"\xff", b"\xed\xa0\x80"];
    for bytes in bad {
        let json = "Content-Type: application/json\r\n";
        let answer = house.owner_door().connect().ask("POST /", json, bytes).unwrap();
        assert_eq!(code(&answer), "parse_error");
    }
    // An id comes back as it went, however long.
    let id = "i".repeat(1 << 20);
    let asked = format!(r#"{{"jsonrpc":"2.0","id":"{id}","method":"auth.whoami"}}"#);
    let answer = post(&house, &asked).json();
    assert!(answer["id"] == json!(id) && answer["result"].is_object());
    house.assert_serves_all();
}

fn owned(codes: &[&str]) -> Vec<String> {
    codes.iter().map(|code| (*code).to_owned()).collect()
}

#[test]
fn the_same_texts_over_a_web_socket_end_nothing() {
    let house = House::start("");
    let mut socket = WebSocket::open(&house.owner_door(), "/", "").unwrap();
    for (what, text, expected) in bad_texts() {
        assert_eq!(codes(&socket.ask(&text)), owned(&expected), "{what}");
        // The same WebSocket, and all others, go on.
        assert_eq!(code_of(&socket.ask(&request("auth.whoami", "{}"))), "", "{what}");
    }
    house.assert_serves_all();
    house.assert_untouched();
}

/// What breaks the protocol of frames, each with the codes with which it may be closed (RFC 6455, section
/// 7.4.1); the connection may also just end.
#[test]
fn broken_frames_end_their_web_socket_and_no_other() {
    let house = House::start("");
    let text = request("preferences.set", r#"{"key":"k","value":1}"#);
    let unmasked =
        [frame_head(FINAL | TEXT, text.len() as u64, false), text.clone().into()].concat();
    let half = text.len() / 2;
    let (first, second) = text.as_bytes().split_at(half);
    let interrupted = [frame(TEXT, first), frame(FINAL | TEXT, second)].concat();
    let cases: [(&str, Vec<u8>); 14] = [
        ("a frame without a mask", unmasked),
        ("a first reserved bit", frame(FINAL | 0x40 | TEXT, text.as_bytes())),
        ("a second reserved bit", frame(FINAL | 0x20 | TEXT, text.as_bytes())),
        ("a third reserved bit", frame(FINAL | 0x10 | TEXT, text.as_bytes())),
        ("an unknown kind", frame(FINAL | 3, text.as_bytes())),
        ("an unknown control", frame(FINAL | 11, b"")),
        ("a ping too long", frame(FINAL | PING, &[b'x'; 126])),
        ("a ping in pieces", frame(PING, b"x")),
        ("a continuation of nothing", frame(FINAL | CONTINUATION, text.as_bytes())),
        ("a message within a message", interrupted),
        (
            "text that is none",
            frame(FINAL | TEXT, b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}"),
        ),
        ("a close of one byte", frame(FINAL | CLOSE, b"x")),
        ("a close with an odd code", frame(FINAL | CLOSE, &[0, 1])),
        ("noise", noise(1, 4096)),
    ];
    let mut bystander = WebSocket::open(&house.tcp_door(), "/", &house.owner()).unwrap();
    for (what, bytes) in cases {
        for (door, headers) in house.doors() {
            let mut socket = WebSocket::open(&door, "/", &headers).unwrap();
            socket.send_raw(&bytes);
            // A daemon that waits for the rest of noise is told that there is none.
            if what == "noise" {
                socket.0.finish_sending();
            }
            let code = socket.close_code();
            let plausible = [None, Some(1002), Some(1007), Some(1000)].contains(&code);
            assert!(plausible, "{what} at {door:?}: {code:?}");
        }
        assert_eq!(code_of(&bystander.ask(&request("auth.whoami", "{}"))), "", "{what}");
    }
    house.assert_serves_all();
    house.assert_untouched();
}

/// Requests one behind the other on one connection are each answered, in order, and what is no request
/// among them ends it.
#[test]
fn pipelined_requests_are_answered_in_order() {
    let house = House::start("");
    let ask = |id: usize| {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"auth.whoami"}}"#);
        let length = body.len();
        let json = "Content-Type: application/json\r\n";
        head("POST /", &format!("{json}Content-Length: {length}\r\n\r\n{body}"))
    };
    let all: String = (0..1000).map(ask).collect();
    let mut connection = house.owner_door().connect();
    let mut writer = connection.writer();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            writer.write_all(all.as_bytes()).unwrap();
            writer.write_all(b"\x01 no request\r\n\r\n").unwrap();
        });
        for id in 0..1000 {
            let answer = connection.answer(true).unwrap();
            assert_eq!((answer.status, &answer.json()["id"]), (200, &json!(id)));
        }
    });
    let told = connection.answer(true).map(|answer| answer.status);
    assert!(told.is_none_or(|status| status == 400), "{told:?}");
    assert_call(&mut house.owner_door().connect(), "");
    house.assert_serves_all();
}

/// Bodies that say that they have parts.
#[test]
fn parts_that_are_none_are_thrown_out() {
    let house = House::start("");
    let boundary = "b".repeat(70);
    let delimiter = format!("--{boundary}\r\n");
    let repeated = |line: &str, times: usize| format!("{delimiter}{line}").repeat(times);
    let mut bodies = vec![
        ("nothing", Vec::new()),
        ("ends of lines", b"\r\n".repeat(500_000)),
        ("hyphens", b"\r\n--".repeat(500_000)),
        ("delimiters", delimiter.repeat(10_000).into_bytes()),
        ("all but delimiters", format!("\r\n--{}x", &boundary[1..]).repeat(10_000).into_bytes()),
        ("parts without end", repeated("\r\n\r\n", 2_000).into_bytes()),
        ("headers without end", repeated(&"X: y\r\n".repeat(100_000), 1).into_bytes()),
        ("a header without end", repeated(&"x".repeat(1 << 20), 1).into_bytes()),
        ("padding without end", format!("--{boundary}{}", " ".repeat(1 << 20)).into_bytes()),
    ];
    for seed in 0..6 {
        bodies.push(("noise", noise(seed, 1 << (3 * seed))));
        bodies
            .push(("noise in a part", [repeated("\r\n", 1).as_bytes(), &noise(seed, 99)].concat()));
        bodies.push(("noise for headers", [delimiter.as_bytes(), &noise(seed, 9_999)].concat()));
    }
    for (door, headers) in house.doors() {
        for (what, body) in &bodies {
            let kind = format!("{headers}Content-Type: multipart/mixed; boundary={boundary}\r\n");
            let answer = door.connect().ask("POST /blobs", &kind, body).expect("no answer");
            assert_eq!(
                (answer.status, code(&answer).as_str()),
                (400, "validation_error"),
                "{what}"
            );
        }
        for boundary in ["", "\"", "\"\"", &"b".repeat(71), &"b".repeat(10_000), "\"b\u{e9}\""] {
            let kind = format!("{headers}Content-Type: multipart/mixed; boundary={boundary}\r\n");
            let answer = door.connect().ask("POST /blobs", &kind, b"--b--").expect("no answer");
            assert_eq!((answer.status, code(&answer).as_str()), (400, "validation_error"));
        }
        house.assert_serves_all();
    }
    assert_eq!(house.daemon.ok("blobs.list", json!({}))["items"], json!([]));
    house.assert_untouched();
}
