//! What to do where the daemon does not let a caller, or where nobody knows what became of a token.

use osnova_storage_client::api::{Access, MethodSpec, Visibility};
use osnova_storage_client::{ClientError, ErrorCode};

use super::Session;
use super::failure::Failure;

/// The failure of a call, with what to do about it where that is known.
pub(super) fn explain(session: &Session, error: ClientError, spec: &MethodSpec) -> Failure {
    let hint = hint(&error, spec, session.client.has_token());
    let failure = Failure::from(error);
    match hint {
        Some(hint) => failure.with_hint(&hint),
        None => failure,
    }
}

fn hint(error: &ClientError, spec: &MethodSpec, has_token: bool) -> Option<String> {
    match error.code() {
        Some(ErrorCode::Unauthorized) if has_token => Some(
            "the token shown is not, or no longer, taken; the owner makes another for a component by \
             osnova-storage token create"
                .to_owned(),
        ),
        Some(ErrorCode::Unauthorized) => Some(
            "show a token by --token-file FILE or in $OSNOVA_STORAGE_TOKEN: the owner's stands in \
             run/token of the data root, a component's is made by osnova-storage token create"
                .to_owned(),
        ),
        Some(ErrorCode::Forbidden) => forbidden(spec),
        Some(ErrorCode::ValidationError) if lacks_component(error) => Some(which_component(spec)),
        _ if is_outcome_unknown(error) => after_lost_token(spec).map(str::to_owned),
        _ => None,
    }
}

fn forbidden(spec: &MethodSpec) -> Option<String> {
    let scope = spec.scope()?;
    let name = spec.name;
    if spec.visibility == Visibility::Owner || spec.access == Access::Admin {
        return Some(format!(
            "{name} needs {scope}, which only the owner has: his socket without a token, or his token"
        ));
    }
    Some(format!(
        "{name} needs the scope {scope}; osnova-storage whoami lists those of the credential shown"
    ))
}

/// Whether the owner did not say whose thing he means. A component means its own.
fn lacks_component(error: &ClientError) -> bool {
    let ClientError::Api(error) = error else { return false };
    let fields = error.data.fields.as_ref();
    fields.and_then(|fields| fields.get("componentId")).is_some_and(|why| why.contains("required"))
}

fn which_component(spec: &MethodSpec) -> String {
    match spec.name {
        "registry.get" | "registry.setStatus" | "registry.heartbeat" => {
            "say which COMPONENT-ID is meant".to_owned()
        }
        _ => "say whose by --component ID".to_owned(),
    }
}

fn is_outcome_unknown(error: &ClientError) -> bool {
    matches!(error, ClientError::OutcomeUnknown { .. } | ClientError::Timeout { .. })
}

fn after_lost_token(spec: &MethodSpec) -> Option<&'static str> {
    match spec.name {
        "auth.createToken" => Some(
            "osnova-storage token ls shows whether the token was made; revoke it then, for it can't be \
             shown again",
        ),
        "auth.rotateOwnerToken" => {
            Some("the token that is taken stands in run/token of the data root")
        }
        _ => None,
    }
}
