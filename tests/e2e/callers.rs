//! Every method and every route, asked for by every kind of caller.
//!
//! [`table`] says who may ask for what, [`kinds`] who there is. A method that is not in the table, or
//! that the document tells otherwise of, fails the test by its name.

mod kinds;
mod table;
mod world;

use std::collections::BTreeSet;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use osnova_storage_api::all_methods;
use serde_json::{Value, json};

use crate::document::{Document, name_of};
use crate::example_root;
use crate::support::{MASTER_KEY, Options, PHRASE};
use crate::ways::{Door, OVER_WEB_SOCKET_ONLY, Shown, Told, Way, outcome_of, request};
use kinds::{Expected, Kind, Standing, Which, kinds};
use table::{Access, Answer, CONTENT_OF_A, FRESH, Row, Things, table};
use world::{Log, World};

#[test]
fn the_table_has_every_method_and_says_what_the_document_says() {
    let table = table();
    let named: BTreeSet<&str> =
        table.iter().filter(|row| row.is_method()).map(|row| row.name).collect();
    let defined: BTreeSet<&str> = all_methods().map(|spec| spec.name).collect();
    let missing: Vec<_> = defined.difference(&named).collect();
    assert!(missing.is_empty(), "not in the table of tests/e2e/callers/table.rs: {missing:?}");
    let surplus: Vec<_> = named.difference(&defined).collect();
    assert!(surplus.is_empty(), "in the table, but no method: {surplus:?}");
    let document = Document::read();
    assert_eq!(document.methods().iter().map(name_of).collect::<BTreeSet<_>>(), defined);
    for row in table.iter().filter(|row| row.is_method()) {
        let method = document.method(row.name);
        assert_eq!(method["x-scope"], json!(row.access.scope()), "{}", row.name);
        assert_eq!(method["x-visibility"], row.access.visibility(), "{}", row.name);
    }
}

/// Whoever is denied, and whoever names what is another's, changes nothing and learns nothing. Of each
/// denied call a line stands in the log, of no other.
#[test]
fn denied_calls_and_calls_of_others_things_change_nothing() {
    let world = World::start();
    let before = world.dump();
    let mut log = Log::from_now(&world.daemon);
    for row in &table() {
        for kind in &kinds() {
            let at = format!("{} by {}", row.name, kind.name);
            let way = (kind.way)(&world, row);
            let expected = kind.expects(row);
            if expected == Expected::Through {
                names_anothers_things(&world, row, kind, &way, &at);
                assert_eq!(log.audit(), [], "{at}");
                continue;
            }
            let told = world.send(row, &way, &world.of_a);
            is_denied(row, expected, &told, &at);
            is_audited(&log.audit(), row, kind, &way, told.code(), &at);
            if let Some(code) = denied_over_web_socket(&world, row, kind, &way) {
                assert_eq!(code, told.code(), "{at} over a WebSocket");
                is_audited(&log.audit(), row, kind, &way, &code, &at);
            }
        }
    }
    assert_eq!(world.dump(), before, "a denied call changed something");
    nothing_leaked(&world, &[]);
}

fn is_denied(row: &Row, expected: Expected, told: &Told, at: &str) {
    let (code, status) = match expected {
        // Of a method it is an answer like any other.
        Expected::Forbidden if row.is_method() => ("forbidden", 200),
        Expected::Forbidden => ("forbidden", 403),
        Expected::Unauthorized => ("unauthorized", 401),
        Expected::Through => panic!("{at} is not denied"),
    };
    assert_eq!((told.code(), told.status), (code, status), "{at}: {told:?}");
}

fn is_audited(
    lines: &[(String, String, String)],
    row: &Row,
    kind: &Kind,
    way: &Way,
    outcome: &str,
    at: &str,
) {
    let [(who, what, ended)] = lines else { panic!("{at}: not one audit line: {lines:?}") };
    assert!(who.contains(&kind.audited_as(way)), "{at} is audited as {who:?}");
    assert_eq!(ended, outcome, "{at}");
    let method = match row.name {
        "PUT /blobs" => "blobs.put",
        "POST /blobs" => "blobs.putMany",
        "PUT /uploads/{uploadId}/{index}" => "blobs.uploadChunk",
        "GET /blobs/{hash}" | "HEAD /blobs/{hash}" => "blobs.get",
        name => name,
    };
    match kind.standing {
        // What a stranger wanted is not even read; but not nothing is said of it.
        Standing::Stranger => assert!(!what.is_empty(), "{at}"),
        _ => assert_eq!(what, method, "{at}"),
    }
}

/// A component names what is another's: A the owner's, B A's.
fn names_anothers_things(world: &World, row: &Row, kind: &Kind, way: &Way, at: &str) {
    let Standing::Component(which, _) = kind.standing else { return };
    let anothers = match which {
        Which::A => &world.of_owner,
        Which::B => &world.of_a,
    };
    if !matches!(row.access, Access::Own(_)) || !row.names_things(anothers, &world.absent) {
        return;
    }
    is_answered(world, row, way, anothers, row.of_anothers, at);
}

/// What a kind of caller that was let in is told over a WebSocket where its call is denied; `None` where
/// there is nothing to ask.
fn denied_over_web_socket(world: &World, row: &Row, kind: &Kind, way: &Way) -> Option<String> {
    let can_be_asked = row.is_method()
        && kind.standing != Standing::Stranger
        && way.door != Door::Tcp
        && !matches!(way.shown, Shown::InPath(_));
    if !can_be_asked {
        return None;
    }
    let (status, mut socket) = way.web_socket(&world.daemon);
    assert_eq!(status, 101);
    let answer = socket.ask(&request(row.name, &(row.params)(&world.of_a)));
    Some(outcome_of(answer).unwrap_err()["data"]["code"].as_str().unwrap().to_owned())
}

