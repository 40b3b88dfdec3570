//! How each method is served: by which operation, on which thread.
//!
//! A method is registered by its type, which ties the operation's params and result to the contract.
//! [`Registry::complete`] refuses to start where a method is defined and not served, or the reverse.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jsonrpsee::server::MethodResponse;
use jsonrpsee::types::Id;
use osnova_storage_api::batch::{self, Applied, Apply};
use osnova_storage_api::method::RequestIdentity;
use osnova_storage_api::wire::{JsonText, WireObject};
use osnova_storage_api::{ApiError, ErrorCode, Method, MethodSpec, all_methods};
use osnova_storage_core::db::requests::{self, Request};
use osnova_storage_core::db::{Job, Reader, Tx};
use osnova_storage_core::error::Result as StoreResult;
use osnova_storage_core::{Caller, StoreError};
use tokio::sync::oneshot;

use super::answer;
use super::subscriptions::Subscriptions;
use crate::access::{self, Account, Credential, Held, LARGE_BYTES, Permit};
use crate::app::App;
use crate::errors;

/// When a call that found too many others may be tried again.
const RETRY_AFTER_MS: u64 = 20;
/// About how many bytes a write takes beside its params: its row of the feed, its pages.
const WRITE_WEIGHT: usize = 512;

/// A call on its way to its method.
pub(super) struct Call<'a> {
    pub(super) id: Id<'static>,
    pub(super) credential: Arc<Credential>,
    pub(super) params: Option<&'a str>,
    /// Held for as long as anything of the call runs or waits, whether or not its client still does.
    pub(super) permits: CallPermits,
    /// Held where the call is one of a batch, whose answer is one.
    pub(super) large_answer: Option<Held>,
    /// Those of the WebSocket that it came over; none over HTTP.
    pub(super) subscriptions: Option<&'a Arc<Subscriptions>>,
}

/// That a call may run: one permit of the daemon's, one of its caller's.
pub(super) struct CallPermits {
    _all: Permit,
    _callers: Permit,
}

impl CallPermits {
    /// # Errors
    /// `unavailable` where too many calls run or wait.
    pub(super) fn take(app: &App, credential: &Credential) -> Result<Self, ApiError> {
        let busy = || ApiError::unavailable("too many calls run or wait", RETRY_AFTER_MS);
        let callers = credential.account().calls.take().ok_or_else(busy)?;
        Ok(Self { _callers: callers, _all: app.calls.take().ok_or_else(busy)? })
    }
}

/// A call that was begun.
pub(super) enum Begun {
    /// It is answered.
    Done(MethodResponse),
    /// Its answer comes later.
    Waiting(BoxFuture<'static, MethodResponse>),
}

/// How a method is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    /// By the writer, together with others.
    Write,
    /// By anything else.
    Other,
}

/// How much a method may answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AnswerSize {
    Small,
    Large,
}

