//! How `events.subscribe` and `events.unsubscribe` are served: by the WebSocket that they came over.

use std::sync::Arc;

use futures_util::FutureExt;
use osnova_storage_api::events::{Subscribe, Subscribed, Unsubscribe, Unsubscribed};
use osnova_storage_api::wire::{Position, UnsignedInteger};
use osnova_storage_api::{ApiError, ErrorCode, Method};
use osnova_storage_core::db::{Job, events};

use super::answer;
use super::registry::{Begun, Call, Registry, Service, parse};
use super::subscriptions::Subscriptions;
use crate::app::App;
use crate::errors;

impl Registry {
    /// Serves the methods that make and end subscriptions.
    pub(crate) fn subscriptions(&mut self) {
        let subscribe = |app: &Arc<App>, call: Call<'_>, _: &mut Vec<Job>| subscribe(app, call);
        self.insert(Subscribe::SPEC, Service::Other, Box::new(subscribe));
        let unsubscribe = |app: &Arc<App>, call: Call<'_>, _: &mut Vec<Job>| unsubscribe(app, call);
        self.insert(Unsubscribe::SPEC, Service::Other, Box::new(unsubscribe));
    }
}

/// The params, and the subscriptions of the WebSocket that the call came over.
fn ready<M: Method>(call: &Call<'_>) -> Result<(M::Params, Arc<Subscriptions>), ApiError> {
    let params = parse::<M>(call.params)?;
    let subscriptions = call.subscriptions.cloned().ok_or_else(|| {
        ApiError::new(ErrorCode::InvalidRequest, "events are sent over a WebSocket only")
    })?;
    Ok((params, subscriptions))
}

fn subscribe(app: &Arc<App>, call: Call<'_>) -> Begun {
    let (params, subscriptions) = match ready::<Subscribe>(&call) {
        Ok(ready) => ready,
        Err(error) => return Begun::Done(answer::error(call.id, &error)),
    };
    let Call { id, credential, permits, .. } = call;
    let app = Arc::clone(app);
    let answer = async move {
        let worker = Arc::clone(&app);
        let begun = tokio::task::spawn_blocking(move || {
            let _permits = permits;
            let begun = worker
                .store
                .db()
                .read(|reader| events::begin(reader, credential.caller(), &params));
            begun.map_err(|error| errors::to_api(&worker.store, &error))
        });
        let begun = begun.await.unwrap_or_else(|error| Err(errors::internal(&error.to_string())));
        let opened = begun.and_then(|(position, filter)| {
            let (number, opened) = subscriptions.open(&app, position, filter)?;
            Ok((number, position, opened))
        });
        let (number, position, opened) = match opened {
            Ok(opened) => opened,
            Err(error) => return answer::error(id, &error),
        };
        let subscription = UnsignedInteger(number);
        let subscribed = Subscribed { subscription, position: Position(position) };
        let mut response = answer::result(id, Ok(subscribed), app.limits.response_bytes);
        response.extensions_mut().insert(opened);
        response
    };
    Begun::Waiting(answer.boxed())
}

fn unsubscribe(app: &Arc<App>, call: Call<'_>) -> Begun {
    let (params, subscriptions) = match ready::<Unsubscribe>(&call) {
        Ok(ready) => ready,
        Err(error) => return Begun::Done(answer::error(call.id, &error)),
    };
    let Call { id, permits, .. } = call;
    let max_bytes = app.limits.response_bytes;
    let answer = async move {
        let _permits = permits;
        let unsubscribed = subscriptions.close(params.subscription.0).await;
        answer::result(id, Ok(Unsubscribed { unsubscribed }), max_bytes)
    };
    Begun::Waiting(answer.boxed())
}
