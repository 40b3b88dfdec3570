//! Contents between components: what is granted is seen, and nothing else tells that it is there.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::{A, B, start, token_of};
use crate::http_blobs::noise;
use crate::support::{Daemon, HttpAnswer, Options};
use crate::ways::{Door, Way};

fn way_of(daemon: &Daemon, component: &str) -> Way {
    Way::with(Door::Components, &token_of(daemon, component))
}

/// Puts a content; what is answered, an error as its object.
fn put(daemon: &Daemon, way: &Way, content: &[u8]) -> Value {
    let params = json!({ "data": BASE64_STANDARD.encode(content) });
    match way.call(daemon, "blobs.put", &params).outcome {
        Ok(told) | Err(told) => told,
    }
}

/// The same over plain HTTP, in a body whose length is announced, and in one whose length is not.
fn put_plainly(daemon: &Daemon, way: &Way, content: &[u8]) -> [HttpAnswer; 2] {
    let size = format!("{:x}\r\n", content.len());
    let chunked = [size.as_bytes(), content, b"\r\n0\r\n\r\n"].concat();
    let head = way.head("PUT", "/blobs", "Transfer-Encoding: chunked\r\n");
    [
        way.http(daemon, "PUT", "/blobs", "", content),
        crate::support::exchange(&mut way.connect(daemon), &head, &chunked),
    ]
}

#[test]
fn a_grant_shows_a_content_until_it_is_taken_back() {
    let daemon = start();
    let way = way_of(&daemon, B);
    let params = json!({ "data": "aGVsbG8=", "name": "hello.txt", "contentType": "text/plain" });
    let hash = daemon.ok("blobs.put", params)["hash"].take();
    let path = format!("/blobs/{}", hash.as_str().unwrap());
    let named = json!({ "hash": hash });
    let code = |method: &str| way.call(&daemon, method, &named).code().to_owned();
    let is_hidden = || {
        assert_eq!([code("blobs.get"), code("blobs.stat"), code("blobs.pin")], ["not_found"; 3]);
        assert_eq!(way.http(&daemon, "GET", &path, "", b"").status, 404);
        let list = way.call(&daemon, "blobs.list", &json!({})).ok();
        assert_eq!(list, json!({ "items": [] }));
        let usage = way.call(&daemon, "blobs.usage", &json!({})).ok();
        assert_eq!((&usage["count"], &usage["bytes"]), (&json!(0), &json!(0)));
    };
    is_hidden();
    // It can't grant itself what it does not see, nor what it sees to others.
    let to_b = json!({ "hash": hash, "componentId": B });
    assert_eq!(way.call(&daemon, "blobs.grant", &to_b).code(), "forbidden");
    is_hidden();

    let granted = daemon.ok("blobs.grant", to_b.clone());
    assert_eq!((&granted["hash"], &granted["name"]), (&hash, &json!("hello.txt")));
    assert_eq!(way.http(&daemon, "GET", &path, "", b"").body, b"hello");
    let seen = way.call(&daemon, "blobs.stat", &named).ok();
    assert_eq!((&seen["name"], &seen["contentType"]), (&json!("hello.txt"), &json!("text/plain")));
    assert_eq!((&seen["pinned"], seen.get("storedSize")), (&json!(true), None));
    assert_eq!(way.call(&daemon, "blobs.list", &json!({})).ok(), json!({ "items": [seen] }));
    assert_eq!(way.call(&daemon, "blobs.usage", &json!({})).ok()["bytes"], 5);
    let third = way_of(&daemon, A);
    assert_eq!(third.call(&daemon, "blobs.stat", &named).code(), "not_found");
    assert_eq!(put(&daemon, &way, b"hello")["created"], false);

    // One component says nothing of what another holds.
    let of_a = json!({ "hash": hash, "componentId": A });
    assert_eq!(way.call(&daemon, "blobs.delete", &of_a).code(), "not_found");
    let absent = json!({ "hash": "0".repeat(64), "componentId": A });
    assert_eq!(
        way.call(&daemon, "blobs.delete", &of_a).outcome,
        way.call(&daemon, "blobs.delete", &absent).outcome
    );
    assert_eq!(daemon.ok("blobs.delete", of_a), json!({ "deleted": false }));
    assert_eq!(daemon.ok("blobs.delete", to_b.clone()), json!({ "deleted": true }));
    assert_eq!(daemon.ok("blobs.delete", to_b.clone()), json!({ "deleted": false }));
    is_hidden();
    assert_eq!(daemon.ok("blobs.get", named.clone())["data"], "aGVsbG8=");

    // The component may let go of a grant itself; the owner keeps what is his.
    daemon.ok("blobs.grant", to_b.clone());
    assert_eq!(way.call(&daemon, "blobs.delete", &to_b).ok(), json!({ "deleted": true }));
    is_hidden();
    assert_eq!(daemon.ok("blobs.stat", named.clone())["pinned"], true);
    // What the owner deletes is gone for all.
    daemon.ok("blobs.grant", to_b.clone());
    assert_eq!(daemon.ok("blobs.delete", named.clone()), json!({ "deleted": true }));
    is_hidden();
    daemon.fails("not_found", "blobs.grant", to_b);
}