/// Whoever may call is answered, and sees what is his. Of each of the admin's calls a line stands in the
/// log, of no other.
#[test]
fn calls_are_let_through_as_the_table_says() {
    let world = World::start();
    let mut log = Log::from_now(&world.daemon);
    let mut shown = vec![world.daemon.owner_token()];
    // It ends the daemon, and has a test of its own.
    for row in table().iter().filter(|row| row.name != "system.shutdown") {
        for kind in kinds().iter().filter(|kind| kind.expects(row) == Expected::Through) {
            let at = format!("{} by {}", row.name, kind.name);
            let way = (kind.way)(&world, row);
            let answer = match kind.standing {
                Standing::Component(Which::A, _) => row.of_own,
                // B has nothing of its own, and what it is told of A's is another test.
                Standing::Component(Which::B, _)
                    if row.names_things(&world.of_a, &world.absent) =>
                {
                    continue;
                }
                Standing::Component(Which::B, _) => row.of_anothers,
                _ => Answer::Ok,
            };
            let result = is_answered(&world, row, &way, &world.of_a, answer, &at);
            shown.extend(result["token"].as_str().map(str::to_owned));
            match row.access {
                Access::Owner("admin") => is_audited(&log.audit(), row, kind, &way, "ok", &at),
                _ => assert_eq!(log.audit(), [], "{at}"),
            }
            if row.changes() {
                world.restore();
                log.audit();
            }
        }
    }
    nothing_leaked(&world, &shown);
}

/// Checks what is answered to a caller who is let through, and hands the result back.
fn is_answered(
    world: &World,
    row: &Row,
    way: &Way,
    things: &Things,
    answer: Answer,
    at: &str,
) -> Value {
    let mut told = world.send(row, way, things);
    if OVER_WEB_SOCKET_ONLY.contains(&row.name) {
        assert_eq!((told.code(), told.status), ("invalid_request", 200), "{at}");
        if way.door == Door::Tcp || matches!(way.shown, Shown::InPath(_)) {
            return Value::Null;
        }
        let (_, mut socket) = way.web_socket(&world.daemon);
        let answer = socket.ask(&request(row.name, &(row.params)(things)));
        told = Told { status: 200, outcome: outcome_of(answer) };
    }
    let Answer::NotFound = answer else {
        assert_eq!(told.code(), "ok", "{at}: {told:?}");
        assert_eq!(told.status, if row.name == "WebSocket" { 101 } else { 200 }, "{at}");
        let result = told.ok();
        if let Answer::Shows(expected) = answer {
            let expected = expected(things);
            assert!(shows(&result, &expected), "{at}: {result} does not show {expected}");
        }
        return result;
    };
    assert_eq!(told.code(), "not_found", "{at}: {told:?}");
    assert_eq!(told.status, if row.is_method() { 200 } else { 404 }, "{at}");
    let of_nothing = world.send(row, way, &world.absent);
    assert_eq!(told.status, of_nothing.status, "{at}");
    assert_eq!(told.outcome, of_nothing.outcome, "{at} is told more than that it is not there");
    Value::Null
}

/// Whether a value has at least these members, in lists the same number of items.
fn shows(value: &Value, expected: &Value) -> bool {
    match (value, expected) {
        (Value::Object(value), Value::Object(expected)) => expected
            .iter()
            .all(|(key, expected)| value.get(key).is_some_and(|value| shows(value, expected))),
        (Value::Array(value), Value::Array(expected)) => {
            value.len() == expected.len() && value.iter().zip(expected).all(|(v, e)| shows(v, e))
        }
        _ => value == expected,
    }
}

/// The log, at its most talkative, holds neither secrets nor what calls carried.
fn nothing_leaked(world: &World, shown: &[String]) {
    let log = world.daemon.log();
    assert!(log.contains("\"level\":\"DEBUG\""), "the log says less than it could");
    let owner_token = world.daemon.owner_token();
    // A token of a component's is public up to its last part.
    let shown = shown.iter().map(|token| token.rsplit('_').next().unwrap());
    let encoded = [CONTENT_OF_A, FRESH].map(|content| BASE64_STANDARD.encode(content));
    let mut secrets: Vec<&str> = world.secrets();
    secrets.extend(shown);
    secrets.extend(encoded.iter().map(String::as_str));
    secrets.extend([owner_token.as_str(), PHRASE, MASTER_KEY, "unspoken", "Bearer"]);
    for secret in secrets {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret:?} stands in the log");
    }
}

#[test]
fn the_owner_stops_the_daemon_by_each_of_his_ways() {
    let stops = [
        |_: &str| Way::by(Door::Owner),
        |token: &str| Way::with(Door::Tcp, token),
        |token: &str| Way::with(Door::Components, token),
    ];
    for stop in stops {
        let document = Document::read();
        let mut daemon = example_root::daemon_with(&document, &Options::with_every_listener());
        let way = stop(&daemon.owner_token());
        let told = way.call(&daemon, "system.shutdown", &json!({}));
        assert_eq!(told.ok(), json!({ "accepted": true }));
        assert!(daemon.wait().success());
    }
}
