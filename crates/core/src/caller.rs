//! Who calls: an argument of every operation.

use osnova_storage_api::wire::{ComponentId, Scope};
use osnova_storage_api::{Access, ApiError, MethodSpec, Visibility};

use crate::error::{Result, StoreError};

/// What a component's credential may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scopes {
    /// All that a component may, in this version and in later ones.
    All,
    /// What these scopes name.
    Only(Vec<Scope>),
}

impl Scopes {
    /// Whether they allow what the method does. Methods that are the owner's alone are not asked here.
    fn allow(&self, spec: &MethodSpec) -> bool {
        match (spec.access, self) {
            (Access::Public, _) => true,
            (Access::Admin, _) => false,
            (Access::Read | Access::Write, Scopes::All) => true,
            (Access::Read | Access::Write, Scopes::Only(scopes)) => {
                scopes.iter().any(|scope| scope.allows(spec))
            }
        }
    }

    /// What both allow.
    #[must_use]
    pub fn and(&self, other: &Scopes) -> Scopes {
        match (self, other) {
            (Scopes::All, narrower) | (narrower, Scopes::All) => narrower.clone(),
            (Scopes::Only(these), Scopes::Only(those)) => {
                Scopes::Only(these.iter().filter(|scope| those.contains(scope)).cloned().collect())
            }
        }
    }

    /// The scopes where they are few; `None` where they are all.
    pub fn listed(&self) -> Option<&[Scope]> {
        match self {
            Scopes::All => None,
            Scopes::Only(scopes) => Some(scopes),
        }
    }
}

impl From<Option<Vec<Scope>>> for Scopes {
    fn from(listed: Option<Vec<Scope>>) -> Self {
        listed.map_or(Scopes::All, Scopes::Only)
    }
}

/// Whoever makes a call, as the server found out; never from params.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// The user the daemon runs for: sees everything.
    Owner,
    /// A component: sees what is its own or shared.
    Component {
        /// Its id, out of its credential.
        id: ComponentId,
        /// What it may do.
        scopes: Scopes,
    },
}

impl Caller {
    /// Whether it is the owner.
    pub fn is_owner(&self) -> bool {
        matches!(self, Caller::Owner)
    }

    /// Under which name the caller holds things in the database: the component's id, for the owner
    /// the empty text, which no component has.
    pub fn holder(&self) -> &str {
        match self {
            Caller::Owner => "",
            Caller::Component { id, .. } => id.as_str(),
        }
    }

