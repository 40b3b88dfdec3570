//! Who calls, and whether he may: checked once for each request, before any method runs.
//!
//! A connection brings what the kernel says of its peer; a request may bring a token. A token that is
//! presented and not valid is refused, and never falls back to the peer's uid.

pub(crate) mod audit;
mod browser;
mod token;

use std::sync::Arc;

use http::Request;
use osnova_storage_api::{ApiError, ErrorCode, MethodSpec, Visibility};
use osnova_storage_core::Caller;

pub use token::{OwnerToken, TokenError};

/// What is known of a connection's other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// A Unix socket; the peer's uid, from the kernel.
    Unix {
        /// The uid.
        uid: u32,
    },
    /// A TCP socket: anyone on this machine, browsers included.
    Tcp,
}

/// Decides who a request is from.
pub(crate) struct Gate {
    owner_uid: u32,
    owner_token: Option<OwnerToken>,
    allowed_origins: Vec<String>,
    allowed_hosts: Vec<String>,
    owner: Arc<Caller>,
}

impl Gate {
    /// A gate for the owner with this uid and this token.
    pub(crate) fn new(
        owner_uid: u32,
        owner_token: Option<OwnerToken>,
        allowed_origins: Vec<String>,
        allowed_hosts: Vec<String>,
    ) -> Self {
        let owner = Arc::new(Caller::Owner);
        Self { owner_uid, owner_token, allowed_origins, allowed_hosts, owner }
    }

    /// Refuses what a browser may have been tricked into sending.
    ///
    /// # Errors
    /// `forbidden`.
    pub(crate) fn check_origin<B>(&self, peer: Peer, request: &Request<B>) -> Result<(), ApiError> {
        browser::check(peer, request.headers(), &self.allowed_origins, &self.allowed_hosts)
    }

    /// Who calls. `path_token` is the token that stood in the path, if one did.
    ///
    /// # Errors
    /// `unauthorized`.
    pub(crate) fn identify<B>(
        &self,
        peer: Peer,
        request: &Request<B>,
        path_token: Option<&str>,
    ) -> Result<Arc<Caller>, ApiError> {
        let headers = request.headers().get_all(http::header::AUTHORIZATION).iter();
        let in_headers = headers.map(|header| header.to_str().ok().and_then(token::bearer));
        let mut presented = path_token.map(Some).into_iter().chain(in_headers).peekable();
        let allowed = match (presented.peek().is_some(), peer) {
            // Every token that is presented must be valid, not only one of them.
            (true, _) => presented.all(|token| {
                let owner = self.owner_token.as_ref();
                token.is_some_and(|token| owner.is_some_and(|owner| owner.matches(token)))
            }),
            (false, Peer::Unix { uid }) => uid == self.owner_uid,
            (false, Peer::Tcp) => false,
        };
        if allowed { Ok(Arc::clone(&self.owner)) } else { Err(unauthorized()) }
    }
}

fn unauthorized() -> ApiError {
    ApiError::new(ErrorCode::Unauthorized, "a valid token is needed")
}

/// Whether the caller may call the method.
///
/// # Errors
/// `forbidden`.
pub(crate) fn check_scope(caller: &Caller, spec: &MethodSpec) -> Result<(), ApiError> {
    let allowed = match caller {
        Caller::Owner => true,
        Caller::Component { .. } => {
            spec.visibility != Visibility::Owner
                && spec.scope().is_none_or(|scope| caller.has_scope(&scope))
        }
    };
    if allowed {
        Ok(())
    } else {
        Err(ApiError::new(ErrorCode::Forbidden, "the credential does not allow this method"))
    }
}

#[cfg(test)]
mod tests {
    use osnova_storage_api::all_methods;

    use super::*;

    fn gate() -> (Gate, String) {
        let token = OwnerToken::generate().unwrap();
        let text = token.text().to_owned();
        (Gate::new(1000, Some(token), Vec::new(), Vec::new()), text)
    }

    fn request(authorization: Option<&str>) -> Request<()> {
        let mut request = Request::new(());
        if let Some(value) = authorization {
            request.headers_mut().insert("authorization", value.parse().unwrap());
        }
        request
    }

    #[test]
    fn an_invalid_token_never_falls_back_to_the_uid() {
        let (gate, token) = gate();
        let owner = Peer::Unix { uid: 1000 };
        let allowed = |peer, authorization: Option<&str>, path| {
            gate.identify(peer, &request(authorization), path).is_ok()
        };
        assert!(allowed(owner, None, None));
        assert!(!allowed(Peer::Unix { uid: 1001 }, None, None));
        assert!(!allowed(Peer::Unix { uid: 0 }, None, None));
        assert!(!allowed(Peer::Tcp, None, None));
        let bearer = format!("Bearer {token}");
        assert!(allowed(Peer::Tcp, Some(&bearer), None));
        assert!(allowed(Peer::Tcp, None, Some(&token)));
        assert!(!allowed(owner, Some("Bearer wrong"), None));
        assert!(!allowed(owner, Some("Basic b3duZXI6"), None));
        assert!(!allowed(owner, None, Some("wrong")));
        assert!(!allowed(Peer::Tcp, Some(&bearer), Some("wrong")));
        assert!(!allowed(owner, Some("Bearer wrong"), Some(&token)));
    }

    #[test]
    fn a_component_calls_only_what_its_scopes_name() {
        let component = Caller::Component {
            id: "org.example.weather".parse().unwrap(),
            scopes: vec!["blobs:read".to_owned(), "preferences:read".to_owned()],
        };
        let allowed: Vec<&str> = all_methods()
            .filter(|spec| check_scope(&component, spec).is_ok())
            .map(|spec| spec.name)
            .collect();
        // preferences are the owner's, whatever the scopes say.
        assert_eq!(
            allowed,
            ["blobs.get", "blobs.stat", "blobs.has", "blobs.list", "blobs.usage", "rpc.discover"]
        );
        assert!(all_methods().all(|spec| check_scope(&Caller::Owner, spec).is_ok()));
    }
}
