//! Credentials: by what a caller is known, until when, and what he has in use.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use osnova_storage_api::auth::CredentialKind;
use osnova_storage_api::wire::TokenId;
use osnova_storage_core::Caller;
use tokio::sync::watch;

use super::meter::Account;

/// Whoever waits for a token to expire looks at the clock this often, for it may be set.
const LONGEST_NAP: Duration = Duration::from_secs(60);

/// By what a caller is known. It is shared by all that came in by it, so that its end reaches them all.
#[derive(Debug)]
pub(crate) struct Credential {
    caller: Arc<Caller>,
    kind: CredentialKind,
    token_id: Option<TokenId>,
    /// In Unix seconds.
    expires_at: Option<i64>,
    account: Arc<Account>,
    /// Looked at by every call, so it is no lock.
    is_ended: AtomicBool,
    ended: watch::Sender<bool>,
    /// The token's and the socket's, where one narrows the other: what ends either ends this.
    within: Option<[Arc<Credential>; 2]>,
}

impl Credential {
    /// A credential of the caller's, which does not expire.
    pub(crate) fn new(caller: Caller, kind: CredentialKind, account: Arc<Account>) -> Self {
        Self {
            caller: Arc::new(caller),
            kind,
            token_id: None,
            expires_at: None,
            account,
            is_ended: AtomicBool::new(false),
            ended: watch::Sender::new(false),
            within: None,
        }
    }

    /// The same for a token, which may expire.
    pub(crate) fn of_token(mut self, id: TokenId, expires_at: Option<i64>) -> Self {
        self.token_id = Some(id);
        self.expires_at = expires_at;
        self
    }

    /// A token's credential with fewer scopes, valid for as long as both the token and the socket it was
    /// shown on are.
    pub(crate) fn narrowed(
        caller: Caller,
        token: &Arc<Credential>,
        socket: &Arc<Credential>,
    ) -> Self {
        let mut narrowed = Self::new(caller, token.kind, Arc::clone(&token.account));
        narrowed.token_id = token.token_id.clone();
        narrowed.expires_at = token.expires_at;
        narrowed.within = Some([Arc::clone(token), Arc::clone(socket)]);
        narrowed
    }

    /// Who calls.
    pub(crate) fn caller(&self) -> &Arc<Caller> {
        &self.caller
    }

    /// By what he is known.
    pub(crate) fn kind(&self) -> CredentialKind {
        self.kind
    }

    /// By which token.
    pub(crate) fn token_id(&self) -> Option<&TokenId> {
        self.token_id.as_ref()
    }

    /// From when on it is no longer taken, in Unix seconds.
    pub(crate) fn expires_at(&self) -> Option<i64> {
        self.expires_at
    }

    /// What the caller has in use.
    pub(crate) fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Ends it: it was revoked, or its socket closed.
    pub(crate) fn end(&self) {
        self.is_ended.store(true, Ordering::Release);
        self.ended.send_replace(true);
    }

    /// Whether it is still taken.
    pub(crate) fn is_valid(&self) -> bool {
        !self.is_ended.load(Ordering::Acquire)
            && self.expires_at.is_none_or(|time| unix_seconds() < time)
            && self.within.iter().flatten().all(|outer| outer.is_valid())
    }

    /// Resolves when it is no longer taken.
    pub(crate) async fn ended(&self) {
        let outer = async {
            match &self.within {
                Some([token, socket]) => tokio::select! {
                    () = Box::pin(token.ended()) => {}
                    () = Box::pin(socket.ended()) => {}
                },
                None => std::future::pending().await,
            }
        };
        let mut ended = self.ended.subscribe();
        tokio::select! {
            // The sender lives as long as this does, so it can't fail.
            _ = ended.wait_for(|ended| *ended) => {}
            () = until(self.expires_at) => {}
            () = outer => {}
        }
    }
}

/// Resolves at this time by the wall clock; never where there is none.
async fn until(time: Option<i64>) {
    let Some(time) = time else { return std::future::pending().await };
    loop {
        let left = time.saturating_sub(unix_seconds());
        match u64::try_from(left) {
            Ok(seconds) if seconds > 0 => {
                tokio::time::sleep(Duration::from_secs(seconds).min(LONGEST_NAP)).await;
            }
            _ => return,
        }
    }
}

fn unix_seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
