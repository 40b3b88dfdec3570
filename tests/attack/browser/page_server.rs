//! Serves the hostile page and takes its reports. What else is asked of it goes on to the daemon byte by
//! byte: so a page of the name `rebind.example` reaches the daemon at its own origin, as after a DNS
//! rebinding.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::Value;

const PAGE: &str = include_str!("hostile.html");
/// Longer requests are none of the page's.
const MAX_BODY: u64 = 1 << 20;

/// The server; it ends when dropped.
pub(super) struct PageServer {
    shared: Arc<Shared>,
    address: SocketAddr,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// What the page is told, and the daemon's address.
    told: Mutex<(String, String)>,
    reports: Mutex<Vec<Value>>,
    is_over: AtomicBool,
}

impl PageServer {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::<Shared>::default();
        let serving = Arc::clone(&shared);
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if serving.is_over.load(Ordering::Acquire) {
                    return;
                }
                let (stream, shared) = (stream.unwrap(), Arc::clone(&serving));
                // It ends with the browser, which hangs up when it is killed.
                std::thread::spawn(move || drop(shared.serve(stream)));
            }
        });
        Self { shared, address, accepting: Some(accepting) }
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Sets what the page is told, as JSON, and where the daemon is.
    pub(super) fn tell(&self, told: &Value, daemon: &str) {
        *self.shared.told.lock().unwrap() = (told.to_string(), daemon.to_owned());
    }

    /// The report of a page, if it has come.
    pub(super) fn report(&self, page: &str) -> Option<Value> {
        let reports = self.shared.reports.lock().unwrap();
        reports.iter().find(|report| report["page"] == page).cloned()
    }
}

impl Drop for PageServer {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        // The next connection wakes it.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

impl Shared {
    /// Answers one request, and closes.
    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let (head, length) = read_head(&mut reader)?;
        let mut body = Vec::new();
        reader.by_ref().take(length.min(MAX_BODY)).read_to_end(&mut body)?;
        let (told, daemon) = self.told.lock().unwrap().clone();
        let answer = if head.starts_with("GET /page") {
            ("text/html; charset=utf-8", PAGE.replace("\"TOLD\"", &told))
        } else if head.starts_with("POST /report") {
            self.reports.lock().unwrap().extend(serde_json::from_slice::<Value>(&body));
            ("text/plain", String::new())
        } else if head.starts_with("GET /favicon.ico") {
            ("text/plain", String::new())
        } else {
            return tunnel(reader, stream, &daemon, &[head.as_bytes(), &body].concat());
        };
        let (kind, text) = answer;
        let length = text.len();
        write!(
            &stream,
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
             Cache-Control: no-store\r\nConnection: close\r\n\r\n{text}"
        )
    }
}

/// The head of a request as it came, and the length of its body.
fn read_head(reader: &mut BufReader<TcpStream>) -> io::Result<(String, u64)> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let start = head.len();
        if reader.read_line(&mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = head[start..].trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if line.is_empty() {
            return Ok((head, length));
        }
    }
}

/// Carries bytes between the browser and the daemon until both have ended.
fn tunnel(
    mut browser: BufReader<TcpStream>,
    mut back: TcpStream,
    daemon: &str,
    first: &[u8],
) -> io::Result<()> {
    let mut daemon = TcpStream::connect(daemon)?;
    daemon.write_all(first)?;
    let mut to_daemon = daemon.try_clone()?;
    std::thread::spawn(move || {
        let _ = io::copy(&mut browser, &mut to_daemon);
        let _ = to_daemon.shutdown(std::net::Shutdown::Write);
    });
    io::copy(&mut daemon, &mut back)?;
    back.shutdown(std::net::Shutdown::Both)
}
