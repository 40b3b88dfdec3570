//! The three wire formats the load generator speaks, each reduced to what a closed loop of calls
//! needs: requests rendered once with the places where an id or a serial number is patched in, and
//! replies cut out of the bytes received. It knows nothing of sockets or of time.

/// How requests and replies are framed on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// JSON-RPC over HTTP POST, keep-alive, one call at a time.
    JsonRpc,
    /// The blob routes: plain HTTP, keep-alive, the status is the outcome.
    Http,
    /// JSON-RPC over a WebSocket, many calls at a time, told apart by their id.
    WebSocket,
    /// Redis' own protocol, one command at a time.
    Redis,
}

/// Ids have four digits, so that one can be patched in place: 1000 + the caller's slot.
pub(crate) const FIRST_ID: usize = 1000;
/// The most callers that can share one connection with ids of four digits.
pub(crate) const SLOTS_LIMIT: usize = 9000;
const ENVELOPE: &str = r#"{"jsonrpc":"2.0","id":1000,"method":""#;
const ID_OFFSET: usize = 22;
/// A serial number patched into a request: sixteen hexadecimal digits.
pub(crate) const SERIAL_BYTES: usize = 16;

/// One rendered request.
pub(crate) struct Request {
    bytes: Vec<u8>,
    id_at: Option<usize>,
    serial_at: Option<usize>,
}

impl Request {
    /// A JSON-RPC call; `params` is JSON text.
    pub(crate) fn call(protocol: Protocol, method: &str, params: &str) -> Self {
        let body = format!("{ENVELOPE}{method}\",\"params\":{params}}}");
        let mut bytes = match protocol {
            Protocol::WebSocket => frame_head(body.len()),
            _ => post_head(body.len()).into_bytes(),
        };
        let id_at = Some(bytes.len() + ID_OFFSET);
        bytes.extend_from_slice(body.as_bytes());
        Self { bytes, id_at, serial_at: None }
    }

    /// The same over HTTP with one more header.
    pub(crate) fn with_header(mut self, line: &str) -> Self {
        let Some(first_line) = find(&self.bytes, b"\r\n") else { return self };
        let at = first_line + 2;
        let line = format!("{line}\r\n");
        self.bytes.splice(at..at, line.bytes());
        self.id_at = self.id_at.map(|id_at| id_at + line.len());
        self.serial_at = self.serial_at.map(|serial_at| serial_at + line.len());
        self
    }

    /// `PUT /blobs` of `content`, whose first bytes become a serial number, so that every request
    /// carries content that was never put before.
    pub(crate) fn put_blob(content: &[u8]) -> Self {
        let mut bytes = put_head(content.len() as u64).into_bytes();
        let serial_at = Some(bytes.len());
        bytes.extend_from_slice(content);
        Self { bytes, id_at: None, serial_at }
    }

    /// `GET /blobs/{hash}`.
    pub(crate) fn get_blob(hash: &str) -> Self {
        Self { bytes: get_head(hash).into_bytes(), id_at: None, serial_at: None }
    }

    /// `GET /blobs/{hash}` of `length` bytes from `offset` on.
    pub(crate) fn get_range(hash: &str, offset: u64, length: u64) -> Self {
        let last = offset + length - 1;
        let range = format!("Range: bytes={offset}-{last}\r\n\r\n");
        let bytes = get_head(hash).trim_end().to_owned() + "\r\n" + &range;
        Self { bytes: bytes.into_bytes(), id_at: None, serial_at: None }
    }

