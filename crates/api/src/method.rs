//! What a method is, and the one macro that defines methods.
//!
//! [`methods!`](crate::method::methods) stands once in the file of each namespace. An entry such as
//!
//! ```text
//! methods! {
//!     "Settings of the shell and the user.";
//!
//!     /// Reads one preference.
//!     ///
//!     /// Answers `not_found` where the key was never set.
//!     Get = "preferences.get" {
//!         params: GetParams,
//!         result: Preference,
//!         access: Access::Read,
//!         visibility: Visibility::Owner,
//!         idempotent: true,
//!         errors: [NotFound],
//!         examples: [Example { name: "...", params: r#"{...}"#, result: r#"{...}"# }],
//!     }
//! }
//! ```
//!
//! expands to
//!
//! - `pub const SUMMARY: &str`, the sentence about the namespace;
//! - `pub struct Get;` with the doc comment, and its [`Method`] implementation, which ties the params
//!   type and the result type together: the server registers handlers by this type and the client
//!   calls by it, so neither can disagree with the other about either;
//! - an entry of `pub const METHODS: &[MethodSpec]`, from which come the document, the access rule and
//!   the list that the server's registration is checked against: a method that is defined and not
//!   served, or the reverse, stops the daemon's tests and the daemon itself at start.

use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::ErrorCode;
use crate::openrpc::ParamDoc;
use crate::wire::{RequestId, WireObject};

/// What a credential must carry to call a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing but to be let in.
    Public,
    /// The scope `<namespace>:read`.
    Read,
    /// The scope `<namespace>:write`.
    Write,
    /// The scope `admin`.
    Admin,
}

impl Access {
    /// The part of a scope after the colon, where there is one.
    pub const fn verb(self) -> Option<&'static str> {
        match self {
            Access::Read => Some("read"),
            Access::Write => Some("write"),
            Access::Public | Access::Admin => None,
        }
    }
}

/// Whose things a method shows, to a caller that is not the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// Only what belongs to the calling component.
    Own,
    /// Everyone's, to read.
    Shared,
    /// Nothing: only the owner may call it.
    Owner,
}

impl Visibility {
    /// The word in `x-visibility`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Visibility::Own => "own",
            Visibility::Shared => "shared",
            Visibility::Owner => "owner",
        }
    }
}

/// An example call, really made by a test on the example data root.
#[derive(Debug, Clone, Copy)]
pub struct Example {
    /// What it shows, in a few words.
    pub name: &'static str,
    /// The params, by name, as JSON.
    pub params: &'static str,
    /// An answer it may get, as JSON; times, revisions and the like differ from run to run.
    pub result: &'static str,
}

/// Everything that is known of a method without its types.
#[derive(Debug, Clone, Copy)]
pub struct MethodSpec {
    /// `namespace.verb`.
    pub name: &'static str,
    /// The lines of its doc comment: the first paragraph is the summary.
    pub doc: &'static [&'static str],
    /// What the caller must be allowed.
    pub access: Access,
    /// Whose things it shows.
    pub visibility: Visibility,
    /// Whether calling it twice with the same params leaves the store as calling it once does.
    pub idempotent: bool,
    /// The errors of its own, beside those that every method may answer.
    pub errors: &'static [ErrorCode],
    /// Example calls, at least one.
    pub examples: &'static [Example],
    /// The wire names of its params in positional order.
    pub param_names: &'static [&'static str],
    /// The schemas of its params, in the same order.
    pub param_docs: fn(&mut SchemaGenerator) -> Vec<ParamDoc>,
    /// The schema of its result.
    pub result_schema: fn(&mut SchemaGenerator) -> schemars::Schema,
}

impl MethodSpec {
    /// The part before the dot.
    pub fn namespace(&self) -> &'static str {
        self.name.split('.').next().unwrap_or(self.name)
    }

    /// The scope a credential needs; none where the method is public.
    pub fn scope(&self) -> Option<String> {
        match self.access {
            Access::Admin => Some("admin".to_owned()),
            access => access.verb().map(|verb| format!("{}:{verb}", self.namespace())),
        }
    }

    /// The first paragraph of the doc comment, in one line.
    pub fn summary(&self) -> String {
        let first = self.doc.iter().take_while(|line| !line.trim().is_empty());
        first.map(|line| line.trim()).collect::<Vec<_>>().join(" ")
    }

    /// The doc comment after its first paragraph, or the summary where there is no more.
    pub fn description(&self) -> String {
        let rest = self.doc.iter().skip_while(|line| !line.trim().is_empty());
        let text = rest.map(|line| line.trim()).collect::<Vec<_>>().join("\n");
        let text = text.trim();
        if text.is_empty() { self.summary() } else { text.to_owned() }
    }

    /// Whether it takes a `requestId`, so that it may be repeated whatever it does.
    pub fn takes_request_id(&self) -> bool {
        self.param_names.contains(&"requestId")
    }
}

