//! Accepting: a place for each connection, an answer for those that get none.
//!
//! Accepting never waits for a place, so that nobody is kept out by those who only wait in line.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use jsonrpsee::types::Id;
use rustix::io::Errno;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::connection::{Connection, RETRY_AFTER_MS, too_many};
use super::places::{AllPlaces, Places};
use super::{Listener, Stream, serve};
use crate::app::App;
use crate::http::Http;
use crate::rpc::error_body;

/// After an accept that failed (too many open files), accepting rests for this long.
const ACCEPT_REST: Duration = Duration::from_millis(50);
/// Those who get no place and are told so at a time; others are only hung up on.
const REFUSALS_AT_ONCE: usize = 64;
/// How long a client has to take the answer that there is no place, and to hang up.
const REFUSAL_TIME: Duration = Duration::from_millis(500);
/// How much of what such a client sends is read, in bytes: closing with unread bytes would take the
/// answer away from it.
const REFUSAL_READS: u64 = 64 << 10;
/// What a crowd causes is logged this often at most.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// What every listener serves by.
#[derive(Clone)]
pub(crate) struct Serving {
    pub(super) app: Arc<App>,
    pub(super) http: Http,
    pub(super) all_places: Arc<AllPlaces>,
}

impl Serving {
    /// Serves the requests of the daemon's connections.
    pub(crate) fn new(app: Arc<App>) -> Self {
        Self { http: Http::new(Arc::clone(&app)), app, all_places: Arc::default() }
    }
}

/// Accepts and serves connections until `ending` resolves; then waits for those it has.
pub(super) async fn run(
    mut listener: Listener,
    places: Arc<Places>,
    serving: Serving,
    ending: impl Future<Output = ()>,
) {
    let refusal = refusal();
    let mut warnings = Seldom::default();
    let mut connections = JoinSet::new();
    let mut refusals = JoinSet::new();
    let mut ending = std::pin::pin!(ending);
    loop {
        // Nothing else may be selected here: an accept that is given up loses its connection.
        let accepted = tokio::select! {
            biased;
            () = &mut ending => break,
            accepted = listener.accept() => accepted,
        };
        while connections.try_join_next().is_some() {}
        while refusals.try_join_next().is_some() {}
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warnings.warn(|| tracing::warn!(%error, "a connection could not be accepted"));
                let full =
                    matches!(Errno::from_io_error(&error), Some(Errno::MFILE | Errno::NFILE));
                if full && serving.all_places.end_a_stranger() {
                    tokio::task::yield_now().await;
                } else {
                    sleep(ACCEPT_REST).await;
                }
                continue;
            }
        };
        let crowded = places.are_taken();
        if crowded {
            let endpoint = listener.endpoint();
            warnings.warn(|| tracing::warn!(endpoint, "as many connections as there may be"));
        }
        if let Some(place) = places.take() {
            let connection = Connection::new(peer, place);
            let (app, http) = (Arc::clone(&serving.app), serving.http.clone());
            let served = serve::serve(stream, Arc::clone(&connection), app, http);
            connection.place().can_be_ended(connections.spawn(served));
        } else if refusals.len() < REFUSALS_AT_ONCE {
            refusals.spawn(refuse(stream, refusal.clone()));
        }
        if crowded {
            // Who had to give way closes its socket now, before the next one comes.
            tokio::task::yield_now().await;
        }
    }
    drop(listener);
    drop(refusals);
    while connections.join_next().await.is_some() {}
}

/// The answer to whoever gets no place.
fn refusal() -> Bytes {
    let error = too_many();
    let body = error_body(Id::Null, &error);
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Retry-After: {}\r\nConnection: close\r\n\r\n",
        body.len(),
        RETRY_AFTER_MS.div_ceil(1000),
    );
    Bytes::from(head + &body)
}

/// Sends the answer and waits a little, so that it is read.
async fn refuse(mut stream: Box<dyn Stream>, answer: Bytes) {
    let told = async {
        stream.write_all(&answer).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(REFUSAL_READS), &mut tokio::io::sink()).await
    };
    // Whether it was read is the client's business.
    let _ = timeout(REFUSAL_TIME, told).await;
}

/// Says a thing now and then, however often it happens.
#[derive(Default)]
struct Seldom(Option<Instant>);

impl Seldom {
    fn warn(&mut self, say: impl FnOnce()) {
        if self.0.is_none_or(|last| last.elapsed() >= WARNING_INTERVAL) {
            self.0 = Some(Instant::now());
            say();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_gets_no_place_is_told_so_and_hung_up_on() {
        let (mut client, server) = duplex(4096);
        client.write_all(b"POST / HTTP/1.1\r\n\r\n").await.unwrap();
        let refusing = tokio::spawn(refuse(Box::new(server), refusal()));
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{head}");
        assert!(head.contains("\r\nRetry-After: 1\r\nConnection: close"), "{head}");
        assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{head}");
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!((&body["id"], &body["error"]["code"]), (&().into(), &(-32002).into()));
        let data = &body["error"]["data"];
        assert_eq!((&data["code"], &data["retryAfterMs"]), (&"unavailable".into(), &1000.into()));
        // The client lingers: it is not waited for.
        let from = Instant::now();
        refusing.await.unwrap();
        assert!(from.elapsed() <= REFUSAL_TIME * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_happens_often_is_said_seldom() {
        let (mut seldom, mut said) = (Seldom::default(), 0);
        for _ in 0..5 {
            seldom.warn(|| said += 1);
            sleep(WARNING_INTERVAL / 2).await;
        }
        assert_eq!(said, 3);
    }
}
