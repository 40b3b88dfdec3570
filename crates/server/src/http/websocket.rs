//! JSON-RPC over a WebSocket: many calls at a time, each answered when it is done, and the notifications
//! of subscriptions between the answers.
//!
//! What a connection may have on its way is bounded: so many calls run or wait for their answer to be
//! taken, and no further message is read before one of them is done. A client that does not take its
//! answers is so held back, and cut off once it has taken nothing for the stall timeout. The connection
//! ends with its credential, and with the daemon.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::FromRequestParts;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use http::{StatusCode, header};
use jsonrpsee::server::{HttpBody, HttpRequest, HttpResponse};
use jsonrpsee::types::Id;
use osnova_storage_api::{ApiError, ErrorCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, MissedTickBehavior};

use super::calls::{self, Answer};
use super::{Incoming, plain};
use crate::access::Credential;
use crate::app::App;
use crate::listen::Connection;
use crate::rpc::{Outgoing, Rpc, Subscriptions, error_body};

/// Messages of one connection that are answered at a time.
const MESSAGES_IN_FLIGHT: usize = 256;
/// Answers that wait to be sent, beside those in flight.
const QUEUED_ANSWERS: usize = 64;
/// An idle client is asked for a sign of life at least this often.
const LONGEST_SILENCE: Duration = Duration::from_secs(30);
/// The shortest time between two looks at an idle client.
const SHORTEST_SILENCE: Duration = Duration::from_millis(1);
/// How long the client has to take the last answers and to close its side.
const LINGER: Duration = Duration::from_secs(1);

/// Whether a request asks for a WebSocket (RFC 6455, section 4.1).
pub(super) fn is_asked_for<B>(request: &HttpRequest<B>) -> bool {
    let names = |header, word: &str| {
        request.headers().get_all(header).iter().any(|value| {
            value.to_str().is_ok_and(|value| {
                value.split(',').any(|part| part.trim().eq_ignore_ascii_case(word))
            })
        })
    };
    names(header::CONNECTION, "upgrade") && names(header::UPGRADE, "websocket")
}

/// Answers a request for a WebSocket, and serves it from then on.
pub(super) async fn upgrade(
    app: &Arc<App>,
    rpc: Rpc,
    connection: &Connection,
    credential: Arc<Credential>,
    request: Incoming,
) -> HttpResponse {
    let (mut parts, _) = request.into_parts();
    let Ok(upgrade) = WebSocketUpgrade::from_request_parts(&mut parts, &()).await else {
        let error = ApiError::new(ErrorCode::InvalidRequest, "this is no request for a WebSocket");
        return plain(StatusCode::BAD_REQUEST, "application/json", error_body(Id::Null, &error));
    };
    let Some(place) = credential.account().websockets.take() else {
        return super::unavailable(&ApiError::unavailable("too many WebSockets are open", 1000));
    };
    connection.upgraded();
    let limit = app.limits.request_bytes;
    // Counted from here on, so that a stop that comes now waits for it too.
    let counted = app.tasks.token();
    let session = Session { app: Arc::clone(app), rpc, credential };
    upgrade
        .max_message_size(limit)
        .max_frame_size(limit)
        .on_upgrade(move |socket| async move {
            session.run(socket).await;
            drop((counted, place));
        })
        .map(HttpBody::new)
}

/// Why a connection ends.
enum End {
    /// The client is gone, or does not answer.
    Gone,
    /// The daemon stops.
    Stopping,
    /// Its credential has ended.
    Revoked,
    /// A message was over the limit.
    TooLarge,
    /// What it sent is no WebSocket.
    Broken,
}

/// An open WebSocket.
struct Session {
    app: Arc<App>,
    rpc: Rpc,
    credential: Arc<Credential>,
}

impl Session {
    async fn run(self, socket: WebSocket) {
        let (sink, mut stream) = socket.split();
        let (answers, queued) = mpsc::channel(QUEUED_ANSWERS);
        let mut sending = tokio::spawn(send_all(sink, queued));
        let places = Arc::new(Semaphore::new(MESSAGES_IN_FLIGHT));
        let subscriptions = Subscriptions::new(answers.clone());
        let end = self.receive_all(&mut stream, &answers, &places, &subscriptions).await;
        // What they send would only stand before the last answers.
        subscriptions.end();
        let (code, reason) = match end {
            End::Gone => {
                sending.abort();
                return;
            }
            End::Stopping => {
                // What runs is finished first: then every place is free.
                let all = u32::try_from(MESSAGES_IN_FLIGHT).unwrap_or(u32::MAX);
                drop(places.acquire_many(all).await);
                (close_code::AWAY, "the daemon stops")
            }
            End::Revoked => (close_code::POLICY, "the credential has ended"),
            End::TooLarge => (close_code::SIZE, "the message is larger than the limit"),
            End::Broken => (close_code::PROTOCOL, "this is no WebSocket message"),
        };
        let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
        let close = Outgoing { message: close, room: None };
        let farewell = async {
            if answers.send(close).await.is_ok() && (&mut sending).await.is_ok() {
                // Who closes with unread bytes would take the last answers away from the client.
                while let Some(Ok(_)) = stream.next().await {}
            }
        };
        let _ = tokio::time::timeout(LINGER, farewell).await;
        sending.abort();
    }

