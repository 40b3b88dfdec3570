//! Scopes: what a component's credential may carry.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::{FieldErrors, Path, Wire};
use crate::method::{Access, MethodSpec, Visibility};

/// What a component may do: `storage:read`, `blobs:write`.
///
/// In params only a scope of a method that components may call is taken. One that is read back may be
/// of another version of the contract; it then allows nothing that this version has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Scope(String);

impl Scope {
    /// Every scope that a component's credential may carry, in the order of the document.
    pub fn all() -> Vec<Scope> {
        let mut scopes = Vec::new();
        for spec in crate::all_methods().filter(|spec| spec.visibility != Visibility::Owner) {
            if matches!(spec.access, Access::Read | Access::Write)
                && let Some(scope) = spec.scope().map(Scope)
                && !scopes.contains(&scope)
            {
                scopes.push(scope);
            }
        }
        scopes
    }

    /// Whether it is the scope that a method asks for.
    pub fn allows(&self, spec: &MethodSpec) -> bool {
        self.0.split_once(':').is_some_and(|(namespace, verb)| {
            namespace == spec.namespace() && Some(verb) == spec.access.verb()
        })
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Scope {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let known = text.split_once(':').is_some_and(|(namespace, verb)| {
            !namespace.is_empty()
                && namespace.bytes().all(|byte| byte.is_ascii_alphanumeric())
                && matches!(verb, "read" | "write")
        });
        if known {
            Ok(Self(text))
        } else {
            Err("must be <namespace>:read or <namespace>:write".to_owned())
        }
    }
}

impl std::str::FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::try_from(text.to_owned())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl Wire for Scope {
    fn from_wire(raw: &RawValue, path: &Path<'_>, errors: &mut FieldErrors) -> Option<Self> {
        let text = serde_json::from_str::<String>(raw.get()).ok();
        let scope = text.and_then(|text| Self::all().into_iter().find(|scope| scope.0 == text));
        if scope.is_none() {
            errors.add(path, "must be the scope of a method that components may call");
        }
        scope
    }
}

impl JsonSchema for Scope {
    fn schema_name() -> Cow<'static, str> {
        "Scope".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[a-zA-Z0-9]+:(read|write)$",
            "description": "What a component may do: the namespace of a method and read or write, as in `blobs:read`."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_those_of_methods_that_components_may_call() {
        let all = Scope::all();
        let known = |text: &str| all.iter().any(|scope| scope.as_str() == text);
        assert!(known("blobs:read") && known("blobs:write") && known("components:read"));
        assert!(!known("preferences:read"), "preferences are the owner's");
        assert!(!known("admin"));
        let get = crate::all_methods().find(|spec| spec.name == "blobs.get").unwrap();
        let allows = |text: &str| text.parse::<Scope>().unwrap().allows(get);
        assert!(allows("blobs:read"));
        assert!(!allows("blobs:write") && !allows("blob:read") && !allows("storage:read"));
        for bad in ["", "admin", "blobs", "blobs:", ":read", "blobs:admin", "blobs:read ", "*:read"]
        {
            assert!(bad.parse::<Scope>().is_err(), "{bad}");
        }
    }
}
