//! A daemon that is not one: it answers each connection by a script, and keeps what it was sent.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use osnova_storage_client::{Client, Repeat};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

/// What to do with a request.
#[derive(Clone)]
pub(crate) enum Step {
    /// Close the connection without an answer.
    Drop,
    /// Answer with this status and body, and keep the connection.
    Answer(u16, String),
    /// Answer with these bytes, and close the connection.
    Bytes(Vec<u8>),
    /// Answer nothing, and keep the connection.
    Silence,
}

impl Step {
    /// A JSON-RPC result.
    pub(crate) fn result(json: &str) -> Self {
        Step::Answer(200, format!(r#"{{"jsonrpc":"2.0","id":1,"result":{json}}}"#))
    }

    /// A JSON-RPC error.
    pub(crate) fn error(json: &str) -> Self {
        Step::Answer(200, format!(r#"{{"jsonrpc":"2.0","id":1,"error":{json}}}"#))
    }
}

/// A connection that is closed without reading what comes on it.
#[derive(Clone)]
pub(crate) struct Refusal {
    /// What to answer all the same.
    pub(crate) answer: Vec<u8>,
    /// Whether that is done only once something has come.
    pub(crate) waits: bool,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// Which connection, counted from 0, it came on.
    pub(crate) connection: usize,
}

impl Request {
    /// The JSON-RPC params.
    pub(crate) fn params(&self) -> serde_json::Value {
        serde_json::from_slice::<serde_json::Value>(&self.body).unwrap()["params"].clone()
    }
}

pub(crate) struct Fake {
    _directory: tempfile::TempDir,
    path: PathBuf,
    requests: Arc<Mutex<Vec<Request>>>,
    ended: watch::Receiver<usize>,
}

impl Fake {
    /// Listens, and answers the n-th request by the n-th step; after the last, by the last.
    pub(crate) fn start(steps: Vec<Step>) -> Self {
        Self::refusing(Vec::new(), steps)
    }

    /// The same, where the first connections are refused.
    pub(crate) fn refusing(refusals: Vec<Refusal>, steps: Vec<Step>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("storage.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = requests.clone();
        let (ending, ended) = watch::channel(0);
        let ending = Arc::new(ending);
        tokio::spawn(async move {
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let refusal = refusals.get(connection).cloned();
                let (steps, kept, ending) = (steps.clone(), kept.clone(), ending.clone());
                tokio::spawn(async move {
                    match refusal {
                        Some(refusal) => refuse(stream, &refusal).await,
                        None => serve(stream, connection, steps, kept).await,
                    }
                    ending.send_modify(|count| *count += 1);
                });
            }
        });
        Self { _directory: directory, path, requests, ended }
    }

    /// Waits until so many connections have been closed from this side or the other.
    pub(crate) async fn ended(&self, connections: usize) {
        let mut ended = self.ended.clone();
        let enough = ended.wait_for(|count| *count >= connections);
        tokio::time::timeout(Duration::from_secs(10), enough).await.unwrap().unwrap();
    }

    /// How many connections have been closed.
    pub(crate) fn ended_so_far(&self) -> usize {
        *self.ended.borrow()
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("unix:{}", self.path.display())
    }

    /// A client that tries again quickly.
    pub(crate) fn client(&self) -> Client {
        client(&self.endpoint())
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

pub(crate) fn client(endpoint: &str) -> Client {
    Client::builder()
        .endpoint(endpoint)
        .request_timeout(Duration::from_millis(500))
        .repeat(quick())
        .build()
        .unwrap()
}

pub(crate) fn quick() -> Repeat {
    Repeat {
        attempts: 4,
        first_delay: Duration::from_millis(5),
        max_delay: Duration::from_millis(20),
        ..Repeat::default()
    }
}

async fn refuse(mut stream: UnixStream, refusal: &Refusal) {
    if refusal.waits {
        stream.readable().await.unwrap();
    }
    stream.write_all(&refusal.answer).await.unwrap();
}

async fn serve(
    mut stream: UnixStream,
    connection: usize,
    steps: Vec<Step>,
    requests: Arc<Mutex<Vec<Request>>>,
) {
    while let Some((head, body)) = read_request(&mut stream).await {
        let step = {
            let mut requests = requests.lock().unwrap();
            requests.push(Request { head, body, connection });
            steps[(requests.len() - 1).min(steps.len() - 1)].clone()
        };
        match step {
            Step::Drop => return,
            Step::Answer(status, body) => {
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                stream.write_all(head.as_bytes()).await.unwrap();
                stream.write_all(body.as_bytes()).await.unwrap();
            }
            Step::Bytes(bytes) => {
                let _ = stream.write_all(&bytes).await;
                return;
            }
            Step::Silence => {}
        }
    }
}

/// Reads a request with a content-length or a chunked body; none where the client has closed.
async fn read_request(stream: &mut UnixStream) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let mut body = Vec::new();
    if head.contains("transfer-encoding: chunked") {
        loop {
            let mut line = Vec::new();
            while !line.ends_with(b"\r\n") {
                line.push(stream.read_u8().await.ok()?);
            }
            let text = std::str::from_utf8(&line).unwrap().trim();
            let size = usize::from_str_radix(text, 16).unwrap();
            let start = body.len();
            body.resize(start + size + 2, 0);
            stream.read_exact(&mut body[start..]).await.ok()?;
            body.truncate(start + size);
            if size == 0 {
                break;
            }
        }
    } else if let Some((_, rest)) = head.split_once("content-length: ") {
        body.resize(rest.split("\r\n").next().unwrap().parse().unwrap(), 0);
        stream.read_exact(&mut body).await.ok()?;
    }
    Some((head, body))
}
