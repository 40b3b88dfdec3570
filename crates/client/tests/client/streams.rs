//! Streams of content against a daemon that answers by script.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::support::{Fake, Step};
use osnova_storage_client::api::wire::BlobHash;
use osnova_storage_client::{ClientError, ErrorCode, PutBlob};
use tokio::io::AsyncReadExt;

const HASH: BlobHash = BlobHash::new([0xab; 32]);

fn stored() -> Step {
    Step::Answer(200, format!(r#"{{"hash":"{HASH}","size":5,"created":true}}"#))
}

fn body(head: &str, body: &[u8]) -> Step {
    Step::Bytes([format!("HTTP/1.1 {head}\r\n\r\n").as_bytes(), body].concat())
}

#[tokio::test]
async fn a_put_says_what_it_knows() {
    let fake = Fake::start(vec![stored()]);
    let seen = Arc::new(AtomicU64::new(0));
    let progress = seen.clone();
    let about = PutBlob {
        content_type: Some("text/plain".to_owned()),
        name: Some("ĉio kaj/tuj.txt".to_owned()),
        expected_hash: Some(HASH),
        pin: Some(false),
        length: Some(5),
        progress: Some(Arc::new(move |bytes| progress.store(bytes, Ordering::Relaxed))),
    };
    let answer = fake.client().put_blob(&b"hello"[..], about).await.unwrap();
    assert_eq!((answer.hash, answer.size.0, answer.created), (HASH, 5, true));
    assert_eq!(seen.load(Ordering::Relaxed), 5);
    let requests = fake.requests();
    let head = &requests[0].head;
    assert!(head.starts_with("put /blobs?pin=false http/1.1\r\n"), "{head}");
    assert!(head.contains("content-length: 5\r\n"));
    assert!(head.contains("content-type: text/plain\r\n"));
    assert!(head.contains(&format!("x-expected-hash: {HASH}\r\n")));
    assert!(head.contains("x-name: %c4%89io%20kaj%2ftuj.txt\r\n"), "{head}");
    assert_eq!(requests[0].body, b"hello");
}

#[tokio::test]
async fn a_long_content_of_unknown_length_arrives_whole() {
    let fake = Fake::start(vec![stored()]);
    let content: Vec<u8> = (0..3_000_000_u32).map(|index| (index % 251) as u8).collect();
    let client = fake.client();
    client.put_blob(io::Cursor::new(content.clone()), PutBlob::default()).await.unwrap();
    client.put_blob(io::Cursor::new(content.clone()), PutBlob::default()).await.unwrap();
    let requests = fake.requests();
    assert!(requests.iter().all(|request| request.body == content && request.connection == 0));
}

#[tokio::test]
async fn a_reader_that_is_not_as_long_as_was_said_is_an_error() {
    for length in [4, 6] {
        let fake = Fake::start(vec![stored()]);
        let about = PutBlob { length: Some(length), ..PutBlob::default() };
        let error = fake.client().put_blob(&b"hello"[..], about).await.unwrap_err();
        assert!(matches!(error, ClientError::Source(_)), "{length}: {error:?}");
        assert_eq!(fake.requests().len(), 0);
    }
}

#[tokio::test]
async fn a_put_is_not_repeated_and_its_refusal_is_read() {
    let fake = Fake::start(vec![Step::Drop, stored()]);
    let error = fake.client().put_blob(&b"hello"[..], PutBlob::default()).await.unwrap_err();
    assert!(matches!(error, ClientError::OutcomeUnknown { .. }), "{error:?}");
    assert_eq!(fake.requests().len(), 1);

    let full = r#"{"code":-32023,"message":"no room","data":{"code":"disk_full"}}"#;
    let fake = Fake::start(vec![Step::Answer(507, full.to_owned())]);
    let error = fake.client().put_blob(&b"hello"[..], PutBlob::default()).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::DiskFull));
}

#[tokio::test]
async fn a_get_streams_and_gives_its_connection_back() {
    let long = "x".repeat(1_000_000);
    let fake = Fake::start(vec![Step::Answer(200, long.clone())]);
    let client = fake.client();
    for _ in 0..2 {
        let mut stream = client.get_blob(&HASH, ..).await.unwrap();
        assert_eq!((stream.size(), stream.offset(), stream.length()), (1_000_000, 0, 1_000_000));
        assert_eq!(stream.content_type(), Some("application/json"));
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        assert!(text == long);
    }
    let requests = fake.requests();
    assert!(requests.iter().all(|request| request.connection == 0));
    assert!(requests[0].head.starts_with(&format!("get /blobs/{HASH} http/1.1\r\n")));
    assert!(!requests[0].head.contains("range:"));
}

#[tokio::test]
async fn a_range_is_asked_for_and_checked() {
    let good = body("206 X\r\ncontent-length: 3\r\ncontent-range: bytes 2-4/10", b"cde");
    let fake = Fake::start(vec![good, body("200 OK\r\ncontent-length: 10", b"abcdefghij")]);
    let client = fake.client();
    let mut stream = client.get_blob(&HASH, 2..5).await.unwrap();
    assert_eq!((stream.size(), stream.offset(), stream.length()), (10, 2, 3));
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(bytes, b"cde");
    assert!(fake.requests()[0].head.contains("range: bytes=2-4\r\n"));

    let error = client.get_blob(&HASH, 2..5).await.unwrap_err();
    assert!(matches!(error, ClientError::Answer { .. }), "{error:?}");
}

#[tokio::test]
async fn a_body_that_ends_early_is_an_error() {
    let fake = Fake::start(vec![body("200 OK\r\ncontent-length: 10", b"abc")]);
    let mut stream = fake.client().get_blob(&HASH, ..).await.unwrap();
    let mut bytes = Vec::new();
    let error = stream.read_to_end(&mut bytes).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(bytes, b"abc");
}

#[tokio::test]
async fn the_head_of_a_get_is_asked_for_again() {
    let fake = Fake::start(vec![Step::Drop, Step::Answer(200, "abc".to_owned())]);
    let mut stream = fake.client().get_blob(&HASH, ..).await.unwrap();
    assert_eq!(stream.next_chunk().await.unwrap().unwrap(), "abc");
    assert_eq!(stream.next_chunk().await.unwrap(), None);

    let absent = r#"{"code":-32001,"message":"no","data":{"code":"not_found"}}"#;
    let fake = Fake::start(vec![Step::Answer(404, absent.to_owned())]);
    let error = fake.client().get_blob(&HASH, ..).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::NotFound));
}