    /// A Redis command.
    pub(crate) fn redis(words: &[&str]) -> Self {
        let mut text = format!("*{}\r\n", words.len());
        for word in words {
            text.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        Self { bytes: text.into_bytes(), id_at: None, serial_at: None }
    }

    /// Says that sixteen bytes, `offset` bytes into the params, become a serial number.
    pub(crate) fn with_serial_in_params(mut self, method: &str, offset: usize) -> Self {
        const BETWEEN: usize = "\",\"params\":".len();
        self.serial_at =
            self.id_at.map(|at| at - ID_OFFSET + ENVELOPE.len() + method.len() + BETWEEN + offset);
        self
    }

    /// Appends the request to `out`, as the call of `slot`, with `serial` where one belongs.
    pub(crate) fn render(&self, slot: usize, serial: u64, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        if let Some(at) = self.id_at {
            let mut id = FIRST_ID + slot;
            for digit in out[start + at..start + at + 4].iter_mut().rev() {
                *digit = b'0' + (id % 10) as u8;
                id /= 10;
            }
        }
        if let Some(at) = self.serial_at {
            let place = &mut out[start + at..start + at + SERIAL_BYTES];
            place.copy_from_slice(format!("{serial:016x}").as_bytes());
        }
    }
}

pub(crate) fn post_head(length: usize) -> String {
    format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n"
    )
}

pub(crate) fn put_head(length: u64) -> String {
    format!(
        "PUT /blobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n\
         Content-Length: {length}\r\n\r\n"
    )
}

pub(crate) fn get_head(hash: &str) -> String {
    format!("GET /blobs/{hash} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

/// The request that turns a connection into a WebSocket. The key is the RFC's own sample: what a
/// random one guards against, a caching proxy, is not on a Unix socket.
pub(crate) const UPGRADE: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// The head of a client's text frame. It is masked, as it must be, with the key 0, which leaves
/// the payload as it is and costs nothing.
fn frame_head(length: usize) -> Vec<u8> {
    frame_head_of(0x81, length)
}

/// The answer to a ping.
pub(crate) fn pong(payload: &[u8]) -> Vec<u8> {
    let mut frame = frame_head_of(0x8a, payload.len());
    frame.extend_from_slice(payload);
    frame
}

fn frame_head_of(first: u8, length: usize) -> Vec<u8> {
    const MASKED: u8 = 0x80;
    let mut head = vec![first];
    match length {
        0..126 => head.push(MASKED | length as u8),
        126..=0xffff => {
            head.push(MASKED | 126);
            head.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            head.push(MASKED | 127);
            head.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    head.extend_from_slice(&[0; 4]);
    head
}

/// What was found at the front of the bytes received.
pub(crate) enum Reply<'a> {
    /// Not whole yet.
    Partial,
    /// The answer of `slot`, `length` bytes in all.
    Answer { slot: usize, length: usize },
    /// A ping, to be answered with a pong.
    Ping { payload: &'a [u8], length: usize },
}

/// Looks at the front of `bytes` for one whole reply. A reply that reports a failure is an error:
/// a benchmark must not count the refusals of a server as its work.
pub(crate) fn next_reply(protocol: Protocol, bytes: &[u8]) -> Result<Reply<'_>, String> {
    match protocol {
        Protocol::JsonRpc | Protocol::Http => http_reply(protocol, bytes),
        Protocol::WebSocket => websocket_reply(bytes),
        Protocol::Redis => redis_reply(bytes),
    }
}

fn http_reply(protocol: Protocol, bytes: &[u8]) -> Result<Reply<'_>, String> {
    let Some(head) = Head::parse(bytes)? else {
        return Ok(Reply::Partial);
    };
    let length = head.length + head.content_length()? as usize;
    if bytes.len() < length {
        return Ok(Reply::Partial);
    }
    let body = &bytes[head.length..length];
    if head.status / 100 != 2 || (protocol == Protocol::JsonRpc && !is_success(body)) {
        return Err(failure(head.status, body));
    }
    Ok(Reply::Answer { slot: 0, length })
}

fn websocket_reply(bytes: &[u8]) -> Result<Reply<'_>, String> {
    let [first, second, rest @ ..] = bytes else {
        return Ok(Reply::Partial);
    };
    let (head, payload_length) = match second & 0x7f {
        126 if rest.len() >= 2 => (4, usize::from(u16::from_be_bytes([rest[0], rest[1]]))),
        127 if rest.len() >= 8 => {
            let mut wide = [0; 8];
            wide.copy_from_slice(&rest[..8]);
            (10, u64::from_be_bytes(wide) as usize)
        }
        126 | 127 => return Ok(Reply::Partial),
        short => (2, usize::from(short)),
    };
    let length = head + payload_length;
    if bytes.len() < length {
        return Ok(Reply::Partial);
    }
    let payload = &bytes[head..length];
    match first {
        0x81 if is_success(payload) => {
            let slot = slot_of(payload).ok_or_else(|| failure(200, payload))?;
            Ok(Reply::Answer { slot, length })
        }
        0x81 => Err(failure(200, payload)),
        0x89 => Ok(Reply::Ping { payload, length }),
        _ => Err(format!("unexpected WebSocket frame {first:#04x}")),
    }
}

fn redis_reply(bytes: &[u8]) -> Result<Reply<'_>, String> {
    let Some(line) = bytes.windows(2).position(|pair| pair == b"\r\n") else {
        return Ok(Reply::Partial);
    };
    let text = String::from_utf8_lossy(&bytes[..line]);
    let length = match bytes[0] {
        b'+' | b':' => line + 2,
        b'$' => match text[1..].parse::<usize>() {
            Ok(size) => line + 2 + size + 2,
            Err(_) => return Err(format!("Redis answered {text}")),
        },
        _ => return Err(format!("Redis answered {text}")),
    };
    if bytes.len() < length {
        return Ok(Reply::Partial);
    }
    Ok(Reply::Answer { slot: 0, length })
}

