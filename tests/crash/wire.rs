//! HTTP over a kept Unix connection that may break at any moment. A broken one is a result here, not
//! a failure of the test: that is what these tests are about.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::HttpAnswer;

/// An answer that takes longer than this fails the test: something hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// The connection broke before the whole answer was there: nobody knows whether the call was done.
#[derive(Debug)]
pub(crate) struct Broken;

/// What a JSON-RPC call answered: its result, or its error object.
pub(crate) type Answer = Result<Value, Value>;

/// A kept connection.
pub(crate) struct Connection(BufReader<UnixStream>);

impl Connection {
    /// Connects; broken where nobody listens.
    pub(crate) fn open(socket: &Path) -> Result<Self, Broken> {
        let stream = UnixStream::connect(socket).map_err(|_| Broken)?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Ok(Self(BufReader::new(stream)))
    }

    /// Calls a method.
    pub(crate) fn call(&mut self, method: &str, params: &Value) -> Result<Answer, Broken> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let body = request.to_string();
        let head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json";
        self.send(head, body.as_bytes())?;
        let mut answer = self.answer()?.json();
        Ok(match answer.get_mut("error") {
            Some(error) => Err(error.take()),
            None => Ok(answer["result"].take()),
        })
    }

    /// Calls a method of a daemon that must be there.
    pub(crate) fn must_call(&mut self, method: &str, params: &Value) -> Answer {
        self.call(method, params).unwrap_or_else(|Broken| panic!("{method}: the connection broke"))
    }

    /// Puts a content without a pin.
    pub(crate) fn put(&mut self, content: &[u8]) -> Result<HttpAnswer, Broken> {
        // A put that is refused early is answered before all of it is sent; the answer is there then.
        let sent = self.send("PUT /blobs?pin=false HTTP/1.1\r\nHost: localhost", content);
        let answer = self.answer()?;
        if answer.status == 200 { sent.map(|()| answer) } else { Ok(answer) }
    }

    /// Gets a content.
    pub(crate) fn get(&mut self, hash: &str) -> Result<HttpAnswer, Broken> {
        self.send(&format!("GET /blobs/{hash} HTTP/1.1\r\nHost: localhost"), b"")?;
        self.answer()
    }

    /// Sends a request: its head without `Content-Length` and its last empty line, and its body.
    pub(crate) fn send(&mut self, head: &str, body: &[u8]) -> Result<(), Broken> {
        let stream = self.0.get_mut();
        let head = format!("{head}\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).map_err(|_| Broken)?;
        stream.write_all(body).map_err(|_| Broken)
    }

    /// Sends bytes as they are.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        self.0.get_mut().write_all(bytes).map_err(|_| Broken)
    }

    /// Reads an answer, whole.
    pub(crate) fn answer(&mut self) -> Result<HttpAnswer, Broken> {
        let mut answer = self.head()?;
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        answer.body = vec![0; length];
        self.0.read_exact(&mut answer.body).map_err(|_| Broken)?;
        Ok(answer)
    }

    /// Reads an answer's head; its body is still to be read.
    pub(crate) fn head(&mut self) -> Result<HttpAnswer, Broken> {
        let status = self.line()?;
        let status = status.split(' ').nth(1).ok_or(Broken)?.parse().map_err(|_| Broken)?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Ok(HttpAnswer { status, headers, body: Vec::new() })
    }

    /// Reads a part of an answer's body.
    pub(crate) fn read_body(&mut self, part: &mut [u8]) -> Result<(), Broken> {
        self.0.read_exact(part).map_err(|_| Broken)
    }

    fn line(&mut self) -> Result<String, Broken> {
        let mut line = String::new();
        self.0.read_line(&mut line).map_err(|_| Broken)?;
        match line.strip_suffix("\r\n") {
            Some(line) => Ok(line.to_owned()),
            None => Err(Broken),
        }
    }
}
