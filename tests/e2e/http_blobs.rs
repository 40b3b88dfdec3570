//! Contents over plain HTTP: `PUT /blobs`, `GET` and `HEAD /blobs/{hash}`.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::document::Document;
use crate::example_root::{self, HELLO};
use crate::support::{Daemon, HttpAnswer, Options, connect, exchange, wait_until};

fn put(daemon: &Daemon, query: &str, headers: &str, content: &[u8]) -> HttpAnswer {
    let length = content.len();
    let head =
        format!("PUT /blobs{query} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {length}\r\n");
    daemon.http(&head, content)
}

fn get(daemon: &Daemon, hash: &str, headers: &str) -> HttpAnswer {
    daemon.http(&format!("GET /blobs/{hash} HTTP/1.1\r\nHost: x\r\n{headers}"), b"")
}

pub(crate) fn hash_of(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes that neither compress nor repeat.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15 ^ (seed + 1).wrapping_mul(0xd1b5_4a32_d192_ed03);
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

pub(crate) fn file_names(folder: &std::path::Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

/// A path that is not even text is a bad hash like any other, with the error object of the contract.
#[test]
fn a_path_that_is_not_text_is_a_typed_error() {
    let daemon = Daemon::start();
    for path in ["%ff", "%00", "..%2f..%2fetc%2fpasswd", "x"] {
        let answer = daemon.http(&format!("GET /blobs/{path} HTTP/1.1\r\nHost: x\r\n"), b"");
        assert_eq!(answer.status, 400, "{path}");
        assert_eq!(answer.json()["data"]["code"], "validation_error", "{path}");
        assert!(answer.json()["data"]["fields"]["hash"].is_string(), "{path}");
    }
}

#[test]
fn a_put_says_what_blobs_put_says_and_keeps_what_the_headers_say() {
    let daemon = Daemon::start();
    let headers = format!(
        "Content-Type: text/plain\r\nX-Name: a%20b%C3%A9%2F..%2F.txt\r\nX-Expected-Hash: {HELLO}\r\n"
    );
    let answer = put(&daemon, "", &headers, b"hello, osnova\n");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.json(), json!({ "hash": HELLO, "size": 14, "created": true }));
    let stat = daemon.ok("blobs.stat", json!([HELLO]));
    assert_eq!(stat["name"], "a b\u{e9}/../.txt");
    assert_eq!((&stat["contentType"], &stat["pinned"]), (&json!("text/plain"), &json!(true)));
    // Again, under another name, and not pinned.
    let answer = put(&daemon, "?pin=false", "X-Name: other\r\n", b"hello, osnova\n");
    assert_eq!(answer.json(), json!({ "hash": HELLO, "size": 14, "created": false }));
    let stat = daemon.ok("blobs.stat", json!([HELLO]));
    assert_eq!((&stat["name"], &stat["pinned"]), (&json!("other"), &json!(false)));
    assert_eq!(stat.get("contentType"), None);
    put(&daemon, "?pin=true", "", b"hello, osnova\n");
    assert_eq!(daemon.ok("blobs.stat", json!([HELLO]))["pinned"], true);
    assert_eq!(put(&daemon, "", "", b"").json()["hash"], hash_of(b""));
    assert_eq!(get(&daemon, &hash_of(b""), "").body, b"");
}

#[test]
fn a_bad_put_names_its_field_and_stores_nothing() {
    let daemon = Daemon::start();
    let upper = format!("X-Expected-Hash: {}\r\n", HELLO.to_uppercase());
    let other = format!("X-Expected-Hash: {}\r\n", "0".repeat(64));
    let long = format!("X-Name: {}\r\n", "n".repeat(257));
    for (query, headers, field) in [
        ("?pin=yes", "", "pin"),
        ("?pin", "", "query"),
        ("?pin=true&x=1", "", "query"),
        ("", "X-Name: %zz\r\n", "x-name"),
        ("", "X-Name: %ff\r\n", "x-name"),
        ("", "X-Name: %00\r\n", "x-name"),
        ("", "X-Name: \r\n", "x-name"),
        ("", long.as_str(), "x-name"),
        ("", "X-Name: caf\u{e9}\r\n", "x-name"),
        ("", "Content-Type: \r\n", "content-type"),
        ("", "X-Expected-Hash: x\r\n", "x-expected-hash"),
        ("", upper.as_str(), "x-expected-hash"),
        ("", other.as_str(), "expectedHash"),
    ] {
        let answer = put(&daemon, query, headers, b"hello, osnova\n");
        let error = answer.json();
        assert_eq!(
            (answer.status, &error["data"]["code"]),
            (400, &json!("validation_error")),
            "{error}"
        );
        let fields: Vec<&String> = error["data"]["fields"].as_object().unwrap().keys().collect();
        assert_eq!(fields, [field], "{query} {headers}");
    }
    assert_eq!(daemon.ok("blobs.list", json!({})), json!({ "items": [] }));
    assert_eq!(file_names(&daemon.root().join("blobs")), [".tmp"]);
    assert_eq!(file_names(&daemon.root().join("blobs/.tmp")), [""; 0]);
}

#[test]
fn a_put_may_come_in_chunks_or_wait_to_be_asked() {
    let daemon = Daemon::start();
    let mut stream = daemon.connect();
    let head = "PUT /blobs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n";
    let chunked = b"5\r\nhello\r\n1;x=y\r\n,\r\n8\r\n osnova\n\r\n0\r\nTrailer: t\r\n\r\n";
    assert_eq!(exchange(&mut stream, head, chunked).json()["hash"], HELLO);
    // The same connection goes on.
    let head =
        "PUT /blobs HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut line = String::new();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    reader.read_line(&mut line).unwrap();
    assert_eq!(line, "HTTP/1.1 100 Continue\r\n");
    reader.read_line(&mut line).unwrap();
    stream.write_all(b"later").unwrap();
    line.clear();
    reader.read_line(&mut line).unwrap();
    assert_eq!(line, "HTTP/1.1 200 OK\r\n");
    assert_eq!(get(&daemon, &hash_of(b"later"), "").body, b"later");
    // Who would be refused is not asked for the content.
    let head =
        "PUT /blobs?pin=x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n";
    assert_eq!(exchange(&mut daemon.connect(), head, b"").status, 400);
}

#[test]
fn a_get_is_cached_by_its_hash() {
    let daemon = example_root::daemon(&Document::read());
    let tag = format!("\"{HELLO}\"");
    let answer = get(&daemon, HELLO, "");
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"hello, osnova\n"[..]));
    let head = daemon.http(&format!("HEAD /blobs/{HELLO} HTTP/1.1\r\nHost: x\r\n"), b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
    for answer in [&answer, &head] {
        assert_eq!(answer.header("etag"), Some(tag.as_str()));
        assert_eq!(answer.header("content-type"), Some("text/plain"));
        assert_eq!(answer.header("content-length"), Some("14"));
        assert_eq!(answer.header("accept-ranges"), Some("bytes"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert!(answer.header("cache-control").unwrap().contains("immutable"));
    }
    for (known, status) in [
        (tag.clone(), 304),
        (format!("W/{tag}"), 304),
        (format!("\"x\", {tag}"), 304),
        ("*".to_owned(), 304),
        ("\"x\"".to_owned(), 200),
        (HELLO.to_owned(), 200),
    ] {
        let answer = get(&daemon, HELLO, &format!("If-None-Match: {known}\r\n"));
        assert_eq!(answer.status, status, "{known}");
        assert_eq!(answer.header("etag"), Some(tag.as_str()));
        assert_eq!(answer.body.is_empty(), status == 304);
    }
    let both = format!("If-None-Match: {tag}\r\nRange: bytes=0-1\r\n");
    assert_eq!(get(&daemon, HELLO, &both).status, 304);
}

#[test]
fn ranges_are_taken_in_every_form() {
    let daemon = example_root::daemon(&Document::read());
    let all = "hello, osnova\n";
    for (range, status, expected, told) in [
        ("bytes=0-4", 206, "hello", "bytes 0-4/14"),
        ("bytes=7-", 206, "osnova\n", "bytes 7-13/14"),
        ("bytes=-7", 206, "osnova\n", "bytes 7-13/14"),
        ("bytes=-700", 206, all, "bytes 0-13/14"),
        ("bytes=13-99", 206, "\n", "bytes 13-13/14"),
        ("bytes=0-99999999999999999999999", 206, all, "bytes 0-13/14"),
        ("bytes=14-", 416, "", "bytes */14"),
        ("bytes=99-100", 416, "", "bytes */14"),
        ("bytes=-0", 416, "", "bytes */14"),
        ("bytes=4-2", 200, all, ""),
        ("bytes=0-1,3-4", 200, all, ""),
        ("bytes=a-b", 200, all, ""),
        ("lines=0-1", 200, all, ""),
        ("", 200, all, ""),
    ] {
        let answer = get(&daemon, HELLO, &format!("Range: {range}\r\n"));
        assert_eq!(answer.status, status, "{range}");
        assert_eq!(answer.header("content-range").unwrap_or_default(), told, "{range}");
        if status == 416 {
            assert_eq!(answer.json()["data"]["code"], "validation_error");
        } else {
            assert_eq!(String::from_utf8(answer.body).unwrap(), expected, "{range}");
        }
    }
    let same = format!("Range: bytes=0-4\r\nIf-Range: \"{HELLO}\"\r\n");
    assert_eq!(get(&daemon, HELLO, &same).status, 206);
    for other in ["\"x\"", "Wed, 21 Oct 2015 07:28:00 GMT", &format!("W/\"{HELLO}\"")] {
        let answer = get(&daemon, HELLO, &format!("Range: bytes=0-4\r\nIf-Range: {other}\r\n"));
        assert_eq!((answer.status, answer.body.len()), (200, 14), "{other}");
    }
    let head = format!("HEAD /blobs/{HELLO} HTTP/1.1\r\nHost: x\r\nRange: bytes=0-4\r\n");
    assert_eq!(daemon.http(&head, b"").header("content-length"), Some("5"));
    let empty = put(&daemon, "", "", b"").json()["hash"].as_str().unwrap().to_owned();
    assert_eq!(get(&daemon, &empty, "Range: bytes=0-\r\n").status, 416);
}

/// Ranges of a content of several chunks, at and around their edges.
#[test]
fn ranges_cross_chunks() {
    let daemon = Daemon::start();
    let content = noise(1, (3 << 20) + 17);
    let hash = put(&daemon, "", "", &content).json()["hash"].as_str().unwrap().to_owned();
    for edge in [16 << 10, 64 << 10, 128 << 10, 256 << 10, 1 << 20, 2 << 20, 3 << 20] {
        for (first, last) in [
            (edge - 1, edge),
            (edge, edge),
            (edge - 3, edge + 5),
            (0, edge - 1),
            (edge, content.len() - 1),
        ] {
            let answer = get(&daemon, &hash, &format!("Range: bytes={first}-{last}\r\n"));
            assert_eq!(answer.status, 206);
            assert!(answer.body == content[first..=last], "{first}-{last}");
        }
    }
}

/// A body that ends before its length is not the content that was meant.
#[test]
fn a_body_that_ends_early_is_never_stored() {
    let daemon = Daemon::start();
    let content = noise(2, 1 << 20);
    let half = &content[..content.len() / 2];
    let length =
        format!("PUT /blobs HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", content.len());
    let chunked = format!(
        "PUT /blobs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n",
        content.len()
    );
    let whole_chunk = format!(
        "PUT /blobs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n",
        half.len()
    );
    let temporaries = daemon.root().join("blobs/.tmp");
    let busy = || !file_names(&temporaries).is_empty();
    for (head, end) in [(&length, ""), (&chunked, ""), (&whole_chunk, "\r\n")] {
        for how in [None, Some(Shutdown::Write)] {
            let mut stream = daemon.connect();
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(half).unwrap();
            stream.write_all(end.as_bytes()).unwrap();
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
            wait_until("the temporary file to go", || (!busy()).then_some(()));
        }
    }
    assert_eq!(file_names(&daemon.root().join("blobs")), [".tmp"]);
    assert_eq!(daemon.ok("blobs.list", json!({})), json!({ "items": [] }));
    assert_eq!(daemon.ok("status.get", json!({}))["status"], "ok");
}

/// What was sent before the damage was found is right, and the connection breaks off there: a client
/// never takes it for the whole.
#[test]
fn a_damaged_chunk_breaks_the_connection_off() {
    let daemon = Daemon::start();
    let content = noise(3, 8 << 20);
    let hash = put(&daemon, "", "", &content).json()["hash"].as_str().unwrap().to_owned();
    let path = daemon.root().join("blobs").join(format!("{hash}.enc"));
    let mut file = fs::read(&path).unwrap();
    let (middle, chunk_log2) = (file.len() / 2, file[9]);
    file[middle] ^= 0x80;
    fs::write(&path, file).unwrap();
    let answer = get(&daemon, &hash, "");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-length"), Some("8388608"));
    assert!(answer.body.len() < content.len(), "all was answered");
    assert!(!answer.body.is_empty(), "the good part was not answered");
    assert!(content.starts_with(&answer.body), "wrong bytes were answered");
    // The good parts can still be read, the bad one can't.
    assert!(get(&daemon, &hash, "Range: bytes=0-999999\r\n").body == content[..1_000_000]);
    assert!(
        get(&daemon, &hash, "Range: bytes=-1000000\r\n").body
            == content[content.len() - 1_000_000..]
    );
    // Where that is in the content: a header of 208 bytes, its tenth the size of a chunk, 16 a tag.
    let chunk = 1 << chunk_log2;
    let around = (middle - 208) / (chunk + 16) * chunk + chunk / 2;
    let answer = get(&daemon, &hash, &format!("Range: bytes={}-{}\r\n", around - 50, around + 50));
    assert_eq!((answer.status, &answer.json()["data"]["code"]), (500, &json!("integrity_error")));
    daemon.fails("integrity_error", "blobs.get", json!([hash, around, 10]));
    assert_eq!(daemon.ok("status.get", json!({}))["status"], "degraded");
}

#[test]
fn what_is_not_a_route_is_told_as_json() {
    let daemon = example_root::daemon(&Document::read());
    let error = |head: String| {
        let answer = daemon.http(&format!("{head} HTTP/1.1\r\nHost: x\r\n"), b"");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{head}");
        assert_eq!(answer.header("allow").is_some(), answer.status == 405, "{head}");
        (answer.status, answer.json()["data"]["code"].clone())
    };
    let not_allowed = (405, json!("invalid_request"));
    for head in ["GET /blobs", "DELETE /blobs", "PATCH /blobs"] {
        assert_eq!(error(head.to_owned()), not_allowed, "{head}");
    }
    for method in ["PUT", "POST", "DELETE"] {
        assert_eq!(error(format!("{method} /blobs/{HELLO}")), not_allowed, "{method}");
    }
    for path in ["/blob", "/blobs/", "/blobs/a/b", "/x", "//", "/blobs/../x", "/%00"] {
        assert_eq!(error(format!("GET {path}")), (404, json!("not_found")), "{path}");
    }
    for hash in ["x", "..%2f..%2fosnova.db", ".tmp", &HELLO.to_uppercase()] {
        assert_eq!(error(format!("GET /blobs/{hash}")), (400, json!("validation_error")), "{hash}");
    }
    assert_eq!(error(format!("GET /blobs/{}", "0".repeat(64))), (404, json!("not_found")));
    assert_eq!(daemon.ok("blobs.stat", json!([HELLO]))["size"], 14);
    let health = daemon.http("GET /healthz HTTP/1.1\r\nHost: x\r\n", b"");
    assert_eq!((health.status, health.body.as_slice()), (200, &b"ok\n"[..]));
}

#[test]
fn many_clients_put_and_get_at_once() {
    let daemon = Daemon::start();
    let sizes = [0, 1, 1000, 65_535, 65_536, 65_537, 262_144, 1 << 20, (1 << 20) + 1, 2_500_000];
    std::thread::scope(|scope| {
        for client in 0..32_u64 {
            let daemon = &daemon;
            scope.spawn(move || {
                let mut stream = connect(&daemon.socket());
                for round in 0..3_u64 {
                    let size = sizes[usize::try_from(client + round).unwrap() % sizes.len()];
                    // Some contents are put by several clients at the same time.
                    let content = noise((client + round) % 20, size);
                    let head =
                        format!("PUT /blobs HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n");
                    let answer = exchange(&mut stream, &head, &content).json();
                    assert_eq!(answer["hash"], hash_of(&content));
                    let hash = answer["hash"].as_str().unwrap();
                    let head = format!("GET /blobs/{hash} HTTP/1.1\r\nHost: x\r\n");
                    assert!(exchange(&mut stream, &head, b"").body == content, "{size}");
                }
            });
        }
    });
    let usage = daemon.ok("blobs.usage", json!({}));
    let items =
        daemon.ok("blobs.list", json!({ "limit": 1000 }))["items"].as_array().unwrap().len();
    assert_eq!(usage["count"], items);
    assert_eq!(file_names(&daemon.root().join("blobs")).len(), items + 1);
    assert_eq!(file_names(&daemon.root().join("blobs/.tmp")), [""; 0]);
}

#[test]
fn a_large_content_comes_back_as_it_went() {
    let config = "[limits]\nrequest_bytes = 4096\nresponse_bytes = 8192\n".to_owned();
    let daemon = Daemon::start_with(&Options { config, ..Options::default() });
    let content = noise(4, 64 << 20);
    let answer: Value = put(&daemon, "", "", &content).json();
    assert_eq!(answer["size"], content.len());
    let hash = hash_of(&content);
    assert_eq!(answer["hash"], hash);
    let back = get(&daemon, &hash, "");
    assert_eq!(back.body.len(), content.len());
    assert!(back.body == content);
    let stored = fs::read(daemon.root().join("blobs").join(format!("{hash}.enc"))).unwrap();
    assert!(!stored.windows(64).any(|window| window == &content[..64]), "plaintext lies on disk");
}

/// Text is stored compressed, which only its owner sees: in `stat` and in what the store takes.
#[test]
fn text_takes_less_room_and_stat_says_so() {
    let daemon = Daemon::start();
    let text: String = (0..40_000).map(|line| format!("line {line} of a long text\n")).collect();
    let text = text.as_bytes();
    for (content, codec) in [(text, "zstd"), (noise(7, text.len()).as_slice(), "none")] {
        let answer = put(&daemon, "", "", content);
        assert_eq!(answer.json()["size"], json!(content.len()));
        let hash = hash_of(content);
        let stat = daemon.ok("blobs.stat", json!([hash]));
        let stored = fs::metadata(daemon.root().join(format!("blobs/{hash}.enc"))).unwrap().len();
        assert_eq!((&stat["codec"], &stat["storedSize"]), (&json!(codec), &json!(stored)));
        let is_shorter = stored < content.len() as u64 / 2;
        assert_eq!(is_shorter, codec == "zstd", "{stored}");
        // Whole and in part it is what was put.
        assert!(get(&daemon, &hash, "").body == content);
        let part = get(&daemon, &hash, "Range: bytes=500000-600000\r\n");
        assert_eq!(part.status, 206);
        assert!(part.body == content[500_000..=600_000]);
    }
    let stored = fs::read_dir(daemon.root().join("blobs")).unwrap();
    let stored: u64 = stored
        .map(|entry| entry.unwrap().metadata().unwrap())
        .filter(fs::Metadata::is_file)
        .map(|metadata| metadata.len())
        .sum();
    let usage = daemon.ok("blobs.usage", json!([]));
    assert_eq!(usage["storedBytes"], json!(stored));
}
