//! The service behind every JSON-RPC request: access, dispatch, batches, tracing.

use std::sync::Arc;

use jsonrpsee::core::middleware::{Batch, BatchEntry, Notification, RpcServiceT};
use jsonrpsee::server::{BatchResponseBuilder, MethodResponse};
use jsonrpsee::types::{Id, Request};
use osnova_storage_api::{ApiError, ErrorCode};
use osnova_storage_core::db::Job;
use serde_json::value::RawValue;

use super::answer;
use super::registry::{Begun, Call, CallPermits, Service};
use super::subscriptions::{Opened, Subscriptions};
use crate::access::audit::Trace;
use crate::access::{self, Credential, Held};
use crate::app::App;
use crate::errors;

/// Serves JSON-RPC requests.
#[derive(Clone)]
pub(crate) struct Rpc {
    app: Arc<App>,
}

impl Rpc {
    /// The service of this daemon.
    pub(crate) fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    /// Whether a call is a write, which shares a commit with its neighbours in a batch.
    fn is_write(&self, method: &str) -> bool {
        self.app.registry.find(method).is_some_and(|entry| entry.service == Service::Write)
    }

    /// Begins a call; what it writes is added to `jobs`. Where it is one of a batch, room for a large
    /// answer is held already.
    fn begin(
        &self,
        request: &Request<'_>,
        jobs: &mut Vec<Job>,
        large_answer: Option<Held>,
    ) -> Begun {
        let id = request.id.clone().into_owned();
        let Some(credential) = request.extensions.get::<Arc<Credential>>() else {
            let error = errors::internal("a request reached its method without a credential");
            return Begun::Done(answer::error(id, &error));
        };
        let Some(entry) = self.app.registry.find(&request.method) else {
            let error = ApiError::new(ErrorCode::MethodNotFound, "there is no method of this name");
            return Begun::Done(answer::error(id, &error));
        };
        let admitted = access::admit(credential, &entry.spec)
            .and_then(|()| CallPermits::take(&self.app, credential));
        let permits = match admitted {
            Ok(permits) => permits,
            Err(error) => return Begun::Done(answer::error(id, &error)),
        };
        let params = request.params.as_deref().map(RawValue::get);
        let subscriptions = request.extensions.get::<Arc<Subscriptions>>();
        let credential = Arc::clone(credential);
        let traced = Trace::start(&entry.spec, &credential);
        let call = Call { id, credential, params, permits, large_answer, subscriptions };
        match entry.begin(&self.app, call, jobs) {
            Begun::Done(response) => {
                traced.finish(response.as_error_code());
                Begun::Done(response)
            }
            Begun::Waiting(answer) => Begun::Waiting(Box::pin(async move {
                let response = answer.await;
                traced.finish(response.as_error_code());
                response
            })),
        }
    }

    /// Hands jobs to the writer. Where it takes none of them, those who wait find out by the end of
    /// their channels.
    fn submit(&self, jobs: &mut Vec<Job>) {
        if !jobs.is_empty()
            && let Err(error) = self.app.store.db().submit(std::mem::take(jobs))
        {
            tracing::debug!(%error, "writes were refused");
        }
    }
}

