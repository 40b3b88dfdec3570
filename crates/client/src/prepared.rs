//! A call ready to be sent: its request as bytes, and what is known of repeating it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use osnova_storage_api::{Access, Method, MethodSpec, all_methods};
use serde_json::value::RawValue;

use crate::error::ClientError;
use crate::request_ids::RequestIds;

/// A request, built once and sent as often as need be.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// What is called.
    pub(crate) method: Cow<'static, str>,
    /// The whole JSON-RPC request, for HTTP.
    pub(crate) request: Bytes,
    /// Where the params stand in it; empty where there are none.
    params: Range<usize>,
    spec: Option<&'static MethodSpec>,
}

impl Prepared {
    /// A call of a method of the contract.
    pub(crate) fn typed<M: Method>(params: &M::Params) -> Result<Self, ClientError> {
        let mut request = head(M::SPEC.name)?;
        request.extend_from_slice(b",\"params\":");
        let start = request.len();
        serde_json::to_writer(&mut request, params)
            .map_err(|error| ClientError::Params(error.to_string()))?;
        let end = request.len();
        request.push(b'}');
        Ok(Self {
            method: Cow::Borrowed(M::SPEC.name),
            request: request.into(),
            params: start..end,
            spec: Some(const { &M::SPEC }),
        })
    }

    /// A call by name, with params as text. Where the contract says that the method takes a
    /// `requestId` and the params, by name, hold none, one is added; the rest of the text stays as it is.
    pub(crate) fn raw(
        name: &str,
        params: Option<&str>,
        ids: &RequestIds,
    ) -> Result<Self, ClientError> {
        let spec =
            all_methods().find(|spec| spec.name == name || spec.name.replace('.', "_") == name);
        let mut request = head(name)?;
        let mut range = 0..0;
        if let Some(text) = params {
            let text = text.trim_ascii();
            serde_json::from_str::<&RawValue>(text).map_err(|error| {
                ClientError::Params(format!("the params are not JSON: {error}"))
            })?;
            let id = match spec {
                Some(spec) if spec.takes_request_id() && lacks_request_id(text) => ids.next(),
                _ => None,
            };
            request.extend_from_slice(b",\"params\":");
            let start = request.len();
            match (id, text.strip_suffix('}')) {
                (Some(id), Some(members)) => {
                    let members = members.trim_ascii_end();
                    let comma = if members.ends_with('{') { "" } else { "," };
                    let id = serde_json::to_string(&id).unwrap_or_default();
                    request.extend_from_slice(members.as_bytes());
                    request.extend_from_slice(format!("{comma}\"requestId\":{id}}}").as_bytes());
                }
                _ => request.extend_from_slice(text.as_bytes()),
            }
            range = start..request.len();
        }
        request.push(b'}');
        Ok(Self {
            method: Cow::Owned(name.to_owned()),
            request: request.into(),
            params: range,
            spec,
        })
    }

    /// The params as a JSON value, for a transport that writes the request itself.
    pub(crate) fn params(&self) -> Option<Box<RawValue>> {
        let text = self.params_text()?;
        RawValue::from_string(text.to_owned()).ok()
    }

    fn params_text(&self) -> Option<&str> {
        if self.params.is_empty() {
            return None;
        }
        std::str::from_utf8(&self.request[self.params.clone()]).ok()
    }

    /// Whether the call may be sent again after a reply to it was lost: it leaves the store as one
    /// call does by its nature, or the daemon knows the repeat by its id.
    ///
    /// `ifRevision` makes an idempotent call a different one the second time, since the first changed
    /// the revision. It is looked for in the text, wherever it stands; where a value of the caller's
    /// holds the word, a call that could be repeated is not, which is the safe way to be wrong.
    pub(crate) fn is_repeatable(&self) -> bool {
        let Some(spec) = self.spec else { return false };
        let params = self.params_text().unwrap_or("{}");
        if params.starts_with('[') {
            return spec.idempotent
                && !spec.param_names.contains(&"ifRevision")
                && !params.contains("\"ifRevision\"");
        }
        (spec.takes_request_id() && !lacks_request_id(params))
            || (spec.idempotent && !params.contains("\"ifRevision\""))
    }

    /// Whether the call can change anything.
    pub(crate) fn only_reads(&self) -> bool {
        self.spec.is_some_and(|spec| matches!(spec.access, Access::Read | Access::Public))
    }
}

fn head(method: &str) -> Result<Vec<u8>, ClientError> {
    let name =
        serde_json::to_string(method).map_err(|error| ClientError::Params(error.to_string()))?;
    Ok(format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":{name}").into_bytes())
}

/// Whether these are params by name without a `requestId`.
fn lacks_request_id(params: &str) -> bool {
    let members = serde_json::from_str::<BTreeMap<String, &RawValue>>(params);
    members.is_ok_and(|members| members.get("requestId").is_none_or(|id| id.get() == "null"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(name: &str, params: Option<&str>) -> Prepared {
        Prepared::raw(name, params, &RequestIds::new().unwrap()).unwrap()
    }

    #[test]
    fn raw_params_keep_their_text_and_gain_an_id() {
        let call = raw("preferences.set", Some(r#" { "key":"a", "value": {"b":1.0} } "#));
        let text = call.params().unwrap().get().to_owned();
        assert!(text.starts_with(r#"{ "key":"a", "value": {"b":1.0},"requestId":""#), "{text}");
        serde_json::from_str::<serde_json::Value>(&text).unwrap();
        serde_json::from_slice::<serde_json::Value>(&call.request).unwrap();

        let own = r#"{"key":"a","value":1,"requestId":"mine"}"#;
        assert_eq!(raw("preferences.set", Some(own)).params().unwrap().get(), own);
        assert!(
            raw("preferences.set", Some("{}"))
                .params()
                .unwrap()
                .get()
                .starts_with(r#"{"requestId":"#)
        );
        assert_eq!(
            raw("preferences.get", Some(r#"{"key":"a"}"#)).params().unwrap().get(),
            r#"{"key":"a"}"#
        );
        assert!(raw("status.get", None).params().is_none());
        assert!(Prepared::raw("status.get", Some("{"), &RequestIds::new().unwrap()).is_err());
    }

    #[test]
    fn what_may_be_repeated() {
        let yes =
            |name, params| assert!(raw(name, Some(params)).is_repeatable(), "{name} {params}");
        let no =
            |name, params| assert!(!raw(name, Some(params)).is_repeatable(), "{name} {params}");
        yes("preferences.get", r#"{"key":"a"}"#);
        yes("preferences.get", r#"["a"]"#);
        yes("preferences.set", r#"{"key":"a","value":1,"ifRevision":4}"#);
        no("preferences.set", r#"["a",1,4]"#);
        no("tomorrow.invent", "{}");
        yes("system_shutdown", "{}");
        // Each makes another secret; an id that they don't take would not make the daemon know them.
        for id in ["{}", r#"{"requestId":"mine"}"#, "[]"] {
            no("auth.createToken", id);
            no("auth_createToken", id);
            no("auth.rotateOwnerToken", id);
        }
        yes("auth.revokeToken", r#"{"tokenId":"5f0c7a3be1d24896"}"#);
        yes("auth.openSocket", r#"{"componentId":"a"}"#);
    }
}
