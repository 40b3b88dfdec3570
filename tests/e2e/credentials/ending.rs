//! When a credential ends, all that was opened with it ends at once: kept connections, WebSockets,
//! streams both ways.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use serde_json::json;
use sha2::{Digest, Sha256};

use super::{A, bound, create_token, is_let_in, now, open_socket, rest_of, start, token_of};
use crate::http_blobs::noise;
use crate::support::{Daemon, wait_until};
use crate::ways::{Door, Stream, Way, frame, request};
use crate::websocket::WebSocket;

/// Larger than all that may be on its way between the daemon and a client that does not read.
const LARGE: usize = 32 << 20;
/// What is put when the credential has ended.
const TOO_LATE: &str = "put too late";

/// What becomes of a kept connection.
#[derive(Clone, Copy)]
enum Kept {
    /// Its next request is refused.
    Refused,
    /// It ends.
    Closed,
}

/// Everything that can be open with a credential.
struct Opened {
    way: Way,
    kept: Box<dyn Stream>,
    web_socket: WebSocket,
    /// The same connection, to write to it even where it has ended.
    beside: UnixStream,
    /// Two puts that are half done: the client of one waits, that of the other goes on.
    waiting_put: UnixStream,
    going_put: UnixStream,
    /// A get of which the client has read no more than the beginning.
    get: UnixStream,
}

impl Opened {
    /// Opens all; `None` where the credential ended meanwhile. The caller sees a content of this hash.
    fn open(daemon: &Daemon, way: Way, large: &str) -> Option<Self> {
        let mut kept = way.connect(daemon);
        if way.call_on(&mut kept, "auth.whoami", &json!({})).status != 200 {
            return None;
        }
        let stream = way.unix(daemon);
        let beside = stream.try_clone().unwrap();
        let (status, mut web_socket) = way.upgrade(stream);
        if status != 101 {
            return None;
        }
        web_socket.ask(&request("auth.whoami", &json!({})));
        let waiting_put = half_put(daemon, &way, 1)?;
        let going_put = half_put(daemon, &way, 2)?;
        let mut get = way.unix(daemon);
        write!(get, "{}\r\n", way.head("GET", &format!("/blobs/{large}"), "")).unwrap();
        let mut begun = [0; 12];
        get.read_exact(&mut begun).unwrap();
        let opened = Self { way, kept, web_socket, beside, waiting_put, going_put, get };
        (begun == *b"HTTP/1.1 200" && is_let_in(daemon, &opened.way)).then_some(opened)
    }

    /// Checks that all has ended.
    fn has_ended(mut self, daemon: &Daemon, kept: Kept) {
        // At first, so that nothing but the answer of what ended it lies between.
        let late = request("blobs.put", &json!({ "data": "cHV0IHRvbyBsYXRl" }));
        let _ = self.beside.write_all(&frame(late.as_bytes()));
        match kept {
            Kept::Refused => {
                let told = self.way.call_on(&mut self.kept, "auth.whoami", &json!({}));
                assert_eq!((told.status, told.code()), (401, "unauthorized"));
            }
            Kept::Closed => assert_eq!(rest_of(&mut self.kept), b""),
        }
        while let Some(answer) = self.web_socket.receive() {
            assert_eq!(answer["error"]["data"]["code"], "unauthorized", "{answer}");
        }
        rest_of(&mut self.beside);
        let rest = rest_of(&mut self.waiting_put);
        let rest = String::from_utf8_lossy(&rest);
        assert!(rest.starts_with("HTTP/1.1 401") && rest.contains("unauthorized"), "{rest}");
        let _ = self.going_put.write_all(&noise(2, 1 << 20)[1 << 19..]);
        let rest = rest_of(&mut self.going_put);
        assert!(!rest.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&rest));
        let read = rest_of(&mut self.get).len();
        assert!(read < LARGE, "all of the content was sent");
        wait_until("the puts to be cleared away", || (temporaries(daemon) == 0).then_some(()));
        let late = [TOO_LATE.as_bytes().to_vec(), noise(1, 1 << 20), noise(2, 1 << 20)];
        let late = late.map(|content| hash_of(&content));
        let present = daemon.ok("blobs.has", json!({ "hashes": late }));
        assert_eq!(present, json!({ "present": [false, false, false] }));
        assert_eq!(daemon.ok("status.get", json!({}))["status"], "ok");
    }
}

/// Begins to put a content of a MiB, and stops half way; `None` where the caller is refused.
fn half_put(daemon: &Daemon, way: &Way, seed: u64) -> Option<UnixStream> {
    let before = temporaries(daemon);
    let mut stream = way.unix(daemon);
    let head = way.head("PUT", "/blobs", &format!("Content-Length: {}\r\n", 1 << 20));
    write!(stream, "{head}\r\n").unwrap();
    let _ = stream.write_all(&noise(seed, 1 << 20)[..1 << 19]);
    let has_begun = wait_until("the put to begin", || {
        if temporaries(daemon) > before {
            Some(true)
        } else {
            (!is_let_in(daemon, way)).then_some(false)
        }
    });
    has_begun.then_some(stream)
}