    /// Reads messages and has each answered, until the connection is to end.
    async fn receive_all(
        &self,
        stream: &mut SplitStream<WebSocket>,
        answers: &mpsc::Sender<Outgoing>,
        places: &Arc<Semaphore>,
        subscriptions: &Arc<Subscriptions>,
    ) -> End {
        let idle = self.app.limits.idle_timeout;
        let period = (idle / 2).clamp(SHORTEST_SILENCE, LONGEST_SILENCE);
        let mut silence = tokio::time::interval_at(Instant::now() + period, period);
        silence.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stopped = std::pin::pin!(self.app.stopped());
        let mut ended = std::pin::pin!(self.credential.ended());
        let mut heard = Instant::now();
        let mut extensions = http::Extensions::new();
        extensions.insert(Arc::clone(&self.credential));
        extensions.insert(Arc::clone(subscriptions));
        let extensions = Arc::new(extensions);
        loop {
            let place = tokio::select! {
                () = &mut stopped => return End::Stopping,
                () = &mut ended => return End::Revoked,
                () = answers.closed() => return End::Gone,
                place = Arc::clone(places).acquire_owned() => place,
            };
            // The semaphore is never closed.
            let Ok(place) = place else { return End::Gone };
            let message = loop {
                tokio::select! {
                    () = &mut stopped => return End::Stopping,
                    () = &mut ended => return End::Revoked,
                    // The client has taken nothing for too long: nothing more can be sent.
                    () = answers.closed() => return End::Gone,
                    message = stream.next() => break message,
                    _ = silence.tick() => {
                        if heard.elapsed() > idle {
                            return End::Gone;
                        }
                        // Where no more can be sent, the stall timeout decides.
                        let ping = Message::Ping(Bytes::new());
                        let _ = answers.try_send(Outgoing { message: ping, room: None });
                    }
                }
            };
            heard = Instant::now();
            let text = match message {
                Some(Ok(Message::Text(text))) => Bytes::from(text),
                Some(Ok(Message::Binary(bytes))) => bytes,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(Message::Close(_))) | None => return End::Gone,
                Some(Err(error)) => return self.broken(&error, answers).await,
            };
            self.answer(text, Arc::clone(&extensions), answers.clone(), place);
        }
    }

    /// Answers a message beside the others.
    fn answer(
        &self,
        text: Bytes,
        extensions: Arc<http::Extensions>,
        answers: mpsc::Sender<Outgoing>,
        place: OwnedSemaphorePermit,
    ) {
        let rpc = self.rpc.clone();
        self.app.tasks.spawn(async move {
            let answer = calls::answer_text(&rpc, &text, &extensions).await;
            drop(text);
            if let Some(Answer { text, room, opened }) = answer {
                // Nobody takes it where the client is gone; what the call did stands.
                let message = Message::Text(text.into());
                let sent = answers.send(Outgoing { message, room }).await;
                if let Some(opened) = opened.filter(|_| sent.is_ok()) {
                    opened.begin();
                }
            }
            drop(place);
        });
    }

    /// Why reading failed; a message over the limit is answered, as over HTTP.
    async fn broken(&self, error: &axum::Error, answers: &mpsc::Sender<Outgoing>) -> End {
        match error.to_string() {
            // The library does not show its error's type.
            text if text.starts_with("Space limit exceeded") => {
                let error =
                    ApiError::new(ErrorCode::TooLarge, "the request is larger than the limit");
                let message = Message::Text(error_body(Id::Null, &error).into());
                let _ = answers.send(Outgoing { message, room: None }).await;
                End::TooLarge
            }
            text if text.contains("protocol error") || text.contains("UTF-8") => End::Broken,
            _ => End::Gone,
        }
    }
}

/// Sends what is queued, up to the end or a close; answers that are ready together go out together.
async fn send_all(mut sink: SplitSink<WebSocket, Message>, mut queued: mpsc::Receiver<Outgoing>) {
    while let Some(message) = queued.recv().await {
        let mut next = Some(message);
        let mut closed = false;
        let mut rooms = Vec::new();
        while let Some(Outgoing { message, room }) = next {
            closed = matches!(message, Message::Close(_));
            rooms.extend(room);
            if sink.feed(message).await.is_err() {
                return;
            }
            next = queued.try_recv().ok().filter(|_| !closed);
        }
        if sink.flush().await.is_err() || closed {
            return;
        }
    }
}
