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
use osnova_storage_api::method::RequestIdentity;
use osnova_storage_api::wire::WireObject;
use osnova_storage_api::{ApiError, ErrorCode, Method, MethodSpec, all_methods};
use osnova_storage_core::db::requests::{self, Request};
use osnova_storage_core::db::{Job, Reader, Tx};
use osnova_storage_core::error::Result as StoreResult;
use osnova_storage_core::{Caller, StoreError};
use tokio::sync::oneshot;

use super::answer;
use crate::access::{Account, Credential, Held, LARGE_BYTES, Permit};
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

type Handler = Box<dyn Fn(&Arc<App>, Call<'_>, &mut Vec<Job>) -> Begun + Send + Sync>;

/// A method that is served.
pub(super) struct Entry {
    pub(super) spec: MethodSpec,
    pub(super) service: Service,
    handler: Handler,
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
            let Call { id, credential, params: text, permits, .. } = call;
            let caller = Arc::clone(credential.caller());
            // The answer says back what was written: one that would not fit is refused before.
            let fits = app.limits.response_bytes - app.limits.response_bytes / 64;
            if text.is_some_and(|text| text.len() > fits) {
                let message = "the answer would be larger than the limit: write less at once";
                let error = ApiError::new(ErrorCode::TooLarge, message);
                return Begun::Done(answer::error(id, &error));
            }
            let prepared = parse::<M>(text).and_then(|params| {
                let request = params
                    .request_id()
                    .map(|id| Request::new(id.clone(), M::SPEC.name, &params))
                    .transpose()
                    .map_err(|error| errors::to_api(&app.store, &error))?;
                Ok((params, request))
            });
            let (params, request) = match prepared {
                Ok(prepared) => prepared,
                Err(error) => return Begun::Done(answer::error(id, &error)),
            };
            let (reply, answered) = oneshot::channel();
            jobs.push(Job::new(
                text.map_or(0, str::len) + WRITE_WEIGHT,
                move |tx| {
                    requests::once(tx, &caller, request.as_ref(), || {
                        operation(tx, &caller, &params)
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
        };
        self.insert(M::SPEC, Service::Write, Box::new(handler));
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
            let Call { id, credential, params, permits, large_answer } = call;
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

    fn insert(&mut self, spec: MethodSpec, service: Service, handler: Handler) {
        self.entries.insert(spec.name.to_owned(), Entry { spec, service, handler });
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

fn parse<M: Method>(params: Option<&str>) -> Result<M::Params, ApiError> {
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
