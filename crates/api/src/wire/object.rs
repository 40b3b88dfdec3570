//! Objects of the wire: the [`Wire`] trait, the parser of params, and the macros that define types.
//!
//! [`wire_object!`] takes a struct and gives it everything a params or input type needs. For
//!
//! ```text
//! wire_object! {
//!     /// What `preferences.get` takes.
//!     pub struct GetParams {
//!         /// The key to read.
//!         pub key: PreferenceKey,
//!     }
//! }
//! ```
//!
//! it writes the struct with `Serialize` (the client sends it) and `JsonSchema` (the document shows
//! it), both with lowerCamelCase names and absent options left out, and implements [`WireObject`]:
//! the list of wire names in their documented order, and the parser that reads each field, notes
//! what is wrong with every one of them, and refuses unknown names.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::{ApiError, ErrorCode};

/// Where a value stands in the params: `component.blobs.binary`.
#[derive(Clone, Copy)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    name: &'a str,
}

impl<'a> Path<'a> {
    /// The path of the params themselves.
    pub const ROOT: Path<'static> = Path { parent: None, name: "" };

    /// The path of the member `name` of this value.
    pub fn member(&'a self, name: &'a str) -> Path<'a> {
        Path { parent: Some(self), name }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parent {
            Some(parent) if parent.parent.is_some() => write!(f, "{parent}.{}", self.name),
            _ => f.write_str(self.name),
        }
    }
}

/// What is wrong with the params so far: each bad field by its path.
#[derive(Debug, Default)]
pub struct FieldErrors(BTreeMap<String, String>);

/// More bad fields than this are not listed, so that an answer stays smaller than its request.
const MAX_LISTED_FIELDS: usize = 64;
/// A field name of the caller's is cut to this many characters before it is said back.
const MAX_ECHOED_NAME: usize = 64;

impl FieldErrors {
    /// Notes that the value at `path` is bad. The reason must not repeat the value.
    pub fn add(&mut self, path: &Path<'_>, why: impl Into<String>) {
        if self.0.len() < MAX_LISTED_FIELDS {
            let path: String = path.to_string().chars().take(MAX_ECHOED_NAME * 4).collect();
            self.0.entry(path).or_insert_with(|| why.into());
        }
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A value of the wire that can be parsed from params.
pub trait Wire: Sized {
    /// Parses the value, or notes in `errors` what is wrong with it and returns `None`.
    fn from_wire(raw: &RawValue, path: &Path<'_>, errors: &mut FieldErrors) -> Option<Self>;

    /// The value where the member is left out: an error, but for options.
    fn when_absent(path: &Path<'_>, errors: &mut FieldErrors) -> Option<Self> {
        errors.add(path, "is required");
        None
    }

    /// Whether the value is left out when it is sent.
    fn is_absent(&self) -> bool {
        false
    }
}

impl<T: Wire> Wire for Option<T> {
    fn from_wire(raw: &RawValue, path: &Path<'_>, errors: &mut FieldErrors) -> Option<Self> {
        match raw.get() {
            "null" => Some(None),
            _ => T::from_wire(raw, path, errors).map(Some),
        }
    }

    fn when_absent(_: &Path<'_>, _: &mut FieldErrors) -> Option<Self> {
        Some(None)
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl Wire for bool {
    fn from_wire(raw: &RawValue, path: &Path<'_>, errors: &mut FieldErrors) -> Option<Self> {
        match raw.get() {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                errors.add(path, "must be true or false");
                None
            }
        }
    }
}

/// The most entries a list or a map in params may have.
const MAX_ENTRIES: usize = 1000;

impl<T: Wire> Wire for Vec<T> {
    fn from_wire(raw: &RawValue, path: &Path<'_>, errors: &mut FieldErrors) -> Option<Self> {
        let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(raw.get()) else {
            errors.add(path, "must be an array");
            return None;
        };
        if items.len() > MAX_ENTRIES {
            errors.add(path, format!("must have at most {MAX_ENTRIES} items"));
            return None;
        }
        let mut good = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let name = index.to_string();
            good.extend(T::from_wire(item, &path.member(&name), errors));
        }
        (good.len() == items.len()).then_some(good)
    }
}

impl<V: Wire> Wire for BTreeMap<super::Role, V> {
    fn from_wire(raw: &RawValue, path: &Path<'_>, errors: &mut FieldErrors) -> Option<Self> {
        let object = RawObject::parse(raw, path, errors)?;
        if object.0.len() > MAX_ENTRIES {
            errors.add(path, format!("must have at most {MAX_ENTRIES} entries"));
            return None;
        }
        let mut good = BTreeMap::new();
        let mut all_good = true;
        for (name, value) in &object.0 {
            let at = path.member(echoed(name));
            let role = match super::Role::try_from(name.clone().into_owned()) {
                Ok(role) => Some(role),
                Err(why) => {
                    errors.add(&at, why);
                    None
                }
            };
            match (role, V::from_wire(value, &at, errors)) {
                (Some(role), Some(value)) => {
                    good.insert(role, value);
                }
                _ => all_good = false,
            }
        }
        all_good.then_some(good)
    }
}

/// A caller's own name for something, cut so that it can be said back.
fn echoed(name: &str) -> &str {
    match name.char_indices().nth(MAX_ECHOED_NAME) {
        Some((end, _)) => &name[..end],
        None => name,
    }
}

/// The members of a JSON object, each still as text.
pub struct RawObject<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> RawObject<'a> {
    /// Reads the members of an object; a name that stands twice is an error.
    pub fn parse(raw: &'a RawValue, path: &Path<'_>, errors: &mut FieldErrors) -> Option<Self> {
        let Ok(object) = serde_json::from_str::<RawObject<'a>>(raw.get()) else {
            errors.add(path, "must be an object");
            return None;
        };
        let mut names: Vec<&str> = object.0.iter().map(|(name, _)| name.as_ref()).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            errors.add(&path.member(echoed(twice[0])), "stands more than once");
            return None;
        }
        Some(object)
    }

