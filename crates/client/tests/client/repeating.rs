//! What happens to a call whose reply is lost, against a daemon that drops connections by script.

use std::time::{Duration, Instant};

use crate::support::{Fake, Step, client, quick};
use osnova_storage_client::api::preferences::{Get, GetParams, Set, SetParams};
use osnova_storage_client::api::wire::{JsonText, Revision};
use osnova_storage_client::{Client, ClientError, ErrorCode, Repeat};

const PREFERENCE: &str = r#"{"key":"a","value":{ "b":1.0 },"updatedAt":1,"revision":7}"#;
const UNAVAILABLE: &str =
    r#"{"code":-32002,"message":"full","data":{"code":"unavailable","retryAfterMs":60}}"#;

fn get() -> GetParams {
    GetParams { key: "a".parse().unwrap() }
}

fn set(if_revision: Option<u64>) -> SetParams {
    SetParams {
        key: "a".parse().unwrap(),
        value: JsonText::parse(r#"{ "b":1.0 }"#.to_owned()).unwrap(),
        if_revision: if_revision.map(Revision),
        request_id: None,
    }
}

#[tokio::test]
async fn an_answer_keeps_its_text_and_the_connection_is_used_again() {
    let fake = Fake::start(vec![Step::result(PREFERENCE)]);
    let client = Client::connect(&fake.endpoint()).await.unwrap();
    for _ in 0..3 {
        let found = client.call::<Get>(get()).await.unwrap();
        assert_eq!(found.value.get(), r#"{ "b":1.0 }"#);
    }
    assert!(fake.requests().iter().all(|request| request.connection == 0));
    assert_eq!(fake.requests().len(), 3);
}

#[tokio::test]
async fn the_token_is_shown() {
    let fake = Fake::start(vec![Step::result(PREFERENCE)]);
    let client = Client::builder().endpoint(fake.endpoint()).token("s3cret\n").build().unwrap();
    client.call::<Get>(get()).await.unwrap();
    assert!(fake.requests()[0].head.contains("authorization: bearer s3cret\r\n"));
    assert!(!format!("{client:?}").contains("s3cret"));
}

#[tokio::test]
async fn a_call_whose_reply_is_lost_is_repeated_under_the_same_id() {
    let fake = Fake::start(vec![Step::Drop, Step::Drop, Step::result(PREFERENCE)]);
    let stored = fake.client().call::<Set>(set(Some(3))).await.unwrap();
    assert_eq!(stored.revision, Revision(7));
    let requests = fake.requests();
    assert_eq!(requests.len(), 3);
    let id = requests[0].params()["requestId"].as_str().unwrap().to_owned();
    assert!(!id.is_empty());
    assert!(requests.iter().all(|request| request.params()["requestId"] == id.as_str()));
    assert!(requests.iter().all(|request| request.params()["ifRevision"] == 3));
}

#[tokio::test]
async fn each_call_has_an_id_of_its_own_unless_the_caller_gave_one() {
    let fake = Fake::start(vec![Step::result(PREFERENCE)]);
    let client = fake.client();
    client.call::<Set>(set(None)).await.unwrap();
    client.call::<Set>(set(None)).await.unwrap();
    let mut own = set(None);
    own.request_id = Some("mine".parse().unwrap());
    client.call::<Set>(own).await.unwrap();
    let ids: Vec<_> =
        fake.requests().iter().map(|request| request.params()["requestId"].clone()).collect();
    assert_ne!(ids[0], ids[1]);
    assert_eq!(ids[2], "mine");
}

#[tokio::test]
async fn a_call_by_name_is_repeated_too_and_its_text_is_kept() {
    let fake = Fake::start(vec![Step::Drop, Step::result(PREFERENCE)]);
    let params = r#"{"key":"a","value":{ "b":1.0 }}"#;
    fake.client().call_raw("preferences.set", Some(params)).await.unwrap();
    let requests = fake.requests();
    assert_eq!(requests[0].body, requests[1].body);
    let body = String::from_utf8(requests[0].body.clone()).unwrap();
    assert!(body.contains(r#"{ "b":1.0 },"requestId":""#), "{body}");
}

#[tokio::test]
async fn what_can_not_be_repeated_is_not() {
    let fake = Fake::start(vec![Step::Drop, Step::result("1")]);
    let error = fake.client().call_raw("tomorrow.invent", Some("{}")).await.unwrap_err();
    assert!(matches!(error, ClientError::OutcomeUnknown { .. }), "{error}");
    assert_eq!(fake.requests().len(), 1);

    // By position the client can't add an id, and the revision would be another the second time.
    let fake = Fake::start(vec![Step::Drop, Step::result("1")]);
    let params = Some(r#"["a",1,3]"#);
    let error = fake.client().call_raw("preferences.set", params).await.unwrap_err();
    assert!(matches!(error, ClientError::OutcomeUnknown { .. }), "{error}");
    assert_eq!(fake.requests().len(), 1);
}

#[tokio::test]
async fn repeating_ends() {
    let fake = Fake::start(vec![Step::Drop]);
    let error = fake.client().call::<Get>(get()).await.unwrap_err();
    assert!(matches!(error, ClientError::Transport { .. }), "{error}");
    assert_eq!(fake.requests().len(), 4);

    let fake = Fake::start(vec![Step::Drop]);
    let error = fake.client().call::<Set>(set(None)).await.unwrap_err();
    assert!(matches!(error, ClientError::OutcomeUnknown { .. }), "{error}");
    assert_eq!(fake.requests().len(), 4);
}

#[tokio::test]
async fn half_an_answer_is_a_lost_one() {
    let half = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"jsonrpc\"".to_vec();
    let fake = Fake::start(vec![Step::Bytes(half), Step::result(PREFERENCE)]);
    fake.client().call::<Get>(get()).await.unwrap();
    assert_eq!(fake.requests().len(), 2);
}

#[tokio::test]
async fn unavailable_is_waited_for_even_where_a_lost_reply_would_not_be() {
    let fake = Fake::start(vec![Step::error(UNAVAILABLE), Step::result("1")]);
    let began = Instant::now();
    fake.client().call_raw("tomorrow.invent", None).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(60));
    assert_eq!(fake.requests().len(), 2);

    // A wait beyond the budget is not begun.
    let fake = Fake::start(vec![Step::error(UNAVAILABLE)]);
    let repeat = Repeat { budget: Duration::from_millis(30), ..quick() };
    let client = Client::builder().endpoint(fake.endpoint()).repeat(repeat).build().unwrap();
    let error = client.call::<Get>(get()).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::Unavailable));
    assert_eq!(fake.requests().len(), 1);
}

#[tokio::test]
async fn other_errors_are_answers() {
    let error = r#"{"code":-32021,"message":"no","data":{"code":"conflict","reason":"revision","currentRevision":9}}"#;
    let fake = Fake::start(vec![Step::error(error)]);
    let ClientError::Api(error) = fake.client().call::<Set>(set(Some(3))).await.unwrap_err() else {
        panic!("not an answer");
    };
    assert_eq!((error.code(), error.data.current_revision), (ErrorCode::Conflict, Some(9)));
    assert_eq!(fake.requests().len(), 1);

    let body = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32003,"message":"no","data":{"code":"unauthorized"}}}"#;
    let fake = Fake::start(vec![Step::Answer(401, body.to_owned())]);
    let error = fake.client().call::<Get>(get()).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::Unauthorized));
}

