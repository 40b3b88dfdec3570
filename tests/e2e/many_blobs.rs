//! Many contents in one body: `POST /blobs`.

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;

use serde_json::{Value, json};

use crate::http_blobs::{file_names, hash_of, noise};
use crate::support::{Daemon, HttpAnswer, Options, wait_until};

fn post_as(daemon: &Daemon, query: &str, content_type: &str, body: &[u8]) -> HttpAnswer {
    let head = format!(
        "POST /blobs{query} HTTP/1.1\r\nHost: x\r\nContent-Type: {content_type}\r\n\
         Content-Length: {}\r\n",
        body.len()
    );
    daemon.http(&head, body)
}

fn post(daemon: &Daemon, body: &[u8]) -> HttpAnswer {
    post_as(daemon, "", "multipart/form-data; boundary=\"b 1\"", body)
}

/// A body of parts with these headers, each line of which has an end.
fn body(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (headers, content) in parts {
        body.extend_from_slice(b"--b 1\r\n");
        body.extend_from_slice(headers.as_bytes());
        body.extend_from_slice(b"\r\n");
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--b 1--\r\n");
    body
}

fn is_empty(daemon: &Daemon) -> bool {
    let blobs = daemon.root().join("blobs");
    file_names(&blobs) == [".tmp"]
        && file_names(&blobs.join(".tmp")).is_empty()
        && daemon.ok("blobs.list", json!({})) == json!({ "items": [] })
}

#[test]
fn parts_are_stored_as_contents_in_their_order() {
    let daemon = Daemon::start();
    let (large, text) = (noise(1, 3 << 20), b"--b 2\r\n--b\r\n\r\n--".as_slice());
    let hash = format!("X-Expected-Hash: {}\r\n", hash_of(&large));
    let form = "Content-Disposition: form-data; name=\"a\"; filename=\"caf\u{e9}.txt\"\r\n\
                Content-Type: text/plain\r\nX-Metadata: {\"a\": [1]}\r\n";
    let named = "Content-Disposition: form-data; name=\"a\"; filename=\"no\"\r\nX-Name: a%20b\r\n";
    let parts: [(&str, &[u8]); 5] =
        [(form, text), (&hash, &large), (named, b""), ("", text), ("", b"last")];
    let answer = post(&daemon, &body(&parts));
    assert_eq!(answer.status, 200, "{answer:?}");
    let item = |content: &[u8], created: bool| json!({ "hash": hash_of(content), "size": content.len(), "created": created });
    let created = [true, true, true, false, true];
    let items: Vec<Value> =
        parts.iter().zip(created).map(|((_, content), created)| item(content, created)).collect();
    assert_eq!(answer.json(), json!({ "items": items }));
    for (_, content) in &parts {
        let get = format!("GET /blobs/{} HTTP/1.1\r\nHost: x\r\n", hash_of(content));
        assert!(daemon.http(&get, b"").body == *content);
    }
    let stat = |content: &[u8]| daemon.ok("blobs.stat", json!([hash_of(content)]));
    assert_eq!(stat(b"")["name"], "a b");
    assert_eq!(stat(&large)["pinned"], true);
    // What is put again is said of anew: the last says nothing.
    assert!(stat(text).get("name").is_none());
    post(&daemon, &body(&[(form, text)]));
    let told = stat(text);
    assert_eq!(
        (&told["name"], &told["contentType"], &told["metadata"]),
        (&json!("caf\u{e9}.txt"), &json!("text/plain"), &json!({ "a": [1] }))
    );
    let mixed =
        post_as(&daemon, "?pin=false", "Multipart/Mixed; boundary=x", b"--x\r\n\r\n1\r\n--x--");
    assert_eq!(mixed.status, 200);
    assert_eq!(stat(b"1")["pinned"], false);
    assert_eq!(post(&daemon, &body(&[])).json(), json!({ "items": [] }));
    assert_eq!(file_names(&daemon.root().join("blobs/.tmp")), [""; 0]);
}

#[test]
fn a_thousand_parts_are_taken_and_no_more() {
    let daemon = Daemon::start();
    let contents: Vec<Vec<u8>> = (0..1001).map(|seed| noise(seed, 100)).collect();
    let parts: Vec<(&str, &[u8])> = contents.iter().map(|bytes| ("", bytes.as_slice())).collect();
    let told = post(&daemon, &body(&parts)).json();
    assert_eq!(told["data"]["fields"], json!({ "items": "must have at most 1000 items" }));
    assert!(is_empty(&daemon));
    let told = post(&daemon, &body(&parts[..1000])).json();
    let hashes: Vec<&str> =
        told["items"].as_array().unwrap().iter().map(|it| it["hash"].as_str().unwrap()).collect();
    let expected: Vec<String> = contents[..1000].iter().map(|bytes| hash_of(bytes)).collect();
    assert_eq!(hashes, expected);
    assert_eq!(daemon.ok("blobs.usage", json!({}))["count"], 1000);
}

#[test]
fn a_bad_part_is_named_and_nothing_is_stored() {
    let daemon = Daemon::start();
    let good = || ("", b"good".as_slice());
    let with = |headers: &str| body(&[good(), (headers, b"bad"), good()]);
    let other = format!("X-Expected-Hash: {}\r\n", "0".repeat(64));
    let long = format!("X: {}\r\n", "y".repeat(20_000));
    let unended = |cut: usize| {
        let body = body(&[good(), ("", &[7; 100_000])]);
        body[..body.len() - cut].to_vec()
    };
    for (what, bytes, field) in [
        ("another hash", with(&other), "items.1.expectedHash"),
        ("no hash", with("X-Expected-Hash: x\r\n"), "items.1.x-expected-hash"),
        ("no name", with("X-Name: %zz\r\n"), "items.1.x-name"),
        ("no JSON", with("X-Metadata: {\r\n"), "items.1.x-metadata"),
        ("no type", with("Content-Type:\r\n"), "items.1.content-type"),
        (
            "base64",
            with("Content-Transfer-Encoding: base64\r\n"),
            "items.1.content-transfer-encoding",
        ),
        (
            "a file name that is not UTF-8",
            [&b"--b 1\r\nContent-Disposition: form-data; filename=\xff\r\n\r\n\r\n--b 1--"[..]]
                .concat(),
            "items.0.content-disposition",
        ),
        ("no header", with("X\r\n"), "items.1"),
        ("long headers", with(&long), "items.1"),
        ("no parts", b"good".to_vec(), "items.0"),
        ("no end", unended(10), "items.1"),
        ("half an end", unended(4), "items.2"),
        ("no end behind a header", b"--b 1\r\nX: y\r\n".to_vec(), "items.0"),
        ("a line that goes on", b"--b 1\r\n\r\nx\r\n--b 12\r\n\r\n--b 1--".to_vec(), "items.1"),
        ("much behind the end", [body(&[good()]), vec![b'x'; 100_000]].concat(), "items.1"),
    ] {
        let answer = post(&daemon, &bytes);
        let error = answer.json();
        let fields =
            error["data"]["fields"].as_object().unwrap_or_else(|| panic!("{what}: {error}"));
        let fields: Vec<&String> = fields.keys().collect();
        assert_eq!((answer.status, fields), (400, vec![&field.to_owned()]), "{what}: {error}");
        assert!(is_empty(&daemon), "{what}");
    }
    for (query, content_type, field) in [
        ("?pin=x", "multipart/form-data; boundary=\"b 1\"", "pin"),
        ("?x=y", "multipart/form-data; boundary=\"b 1\"", "query"),
        ("", "multipart/form-data", "content-type"),
        ("", "multipart/related; boundary=\"b 1\"", "content-type"),
        ("", "application/octet-stream", "content-type"),
    ] {
        let answer = post_as(&daemon, query, content_type, &body(&[good()]));
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(answer.json()["data"]["fields"][field].is_string(), "{answer:?}");
    }
    assert!(is_empty(&daemon));
    assert_eq!(daemon.ok("status.get", json!({}))["status"], "ok");
}

/// The last delimiter alone is no end: what HTTP says of the body must hold too.
#[test]
fn a_body_of_parts_that_ends_early_is_never_stored() {
    let daemon = Daemon::start();
    let bytes = body(&[("", b"one"), ("", &noise(2, 1 << 20))]);
    let temporaries = daemon.root().join("blobs/.tmp");
    let busy = || !file_names(&temporaries).is_empty();
    for half in [bytes.len() / 2, bytes.len()] {
        for how in [None, Some(Shutdown::Write)] {
            let mut stream = daemon.connect();
            let head = format!(
                "POST /blobs HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/mixed; boundary=\"b 1\"\r\n\
                 Content-Length: {}\r\n\r\n",
                bytes.len() + 1
            );
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&bytes[..half]).unwrap();
            wait_until("the put to have begun", || busy().then_some(()));
            match how {
                None => drop(stream),
                Some(how) => {
                    stream.shutdown(how).unwrap();
                    let mut rest = String::new();
                    let _ = stream.read_to_string(&mut rest);
                    assert!(!rest.starts_with("HTTP/1.1 200"), "{rest}");
                }
            }
            wait_until("the temporary files to go", || (!busy()).then_some(()));
        }
    }
    assert!(is_empty(&daemon));
}