pub(super) type Handler = Box<dyn Fn(&Arc<App>, Call<'_>, &mut Vec<Job>) -> Begun + Send + Sync>;

/// A write among many, its params read and not yet applied.
struct Operation {
    /// How many records it may change.
    records: usize,
    apply: ApplyOperation,
}
type ApplyOperation = Box<dyn Fn(&Tx<'_>, &Caller) -> StoreResult<JsonText> + Send>;
type Prepare = Box<dyn Fn(Option<&str>) -> Result<Operation, ApiError> + Send + Sync>;

/// A method that is served.
pub(super) struct Entry {
    pub(super) spec: MethodSpec,
    pub(super) service: Service,
    handler: Handler,
    /// How it is made ready to be one of a batch, where it can be.
    prepare: Option<Prepare>,
}

impl Entry {
    /// Begins a call. What it writes is added to `jobs`; whoever calls hands them to the writer.
    pub(super) fn begin(&self, app: &Arc<App>, call: Call<'_>, jobs: &mut Vec<Job>) -> Begun {
        (self.handler)(app, call, jobs)
    }
}

/// All methods that are served, by name.
#[derive(Default)]
pub(crate) struct Registry {
    entries: HashMap<String, Entry>,
}

impl Registry {
    /// Serves a method by an operation that writes; the writer runs it with others in one
    /// transaction, and a repeat of its `requestId` gets the first one's answer.
    pub(crate) fn write<M: Method>(
        &mut self,
        operation: fn(&Tx<'_>, &Caller, &M::Params) -> StoreResult<M::Result>,
    ) {
        let handler = move |app: &Arc<App>, call: Call<'_>, jobs: &mut Vec<Job>| {
            let caller = Arc::clone(call.credential.caller());
            let ready = parse_write::<M>(app, call.params).map(|(params, request)| {
                let apply = move |tx: &Tx<'_>| operation(tx, &caller, &params);
                (request, WRITE_WEIGHT, apply)
            });
            submit(app, call, ready, jobs)
        };
        let prepare: Prepare = Box::new(move |text| {
            let params = parse::<M>(text)?;
            if params.request_id().is_some() {
                let why = "is taken by batch.apply as a whole";
                return Err(ApiError::field("requestId", why));
            }
            let records = params.records();
            let apply = Box::new(move |tx: &Tx<'_>, caller: &Caller| {
                let answer = operation(tx, caller, &params)?;
                let text = serde_json::to_string(&answer).map_err(|error| error.to_string());
                text.and_then(JsonText::from_checked).map_err(StoreError::Internal)
            });
            Ok(Operation { records, apply })
        });
        let (service, handler) = (Service::Write, Box::new(handler));
        let entry = Entry { spec: M::SPEC, service, handler, prepare: Some(prepare) };
        self.entries.insert(M::SPEC.name.to_owned(), entry);
    }

    /// Serves the method that applies many writes, all or none: each by the operation of its own method.
    pub(crate) fn batch(&mut self) {
        let handler = move |app: &Arc<App>, call: Call<'_>, jobs: &mut Vec<Job>| {
            let ready = parse_write::<Apply>(app, call.params).and_then(|(params, request)| {
                let operations = app.registry.prepare(&call.credential, &params.operations)?;
                let caller = Arc::clone(call.credential.caller());
                let records: usize = operations.iter().map(|operation| operation.records).sum();
                let weight = WRITE_WEIGHT * records.max(1);
                let room = app.limits.response_bytes;
                let apply = move |tx: &Tx<'_>| {
                    let mut results = Vec::with_capacity(operations.len());
                    let mut bytes = 0;
                    for (index, operation) in operations.iter().enumerate() {
                        let result = (operation.apply)(tx, &caller);
                        let result = result.map_err(|error| error.at_index(index))?;
                        // A comma stands beside each. Known before all are applied, so that no more is
                        // held in memory than fits.
                        bytes += result.get().len() + 1;
                        if bytes > room {
                            return Err(StoreError::from(unanswerable().at_index(index)));
                        }
                        results.push(result);
                    }
                    Ok(Applied { results })
                };
                Ok((request, weight, apply))
            });
            submit(app, call, ready, jobs)
        };
        self.insert(Apply::SPEC, Service::Write, Box::new(handler));
    }

    /// Makes the operations of a batch ready: all are known, allowed and read before the first is applied.
    fn prepare(
        &self,
        credential: &Credential,
        operations: &[batch::Operation],
    ) -> Result<Vec<Operation>, ApiError> {
        let prepare_one = |(index, asked): (usize, &batch::Operation)| {
            let unfit = || {
                let field = format!("operations.{index}.method");
                ApiError::field(&field, "is none that writes records or pins blobs")
            };
            let ready = || {
                let entry = self.find(asked.method.as_str()).ok_or_else(unfit)?;
                let prepare = entry.prepare.as_ref().ok_or_else(unfit)?;
                access::admit(credential, &entry.spec)?;
                prepare(asked.params.as_ref().map(batch::OperationParams::get))
                    .map_err(|error| error.within(&format!("operations.{index}.params")))
            };
            ready().map_err(|error| error.at_index(index))
        };
        let mut prepared = Vec::with_capacity(operations.len());
        let mut records = 0;
        for (index, asked) in operations.iter().enumerate() {
            let operation = prepare_one((index, asked))?;
            records += operation.records;
            if records > batch::MAX_RECORDS {
                let message = format!("a batch may change {} records", batch::MAX_RECORDS);
                return Err(ApiError::new(ErrorCode::TooLarge, message).at_index(index));
            }
            prepared.push(operation);
        }
        Ok(prepared)
    }

    /// Serves a method by one look-up by primary key. It runs on the connection's own thread where a
    /// reader is free: a hop to another thread costs more than the look-up.
    pub(crate) fn point_read<M: Method>(
        &mut self,
        operation: fn(Reader<'_>, &Caller, &M::Params) -> StoreResult<M::Result>,
    ) {
        let handler = move |app: &Arc<App>, call: Call<'_>, _: &mut Vec<Job>| {
            let Call { id, credential, params, permits, .. } = call;
            let caller = Arc::clone(credential.caller());
            let params = match parse::<M>(params) {
                Ok(params) => params,
                Err(error) => return Begun::Done(answer::error(id, &error)),
            };
            let (by, asked) = (Arc::clone(&caller), params.clone());
            match app.store.db().try_read(move |reader| operation(reader, &by, &asked)) {
                Ok(result) => {
                    let result = result.map_err(|error| errors::to_api(&app.store, &error));
                    Begun::Done(answer::result(id, result, app.limits.response_bytes))
                }
                Err(_) => on_a_blocking_thread(app, id, permits, None, move |app| {
                    app.store.db().read(|reader| operation(reader, &caller, &params))
                }),
            }
        };
        self.insert(M::SPEC, Service::Other, Box::new(handler));
    }

    /// Serves a method by an operation that reads, on a thread that may block.
    pub(crate) fn read<M: Method>(
        &mut self,
        operation: fn(Reader<'_>, &Caller, &M::Params) -> StoreResult<M::Result>,
    ) {
        self.on_a_blocking_thread::<M>(AnswerSize::Large, move |app, caller, params| {
            app.store.db().read(|reader| operation(reader, caller, params))
        });
    }

    /// Serves a method by anything that may block and answers little: files, ciphers, waiting.
    pub(crate) fn blocking<M: Method>(
        &mut self,
        operation: impl Fn(&App, &Caller, &M::Params) -> StoreResult<M::Result>
        + Copy
        + Send
        + Sync
        + 'static,
    ) {
        self.on_a_blocking_thread::<M>(AnswerSize::Small, operation);
    }

    /// Serves a method by anything that may block and may answer much.
    pub(crate) fn blocking_large<M: Method>(
        &mut self,
        operation: impl Fn(&App, &Caller, &M::Params) -> StoreResult<M::Result>
        + Copy
        + Send
        + Sync
        + 'static,
    ) {
        self.on_a_blocking_thread::<M>(AnswerSize::Large, operation);
    }

    fn on_a_blocking_thread<M: Method>(
        &mut self,
        size: AnswerSize,
        operation: impl Fn(&App, &Caller, &M::Params) -> StoreResult<M::Result>
        + Copy
        + Send
        + Sync
        + 'static,
    ) {
        let handler = move |app: &Arc<App>, call: Call<'_>, _: &mut Vec<Job>| {
            let Call { id, credential, params, permits, large_answer, .. } = call;
            let caller = Arc::clone(credential.caller());
            let account = (size == AnswerSize::Large && large_answer.is_none())
                .then(|| Arc::clone(credential.account()));
            match parse::<M>(params) {
                Ok(params) => on_a_blocking_thread(app, id, permits, account, move |app| {
                    operation(app, &caller, &params)
                }),
                Err(error) => Begun::Done(answer::error(id, &error)),
            }
        };
        self.insert(M::SPEC, Service::Other, Box::new(handler));
    }

    /// Serves a method out of memory, without blocking.
    pub(crate) fn immediate<M: Method>(
        &mut self,
        operation: fn(&App, &Credential, &M::Params) -> StoreResult<M::Result>,
    ) {
        let handler = move |app: &Arc<App>, call: Call<'_>, _: &mut Vec<Job>| {
            let Call { id, credential, params, .. } = call;
            let result = parse::<M>(params).and_then(|params| {
                operation(app, &credential, &params)
                    .map_err(|error| errors::to_api(&app.store, &error))
            });
            Begun::Done(answer::result(id, result, app.limits.response_bytes))
        };
        self.insert(M::SPEC, Service::Other, Box::new(handler));
    }

    pub(super) fn insert(&mut self, spec: MethodSpec, service: Service, handler: Handler) {
        let entry = Entry { spec, service, handler, prepare: None };
        self.entries.insert(spec.name.to_owned(), entry);
    }

    /// The method of this name; `_` may stand for the dot.
    pub(super) fn find(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name).or_else(|| self.entries.get(&name.replacen('_', ".", 1)))
    }

    /// The registry, once it is found to serve exactly what is defined.
    ///
    /// # Errors
    /// The names that are defined and not served, or served and not defined.
    pub(crate) fn complete(self) -> Result<Self, String> {
        let missing =
            all_methods().map(|spec| spec.name).filter(|name| !self.entries.contains_key(*name));
        let surplus = self
            .entries
            .keys()
            .map(String::as_str)
            .filter(|name| !all_methods().any(|spec| spec.name == *name));
        let wrong: Vec<&str> = missing.chain(surplus).collect();
        if wrong.is_empty() { Ok(self) } else { Err(wrong.join(", ")) }
    }
}