#[tokio::test]
async fn a_timeout_is_repeated_only_where_asked_for() {
    let fake = Fake::start(vec![Step::Silence, Step::result(PREFERENCE)]);
    let error = fake.client().call::<Get>(get()).await.unwrap_err();
    assert!(matches!(error, ClientError::Timeout { .. }), "{error}");
    assert_eq!(fake.requests().len(), 1);

    let fake = Fake::start(vec![Step::Silence, Step::result(PREFERENCE)]);
    let client = Client::builder()
        .endpoint(fake.endpoint())
        .request_timeout(Duration::from_millis(50))
        .repeat(Repeat { after_timeout: true, ..quick() })
        .build()
        .unwrap();
    client.call::<Get>(get()).await.unwrap();
    assert_eq!(fake.requests().len(), 2);
}

#[tokio::test]
async fn a_daemon_that_is_not_there_yet_is_met() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("storage.sock");
    let endpoint = format!("unix:{}", path.display());
    let error = client(&endpoint).call::<Get>(get()).await.unwrap_err();
    assert!(matches!(&error, ClientError::Connect { endpoint: said, .. } if *said == endpoint));

    let listen = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        listener.accept().await.unwrap();
    };
    let patient = Repeat { attempts: 100, ..quick() };
    let connect = Client::builder().endpoint(endpoint.as_str()).repeat(patient).connect();
    let (connected, ()) = tokio::join!(connect, listen);
    connected.unwrap();
}

/// A daemon that closes idle connections (or was started anew) leaves the client's pool full of dead
/// ones. A call must find that out before it sends: were it sent on a dead one, its reply would be
/// lost, and a call that can't be repeated would fail for no reason.
#[tokio::test]
async fn a_connection_that_was_closed_while_idle_costs_nothing() {
    let closing = b"HTTP/1.1 200 OK\r\ncontent-length: 36\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1 }".to_vec();
    let fake = Fake::start(vec![Step::Bytes(closing)]);
    let client = fake.client();
    for count in 1..=5 {
        client.call_raw("tomorrow.invent", None).await.unwrap();
        fake.ended(count).await;
        assert_eq!(fake.requests().len(), count);
    }
}

#[tokio::test]
async fn an_answer_over_the_limit_is_refused() {
    let fake = Fake::start(vec![Step::result(&format!("\"{}\"", "x".repeat(100_000)))]);
    let client =
        Client::builder().endpoint(fake.endpoint()).max_response_bytes(50_000).build().unwrap();
    let error = client.call_raw("status.get", None).await.unwrap_err();
    assert!(matches!(error, ClientError::Answer { .. }), "{error}");
    assert_eq!(fake.requests().len(), 1);
}
