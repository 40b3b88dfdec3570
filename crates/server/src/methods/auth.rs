//! `auth`: each change is committed first, then followed by the gate and the listeners.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use osnova_storage_api::auth::{
    CallerKind, CloseSocket, CloseSocketParams, ComponentSocket, ComponentSockets, CreateToken,
    CreateTokenParams, CreatedToken, Identity, ListSockets, ListTokens, NoParams, OpenSocket,
    OpenSocketParams, OwnerToken, RevokeToken, RevokeTokenParams, RotateOwnerToken, Whoami,
};
use osnova_storage_api::wire::{Deleted, Scope, SocketPath, Timestamp};
use osnova_storage_api::{ApiError, ConflictReason};
use osnova_storage_core::db::auth::sockets::{self, StoredSocket};
use osnova_storage_core::db::auth::tokens::{self, StoredToken};
use osnova_storage_core::error::Result;
use osnova_storage_core::{Caller, Scopes, StoreError};

use crate::access::{Credential, TokenError, socket_path, token};
use crate::app::App;
use crate::listen::ListenError;
use crate::rpc::Registry;

/// About how many bytes the row of a credential takes in the database.
const ROW_WEIGHT: usize = 1024;

pub(super) fn register(registry: &mut Registry) {
    registry.immediate::<Whoami>(whoami);
    registry.blocking::<CreateToken>(create_token);
    registry.read::<ListTokens>(tokens::list);
    registry.blocking::<RevokeToken>(revoke_token);
    registry.blocking::<OpenSocket>(open_socket);
    registry.blocking::<CloseSocket>(close_socket);
    registry.blocking::<ListSockets>(list_sockets);
    registry.blocking::<RotateOwnerToken>(rotate_owner_token);
}

#[allow(clippy::unnecessary_wraps, reason = "every operation has this signature")]
fn whoami(_: &App, credential: &Credential, _: &NoParams) -> Result<Identity> {
    let (caller, component_id, scopes) = match &**credential.caller() {
        Caller::Owner => (CallerKind::Owner, None, None),
        Caller::Component { id, scopes } => {
            let scopes = scopes.listed().map_or_else(Scope::all, <[Scope]>::to_vec);
            (CallerKind::Component, Some(id.clone()), Some(scopes))
        }
    };
    Ok(Identity {
        caller,
        credential: credential.kind(),
        component_id,
        scopes,
        token_id: credential.token_id().cloned(),
        expires_at: credential.expires_at().map(Timestamp),
    })
}

fn create_token(app: &App, caller: &Caller, params: &CreateTokenParams) -> Result<CreatedToken> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let ahead = |time: &Timestamp| u64::try_from(time.0).is_ok_and(|time| time > now);
    if !params.expires_at.as_ref().is_none_or(ahead) {
        return Err(ApiError::field("expiresAt", "must lie ahead").into());
    }
    let (token_id, token) =
        token::new_component_token().map_err(|error| StoreError::Internal(error.to_string()))?;
    let kept = StoredToken {
        token_id,
        hash: token::hash(token.expose()),
        component_id: params.component_id.clone(),
        name: params.name.clone(),
        scopes: Scopes::from(params.scopes.clone()),
        expires_at: params.expires_at.map(|time| time.0),
    };
    let (by, entered) = (caller.clone(), kept.clone());
    let info = app.store.db().write(ROW_WEIGHT, move |tx| tokens::create(tx, &by, &entered))?;
    app.gate.add_token(&kept);
    Ok(CreatedToken { token, info })
}

fn revoke_token(app: &App, caller: &Caller, params: &RevokeTokenParams) -> Result<Deleted> {
    let (by, id) = (caller.clone(), params.token_id.clone());
    let deleted = app.store.db().write(ROW_WEIGHT, move |tx| tokens::revoke(tx, &by, &id))?;
    app.gate.end_token(&params.token_id);
    Ok(Deleted { deleted })
}

