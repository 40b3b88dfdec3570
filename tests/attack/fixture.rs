//! The daemon under attack: it listens at every kind of door, and has an owner's token and components.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::{Daemon, Options};
use crate::wire::{Connection, Door, bearer, code, request};

/// A component that the attacks come from.
pub(crate) const MALLORY: &str = "org.example.mallory";
/// A component that wants to be left alone.
pub(crate) const ALICE: &str = "org.example.alice";

/// The daemon under attack.
pub(crate) struct House {
    pub(crate) daemon: Daemon,
}

impl House {
    /// A daemon with this configuration.
    pub(crate) fn start(config: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("osnova-test").tempdir().unwrap();
        Self::start_in(folder, config)
    }

    /// A daemon in a folder where another may have been before. The socket for components lies in a
    /// folder of its own, as one that is open to a group must.
    pub(crate) fn start_in(folder: tempfile::TempDir, config: &str) -> Self {
        let component = format!("component:{}", folder.path().join("c/component.sock").display());
        let flags = vec!["--listen".to_owned(), component];
        let options = Options { flags, config: config.to_owned(), tcp: true, ..Options::default() };
        let daemon = Daemon::start_in(folder, &options).unwrap_or_else(|why| panic!("{why:?}"));
        Self { daemon }
    }

    /// The owner's socket.
    pub(crate) fn owner_door(&self) -> Door {
        Door::Unix(self.daemon.socket())
    }

    /// The path of the socket for components.
    pub(crate) fn component_path(&self) -> PathBuf {
        self.daemon.folder().join("c/component.sock")
    }

    /// The socket for components.
    pub(crate) fn component_door(&self) -> Door {
        Door::Unix(self.component_path())
    }

    /// The address on TCP.
    pub(crate) fn address(&self) -> &str {
        self.daemon.tcp_address()
    }

    /// The door on TCP.
    pub(crate) fn tcp_door(&self) -> Door {
        Door::Tcp(self.address().to_owned())
    }

    /// The owner's token.
    pub(crate) fn token(&self) -> String {
        self.daemon.owner_token()
    }

    /// The header line that shows the owner's token.
    pub(crate) fn owner(&self) -> String {
        bearer(&self.token())
    }

    /// A new token of a component with all that a component may.
    pub(crate) fn component_token(&self, id: &str) -> String {
        let created = self.daemon.ok("auth.createToken", json!({ "componentId": id }));
        created["token"].as_str().unwrap().to_owned()
    }

    /// The header line that shows a new token of a component.
    pub(crate) fn component(&self, id: &str) -> String {
        bearer(&self.component_token(id))
    }

    /// Opens a socket that is bound to a component.
    pub(crate) fn component_socket(&self, id: &str) -> PathBuf {
        let opened = self.daemon.ok("auth.openSocket", json!({ "componentId": id }));
        assert_eq!(opened["listening"], true);
        opened["path"].as_str().unwrap().into()
    }

    /// Every door, with the header lines that the owner needs there.
    pub(crate) fn doors(&self) -> [(Door, String); 3] {
        [
            (self.owner_door(), String::new()),
            (self.component_door(), self.owner()),
            (self.tcp_door(), self.owner()),
        ]
    }

    /// Asserts that a newcomer is served at each door.
    pub(crate) fn assert_serves_all(&self) {
        for (door, headers) in self.doors() {
            assert_served(&door, &headers);
        }
    }

    /// Asserts that no preference was set: the attacks try it.
    pub(crate) fn assert_untouched(&self) {
        assert_eq!(self.daemon.ok("preferences.list", json!({}))["items"], json!([]));
    }

    /// The daemon's memory, in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.daemon.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        kib * 1024
    }
}

/// Asserts that a newcomer is served at this door.
pub(crate) fn assert_served(door: &Door, headers: &str) {
    assert_call(&mut door.connect(), headers);
}

/// Asserts that a call is answered on this connection.
pub(crate) fn assert_call(connection: &mut Connection, headers: &str) {
    let answer = connection.post(headers, &request("auth.whoami", "{}"));
    let answer = answer.expect("the daemon hung up on a well-behaved client");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.json()["result"].is_object(), "{answer:?}");
}

/// The result of a JSON-RPC call at a door, or its typed code.
pub(crate) fn call(
    door: &Door,
    headers: &str,
    method: &str,
    params: &str,
) -> Result<Value, String> {
    let answer = door.connect().post(headers, &request(method, params)).expect("no answer");
    let mut body = answer.json();
    if body["result"].is_null() { Err(code(&answer)) } else { Ok(body["result"].take()) }
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
