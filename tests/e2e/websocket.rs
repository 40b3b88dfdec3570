//! A WebSocket client of a few lines (RFC 6455): text frames out, whole messages in.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;

use serde_json::Value;

use crate::support::Daemon;

/// An open WebSocket.
pub(crate) struct WebSocket(BufReader<UnixStream>);

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

impl WebSocket {
    /// Opens a WebSocket on the daemon's Unix socket.
    pub(crate) fn open(daemon: &Daemon) -> Self {
        let (status, socket) = Self::upgrade(daemon.connect(), "");
        assert_eq!(status, 101);
        socket
    }

    /// Asks for an upgrade with further header lines; the status, and the socket as it then is.
    pub(crate) fn upgrade(mut stream: UnixStream, headers: &str) -> (u16, Self) {
        write!(
            stream,
            "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
        )
        .unwrap();
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        while line.trim() != "" {
            line.clear();
            reader.read_line(&mut line).unwrap();
        }
        (status, Self(reader))
    }

    /// Sends a text message in one frame.
    pub(crate) fn send(&mut self, text: &str) {
        self.send_frame(0x80 | TEXT, text.as_bytes());
    }

    fn send_frame(&mut self, first: u8, payload: &[u8]) {
        let mut frame = vec![first];
        let length = payload.len();
        match (u8::try_from(length), u16::try_from(length)) {
            (Ok(short @ 0..=125), _) => frame.push(0x80 | short),
            (_, Ok(medium)) => {
                frame.push(0x80 | 126);
                frame.extend(medium.to_be_bytes());
            }
            _ => {
                frame.push(0x80 | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        // A mask of zeros is a mask: clients must send one, and it changes nothing.
        frame.extend([0; 4]);
        frame.extend(payload);
        self.0.get_mut().write_all(&frame).unwrap();
    }

    /// The next text message; none where the daemon has closed.
    pub(crate) fn receive(&mut self) -> Option<Value> {
        let mut message = Vec::new();
        loop {
            let mut head = [0; 2];
            self.0.read_exact(&mut head).ok()?;
            let length = match head[1] & 0x7f {
                126 => u64::from(u16::from_be_bytes(self.bytes()?)),
                127 => u64::from_be_bytes(self.bytes()?),
                short => u64::from(short),
            };
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            self.0.read_exact(&mut payload).ok()?;
            match head[0] & 0x0f {
                CLOSE => return None,
                PING => self.send_frame(0x80 | PONG, &payload),
                PONG => {}
                _ => {
                    message.extend(payload);
                    if head[0] & 0x80 != 0 {
                        return Some(serde_json::from_slice(&message).unwrap());
                    }
                }
            }
        }
    }

    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.0.read_exact(&mut bytes).ok()?;
        Some(bytes)
    }

    /// Sends a text message and waits for the next one.
    pub(crate) fn ask(&mut self, text: &str) -> Value {
        self.send(text);
        self.receive().expect("the daemon closed the WebSocket")
    }
}
