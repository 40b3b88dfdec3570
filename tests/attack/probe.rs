//! A small Python process that tries things for a test: as another user, or out of a sandbox.
#![allow(clippy::needless_pass_by_value, reason = "`json!` makes what is tried where it is passed")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::wire::{bearer, head, request};

const SCRIPT: &str = include_str!("probe.py");
/// Not the first in `PATH`, which may lie in a home folder that others can't reach.
pub(crate) const PYTHON: &str = "/usr/bin/python3";

/// A running probe.
pub(crate) struct Probe(Child, BufReader<std::process::ChildStdout>);

impl Probe {
    /// Runs Python with the script by a command that ends where Python's own path comes.
    pub(crate) fn start(mut command: Command) -> Self {
        command.args([PYTHON, "-I", "-c", SCRIPT]).env_clear();
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("no probe");
        let told = BufReader::new(child.stdout.take().unwrap());
        Self(child, told)
    }

    /// Has the probe try something.
    pub(crate) fn try_it(&mut self, what: Value) -> Value {
        writeln!(self.0.stdin.as_mut().unwrap(), "{what}").unwrap();
        let mut line = String::new();
        self.1.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("the probe ended over {what}"))
    }

    /// Has it send a request with no body or a JSON one; its answer, or `refused`.
    pub(crate) fn ask(
        &mut self,
        place: &Place,
        line: &str,
        token: Option<&str>,
        body: &str,
    ) -> Value {
        let token = token.map(bearer).unwrap_or_default();
        let headers = format!(
            "{token}Content-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let place = match place {
            Place::Unix(path) => json!({ "unix": path }),
            Place::Tcp(address) => {
                let (host, port) = address.rsplit_once(':').unwrap();
                json!({ "tcp": [host, port.parse::<u16>().unwrap()] })
            }
        };
        self.try_it(json!({ "try": "ask", "where": place, "request": head(line, &headers) }))
    }

    /// Has it call a method: the answer's status and JSON-RPC body, or why it could not connect.
    pub(crate) fn call(
        &mut self,
        place: &Place,
        token: Option<&str>,
        method: &str,
        params: &str,
    ) -> Result<(u64, Value), String> {
        let told = self.ask(place, "POST /", token, &request(method, params));
        match told["refused"].as_str() {
            Some(why) => Err(why.to_owned()),
            None => {
                let body = serde_json::from_str(told["body"].as_str().unwrap()).unwrap();
                Ok((told["status"].as_u64().unwrap(), body))
            }
        }
    }

    /// Asserts that something is refused with this error of the system.
    pub(crate) fn assert_refused(&mut self, what: Value, errors: &[&str]) {
        let told = self.try_it(what.clone());
        let refused = told["refused"].as_str().is_some_and(|error| errors.contains(&error));
        assert!(refused, "{what}: {told}");
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Where the probe is to connect to.
pub(crate) enum Place<'a> {
    Unix(&'a Path),
    Tcp(&'a str),
}