impl RpcServiceT for Rpc {
    type MethodResponse = MethodResponse;
    type NotificationResponse = MethodResponse;
    type BatchResponse = MethodResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let mut jobs = Vec::new();
        let begun = self.begin(&request, &mut jobs, None);
        self.submit(&mut jobs);
        async move {
            match begun {
                Begun::Done(response) => response,
                Begun::Waiting(answer) => answer.await,
            }
        }
    }

    /// The writes of a batch that stand side by side go to the writer together, in order, and share
    /// commits; anything else runs after the commit of the writes before it.
    fn batch<'a>(&self, batch: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let service = self.clone();
        async move {
            if batch.len() > service.app.limits.batch_calls {
                return answer::error(Id::Null, &errors::instead_of_library_error(-32010));
            }
            let mut run = BatchRun::new(service.app.limits.response_bytes);
            let mut notified = false;
            for entry in batch {
                match entry {
                    Ok(BatchEntry::Call(request)) => {
                        let alone = !service.is_write(&request.method);
                        if alone {
                            run.settle(&service).await;
                            run.hold(&request).await;
                        }
                        let held = run.large_answer.clone();
                        let begun = service.begin(&request, &mut run.jobs, held);
                        run.slots.push((request.id.into_owned(), begun));
                        if alone {
                            run.settle(&service).await;
                        }
                    }
                    // Requests without an id are not executed.
                    Ok(BatchEntry::Notification(_)) => notified = true,
                    Err(error) => {
                        let (object, id) = error.into_parts();
                        let told = errors::instead_of_library_error(object.code());
                        let response = answer::error(id.clone(), &told);
                        run.slots.push((id.into_owned(), Begun::Done(response)));
                    }
                }
            }
            run.settle(&service).await;
            if run.slots.is_empty() {
                return match notified {
                    true => MethodResponse::notification(),
                    false => {
                        let told = errors::instead_of_library_error(-32600);
                        answer::error(Id::Null, &told)
                    }
                };
            }
            run.finish()
        }
    }

    fn notification<'a>(
        &self,
        _: Notification<'a>,
    ) -> impl Future<Output = MethodResponse> + Send + 'a {
        std::future::ready(MethodResponse::notification())
    }
}

/// A batch that runs: its answers in order, and the jobs that were not yet handed over.
struct BatchRun {
    slots: Vec<(Id<'static>, Begun)>,
    jobs: Vec<Job>,
    /// So many of the slots are settled.
    settled: usize,
    /// So many bytes their answers take.
    bytes: usize,
    max_bytes: usize,
    /// All answers together are one large one: a batch that took room for each could wait for itself.
    large_answer: Option<Held>,
}

impl BatchRun {
    fn new(max_bytes: usize) -> Self {
        let (slots, jobs) = (Vec::new(), Vec::new());
        Self { slots, jobs, settled: 0, bytes: 0, max_bytes, large_answer: None }
    }

    /// Holds room for a large answer, where a call that is no write comes.
    async fn hold(&mut self, request: &Request<'_>) {
        if self.large_answer.is_none()
            && let Some(credential) = request.extensions.get::<Arc<Credential>>()
        {
            let room = Arc::clone(&credential.account().large_answers).acquire_owned().await;
            self.large_answer = room.ok().map(Arc::new);
        }
    }

    /// Hands the collected writes over and waits for every answer so far. An answer that does not fit
    /// any more is dropped at once and told so alone: what the calls did stands, and the others' answers
    /// say so.
    async fn settle(&mut self, service: &Rpc) {
        service.submit(&mut self.jobs);
        for (id, slot) in &mut self.slots[self.settled..] {
            if let Begun::Waiting(answer) = slot {
                *slot = Begun::Done(answer.await);
            }
            let Begun::Done(response) = slot else { continue };
            // A comma or a bracket stands beside each.
            if self.bytes + response.as_ref().len() + 2 > self.max_bytes {
                let too_large = errors::instead_of_library_error(-32008);
                *response = answer::error(id.clone(), &too_large);
            }
            self.bytes += response.as_ref().len() + 2;
        }
        self.settled = self.slots.len();
    }

    /// All answers as one, once every one of them is there.
    fn finish(self) -> MethodResponse {
        let mut builder = BatchResponseBuilder::new_with_limit(self.max_bytes);
        let mut opened = Opened::none();
        for (_, slot) in self.slots {
            let Begun::Done(mut response) = slot else { continue };
            if let Some(more) = response.extensions_mut().remove::<Opened>() {
                opened.add(more);
            }
            if builder.append(response).is_err() {
                return answer::error(Id::Null, &errors::instead_of_library_error(-32011));
            }
        }
        let mut response = MethodResponse::from_batch(builder.finish());
        if let Some(room) = self.large_answer {
            response.extensions_mut().insert::<Held>(room);
        }
        if !opened.is_empty() {
            response.extensions_mut().insert(opened);
        }
        response
    }
}