    /// Whose things a call on a component's own things is about: a component's own, or those of the one
    /// that the owner names.
    ///
    /// # Errors
    /// `validation_error` where the owner names none; `not_found`, as of a `what` that is absent, where a
    /// component names another.
    pub fn own<'a>(
        &'a self,
        named: Option<&'a ComponentId>,
        what: &str,
    ) -> Result<&'a ComponentId> {
        match (self, named) {
            (Caller::Owner, Some(id)) => Ok(id),
            (Caller::Owner, None) => {
                Err(ApiError::field("componentId", "is required of the owner").into())
            }
            (Caller::Component { id, .. }, Some(other)) if other != id => {
                Err(StoreError::not_found(what))
            }
            (Caller::Component { id, .. }, _) => Ok(id),
        }
    }

    /// Whose a record is to be: the calling component's; the owner says whose, or his own.
    ///
    /// # Errors
    /// `not_found`, as of a `what` that is absent, where a component names another.
    pub fn of_record<'a>(
        &'a self,
        named: Option<&'a ComponentId>,
        what: &str,
    ) -> Result<Option<&'a ComponentId>> {
        match self {
            Caller::Owner => Ok(named),
            Caller::Component { .. } => self.own(named, what).map(Some),
        }
    }

    /// Whether he sees what is a component's own, or the owner's (`None`): the owner sees everything.
    pub fn sees(&self, component: Option<&ComponentId>) -> bool {
        match self {
            Caller::Owner => true,
            Caller::Component { id, .. } => component == Some(id),
        }
    }

    /// Whether the caller may call the method at all: the one place where scope and visibility are
    /// decided. What he then sees is decided by the operation.
    pub fn may_call(&self, spec: &MethodSpec) -> bool {
        match self {
            Caller::Owner => true,
            Caller::Component { scopes, .. } => {
                spec.visibility != Visibility::Owner && scopes.allow(spec)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use osnova_storage_api::{ErrorCode, all_methods};

    use super::*;

    fn component(scopes: Scopes) -> Caller {
        Caller::Component { id: "org.example.weather".parse().unwrap(), scopes }
    }

    fn callable(caller: &Caller) -> Vec<&'static str> {
        all_methods().filter(|spec| caller.may_call(spec)).map(|spec| spec.name).collect()
    }

    #[test]
    fn a_component_calls_only_what_its_scopes_name() {
        let scopes = ["blobs:read", "preferences:read"].map(|scope| scope.parse().unwrap());
        // preferences are the owner's, whatever the scopes say.
        assert_eq!(
            callable(&component(Scopes::Only(scopes.to_vec()))),
            [
                "blobs.get",
                "blobs.stat",
                "blobs.has",
                "blobs.list",
                "blobs.usage",
                "blobs.uploadStatus",
                "blobs.listUploads",
                "batch.apply",
                "auth.whoami",
                "rpc.discover"
            ]
        );
        assert_eq!(
            callable(&component(Scopes::Only(Vec::new()))),
            ["batch.apply", "auth.whoami", "rpc.discover"]
        );
        assert_eq!(callable(&Caller::Owner).len(), all_methods().count());
        for name in callable(&component(Scopes::All)) {
            let spec = all_methods().find(|spec| spec.name == name).unwrap();
            assert_ne!(
                (spec.visibility, spec.access),
                (Visibility::Owner, Access::Admin),
                "{name}"
            );
        }
    }

    #[test]
    fn own_things_are_the_callers_or_those_of_whom_the_owner_names() {
        let (weather, other) =
            ("org.example.weather".parse().unwrap(), "org.example.other".parse().unwrap());
        let component = component(Scopes::All);
        let code = |result: Result<&ComponentId>| result.unwrap_err().to_api().code();
        assert_eq!(component.own(None, "key").unwrap(), &weather);
        assert_eq!(component.own(Some(&weather), "key").unwrap(), &weather);
        assert_eq!(code(component.own(Some(&other), "key")), ErrorCode::NotFound);
        assert_eq!(Caller::Owner.own(Some(&other), "key").unwrap(), &other);
        assert_eq!(code(Caller::Owner.own(None, "key")), ErrorCode::ValidationError);
        let of_record = |caller: &Caller, named| {
            caller.of_record(named, "key").map(Option::<&ComponentId>::cloned)
        };
        assert_eq!(of_record(&component, None).unwrap(), Some(weather.clone()));
        assert!(of_record(&component, Some(&other)).is_err());
        assert_eq!(of_record(&Caller::Owner, None).unwrap(), None);
        assert_eq!(of_record(&Caller::Owner, Some(&other)).unwrap(), Some(other.clone()));
        assert!(component.sees(Some(&weather)));
        assert!(!component.sees(Some(&other)) && !component.sees(None));
        assert!(Caller::Owner.sees(Some(&other)) && Caller::Owner.sees(None));
    }

    #[test]
    fn scopes_narrow_each_other() {
        let only =
            |texts: &[&str]| Scopes::Only(texts.iter().map(|text| text.parse().unwrap()).collect());
        let few = only(&["blobs:read", "blobs:write"]);
        assert_eq!(few.and(&Scopes::All), few);
        assert_eq!(Scopes::All.and(&few), few);
        assert_eq!(few.and(&only(&["blobs:read", "vault:read"])), only(&["blobs:read"]));
        assert_eq!(Scopes::All.and(&Scopes::All), Scopes::All);
    }
}
