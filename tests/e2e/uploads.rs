//! Uploads in chunks through the real daemon: the plain route, kills between chunks and in commits.

use std::fs;
use std::io::{Cursor, Write};
use std::thread;
use std::time::Duration;

use osnova_storage_client::{Client, ClientError, PutBlob};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::http_blobs::noise;
use crate::support::{Daemon, HttpAnswer, Options, connect, wait_until};

const CHUNK: usize = 64 << 10;

fn put_chunk(daemon: &Daemon, id: &Value, index: usize, headers: &str, chunk: &[u8]) -> HttpAnswer {
    let id = id.as_str().unwrap();
    let length = chunk.len();
    let head = format!(
        "PUT /uploads/{id}/{index} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {length}\r\n"
    );
    daemon.http(&head, chunk)
}

fn hash_of(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn begin(daemon: &Daemon, size: usize) -> Value {
    let asked = json!({ "chunkBytes": CHUNK, "size": size });
    daemon.ok("blobs.beginUpload", asked)["uploadId"].clone()
}

#[test]
fn chunks_over_the_plain_route_and_their_bad_requests() {
    let daemon = Daemon::start();
    let bytes = noise(1, 2 * CHUNK + 5);
    let id = begin(&daemon, bytes.len());
    for (index, chunk) in bytes.chunks(CHUNK).enumerate().rev() {
        let headers = format!("X-Expected-Hash: {}\r\n", hash_of(chunk));
        let answer = put_chunk(&daemon, &id, index, &headers, chunk);
        assert_eq!(answer.status, 200);
        let told = json!({ "index": index, "size": chunk.len(), "hash": hash_of(chunk) });
        assert_eq!(answer.json(), told);
    }
    let text = id.as_str().unwrap();
    let other = format!("X-Expected-Hash: {}\r\n", "0".repeat(64));
    for (path, headers, field) in [
        (format!("{text}/x"), "", "index"),
        (format!("{text}/-1"), "", "index"),
        (format!("{text}/+1"), "", "index"),
        (format!("{text}/1048576"), "", "index"),
        (format!("{text}/3"), "", "index"),
        (format!("{text}/%ff"), "", "uploadId"),
        ("..%2f..%2fetc/0".to_owned(), "", "uploadId"),
        (format!("{}/0", "a".repeat(65)), "", "uploadId"),
        (format!("{text}/0?pin=true"), "", "query"),
        (format!("{text}/0"), "", "data"),
        (format!("{text}/2"), "X-Expected-Hash: x\r\n", "x-expected-hash"),
        (format!("{text}/2"), other.as_str(), "expectedHash"),
    ] {
        let head =
            format!("PUT /uploads/{path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: 5\r\n");
        let answer = daemon.http(&head, b"short");
        let error = answer.json();
        assert_eq!((answer.status, &error["data"]["code"]), (400, &json!("validation_error")));
        let fields: Vec<&String> = error["data"]["fields"].as_object().unwrap().keys().collect();
        assert_eq!(fields, [field], "{path} {headers}");
    }
    assert_eq!(put_chunk(&daemon, &json!("0"), 0, "", b"x").status, 404);
    // A body that ends early is no chunk, and what was there stays.
    let mut stream = connect(&daemon.socket());
    let head =
        format!("PUT /uploads/{text}/0 HTTP/1.1\r\nHost: x\r\nContent-Length: {CHUNK}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&[0; 1000]).unwrap();
    drop(stream);
    let status = daemon.ok("blobs.uploadStatus", json!([id]));
    assert_eq!(status["received"], json!([{ "from": 0, "to": 2 }]));
    let committed = daemon.ok("blobs.commitUpload", json!([id, hash_of(&bytes), 3]));
    assert_eq!(committed["hash"], hash_of(&bytes));
    assert_eq!(put_chunk(&daemon, &id, 0, "", &bytes[..CHUNK]).status, 409);
    wait_until("what was begun to be gone", || {
        fs::read_dir(daemon.root().join("blobs/.tmp")).unwrap().next().is_none().then_some(())
    });
}

/// Whatever was acknowledged is there after a kill, and a commit that a kill ended is asked for again.
#[test]
fn an_upload_goes_on_after_kills_between_chunks_and_in_commits() {
    let mut daemon = Daemon::start();
    let bytes = noise(2, 200 * CHUNK);
    let id = begin(&daemon, bytes.len());
    for (index, chunk) in bytes.chunks(CHUNK).enumerate() {
        assert_eq!(put_chunk(&daemon, &id, index, "", chunk).status, 200);
        if index % 50 == 20 {
            // In the middle of the next one.
            let mut stream = connect(&daemon.socket());
            let head = format!(
                "PUT /uploads/{}/{} HTTP/1.1\r\nHost: x\r\nContent-Length: {CHUNK}\r\n\r\n",
                id.as_str().unwrap(),
                index + 1
            );
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&chunk[..CHUNK / 2]).unwrap();
            daemon = Daemon::start_in(daemon.kill(), &Options::default()).unwrap();
            let status = daemon.ok("blobs.uploadStatus", json!([id]));
            assert_eq!(status["received"], json!([{ "from": 0, "to": index }]));
        }
    }
    for pause in [0, 3, 10, 30, 60] {
        let mut stream = connect(&daemon.socket());
        let body =
            json!({ "jsonrpc": "2.0", "id": 1, "method": "blobs.commitUpload", "params": [id] });
        let body = body.to_string();
        let head = format!(
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        thread::sleep(Duration::from_millis(pause));
        daemon = Daemon::start_in(daemon.kill(), &Options::default()).unwrap();
    }
    let committed = daemon.ok("blobs.commitUpload", json!([id]));
    assert_eq!(committed["hash"], hash_of(&bytes));
    assert_eq!(daemon.ok("blobs.commitUpload", json!([id])), committed);
    let get = format!("GET /blobs/{} HTTP/1.1\r\nHost: x\r\n", hash_of(&bytes));
    assert!(daemon.http(&get, b"").body == bytes);
    wait_until("the chunks to be gone", || {
        fs::read_dir(daemon.root().join("blobs/.tmp")).unwrap().next().is_none().then_some(())
    });
}

/// The typed client goes on by itself, however often the daemon is killed under it, and in a new process.
#[test]
fn the_client_goes_on_over_kills_and_with_what_another_began() {
    let mut daemon = Daemon::start();
    let bytes = noise(3, (40 << 20) + 5);
    let hash = hash_of(&bytes);
    let endpoint = format!("unix:{}", daemon.socket().display());
    let upload = |resumed: Option<String>| {
        let (bytes, endpoint, hash) = (bytes.clone(), endpoint.clone(), hash.clone());
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let client = Client::connect(&endpoint).await.unwrap();
                let source = Cursor::new(bytes);
                match resumed {
                    Some(id) => client.resume_upload(source, &id.parse().unwrap(), None).await,
                    None => {
                        let expected_hash = Some(hash.parse().unwrap());
                        let about = PutBlob { expected_hash, ..PutBlob::default() };
                        client.upload(source, about).await
                    }
                }
            })
        })
    };
    let sent = |daemon: &Daemon| {
        let uploads = daemon.ok("blobs.listUploads", json!({}));
        uploads["items"][0]["bytes"].as_u64()
    };
    let running = upload(None);
    for round in 1..=2_u64 {
        let least = round * (8 << 20);
        wait_until("chunks", || {
            (running.is_finished() || sent(&daemon).is_some_and(|bytes| bytes >= least))
                .then_some(())
        });
        daemon = Daemon::start_in(daemon.kill(), &Options::default()).unwrap();
    }
    let put = running.join().unwrap().unwrap();
    assert_eq!((put.hash.to_string(), put.size.0), (hash.clone(), bytes.len() as u64));
    // What is there need not be sent.
    let again = upload(None).join().unwrap().unwrap();
    assert_eq!((again.hash, again.created), (put.hash, false));
    daemon.ok("blobs.delete", json!([hash]));
    // Begun by another, with its first and its last chunk.
    let asked = json!({ "size": bytes.len(), "name": "film" });
    let id = daemon.ok("blobs.beginUpload", asked)["uploadId"].clone();
    for index in [0, 5] {
        let chunk = &bytes[index << 23..bytes.len().min((index + 1) << 23)];
        assert_eq!(put_chunk(&daemon, &id, index, "", chunk).status, 200);
    }
    let resumed = upload(Some(id.as_str().unwrap().to_owned())).join().unwrap().unwrap();
    assert_eq!((resumed.hash, resumed.created), (put.hash, true));
    assert_eq!(daemon.ok("blobs.stat", json!([hash]))["name"], "film");
    // Another file than the one that it was begun for.
    let asked = json!({ "size": 5 });
    let id = daemon.ok("blobs.beginUpload", asked)["uploadId"].clone();
    let refused = upload(Some(id.as_str().unwrap().to_owned())).join().unwrap().unwrap_err();
    assert!(matches!(refused, ClientError::Source(_)), "{refused}");
}
