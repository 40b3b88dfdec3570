//! What the log says of calls: every call at DEBUG; every denied call and every call of the admin's at
//! INFO, under the target `audit`. Who, which method, how it ended; never values.

use std::time::Instant;

use osnova_storage_api::{Access, ApiError, ErrorCode, MethodSpec};
use osnova_storage_core::Caller;

use super::Credential;

/// The caller as the log names him.
pub(crate) fn name(caller: &Caller) -> String {
    match caller {
        Caller::Owner => "owner".to_owned(),
        Caller::Component { id, .. } => id.to_string(),
    }
}

/// Notes a call that was denied. `what` is a method or a route, never a path with a token in it.
pub(crate) fn denied(caller: &str, what: &str, error: &ApiError) {
    tracing::info!(target: "audit", caller, method = what, outcome = error.code().name(), "denied");
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
        // The id of a token is public.
        let token = credential.token_id().map(ToString::to_string).unwrap_or_default();
        Self(Some(Traced { method: spec.name, caller, token, started, admin }))
    }

    /// Notes how the call ended: by its error's code, if it failed.
    pub(crate) fn finish(self, error: Option<i32>) {
        let Some(Traced { method, caller, token, started, admin }) = self.0 else { return };
        let outcome = match error {
            None => "ok",
            Some(code) => ErrorCode::from_code(code).map_or("error", ErrorCode::name),
        };
        let micros = started.elapsed().as_micros();
        if admin {
            tracing::info!(target: "audit", method, caller, token, micros, outcome, "call");
        } else {
            tracing::debug!(method, caller, token, micros, outcome, "call");
        }
    }
}