/// The head of an HTTP answer, as far as it is needed.
pub(crate) struct Head {
    pub(crate) status: u16,
    /// The head's own length, with the empty line that ends it.
    pub(crate) length: usize,
    content_length: Option<u64>,
}

impl Head {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Self>, String> {
        let Some(end) = find(bytes, b"\r\n\r\n") else {
            return Ok(None);
        };
        let status = bytes
            .get(9..12)
            .filter(|_| bytes.starts_with(b"HTTP/1.1 "))
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| digits.parse().ok())
            .ok_or("not an HTTP answer")?;
        let mut content_length = None;
        for line in bytes[..end].split(|byte| *byte == b'\n') {
            const NAME: &[u8] = b"content-length:";
            if line.len() > NAME.len() && line[..NAME.len()].eq_ignore_ascii_case(NAME) {
                content_length = std::str::from_utf8(&line[NAME.len()..])
                    .ok()
                    .and_then(|text| text.trim().parse().ok());
            }
        }
        Ok(Some(Self { status, length: end + 4, content_length }))
    }

    pub(crate) fn content_length(&self) -> Result<u64, String> {
        self.content_length.ok_or_else(|| "an answer without Content-Length".to_owned())
    }
}

/// Whether a JSON-RPC answer has a result. Answers begin with it or with the id, so the first
/// bytes tell; only an odd one is searched whole.
fn is_success(body: &[u8]) -> bool {
    const LOOK_AT_BYTES: usize = 96;
    find(&body[..body.len().min(LOOK_AT_BYTES)], b"\"result\":").is_some()
        || (find(body, b"\"result\":").is_some() && find(body, b"\"error\":").is_none())
}

/// The id of an answer, which stands at its beginning or at its end.
fn slot_of(body: &[u8]) -> Option<usize> {
    const KEY: &[u8] = b"\"id\":";
    let at = match find(&body[..body.len().min(64)], KEY) {
        Some(at) => at,
        None => body.windows(KEY.len()).rposition(|window| window == KEY)?,
    } + KEY.len();
    let digits = std::str::from_utf8(body.get(at..at + 4)?).ok()?;
    digits.parse::<usize>().ok()?.checked_sub(FIRST_ID)
}

pub(crate) fn failure(status: u16, body: &[u8]) -> String {
    const SHOWN_BYTES: usize = 300;
    let shown = String::from_utf8_lossy(&body[..body.len().min(SHOWN_BYTES)]);
    format!("the server answered {status}: {shown}")
}

pub(crate) fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
