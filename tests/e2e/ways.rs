//! Ways into the daemon: by which door a caller comes, and what he shows there.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Daemon, HttpAnswer, connect, exchange};
use crate::websocket::WebSocket;

/// A caller that is not answered for longer than this fails the test.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection to any door.
pub(crate) trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// Where a caller comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Door {
    /// The owner's socket.
    Owner,
    /// The socket for components.
    Components,
    /// A socket at this path, bound to a component.
    Bound(PathBuf),
    /// Localhost.
    Tcp,
}

/// What a caller shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Nothing.
    Nothing,
    /// A token in the `Authorization` header.
    Bearer(String),
    /// A token at the front of the path.
    InPath(String),
}

/// A way into the daemon.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    pub(crate) door: Door,
    pub(crate) shown: Shown,
}

/// What came of a request.
#[derive(Debug)]
pub(crate) struct Told {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The result, or the error object.
    pub(crate) outcome: Result<Value, Value>,
}

impl Told {
    /// `ok`, or the name of the error's code.
    pub(crate) fn code(&self) -> &str {
        match &self.outcome {
            Ok(_) => "ok",
            Err(error) => error["data"]["code"].as_str().unwrap_or("no code"),
        }
    }

    /// The result, where there must be one.
    pub(crate) fn ok(self) -> Value {
        self.outcome.unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Way {
    /// By a door, showing nothing.
    pub(crate) fn by(door: Door) -> Self {
        Self { door, shown: Shown::Nothing }
    }

    /// By a door, with a token in the header.
    pub(crate) fn with(door: Door, token: &str) -> Self {
        Self { door, shown: Shown::Bearer(token.to_owned()) }
    }

    /// Connects to the door.
    pub(crate) fn connect(&self, daemon: &Daemon) -> Box<dyn Stream> {
        match &self.door {
            Door::Owner | Door::Components | Door::Bound(_) => Box::new(self.unix(daemon)),
            Door::Tcp => {
                let stream = TcpStream::connect(daemon.tcp_address()).unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                stream.set_write_timeout(Some(PATIENCE)).unwrap();
                Box::new(stream)
            }
        }
    }

    /// The head of a request, without its last empty line.
    pub(crate) fn head(&self, method: &str, path: &str, headers: &str) -> String {
        let (prefix, token) = match &self.shown {
            Shown::Nothing => (String::new(), String::new()),
            Shown::Bearer(token) => (String::new(), format!("Authorization: Bearer {token}\r\n")),
            Shown::InPath(token) => (format!("/t/{token}"), String::new()),
        };
        format!("{method} {prefix}{path} HTTP/1.1\r\nHost: localhost\r\n{token}{headers}")
    }

    /// Sends one request on a connection of its own.
    pub(crate) fn http(
        &self,
        daemon: &Daemon,
        method: &str,
        path: &str,
        headers: &str,
        body: &[u8],
    ) -> HttpAnswer {
        self.http_on(&mut self.connect(daemon), method, path, headers, body)
    }

    /// Sends one request on an open connection.
    pub(crate) fn http_on(
        &self,
        stream: &mut Box<dyn Stream>,
        method: &str,
        path: &str,
        headers: &str,
        body: &[u8],
    ) -> HttpAnswer {
        let length = format!("{headers}Content-Length: {}\r\n", body.len());
        let headers = if body.is_empty() { headers } else { &length };
        exchange(stream, &self.head(method, path, headers), body)
    }

    /// Calls a method on a connection of its own.
    pub(crate) fn call(&self, daemon: &Daemon, method: &str, params: &Value) -> Told {
        self.call_on(&mut self.connect(daemon), method, params)
    }

    /// Calls a method on an open connection.
    pub(crate) fn call_on(
        &self,
        stream: &mut Box<dyn Stream>,
        method: &str,
        params: &Value,
    ) -> Told {
        let headers = "Content-Type: application/json\r\n";
        let body = request(method, params);
        let answer = self.http_on(stream, "POST", "/", headers, body.as_bytes());
        Told { status: answer.status, outcome: outcome_of(answer.json()) }
    }

    /// Connects to one of the Unix sockets.
    pub(crate) fn unix(&self, daemon: &Daemon) -> UnixStream {
        match &self.door {
            Door::Owner => daemon.connect(),
            Door::Components => connect(&daemon.component_socket()),
            Door::Bound(path) => connect(path),
            Door::Tcp => panic!("this is no Unix socket"),
        }
    }

    /// Opens a WebSocket by one of the Unix sockets; the status, and the socket as it then is.
    pub(crate) fn web_socket(&self, daemon: &Daemon) -> (u16, WebSocket) {
        self.upgrade(self.unix(daemon))
    }

    /// Makes a WebSocket of a connection.
    pub(crate) fn upgrade(&self, stream: UnixStream) -> (u16, WebSocket) {
        let token = match &self.shown {
            Shown::Nothing => String::new(),
            Shown::Bearer(token) => format!("Authorization: Bearer {token}\r\n"),
            Shown::InPath(_) => panic!("the WebSocket client has no path of its own"),
        };
        WebSocket::upgrade(stream, &token)
    }
}

/// Methods that are answered over a WebSocket only.
pub(crate) const OVER_WEB_SOCKET_ONLY: &[&str] = &["events.subscribe", "events.unsubscribe"];

/// The text of a call.
pub(crate) fn request(method: &str, params: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string()
}

/// A masked text frame of a WebSocket of less than 64 KiB (RFC 6455, section 5.2).
pub(crate) fn frame(text: &[u8]) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap().to_be_bytes();
    [&[0x81, 0xfe, length[0], length[1], 0, 0, 0, 0], text].concat()
}

/// The result of a JSON-RPC answer, or its error object.
pub(crate) fn outcome_of(mut answer: Value) -> Result<Value, Value> {
    match answer.get_mut("error") {
        Some(error) => Err(error.take()),
        None => Ok(answer["result"].take()),
    }
}