/// A method: its name, what it takes and what it answers. Implemented by [`methods!`] only.
pub trait Method: 'static {
    /// What is known of it without its types.
    const SPEC: MethodSpec;
    /// What it takes.
    type Params: WireObject + Serialize + RequestIdentity + Clone + Send + Sync + 'static;
    /// What it answers.
    type Result: Serialize + DeserializeOwned + JsonSchema + Clone + Send + 'static;
}

/// Params that may carry a `requestId`: under it a success is stored, and a repeat gets it again.
pub trait RequestIdentity {
    /// The id the caller gave.
    fn request_id(&self) -> Option<&RequestId> {
        None
    }

    /// Whether they hold a value that is stored sealed: then not even a plain hash of them may be kept,
    /// from which a short value could be guessed.
    fn hold_sealed_values(&self) -> bool {
        false
    }

    /// How many records they may change: more than one where they hold a list of them.
    fn records(&self) -> usize {
        1
    }

    /// Gives the request an id, where the method takes one and the caller gave none.
    fn set_request_id(&mut self, _id: RequestId) {}
}

/// Marks params types that take no `requestId`.
macro_rules! no_request_id {
    ($( $Name:ty ),+ $(,)?) => { $( impl $crate::method::RequestIdentity for $Name {} )+ };
}
pub(crate) use no_request_id;

/// Marks params types with a field `request_id: Option<RequestId>`; after `sealed:` such as hold values
/// that are stored sealed. A type is followed by its list of records, where it has one: `PutMany [items]`.
macro_rules! with_request_id {
    (sealed: $( $Name:ident $( [$items:ident] )? ),+ $(,)?) => {
        $crate::method::with_request_id!(@ true, $( $Name $( [$items] )? ),+);
    };
    (@ $sealed:literal, $( $Name:ident $( [$items:ident] )? ),+) => { $(
        impl $crate::method::RequestIdentity for $Name {
            fn request_id(&self) -> Option<&$crate::wire::RequestId> {
                self.request_id.as_ref()
            }

            fn hold_sealed_values(&self) -> bool {
                $sealed
            }

            $(
                fn records(&self) -> usize {
                    self.$items.len()
                }
            )?

            fn set_request_id(&mut self, id: $crate::wire::RequestId) {
                self.request_id.get_or_insert(id);
            }
        }
    )+ };
    ($( $Name:ident $( [$items:ident] )? ),+ $(,)?) => {
        $crate::method::with_request_id!(@ false, $( $Name $( [$items] )? ),+);
    };
}
pub(crate) use with_request_id;

/// Defines the methods of a namespace; see the [module](self) for what it expands to.
macro_rules! methods {
    (
        $summary:literal;
        $(
            $(#[doc = $doc:literal])+
            $Name:ident = $name:literal {
                params: $Params:ty,
                result: $Result:ty,
                access: $access:expr,
                visibility: $visibility:expr,
                idempotent: $idempotent:literal,
                errors: [$( $error:ident ),* $(,)?],
                examples: [$( $example:expr ),+ $(,)?] $(,)?
            }
        )+
    ) => {
        /// What the namespace is for.
        pub const SUMMARY: &str = $summary;

        /// The methods of the namespace.
        pub const METHODS: &[$crate::method::MethodSpec] =
            &[$( <$Name as $crate::method::Method>::SPEC ),+];

        $(
            $(#[doc = $doc])+
            #[derive(Debug, Clone, Copy)]
            pub struct $Name;

            impl $crate::method::Method for $Name {
                const SPEC: $crate::method::MethodSpec = $crate::method::MethodSpec {
                    name: $name,
                    doc: &[$( $doc ),+],
                    access: $access,
                    visibility: $visibility,
                    idempotent: $idempotent,
                    errors: &[$( $crate::error::ErrorCode::$error ),*],
                    examples: &[$( $example ),+],
                    param_names: <$Params as $crate::wire::WireObject>::FIELDS,
                    param_docs: $crate::openrpc::param_docs::<$Params>,
                    result_schema: $crate::openrpc::schema_of::<$Result>,
                };
                type Params = $Params;
                type Result = $Result;
            }
        )+
    };
}
pub(crate) use methods;