/// However many contents a body has and however large they are, few files are open meanwhile and memory
/// does not grow with them.
#[test]
fn parts_take_few_files_and_little_memory() {
    let daemon = Daemon::start();
    let part = noise(3, 1 << 20);
    let parts: Vec<(&str, &[u8])> = (0..96).map(|_| ("", part.as_slice())).collect();
    let body = body(&parts);
    let mut stream = daemon.connect();
    let head = format!(
        "POST /blobs HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/mixed; boundary=\"b 1\"\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    let process = format!("/proc/{}", daemon.pid());
    let resident = || {
        let statm = fs::read_to_string(format!("{process}/statm")).unwrap();
        statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    };
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&body[..10 << 20]).unwrap();
    let (before, files) = (resident(), fs::read_dir(format!("{process}/fd")).unwrap().count());
    stream.write_all(&body[10 << 20..body.len() - 3]).unwrap();
    let after = resident();
    let open = fs::read_dir(format!("{process}/fd")).unwrap().count();
    assert!(after < before + (32 << 20), "{before} {after}");
    assert!(open < files + 20, "{files} {open}");
    stream.write_all(b"-\r\n").unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
}

#[test]
fn what_parts_take_together_is_bounded() {
    let config = "[blobs]\nlimit_bytes = 100000\n".to_owned();
    let daemon = Daemon::start_with(&Options { config, ..Options::default() });
    let (one, two) = (noise(4, 60_000), noise(5, 60_000));
    let answer = post(&daemon, &body(&[("", &one), ("", &two)]));
    assert_eq!((answer.status, &answer.json()["data"]["code"]), (429, &json!("quota_exceeded")));
    assert!(is_empty(&daemon));
    assert_eq!(post(&daemon, &body(&[("", &one)])).status, 200);
}