/// Reads the params of a write, and under which id it may be repeated.
fn parse_write<M: Method>(
    app: &App,
    text: Option<&str>,
) -> Result<(M::Params, Option<Request>), ApiError> {
    // The answer says back what was written: one that would not fit is refused before.
    let fits = app.limits.response_bytes - app.limits.response_bytes / 64;
    if text.is_some_and(|text| text.len() > fits) {
        return Err(unanswerable());
    }
    let params = parse::<M>(text)?;
    let request = params
        .request_id()
        .map(|id| Request::new(id.clone(), M::SPEC.name, &params))
        .transpose()
        .map_err(|error| errors::to_api(&app.store, &error))?;
    Ok((params, request))
}

/// What is said of a write whose answer would not fit; it is not done.
fn unanswerable() -> ApiError {
    let message = "the answer would be larger than the limit: write less at once";
    ApiError::new(ErrorCode::TooLarge, message)
}

/// Adds a write that is ready to the jobs: under which id it may be repeated, its weight beside its
/// params, and what it does.
fn submit<T, O>(
    app: &Arc<App>,
    call: Call<'_>,
    ready: Result<(Option<Request>, usize, O), ApiError>,
    jobs: &mut Vec<Job>,
) -> Begun
where
    T: serde::Serialize + serde::de::DeserializeOwned + Clone + Send + 'static,
    O: Fn(&Tx<'_>) -> StoreResult<T> + Send + 'static,
{
    let Call { id, credential, params: text, permits, .. } = call;
    let (request, weight, apply) = match ready {
        Ok(ready) => ready,
        Err(error) => return Begun::Done(answer::error(id, &error)),
    };
    let caller = Arc::clone(credential.caller());
    let room = answer::room_for_result(&id, app.limits.response_bytes);
    let (reply, answered) = oneshot::channel();
    jobs.push(Job::new(
        text.map_or(0, str::len) + weight,
        move |tx| {
            requests::once(tx, &caller, request.as_ref(), || {
                let result = apply(tx)?;
                // Inside the savepoint: a write that can't be answered leaves no trace.
                match answer::fits(&result, room)? {
                    true => Ok(result),
                    false => Err(unanswerable().into()),
                }
            })
        },
        // The receiver is gone where the client hung up; the write stands.
        move |result| {
            drop(permits);
            drop(reply.send(result));
        },
    ));
    let app = Arc::clone(app);
    let answer = async move {
        let result = match answered.await {
            Ok(result) => result.map_err(|error| errors::to_api(&app.store, &error)),
            // The queue took none of the jobs that were handed over with this one.
            Err(_) => Err(ApiError::unavailable("too many writes are waiting", 20)),
        };
        answer::result(id, result, app.limits.response_bytes)
    };
    Begun::Waiting(answer.boxed())
}

/// Reads the params of a call.
pub(super) fn parse<M: Method>(params: Option<&str>) -> Result<M::Params, ApiError> {
    M::Params::from_params(params).map_err(ApiError::from)
}

/// Runs an operation on a thread that may block. Where an account is given, a large answer is one of
/// its: it is not made before there is room for it.
fn on_a_blocking_thread<T: serde::Serialize + Clone + Send + 'static>(
    app: &Arc<App>,
    id: Id<'static>,
    permits: CallPermits,
    account: Option<Arc<Account>>,
    operation: impl FnOnce(&App) -> Result<T, StoreError> + Send + 'static,
) -> Begun {
    let app = Arc::clone(app);
    let answer = async move {
        let room = match account {
            // It is never closed.
            Some(account) => Arc::clone(&account.large_answers).acquire_owned().await.ok(),
            None => None,
        };
        let worker = Arc::clone(&app);
        // The answer is written there too: a large one takes its time.
        let written = tokio::task::spawn_blocking(move || {
            let _permits = permits;
            let result = operation(&worker).map_err(|error| errors::to_api(&worker.store, &error));
            let id = id.clone();
            answer::result(id, result, worker.limits.response_bytes)
        });
        match written.await {
            Ok(mut response) => {
                if let Some(room) = room
                    && response.as_ref().len() > LARGE_BYTES
                {
                    response.extensions_mut().insert::<Held>(Arc::new(room));
                }
                response
            }
            Err(error) => answer::error(Id::Null, &errors::internal(&error.to_string())),
        }
    };
    Begun::Waiting(answer.boxed())
}
