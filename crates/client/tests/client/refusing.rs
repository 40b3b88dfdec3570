//! What a client makes of a daemon that does not take a connection or a credential, closes what it
//! did not read, or is not there at all but something else is.

use std::time::{Duration, Instant};

use osnova_storage_client::api::auth::{
    CreateToken, CreateTokenParams, NoParams, RotateOwnerToken,
};
use osnova_storage_client::api::preferences::{Get, GetParams};
use osnova_storage_client::api::wire::BlobHash;
use osnova_storage_client::{Client, ClientError, ErrorCode, PutBlob, Repeat};

use crate::support::{Fake, Refusal, Step, client, quick};

const PREFERENCE: &str = r#"{"key":"a","value":1,"updatedAt":1,"revision":7}"#;
const CREATED: &str =
    r#"{"token":"osn_1_2","info":{"tokenId":"1","componentId":"a","createdAt":1}}"#;
const CROWDED: &str = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32002,"message":"too many connections","data":{"code":"unavailable","retryAfterMs":60}}}"#;

fn get() -> GetParams {
    GetParams { key: "a".parse().unwrap() }
}

fn create() -> CreateTokenParams {
    let component_id = "a".parse().unwrap();
    CreateTokenParams { component_id, name: None, scopes: None, expires_at: None }
}

fn closing(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
        .into()
}

/// A daemon that has too many connections says so at once, and closes without reading.
fn crowded() -> Refusal {
    Refusal { answer: closing("503 Service Unavailable", CROWDED), waits: false }
}

fn unread() -> Refusal {
    Refusal { answer: Vec::new(), waits: true }
}

/// The refusal lies there before the client has written anything, which the HTTP library alone takes
/// for a broken connection. The call may be any: it was not read.
#[tokio::test]
async fn a_crowded_daemon_is_asked_again_when_it_said() {
    let fake = Fake::refusing(vec![crowded()], vec![Step::result(CREATED)]);
    let client =
        Client::builder().endpoint(fake.endpoint()).repeat(quick()).connect().await.unwrap();
    fake.ended(1).await;
    let began = Instant::now();
    client.call::<CreateToken>(create()).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(60));
    assert_eq!(fake.requests().len(), 1);
}

#[tokio::test]
async fn a_request_that_no_longer_fits_into_the_socket_learns_why() {
    let fake = Fake::refusing(vec![crowded()], vec![Step::result("1")]);
    let long = format!("[\"{}\"]", "x".repeat(4 << 20));
    fake.client().call_raw("tomorrow.invent", Some(&long)).await.unwrap();
    assert_eq!(fake.requests().len(), 1);
}

#[tokio::test]
async fn a_daemon_that_stays_crowded_is_a_typed_error() {
    let fake = Fake::refusing(vec![crowded(); 9], vec![Step::Silence]);
    let ClientError::Api(error) = fake.client().call::<Get>(get()).await.unwrap_err() else {
        panic!("not an answer");
    };
    assert_eq!((error.code(), error.data.retry_after_ms), (ErrorCode::Unavailable, Some(60)));
    assert_eq!(error.message, "too many connections");
    fake.ended(4).await;
    assert_eq!(fake.ended_so_far(), 4);
}

#[tokio::test]
async fn a_web_socket_that_is_refused_is_asked_for_again_where_that_helps() {
    let refused = |status| Refusal { answer: closing(status, CROWDED), waits: true };
    for (status, code, tries) in
        [("503 X", ErrorCode::Unavailable, 4), ("401 X", ErrorCode::Unauthorized, 1)]
    {
        let fake = Fake::refusing(vec![refused(status); 9], vec![Step::Silence]);
        let client = client(&format!("ws+{}", fake.endpoint()));
        let error = client.call::<CreateToken>(create()).await.unwrap_err();
        assert_eq!(error.code(), Some(code), "{error}");
        fake.ended(tries).await;
        assert_eq!(fake.ended_so_far(), tries);
    }
}

#[tokio::test]
async fn streams_learn_that_a_daemon_is_crowded() {
    let fake = Fake::refusing(vec![crowded()], vec![Step::Answer(200, "abc".to_owned())]);
    let hash = BlobHash::new([1; 32]);
    let mut stream = fake.client().get_blob(&hash, ..).await.unwrap();
    assert_eq!(stream.next_chunk().await.unwrap().unwrap(), "abc");

    // What the reader gave is gone, so a put is the caller's to repeat, and he is told why. The reader
    // never ends: it must not be read for nobody.
    let fake = Fake::refusing(vec![crowded()], vec![Step::Silence]);
    let put = fake.client().put_blob(tokio::io::repeat(7), PutBlob::default()).await;
    assert_eq!(put.unwrap_err().code(), Some(ErrorCode::Unavailable));
}

#[tokio::test]
async fn a_call_that_was_surely_not_read_is_sent_again_whatever_it_is() {
    // The daemon closed the connection before the request was written.
    let gone = Refusal { answer: Vec::new(), waits: false };
    let fake = Fake::refusing(vec![gone], vec![Step::result(CREATED)]);
    let client =
        Client::builder().endpoint(fake.endpoint()).repeat(quick()).connect().await.unwrap();
    fake.ended(1).await;
    client.call::<CreateToken>(create()).await.unwrap();
    assert_eq!(fake.requests().len(), 1);

    // It closed when the request was written and not read.
    if cfg!(target_os = "linux") {
        let fake = Fake::refusing(vec![unread(); 2], vec![Step::result(CREATED)]);
        fake.client().call::<CreateToken>(create()).await.unwrap();
        assert_eq!(fake.requests().len(), 1);
    }
}

