//! Bytes to and from the daemon, over any of its sockets. An attacker's client does not mind where the
//! daemon hangs up: here that is an answer too.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::support::HttpAnswer;

/// A read or write longer than this fails the test: something hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where to knock.
#[derive(Debug, Clone)]
pub(crate) enum Door {
    Tcp(String),
    Unix(PathBuf),
}

/// The stream behind a door.
#[derive(Debug)]
pub(crate) enum Wire {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Wire {
    /// Bounds how long a read may take; none: as long as the test's patience.
    pub(crate) fn read_timeout(&self, timeout: Option<Duration>) {
        let timeout = Some(timeout.unwrap_or(PATIENCE));
        match self {
            Wire::Tcp(stream) => stream.set_read_timeout(timeout),
            Wire::Unix(stream) => stream.set_read_timeout(timeout),
        }
        .unwrap();
    }

    /// Bounds how long a write may take.
    pub(crate) fn write_timeout(&self, timeout: Duration) {
        match self {
            Wire::Tcp(stream) => stream.set_write_timeout(Some(timeout)),
            Wire::Unix(stream) => stream.set_write_timeout(Some(timeout)),
        }
        .unwrap();
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Wire::Tcp(stream) => stream.read(buffer),
            Wire::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Wire::Tcp(stream) => stream.write(bytes),
            Wire::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether an error means that there was nothing to read or no room to write in the time allowed.
pub(crate) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

impl Door {
    /// The stream alone, as a stranger opens it.
    pub(crate) fn knock(&self) -> io::Result<Wire> {
        Ok(match self {
            Door::Tcp(address) => Wire::Tcp(TcpStream::connect(address)?),
            Door::Unix(path) => Wire::Unix(UnixStream::connect(path)?),
        })
    }

    /// A connection.
    pub(crate) fn connect(&self) -> Connection {
        let wire = self.knock().unwrap();
        wire.read_timeout(None);
        wire.write_timeout(PATIENCE);
        Connection(BufReader::new(wire))
    }

    /// Sends bytes on a connection of its own, says that there are no more, and reads what comes until
    /// the daemon hangs up.
    pub(crate) fn throw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut connection = self.connect();
        connection.send(bytes);
        connection.rest()
    }
}

/// The head of a request: its first line and header lines; a `Host` is added.
pub(crate) fn head(line: &str, headers: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: localhost\r\n{headers}")
}

/// A JSON-RPC request as text; `params` is JSON.
pub(crate) fn request(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#)
}

/// The header line that shows a token.
pub(crate) fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Connection(pub(crate) BufReader<Wire>);

impl Connection {
    /// Sends bytes. A daemon that refuses may have closed before it took them all.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.get_mut().write_all(bytes).is_ok()
    }

    /// Sends a request with a body of known length, and reads its answer; none where there is none.
    pub(crate) fn ask(&mut self, line: &str, headers: &str, body: &[u8]) -> Option<HttpAnswer> {
        let length = format!("Content-Length: {}\r\n\r\n", body.len());
        self.send(head(line, &format!("{headers}{length}")).as_bytes());
        self.send(body);
        self.answer(!line.starts_with("HEAD "))
    }

    /// Posts a JSON-RPC text.
    pub(crate) fn post(&mut self, headers: &str, body: &str) -> Option<HttpAnswer> {
        let headers = format!("{headers}Content-Type: application/json\r\n");
        self.ask("POST /", &headers, body.as_bytes())
    }

    /// Reads an answer; none where the daemon hung up before its head was complete.
    pub(crate) fn answer(&mut self, has_body: bool) -> Option<HttpAnswer> {
        let line = self.line()?;
        let status = line.split(' ').nth(1)?.parse().ok()?;
        let mut headers = Vec::new();
        while let Some((name, value)) = self.line()?.split_once(':') {
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length = length.map_or(0, |(_, value)| value.parse().unwrap());
        let mut body = Vec::new();
        if has_body {
            let _ = self.0.by_ref().take(length).read_to_end(&mut body);
        }
        Some(HttpAnswer { status, headers, body })
    }

    fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        self.0.read_until(b'\n', &mut line).ok()?;
        line.ends_with(b"\n").then(|| String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    /// A second handle, to write while the first one reads.
    pub(crate) fn writer(&self) -> Wire {
        match self.0.get_ref() {
            Wire::Tcp(stream) => Wire::Tcp(stream.try_clone().unwrap()),
            Wire::Unix(stream) => Wire::Unix(stream.try_clone().unwrap()),
        }
    }

    /// Says that no more is sent.
    pub(crate) fn finish_sending(&self) {
        let _ = match self.0.get_ref() {
            Wire::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Wire::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
    }

    /// Says that no more is sent, and reads what comes until the daemon hangs up, which it must.
    pub(crate) fn rest(mut self) -> Vec<u8> {
        self.finish_sending();
        let mut rest = Vec::new();
        if let Err(error) = self.0.read_to_end(&mut rest) {
            assert!(!is_timeout(&error), "the daemon does not hang up");
        }
        rest
    }

    /// Whether the daemon hung up; looks for at most this long.
    pub(crate) fn is_closed(&mut self, within: Duration) -> bool {
        self.0.get_ref().read_timeout(Some(within));
        let closed = match self.0.fill_buf() {
            Ok(bytes) => bytes.is_empty(),
            Err(error) => !is_timeout(&error),
        };
        self.0.get_ref().read_timeout(None);
        closed
    }
}

/// The typed code in the body of an answer: a JSON-RPC error, or the error object of a plain route.
pub(crate) fn code(answer: &HttpAnswer) -> String {
    code_of(&answer.json())
}

/// The typed code of a JSON-RPC error or of an error object; empty where it is neither.
pub(crate) fn code_of(body: &Value) -> String {
    let data = if body["error"].is_object() { &body["error"]["data"] } else { &body["data"] };
    data["code"].as_str().unwrap_or_default().to_owned()
}

/// Asserts that an answer says to come again later: status, typed body, `Retry-After`.
pub(crate) fn assert_busy(answer: &HttpAnswer) {
    assert_eq!((answer.status, code(answer).as_str()), (503, "unavailable"), "{answer:?}");
    let body = answer.json();
    let data = if body["error"].is_object() { &body["error"]["data"] } else { &body["data"] };
    assert!(data["retryAfterMs"].as_u64().is_some_and(|millis| millis > 0), "{body}");
    let seconds: u64 = answer.header("retry-after").expect("no Retry-After").parse().unwrap();
    assert!(seconds > 0);
}
