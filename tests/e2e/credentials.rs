//! Credentials: how they are made and kept, what they allow, and that their end is the end of all that
//! was opened with them.

mod blobs;
mod ending;
mod sockets;
mod tokens;

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::document::Document;
use crate::support::{Daemon, Options};
use crate::ways::{Door, Way};

/// The component of most tests.
const A: &str = "org.example.a";
/// Another one.
const B: &str = "@other/b";

/// A daemon with every listener. Bodies may stand still for longer than a test waits for anything, so
/// that nothing ends but for the reason that is tested.
fn options() -> Options {
    let config = "[limits]\nstall_timeout_ms = 600000\n".to_owned();
    Options { config, ..Options::with_every_listener() }
}

fn start() -> Daemon {
    Daemon::start_with(&options())
}

/// Starts the daemon again on the root of one that has ended.
fn start_again(folder: tempfile::TempDir) -> Daemon {
    Daemon::start_in(folder, &options()).unwrap_or_else(|refused| panic!("{refused:?}"))
}

/// Makes a token; the token, and what is known of it.
fn create_token(daemon: &Daemon, params: Value) -> (String, Value) {
    let mut created = daemon.ok("auth.createToken", params);
    (created["token"].as_str().unwrap().to_owned(), created["info"].take())
}

/// A token of a component's, of all that a component may.
fn token_of(daemon: &Daemon, component: &str) -> String {
    create_token(daemon, json!({ "componentId": component })).0
}

/// Opens a socket; its path.
fn open_socket(daemon: &Daemon, params: Value) -> PathBuf {
    let socket = daemon.ok("auth.openSocket", params);
    assert_eq!(socket["listening"], true);
    socket["path"].as_str().unwrap().into()
}

fn bound(path: &Path) -> Way {
    Way::by(Door::Bound(path.to_owned()))
}

fn whoami(daemon: &Daemon, way: &Way) -> Value {
    way.call(daemon, "auth.whoami", &json!({})).ok()
}

/// Whether the daemon lets a caller in.
fn is_let_in(daemon: &Daemon, way: &Way) -> bool {
    let told = way.call(daemon, "auth.whoami", &json!({}));
    assert_eq!(told.code(), if told.status == 401 { "unauthorized" } else { "ok" });
    told.status != 401
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// What still comes until the daemon closes; fails where it does not.
fn rest_of(stream: &mut impl Read) -> Vec<u8> {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            panic!("the daemon did not end the connection")
        }
        // Closed, or reset where something was on its way.
        _ => rest,
    }
}

/// Every scope that a component may have, as the document tells them.
fn component_scopes() -> BTreeSet<String> {
    let document = Document::read();
    let methods = document.methods().iter().filter(|method| method["x-visibility"] != "owner");
    methods.filter_map(|method| method["x-scope"].as_str().map(str::to_owned)).collect()
}

/// The scopes that a caller is told he has.
fn scopes_of(identity: &Value) -> BTreeSet<String> {
    let scopes = identity["scopes"].as_array().unwrap();
    scopes.iter().map(|scope| scope.as_str().unwrap().to_owned()).collect()
}
