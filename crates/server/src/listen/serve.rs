//! Serving one connection: HTTP/1.1, from its first request to its end.
//!
//! How long a client may take is not known here but by the stream; what is answered, by `http`.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jsonrpsee::server::HttpBody;

use super::Stream;
use super::connection::{Connection, Running};
use super::timed::{TimedStream, Timeouts};
use crate::access::{Held, Peer};
use crate::app::App;
use crate::http::Http;

/// The largest head of a request, in bytes. Its headers are 100 at most, by hyper's own default: set as
/// an option, each request would allocate room for them.
const HEAD_BYTES: usize = 64 << 10;

/// Serves a connection until it ends, or the daemon stops, or its socket's credential has ended: what
/// runs is then finished, and nothing more begun.
pub(super) async fn serve(
    stream: Box<dyn Stream>,
    connection: Arc<Connection>,
    app: Arc<App>,
    http: Http,
) {
    let mut ending = std::pin::pin!(ending(Arc::clone(&connection), Arc::clone(&app)));
    let timeouts = Timeouts::from(&app.limits);
    let timed = TimedStream::new(stream, Arc::clone(&connection), timeouts);
    let service = service_fn(move |request| {
        let running = connection.begin();
        let answer = http.clone().answer(Arc::clone(&connection), request);
        async move {
            let answer = answer.await;
            answer.map(|mut response| {
                // The room of a large answer is free once its body is taken.
                let room = response.extensions_mut().remove::<Held>();
                response.map(|body| CountedBody { body, _running: running, _room: room })
            })
        }
    });
    let mut server = http1::Builder::new();
    // A client that has said all it will say still gets its answer.
    server.half_close(true).max_header_size(HEAD_BYTES);
    let served = server.serve_connection(TokioIo::new(timed), service).with_upgrades();
    let mut served = std::pin::pin!(served);
    let outcome = tokio::select! {
        biased;
        outcome = &mut served => outcome,
        () = &mut ending => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Resolves when no further request is to be taken.
async fn ending(connection: Arc<Connection>, app: Arc<App>) {
    match connection.peer() {
        Peer::Bound(credential) => tokio::select! {
            () = app.stopped() => {}
            () = credential.ended() => {}
        },
        Peer::Owner { .. } | Peer::Component { .. } | Peer::Tcp => app.stopped().await,
    }
}

/// The body of an answer; the request has ended when it is dropped.
struct CountedBody {
    body: HttpBody,
    _running: Running,
    _room: Option<Held>,
}

impl Body for CountedBody {
    type Data = Bytes;
    type Error = <HttpBody as Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