/// A put can be sent only once, so it must not be sent on a connection that is closed already.
#[tokio::test]
async fn a_put_does_not_meet_a_connection_that_was_closed_unused() {
    let gone = Refusal { answer: Vec::new(), waits: false };
    let hash = BlobHash::new([1; 32]);
    let stored = format!(r#"{{"hash":"{hash}","size":5,"created":true}}"#);
    let fake = Fake::refusing(vec![gone], vec![Step::Answer(200, stored)]);
    let client =
        Client::builder().endpoint(fake.endpoint()).repeat(quick()).connect().await.unwrap();
    fake.ended(1).await;
    client.put_blob(&b"hello"[..], PutBlob::default()).await.unwrap();
}

/// Each try that the daemon read made another token, which nobody would know of.
#[tokio::test]
async fn a_token_is_never_made_twice() {
    let unknown = |error: &ClientError| matches!(error, ClientError::OutcomeUnknown { .. });

    let fake = Fake::start(vec![Step::Drop, Step::result(CREATED)]);
    let error = fake.client().call::<CreateToken>(create()).await.unwrap_err();
    assert!(unknown(&error), "{error}");
    assert_eq!(fake.requests().len(), 1);
    assert!(fake.requests()[0].params().get("requestId").is_none());

    let fake = Fake::start(vec![Step::Drop, Step::result(r#"{"token":"b"}"#)]);
    let error = fake.client().call::<RotateOwnerToken>(NoParams {}).await.unwrap_err();
    assert!(unknown(&error), "{error}");
    assert_eq!(fake.requests().len(), 1);

    // By name, and with an id that the method does not take.
    for (method, params) in [
        ("auth.createToken", r#"{"componentId":"a","requestId":"mine"}"#),
        ("auth_createToken", r#"["a"]"#),
        ("auth.rotateOwnerToken", "{}"),
    ] {
        let fake = Fake::start(vec![Step::Drop, Step::result(CREATED)]);
        let error = fake.client().call_raw(method, Some(params)).await.unwrap_err();
        assert!(unknown(&error), "{method}: {error}");
        assert_eq!(fake.requests().len(), 1, "{method}");
    }

    let fake = Fake::start(vec![Step::Silence, Step::result(CREATED)]);
    let client = Client::builder()
        .endpoint(fake.endpoint())
        .request_timeout(Duration::from_millis(50))
        .repeat(Repeat { after_timeout: true, ..quick() })
        .build()
        .unwrap();
    let error = client.call::<CreateToken>(create()).await.unwrap_err();
    assert!(matches!(error, ClientError::Timeout { .. }), "{error}");
    assert_eq!(fake.requests().len(), 1);
}

#[tokio::test]
async fn a_status_without_an_error_object_says_so() {
    let busy = Step::Bytes(closing("503 X", "<html>busy</html>"));
    let fake = Fake::start(vec![busy.clone(), Step::result(PREFERENCE)]);
    fake.client().call::<Get>(get()).await.unwrap();
    assert_eq!(fake.requests().len(), 2);

    // Something that stands before the daemon may have passed the call on.
    let fake = Fake::start(vec![busy, Step::result(CREATED)]);
    let error = fake.client().call::<CreateToken>(create()).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::Unavailable));
    assert!(error.to_string().contains("HTTP status 503 without an error object"), "{error}");
    assert_eq!(fake.requests().len(), 1);

    for (status, code) in
        [("400 X", None), ("401 X", Some(ErrorCode::Unauthorized)), ("502 X", None)]
    {
        let fake = Fake::start(vec![Step::Bytes(closing(status, "<html>"))]);
        let error = fake.client().call::<Get>(get()).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        let said = format!("HTTP status {} without an error object", &status[..3]);
        assert!(error.to_string().contains(&said), "{error}");
        assert_eq!(fake.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_token_that_was_revoked_ends_its_connection_and_not_the_client() {
    let refused = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32003,"message":"no","data":{"code":"unauthorized"}}}"#;
    let revoked = Step::Bytes(closing("401 Unauthorized", refused));
    let fake = Fake::start(vec![Step::result(PREFERENCE), revoked, Step::result(PREFERENCE)]);
    let client = fake.client();
    client.call::<Get>(get()).await.unwrap();
    let error = client.call::<Get>(get()).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::Unauthorized));
    client.call::<Get>(get()).await.unwrap();
    let connections: Vec<_> = fake.requests().iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 0, 1]);
}

/// On the owner's socket whoever shows no token is the owner: a token that is empty by mistake must
/// not make him that.
#[tokio::test]
async fn an_empty_token_is_not_the_same_as_none() {
    for empty in ["", " \n"] {
        let built = Client::builder().endpoint("unix:/nowhere").token(empty).build();
        assert!(matches!(built, Err(ClientError::Params(_))), "{empty:?}");
    }
}