#[test]
fn a_put_does_not_tell_what_another_holds() {
    let daemon = start();
    let (a, b) = (way_of(&daemon, A), way_of(&daemon, B));
    let [held, fresh] = [noise(1, 1000), noise(2, 1000)];
    assert_eq!(put(&daemon, &a, &held)["created"], true);
    for content in [&held, &fresh] {
        let told = put(&daemon, &b, content);
        assert_eq!((&told["created"], &told["size"]), (&json!(true), &json!(1000)));
        assert_eq!(put(&daemon, &b, content)["created"], false);
    }
    let [held, fresh] = [noise(3, 1000), noise(4, 1000)];
    for answer in put_plainly(&daemon, &a, &held) {
        assert_eq!(answer.status, 200);
    }
    let told = [&held, &fresh].map(|content| {
        put_plainly(&daemon, &b, content).map(|answer| {
            let names: Vec<String> = answer.headers.iter().map(|(name, _)| name.clone()).collect();
            (answer.status, names, answer.json()["created"].clone())
        })
    });
    assert_eq!(told[0], told[1]);
    assert_eq!((&told[0][0].2, &told[0][1].2), (&json!(true), &json!(false)));
}

/// A quota counts what is put, whether or not it takes room: else trying would tell what others hold.
#[test]
fn a_quota_does_not_tell_what_another_holds() {
    for config in [
        "[blobs]\ncomponent_limit_bytes = 5000\n",
        // With what the owner holds there is no room for one more.
        "[blobs]\nlimit_bytes = 5000\ncomponent_limit_bytes = 0\n",
    ] {
        let options = Options { config: config.to_owned(), ..Options::with_every_listener() };
        let daemon = Daemon::start_with(&options);
        let way = way_of(&daemon, B);
        let [held, fresh] = [noise(1, 3000), noise(2, 3000)];
        put(&daemon, &Way::by(Door::Owner), &held);
        if config.contains("component_limit_bytes = 5000") {
            assert_eq!(put(&daemon, &way, &noise(3, 3000))["created"], true);
        }
        let before = way.call(&daemon, "blobs.usage", &json!({})).ok();
        let told = [&held, &fresh].map(|content| put(&daemon, &way, content));
        assert_eq!(told[0]["data"]["code"], "quota_exceeded", "{}", told[0]);
        assert_eq!(told[0], told[1]);
        let told = [&held, &fresh].map(|content| {
            put_plainly(&daemon, &way, content)
                .map(|answer| (answer.status, String::from_utf8(answer.body).unwrap()))
        });
        assert_eq!(told[0][0].0, 429);
        assert_eq!(told[0], told[1]);
        assert_eq!(way.call(&daemon, "blobs.usage", &json!({})).ok(), before);
    }
}
