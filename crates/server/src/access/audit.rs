//! What the log says of calls: every call at DEBUG; every denied call and every call of the admin's at
//! INFO, under the target `audit`. Who, which method, how it ended; never values.

use std::time::Instant;

use osnova_storage_api::wire::TokenId;
use osnova_storage_api::{Access, ApiError, ErrorCode, MethodSpec};
use osnova_storage_core::Caller;

use super::{Credential, Peer};

/// The caller as the log names him.
pub(crate) fn name(caller: &Caller) -> String {
    match caller {
        Caller::Owner => "owner".to_owned(),
        Caller::Component { id, .. } => id.to_string(),
    }
}

/// The public part of the token that a caller is known by; empty where he is known otherwise.
fn token_id(credential: &Credential) -> &str {
    credential.token_id().map_or("", TokenId::as_str)
}

/// Notes a call that was denied.
pub(super) fn denied(credential: &Credential, method: &str, error: &ApiError) {
    let (caller, token) = (name(credential.caller()), token_id(credential));
    let outcome = error.code().name();
    tracing::info!(target: "audit", method, caller, token, outcome, "denied");
}

/// Notes a request that was not let in. `route` is never a path with a token in it.
pub(crate) fn turned_away(peer: &Peer, route: &str, error: &ApiError) {
    let (caller, outcome) = (peer.to_string(), error.code().name());
    tracing::info!(target: "audit", method = route, caller, outcome, "denied");
}

/// A call that is being traced.
pub(crate) struct Trace(Option<Traced>);

struct Traced {
    method: &'static str,
    caller: String,
    token: String,
    started: Instant,
    admin: bool,
}

impl Trace {
    /// Begins to trace a call, where anything of it would be written.
    pub(crate) fn start(spec: &MethodSpec, credential: &Credential) -> Self {
        let admin = spec.access == Access::Admin;
        if !admin && !tracing::enabled!(tracing::Level::DEBUG) {
            return Self(None);
        }
        let started = Instant::now();
        let caller = name(credential.caller());
        let token = token_id(credential).to_owned();
        Self(Some(Traced { method: spec.name, caller, token, started, admin }))
    }

    /// Notes how the call ended: by its error's code, if it failed.
    pub(crate) fn finish(self, error: Option<i32>) {
        let Some(Traced { method, caller, token, started, admin }) = self.0 else { return };
        let outcome = match error {
            None => "ok",
            Some(code) => ErrorCode::from_code(code).map_or("error", ErrorCode::name),
        };
        let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        if admin {
            tracing::info!(target: "audit", method, caller, token, micros, outcome, "call");
        } else {
            tracing::debug!(method, caller, token, micros, outcome, "call");
        }
    }
}
