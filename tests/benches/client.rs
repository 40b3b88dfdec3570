//! A plain blocking client of the daemon, for what is done once and not under load: seeding,
//! single calls whose answer is looked at, and streams of more bytes than memory should hold.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::framing::{self, Head};
use crate::records;

const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// Streams are written and read in pieces of this size.
pub(crate) const PIECE_BYTES: usize = 1 << 20;

/// One connection.
pub(crate) struct Client {
    stream: UnixStream,
    inbox: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(socket: &Path) -> Result<Self, String> {
        let stream = UnixStream::connect(socket).map_err(|error| format!("connecting: {error}"))?;
        stream.set_read_timeout(Some(ANSWER_LIMIT)).map_err(text)?;
        stream.set_write_timeout(Some(ANSWER_LIMIT)).map_err(text)?;
        Ok(Self { stream, inbox: vec![0; PIECE_BYTES] })
    }

    /// Makes one JSON-RPC call; `params` is JSON text.
    pub(crate) fn call(&mut self, method: &str, params: &str) -> Result<Value, String> {
        let body = envelope(method, params);
        let answer = self.post(body.as_bytes())?;
        let mut answer: Value = serde_json::from_slice(&answer).map_err(text)?;
        match answer.get_mut("result") {
            Some(result) => Ok(result.take()),
            None => Err(format!("{method}: {answer}")),
        }
    }

    /// Posts a rendered JSON-RPC batch, every call of which must succeed.
    pub(crate) fn batch(&mut self, body: &str) -> Result<(), String> {
        let answer = self.post(body.as_bytes())?;
        if answer.starts_with(b"[") && framing::find(&answer, b"\"error\":").is_none() {
            return Ok(());
        }
        Err(framing::failure(200, &answer))
    }

    /// Posts a body and returns the body of the answer.
    pub(crate) fn post(&mut self, body: &[u8]) -> Result<Vec<u8>, String> {
        let mut request = framing::post_head(body.len()).into_bytes();
        request.extend_from_slice(body);
        self.stream.write_all(&request).map_err(text)?;
        self.answer()
    }

    /// Puts `length` bytes of incompressible content that no other `salt` gives, and returns its
    /// hash.
    pub(crate) fn put_stream(&mut self, length: u64, salt: u64) -> Result<String, String> {
        self.put_content(length, Content::new(salt))
    }

    /// Puts the first `length` bytes of a content, and returns its hash.
    pub(crate) fn put_content(
        &mut self,
        length: u64,
        mut content: Content,
    ) -> Result<String, String> {
        let head = framing::put_head(length);
        self.stream.write_all(head.as_bytes()).map_err(text)?;
        let mut left = length;
        while left > 0 {
            let piece = content.next_piece();
            let count = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            if let Err(error) = self.stream.write_all(&piece[..count]) {
                // A refusal is more telling than the broken pipe it causes.
                return Err(self.answer().err().unwrap_or_else(|| text(error)));
            }
            left -= count as u64;
        }
        let answer: Value = serde_json::from_slice(&self.answer()?).map_err(text)?;
        match answer.get("hash").and_then(Value::as_str) {
            Some(hash) => Ok(hash.to_owned()),
            None => Err(format!("PUT /blobs answered {answer}")),
        }
    }

    /// Reads a blob and throws it away; returns how many bytes it had.
    pub(crate) fn get_stream(&mut self, hash: &str) -> Result<u64, String> {
        let request = framing::get_head(hash);
        self.stream.write_all(request.as_bytes()).map_err(text)?;
        let (head, received) = self.head()?;
        let length = head.content_length()?;
        if head.status != 200 {
            return Err(format!("GET /blobs answered {}", head.status));
        }
        let mut taken = (received - head.length) as u64;
        while taken < length {
            match self.stream.read(&mut self.inbox).map_err(text)? {
                0 => return Err("the answer ended early".to_owned()),
                count => taken += count as u64,
            }
        }
        Ok(taken)
    }

    fn answer(&mut self) -> Result<Vec<u8>, String> {
        let (head, received) = self.head()?;
        let length = usize::try_from(head.content_length()?).map_err(text)?;
        let mut body = self.inbox[head.length..received].to_vec();
        let missing = length.saturating_sub(body.len());
        let start = body.len();
        body.resize(start + missing, 0);
        self.stream.read_exact(&mut body[start..]).map_err(text)?;
        if head.status / 100 != 2 {
            return Err(framing::failure(head.status, &body));
        }
        Ok(body)
    }

    /// Reads until the head of an answer is whole; returns it and how much was read.
    fn head(&mut self) -> Result<(Head, usize), String> {
        let mut received = 0;
        loop {
            if let Some(head) = Head::parse(&self.inbox[..received])? {
                return Ok((head, received));
            }
            match self.stream.read(&mut self.inbox[received..]) {
                Ok(0) => return Err("no answer: the connection was closed".to_owned()),
                Ok(count) => received += count,
                Err(error) => return Err(format!("no answer: {error}")),
            }
        }
    }
}

/// One call as JSON text.
pub(crate) fn envelope(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#)
}

/// Content that never repeats: one piece, stamped anew each time.
pub(crate) struct Content {
    piece: Vec<u8>,
    salt: u64,
    count: u64,
}

impl Content {
    /// Of JSON such as manifests hold: a compressor makes about a sixth of it.
    pub(crate) fn json(salt: u64) -> Self {
        let mut piece = Vec::with_capacity(2 * PIECE_BYTES);
        let mut number = 0;
        while piece.len() < PIECE_BYTES {
            piece.extend_from_slice(records::manifest(number).as_bytes());
            number += 1;
        }
        piece.truncate(PIECE_BYTES);
        Self { piece, salt, count: 0 }
    }

    /// Of random bytes: a compressor finds nothing in it.
    pub(crate) fn new(salt: u64) -> Self {
        let mut state = salt.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        while piece.len() < PIECE_BYTES {
            // xorshift64*: a compressor finds nothing in it, and nothing secret depends on it.
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            piece.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
        }
        Self { piece, salt, count: 0 }
    }

    pub(crate) fn next_piece(&mut self) -> &[u8] {
        self.piece[..8].copy_from_slice(&self.salt.to_le_bytes());
        self.piece[8..16].copy_from_slice(&self.count.to_le_bytes());
        self.count += 1;
        &self.piece
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
