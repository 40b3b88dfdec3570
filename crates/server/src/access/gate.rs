//! The gate: who a request is from, by the credentials that are valid now.
//!
//! What the database keeps of tokens and sockets is read once, at the start; each change is committed
//! first and then followed here, so that what is answered holds at once and after a restart.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak,
};

use http::Request;
use http::header::AUTHORIZATION;
use osnova_storage_api::ApiError;
use osnova_storage_api::auth::CredentialKind;
use osnova_storage_api::wire::{ComponentId, Token, TokenId};
use osnova_storage_core::db::auth::sockets::{self, StoredSocket};
use osnova_storage_core::db::auth::tokens::{self, StoredToken};
use osnova_storage_core::{Caller, Scopes, Store};

use super::owner_token::{OwnerToken, TokenError};
use super::socket_path::socket_path;
use super::{Account, Credential, Peer, browser, token, unauthorized};
use crate::config::{Config, Limits};

/// Accounts of components that are gone are struck off once there are this many more.
const FORGOTTEN_ACCOUNTS: usize = 1024;

/// The hash of a token, and by what its caller is then known.
type KnownToken = ([u8; 32], Arc<Credential>);

/// Decides who a request is from.
pub(crate) struct Gate {
    owner_uid: u32,
    allowed_origins: Vec<String>,
    allowed_hosts: Vec<String>,
    limits: Limits,
    token_file: PathBuf,
    owner: Arc<Credential>,
    owner_token: RwLock<(OwnerToken, Arc<Credential>)>,
    /// By the id of the token.
    tokens: RwLock<HashMap<String, KnownToken>>,
    sockets: RwLock<HashMap<PathBuf, Arc<Credential>>>,
    accounts: RwLock<HashMap<ComponentId, Weak<Account>>>,
    socket_changes: Mutex<()>,
}

impl Gate {
    /// The gate of a data root, with every credential that is kept there.
    ///
    /// # Errors
    /// Where the owner's token, or what is kept, can't be read.
    pub(crate) fn load(store: &Store, config: &Config) -> Result<Self, TokenError> {
        let token_file = store.layout().run().join("token");
        let owner_token = OwnerToken::load_or_create(&token_file)?;
        let account = Account::of_owner();
        let owner = Credential::new(Caller::Owner, CredentialKind::Socket, Arc::clone(&account));
        let by_token = owner_by_token(account);
        let gate = Self {
            owner_uid: rustix::process::geteuid().as_raw(),
            allowed_origins: config.allowed_origins.clone(),
            allowed_hosts: config.allowed_hosts.clone(),
            limits: config.limits,
            token_file,
            owner: Arc::new(owner),
            owner_token: RwLock::new((owner_token, Arc::new(by_token))),
            tokens: RwLock::default(),
            sockets: RwLock::default(),
            accounts: RwLock::default(),
            socket_changes: Mutex::default(),
        };
        for kept in store.db().read(tokens::all)? {
            gate.add_token(&kept);
        }
        for kept in store.db().read(sockets::all)? {
            let path =
                socket_path(&config.component_sockets, &kept.component_id, kept.path.as_ref());
            gate.set_socket(path, &kept);
        }
        Ok(gate)
    }

    /// Refuses what a browser may have been tricked into sending.
    ///
    /// # Errors
    /// `forbidden`.
    pub(crate) fn check_origin<B>(
        &self,
        peer: &Peer,
        request: &Request<B>,
    ) -> Result<(), ApiError> {
        browser::check(peer, request, &self.allowed_origins, &self.allowed_hosts)
    }

    /// Who calls. `path_token` is the token that stood in the path, if one did.
    ///
    /// # Errors
    /// `unauthorized`.
    pub(crate) fn identify<B>(
        &self,
        peer: &Peer,
        request: &Request<B>,
        path_token: Option<&str>,
    ) -> Result<Arc<Credential>, ApiError> {
        let headers = request.headers().get_all(AUTHORIZATION).iter();
        let in_headers = headers.map(|header| header.to_str().ok().and_then(token::bearer));
        let mut shown: Option<Arc<Credential>> = None;
        for token in path_token.map(Some).into_iter().chain(in_headers) {
            let known = token.and_then(|token| self.by_token(token)).ok_or_else(unauthorized)?;
            // Every token that is shown must be valid, and say the same.
            if shown.as_ref().is_some_and(|before| !Arc::ptr_eq(before, &known)) {
                return Err(unauthorized());
            }
            shown = Some(known);
        }
        let known = match (peer, shown) {
            (Peer::Owner { uid }, _) if *uid != self.owner_uid => None,
            (Peer::Owner { .. }, None) => Some(Arc::clone(&self.owner)),
            (Peer::Owner { .. } | Peer::Component { .. } | Peer::Tcp, shown) => shown,
            (Peer::Bound(socket), None) => Some(Arc::clone(socket)),
            (Peer::Bound(socket), Some(token)) => narrowed(socket, &token),
        };
        known.filter(|credential| credential.is_valid()).ok_or_else(unauthorized)
    }