fn temporaries(daemon: &Daemon) -> usize {
    std::fs::read_dir(daemon.root().join("blobs/.tmp")).unwrap().count()
}

fn hash_of(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Puts the large content; its hash.
fn put_large(daemon: &Daemon, way: &Way) -> String {
    let answer = way.http(daemon, "PUT", "/blobs", "", &noise(3, LARGE));
    answer.json()["hash"].as_str().unwrap().to_owned()
}

#[test]
fn a_frame_is_a_frame() {
    let daemon = Daemon::start();
    let stream = daemon.connect();
    let mut beside = stream.try_clone().unwrap();
    let (status, mut web_socket) = WebSocket::upgrade(stream, "");
    assert_eq!(status, 101);
    let put = request("blobs.put", &json!({ "data": "cHV0IHRvbyBsYXRl" }));
    beside.write_all(&frame(put.as_bytes())).unwrap();
    assert_eq!(web_socket.receive().unwrap()["result"]["hash"], hash_of(TOO_LATE.as_bytes()));
}

#[test]
fn what_was_opened_with_a_token_ends_when_it_is_revoked() {
    let daemon = start();
    let (token, info) = create_token(&daemon, json!({ "componentId": A }));
    let way = Way::with(Door::Components, &token);
    let large = put_large(&daemon, &way);
    let opened = Opened::open(&daemon, way, &large).unwrap();
    let revoked = daemon.ok("auth.revokeToken", json!({ "tokenId": info["tokenId"] }));
    assert_eq!(revoked, json!({ "deleted": true }));
    opened.has_ended(&daemon, Kept::Refused);
}

/// The same on a socket that is the component's: the token that is shown there counts.
#[test]
fn what_was_opened_with_a_token_on_a_bound_socket_ends_with_the_token() {
    let daemon = start();
    let path = open_socket(&daemon, json!({ "componentId": A }));
    let (token, info) = create_token(&daemon, json!({ "componentId": A }));
    let way = Way::with(Door::Bound(path.clone()), &token);
    let large = put_large(&daemon, &way);
    let opened = Opened::open(&daemon, way, &large).unwrap();
    daemon.ok("auth.revokeToken", json!({ "tokenId": info["tokenId"] }));
    opened.has_ended(&daemon, Kept::Refused);
    assert!(is_let_in(&daemon, &bound(&path)), "the socket ended with a token");
}

#[test]
fn what_was_opened_with_a_token_ends_when_it_expires() {
    let daemon = start();
    let large = put_large(&daemon, &Way::with(Door::Components, &token_of(&daemon, A)));
    // On a machine that has much else to do the token may expire before all is open.
    let (way, opened) = [2, 8, 30]
        .iter()
        .find_map(|lifetime| {
            let params = json!({ "componentId": A, "expiresAt": now() + lifetime });
            let way = Way::with(Door::Components, &create_token(&daemon, params).0);
            Some((way.clone(), Opened::open(&daemon, way, &large)?))
        })
        .unwrap();
    wait_until("the token to expire", || (!is_let_in(&daemon, &way)).then_some(()));
    opened.has_ended(&daemon, Kept::Refused);
}

#[test]
fn what_was_opened_with_the_owners_token_ends_when_it_is_renewed() {
    let daemon = start();
    let way = Way::with(Door::Components, &daemon.owner_token());
    let large = put_large(&daemon, &way);
    let opened = Opened::open(&daemon, way, &large).unwrap();
    daemon.ok("auth.rotateOwnerToken", json!({}));
    opened.has_ended(&daemon, Kept::Refused);
}

#[test]
fn what_was_opened_through_a_bound_socket_ends_when_it_is_closed() {
    let daemon = start();
    let path = open_socket(&daemon, json!({ "componentId": A }));
    let way = bound(&path);
    let large = put_large(&daemon, &way);
    let opened = Opened::open(&daemon, way, &large).unwrap();
    let closed = daemon.ok("auth.closeSocket", json!({ "componentId": A }));
    assert_eq!(closed, json!({ "deleted": true }));
    assert!(!path.exists());
    opened.has_ended(&daemon, Kept::Closed);
}

/// A token that was shown there ends with the socket, and is good elsewhere.
#[test]
fn what_was_opened_with_a_token_on_a_bound_socket_ends_with_the_socket() {
    let daemon = start();
    let path = open_socket(&daemon, json!({ "componentId": A }));
    let token = token_of(&daemon, A);
    let way = Way::with(Door::Bound(path), &token);
    let large = put_large(&daemon, &way);
    let opened = Opened::open(&daemon, way, &large).unwrap();
    daemon.ok("auth.closeSocket", json!({ "componentId": A }));
    opened.has_ended(&daemon, Kept::Closed);
    assert!(is_let_in(&daemon, &Way::with(Door::Components, &token)));
}