fn open_socket(app: &App, caller: &Caller, params: &OpenSocketParams) -> Result<ComponentSocket> {
    if params.path.as_ref().is_some_and(|path| !path.as_str().starts_with('/')) {
        return Err(ApiError::field("path", "must be absolute").into());
    }
    let _changing = app.gate.changing_sockets();
    let chosen = socket_path(&app.socket_folder, &params.component_id, None);
    // The path that the daemon would choose may be said as well: it is the same socket.
    let given = params.path.clone().filter(|path| chosen.as_os_str() != path.as_str());
    let path = given.as_ref().map_or(chosen, |path| PathBuf::from(path.as_str()));
    let before = app.gate.sockets().into_iter().find(|(known, _)| *known == path);
    let is_anothers = |known: &Credential| known.caller().holder() != params.component_id.as_str();
    if before.as_ref().is_some_and(|(_, known)| is_anothers(known)) {
        return Err(sockets::is_anothers());
    }
    let (by, asked) = (caller.clone(), params.clone());
    let kept = app.store.db().write(ROW_WEIGHT, move |tx| {
        let scopes = Scopes::from(asked.scopes.clone());
        sockets::open(tx, &by, &asked.component_id, given.as_ref(), &scopes)
    })?;
    let credential = app.gate.set_socket(path.clone(), &kept);
    if let Err(error) = app.sockets.open(&path, credential) {
        // One that was open before stays written down: the next start tries again.
        if before.is_none() {
            app.gate.end_socket(&path);
            forget(app, caller, &kept)?;
        }
        return Err(not_bound(&error));
    }
    told(app, kept)
}

/// What the caller is told where a socket can't be bound.
fn not_bound(error: &ListenError) -> StoreError {
    match error {
        ListenError::InUse(_) => {
            let message = "another process listens at this path";
            ApiError::conflict(ConflictReason::Exists, message).into()
        }
        ListenError::Unusable { why, .. } => ApiError::field("path", why.clone()).into(),
        ListenError::Io { source, .. } => {
            ApiError::field("path", format!("can't be bound: {}", source.kind())).into()
        }
    }
}

fn forget(app: &App, caller: &Caller, kept: &StoredSocket) -> Result<bool> {
    let (by, gone) = (caller.clone(), kept.clone());
    app.store.db().write(ROW_WEIGHT, move |tx| {
        sockets::close(tx, &by, &gone.component_id, gone.path.as_ref())
    })
}

fn close_socket(app: &App, caller: &Caller, params: &CloseSocketParams) -> Result<Deleted> {
    let _changing = app.gate.changing_sockets();
    let asked = |kept: &StoredSocket| {
        let path = || socket_path(&app.socket_folder, &kept.component_id, kept.path.as_ref());
        let this = |asked: &SocketPath| path().as_os_str() == asked.as_str();
        kept.component_id == params.component_id && params.path.as_ref().is_none_or(this)
    };
    let mut deleted = false;
    for kept in app.store.db().read(sockets::all)?.iter().filter(|kept| asked(kept)) {
        deleted |= forget(app, caller, kept)?;
        let path = socket_path(&app.socket_folder, &kept.component_id, kept.path.as_ref());
        app.gate.end_socket(&path);
        app.sockets.close(&path);
    }
    Ok(Deleted { deleted })
}

fn list_sockets(app: &App, _: &Caller, _: &NoParams) -> Result<ComponentSockets> {
    let kept = app.store.db().read(sockets::all)?;
    let items = kept.into_iter().map(|kept| told(app, kept)).collect::<Result<_>>()?;
    Ok(ComponentSockets { items })
}

fn told(app: &App, kept: StoredSocket) -> Result<ComponentSocket> {
    let path = socket_path(&app.socket_folder, &kept.component_id, kept.path.as_ref());
    let listening = app.sockets.is_listening(&path);
    let path = path.to_string_lossy().into_owned();
    Ok(ComponentSocket {
        component_id: kept.component_id,
        path: SocketPath::try_from(path).map_err(|why| ApiError::field("path", why))?,
        scopes: kept.scopes.listed().map(<[Scope]>::to_vec),
        created_at: Timestamp(kept.created_at),
        listening,
    })
}

fn rotate_owner_token(app: &App, _: &Caller, _: &NoParams) -> Result<OwnerToken> {
    let token = app.gate.rotate_owner_token().map_err(|error| match error {
        TokenError::Store(error) => error,
        TokenError::Io(path, source) => {
            StoreError::io("write the owner's token", std::path::Path::new(&path), source)
        }
        other => StoreError::Internal(other.to_string()),
    })?;
    Ok(OwnerToken { token })
}