    /// The credential of a token.
    fn by_token(&self, presented: &str) -> Option<Arc<Credential>> {
        let Some(id) = token::component_token_id(presented) else {
            let owner = read(&self.owner_token);
            return owner.0.matches(presented).then(|| Arc::clone(&owner.1));
        };
        let shown = token::hash(presented);
        let tokens = read(&self.tokens);
        let (hash, credential) = tokens.get(id)?;
        token::same(hash, &shown).then(|| Arc::clone(credential))
    }

    /// Takes a token from now on.
    pub(crate) fn add_token(&self, kept: &StoredToken) {
        let caller =
            Caller::Component { id: kept.component_id.clone(), scopes: kept.scopes.clone() };
        let account = self.account(&kept.component_id);
        let credential = Credential::new(caller, CredentialKind::Token, account)
            .of_token(kept.token_id.clone(), kept.expires_at);
        let id = kept.token_id.to_string();
        write(&self.tokens).insert(id, (kept.hash, Arc::new(credential)));
    }

    /// Takes a token no more, and ends what was opened with it.
    pub(crate) fn end_token(&self, id: &TokenId) {
        if let Some((_, credential)) = write(&self.tokens).remove(id.as_str()) {
            credential.end();
        }
    }

    /// Takes a socket's callers for its component from now on, with these scopes.
    pub(crate) fn set_socket(&self, path: PathBuf, kept: &StoredSocket) -> Arc<Credential> {
        let caller =
            Caller::Component { id: kept.component_id.clone(), scopes: kept.scopes.clone() };
        let account = self.account(&kept.component_id);
        let credential =
            Arc::new(Credential::new(caller, CredentialKind::ComponentSocket, account));
        let before = write(&self.sockets).insert(path, Arc::clone(&credential));
        if let Some(before) = before {
            before.end();
        }
        credential
    }

    /// Ends a socket's credential, and what was opened through it.
    pub(crate) fn end_socket(&self, path: &Path) {
        if let Some(credential) = write(&self.sockets).remove(path) {
            credential.end();
        }
    }

    /// The sockets that are bound to components, with their credentials.
    pub(crate) fn sockets(&self) -> Vec<(PathBuf, Arc<Credential>)> {
        let sockets = read(&self.sockets);
        sockets.iter().map(|(path, known)| (path.clone(), Arc::clone(known))).collect()
    }

    /// Held while a socket is opened or closed: database, gate and listener then agree.
    pub(crate) fn changing_sockets(&self) -> MutexGuard<'_, ()> {
        self.socket_changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a new token for the owner, on disk first; the one before ends.
    ///
    /// # Errors
    /// Where its file can't be written; the one before stays.
    pub(crate) fn rotate_owner_token(&self) -> Result<Token, TokenError> {
        let mut current = write(&self.owner_token);
        let renewed = OwnerToken::renew(&self.token_file)?;
        let shown = Token::new(renewed.text().to_owned());
        let credential = owner_by_token(Arc::clone(self.owner.account()));
        let (_, before) = std::mem::replace(&mut *current, (renewed, Arc::new(credential)));
        before.end();
        Ok(shown)
    }

    /// What a component has in use, over all of its credentials.
    fn account(&self, id: &ComponentId) -> Arc<Account> {
        let mut accounts = write(&self.accounts);
        if let Some(known) = accounts.get(id).and_then(Weak::upgrade) {
            return known;
        }
        if accounts.len() >= FORGOTTEN_ACCOUNTS {
            accounts.retain(|_, account| account.strong_count() > 0);
        }
        let account = Account::of_component(&self.limits);
        accounts.insert(id.clone(), Arc::downgrade(&account));
        account
    }
}

fn owner_by_token(account: Arc<Account>) -> Credential {
    Credential::new(Caller::Owner, CredentialKind::OwnerToken, account)
}

/// What a token allows on a socket that is bound to a component: less, never more, and nothing where
/// it is another's.
fn narrowed(socket: &Arc<Credential>, token: &Arc<Credential>) -> Option<Arc<Credential>> {
    let (Caller::Component { id, scopes }, Caller::Component { id: theirs, scopes: fewer }) =
        (&**socket.caller(), &**token.caller())
    else {
        return None;
    };
    if id != theirs || !token.is_valid() {
        return None;
    }
    let scopes: Scopes = scopes.and(fewer);
    let caller = Caller::Component { id: id.clone(), scopes };
    Some(Arc::new(Credential::narrowed(caller, token, socket)))
}

// A panic while one of these locks is held leaves nothing half done.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
