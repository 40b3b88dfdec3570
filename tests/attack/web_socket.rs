//! A WebSocket client (RFC 6455) that can misbehave: frames are sent as they are given.

use std::io::{BufRead, Read};
use std::time::Duration;

use serde_json::Value;

use crate::support::HttpAnswer;
use crate::wire::{Connection, Door, head};

const UPGRADE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;
/// The bit of a message's last frame.
pub(crate) const FINAL: u8 = 0x80;

/// An open WebSocket.
#[derive(Debug)]
pub(crate) struct WebSocket(pub(crate) Connection);

/// A frame that came in.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) first: u8,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn opcode(&self) -> u8 {
        self.first & 0x0f
    }

    /// The code of a close frame.
    fn close_code(&self) -> Option<u16> {
        Some(u16::from_be_bytes(*self.payload.first_chunk()?))
    }
}

/// The bytes of a frame; a mask of zeros is a mask, and changes nothing.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = frame_head(first, payload.len() as u64, true);
    bytes.extend(payload);
    bytes
}

/// The head of a frame that says to be so long.
pub(crate) fn frame_head(first: u8, length: u64, masked: bool) -> Vec<u8> {
    let mask = if masked { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..=125), _) => bytes.push(mask | short),
        (_, Ok(medium)) => {
            bytes.push(mask | 126);
            bytes.extend(medium.to_be_bytes());
        }
        _ => {
            bytes.push(mask | 127);
            bytes.extend(length.to_be_bytes());
        }
    }
    if masked {
        bytes.extend([0; 4]);
    }
    bytes
}

impl WebSocket {
    /// Opens a WebSocket with further header lines; the answer where it is refused.
    pub(crate) fn open(door: &Door, path: &str, headers: &str) -> Result<Self, HttpAnswer> {
        let mut connection = door.connect();
        let request = head(&format!("GET {path}"), &format!("{UPGRADE}{headers}\r\n"));
        connection.send(request.as_bytes());
        let answer = connection.answer(true).expect("no answer to an upgrade");
        if answer.status == 101 { Ok(Self(connection)) } else { Err(answer) }
    }

    /// Sends bytes as they are; false where the daemon has closed.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) -> bool {
        self.0.send(bytes)
    }

    /// Sends a text message.
    pub(crate) fn send(&mut self, text: &str) -> bool {
        self.send_raw(&frame(FINAL | TEXT, text.as_bytes()))
    }

    /// The next frame, as it comes; none where the daemon has closed.
    pub(crate) fn frame(&mut self) -> Option<Frame> {
        let [first, length] = self.bytes()?;
        let length = match length & 0x7f {
            126 => u64::from(u16::from_be_bytes(self.bytes()?)),
            127 => u64::from_be_bytes(self.bytes()?),
            short => u64::from(short),
        };
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.0.0.read_exact(&mut payload).ok()?;
        Some(Frame { first, payload })
    }

    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.0.0.read_exact(&mut bytes).ok()?;
        Some(bytes)
    }

    /// The next message; pings are answered. None where the daemon has closed.
    pub(crate) fn receive(&mut self) -> Option<Value> {
        let mut message = Vec::new();
        loop {
            let frame = self.frame()?;
            match frame.opcode() {
                CLOSE => return None,
                PING => drop(self.send_raw(&self::frame(FINAL | PONG, &frame.payload))),
                PONG => {}
                _ => {
                    message.extend(&frame.payload);
                    if frame.first & FINAL != 0 {
                        return Some(serde_json::from_slice(&message).unwrap());
                    }
                }
            }
        }
    }

    /// Answers a ping, if one comes within the connection's time for a read.
    pub(crate) fn answer_a_ping(&mut self) {
        // A frame of the daemon's comes in one piece: what is not there yet is not begun.
        if matches!(self.0.0.fill_buf(), Ok(bytes) if !bytes.is_empty()) {
            let frame = self.frame().expect("the daemon closed the WebSocket");
            assert_eq!(frame.opcode(), PING);
            self.send_raw(&self::frame(FINAL | PONG, &frame.payload));
        }
    }

    /// Sends a text message and waits for the next one.
    pub(crate) fn ask(&mut self, text: &str) -> Value {
        self.send(text);
        self.receive().expect("the daemon closed the WebSocket")
    }

    /// Reads until the daemon hangs up, which it must; the code of its close frame, if it sent one.
    pub(crate) fn close_code(mut self) -> Option<u16> {
        let mut code = None;
        while let Some(frame) = self.frame() {
            if frame.opcode() == CLOSE {
                code = frame.close_code();
                // Closing back, as a client does, spares the daemon the wait for it.
                self.0.finish_sending();
            }
        }
        assert!(self.0.is_closed(Duration::from_secs(1)), "the daemon does not hang up");
        code
    }
}