    /// Takes the value of the member `name` out.
    pub fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let position = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.swap_remove(position).1)
    }

    /// Notes every member that was not taken as unknown.
    pub fn refuse_rest(&self, path: &Path<'_>, errors: &mut FieldErrors) {
        for (name, _) in &self.0 {
            errors.add(&path.member(echoed(name)), "is unknown");
        }
    }
}

impl<'de> Deserialize<'de> for RawObject<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = RawObject<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(Key(name)) = map.next_key()? {
                    members.push((name, map.next_value()?));
                }
                Ok(RawObject(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// A member's name, borrowed where it holds no escapes (`Cow` alone would always copy).
#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// Why params were refused.
#[derive(Debug)]
pub enum ParamsError {
    /// `params` is neither an object nor an array.
    NotStructured,
    /// These fields are bad.
    Fields(FieldErrors),
}

impl From<ParamsError> for ApiError {
    fn from(error: ParamsError) -> Self {
        match error {
            ParamsError::NotStructured => {
                ApiError::new(ErrorCode::InvalidParams, "params must be an object or an array")
            }
            ParamsError::Fields(fields) => ApiError::validation(fields.0),
        }
    }
}

/// An object whose members are known: params, or a record inside them.
pub trait WireObject: Sized {
    /// The wire names of the members, in their documented order.
    const FIELDS: &'static [&'static str];

    /// Reads the members; notes what is wrong with each.
    fn from_members(
        members: &mut RawObject<'_>,
        path: &Path<'_>,
        errors: &mut FieldErrors,
    ) -> Option<Self>;

    /// Reads params by name (an object), by position (an array in the order of
    /// [`FIELDS`](Self::FIELDS)), or none at all.
    fn from_params(params: Option<&str>) -> Result<Self, ParamsError> {
        let mut errors = FieldErrors::default();
        let text = params.map_or("{}", str::trim_ascii);
        let parsed = match text.as_bytes().first() {
            Some(b'{') => parse_object(text, &mut errors),
            Some(b'[') => parse_array(text, &mut errors),
            _ if text == "null" => parse_object("{}", &mut errors),
            _ => return Err(ParamsError::NotStructured),
        };
        match parsed {
            Some(params) if errors.is_empty() => Ok(params),
            _ => Err(ParamsError::Fields(errors)),
        }
    }
}

fn parse_object<T: WireObject>(text: &str, errors: &mut FieldErrors) -> Option<T> {
    // The library hands over text that it has parsed, so this fails only on a text nested too deep.
    let Ok(raw) = serde_json::from_str::<&RawValue>(text) else {
        errors.add(&Path::ROOT.member("params"), "can't be read");
        return None;
    };
    let mut members = RawObject::parse(raw, &Path::ROOT, errors)?;
    let parsed = T::from_members(&mut members, &Path::ROOT, errors);
    members.refuse_rest(&Path::ROOT, errors);
    parsed
}

fn parse_array<T: WireObject>(text: &str, errors: &mut FieldErrors) -> Option<T> {
    let Ok(values) = serde_json::from_str::<Vec<&RawValue>>(text) else {
        errors.add(&Path::ROOT.member("params"), "can't be read");
        return None;
    };
    for surplus in T::FIELDS.len()..values.len().min(T::FIELDS.len() + MAX_LISTED_FIELDS) {
        errors.add(&Path::ROOT.member(&surplus.to_string()), "is one parameter too many");
    }
    let named = T::FIELDS.iter().zip(values);
    // By position a null stands for "left out", since there is no other way to skip a parameter;
    // a required JSON value still takes it as the value null, for it is parsed as a member here.
    let mut members = RawObject(named.map(|(name, value)| (Cow::Borrowed(*name), value)).collect());
    T::from_members(&mut members, &Path::ROOT, errors)
}

/// A Rust field name in lowerCamelCase, as serde's `rename_all = "camelCase"` makes it.
///
/// Returns a buffer and how much of it is used, for it runs at compile time.
pub const fn camel_case(name: &str) -> ([u8; 64], usize) {
    let bytes = name.as_bytes();
    let mut out = [0; 64];
    // A raw identifier (`r#type`) stands for the plain word.
    let raw = bytes.len() > 2 && bytes[0] == b'r' && bytes[1] == b'#';
    let (mut from, mut to) = (if raw { 2 } else { 0 }, 0);
    let mut upper = false;
    while from < bytes.len() {
        if bytes[from] == b'_' {
            upper = true;
        } else {
            out[to] = if upper { bytes[from].to_ascii_uppercase() } else { bytes[from] };
            upper = false;
            to += 1;
        }
        from += 1;
    }
    (out, to)
}

/// The lowerCamelCase wire name of a field, as a constant.
macro_rules! wire_name {
    ($field:ident) => {{
        const NAME: &str = {
            const BUFFER: ([u8; 64], usize) = $crate::wire::camel_case(stringify!($field));
            match std::str::from_utf8(BUFFER.0.split_at(BUFFER.1).0) {
                Ok(name) => name,
                Err(_) => panic!("field names are ASCII"),
            }
        };
        NAME
    }};
}
pub(crate) use wire_name;

/// Defines an object of the wire; see the [module](self) for what it expands to.
macro_rules! wire_object {
    (
        $(#[$meta:meta])*
        pub struct $Name:ident {
            $( $(#[doc = $doc:literal])+ pub $field:ident: $Type:ty ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, serde::Serialize, schemars::JsonSchema)]
        #[serde(rename_all = "camelCase")]
        #[schemars(deny_unknown_fields)]
        pub struct $Name {
            $(
                $(#[doc = $doc])+
                #[serde(skip_serializing_if = "crate::wire::Wire::is_absent")]
                pub $field: $Type,
            )*
        }

        impl $crate::wire::WireObject for $Name {
            const FIELDS: &'static [&'static str] =
                &[$( $crate::wire::wire_name!($field) ),*];

            fn from_members(
                members: &mut $crate::wire::RawObject<'_>,
                path: &$crate::wire::Path<'_>,
                errors: &mut $crate::wire::FieldErrors,
            ) -> Option<Self> {
                $(
                    let name = $crate::wire::wire_name!($field);
                    let at = path.member(name);
                    let $field: Option<$Type> = match members.take(name) {
                        Some(raw) => $crate::wire::Wire::from_wire(raw, &at, errors),
                        None => $crate::wire::Wire::when_absent(&at, errors),
                    };
                )*
                let _ = (members, path, errors);
                Some($Name { $( $field: $field? ),* })
            }
        }

        impl $crate::wire::Wire for $Name {
            fn from_wire(
                raw: &serde_json::value::RawValue,
                path: &$crate::wire::Path<'_>,
                errors: &mut $crate::wire::FieldErrors,
            ) -> Option<Self> {
                let mut members = $crate::wire::RawObject::parse(raw, path, errors)?;
                let parsed = <$Name as $crate::wire::WireObject>::from_members(&mut members, path, errors);
                members.refuse_rest(path, errors);
                parsed
            }
        }
    };
}
pub(crate) use wire_object;

/// Defines an enumeration of the wire: its variants are words, and anything else is refused with
/// the list of those that are taken.
macro_rules! wire_enum {
    (
        $(#[$meta:meta])*
        pub enum $Name:ident { $( $(#[doc = $doc:literal])+ $Variant:ident = $word:literal ),+ $(,)? }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        pub enum $Name { $( $(#[doc = $doc])+ #[serde(rename = $word)] $Variant ),+ }

        impl $Name {
            /// The word on the wire and in the database.
            pub const fn as_str(self) -> &'static str {
                match self { $( $Name::$Variant => $word ),+ }
            }

            /// The variant of this word.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $( $word => Some($Name::$Variant), )+ _ => None }
            }
        }

        impl $crate::wire::Wire for $Name {
            fn from_wire(
                raw: &serde_json::value::RawValue,
                path: &$crate::wire::Path<'_>,
                errors: &mut $crate::wire::FieldErrors,
            ) -> Option<Self> {
                let word = serde_json::from_str::<String>(raw.get()).unwrap_or_default();
                let known = Self::from_word(&word);
                if known.is_none() {
                    errors.add(path, concat!("must be one of:", $( " ", $word ),+));
                }
                known
            }
        }
    };
}
pub(crate) use wire_enum;
