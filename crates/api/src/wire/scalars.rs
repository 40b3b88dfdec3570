//! Scalar values of the wire: texts with their bounds, integers, times, secrets.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::{FieldErrors, Path, Wire};
use crate::error::MAX_SAFE_INTEGER;

/// Parses a JSON string and hands it to `parse`; notes what is wrong.
fn string_from_wire<T>(
    raw: &RawValue,
    path: &Path<'_>,
    errors: &mut FieldErrors,
    parse: impl FnOnce(String) -> Result<T, String>,
) -> Option<T> {
    let parsed = match serde_json::from_str::<String>(raw.get()) {
        Ok(text) => parse(text),
        Err(_) => Err("must be a string".to_owned()),
    };
    match parsed {
        Ok(value) => Some(value),
        Err(why) => {
            errors.add(path, why);
            None
        }
    }
}

/// Defines a text with bounds on its length in characters and, where given, on its characters.
macro_rules! text_type {
    (
        $(#[doc = $doc:literal])+
        pub struct $Name:ident, $min:literal ..= $max:literal, $allowed:expr, $what:literal
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $Name(String);

        impl $Name {
            /// The longest text, in characters.
            pub const MAX_CHARS: usize = $max;

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $Name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                let allowed: fn(char) -> bool = $allowed;
                let length = text.chars().count();
                if text.contains('\0') {
                    Err("must not hold U+0000".to_owned())
                } else if !text.chars().all(allowed) {
                    Err(concat!("must hold only ", $what).to_owned())
                } else if !($min..=$max).contains(&length) {
                    Err(concat!("must be ", $min, " to ", $max, " characters long").to_owned())
                } else {
                    Ok(Self(text))
                }
            }
        }

        impl FromStr for $Name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$Name> for String {
            fn from(text: $Name) -> String {
                text.0
            }
        }

        impl fmt::Display for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $Name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::try_from(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }

        impl Wire for $Name {
            fn from_wire(raw: &RawValue, path: &Path<'_>, errors: &mut FieldErrors) -> Option<Self> {
                string_from_wire(raw, path, errors, Self::try_from)
            }
        }

        impl JsonSchema for $Name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($Name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string",
                    "minLength": $min,
                    "maxLength": $max,
                    "description": concat!($( $doc ),+).trim()
                })
            }
        }
    };
}

text_type! {
    /// A component's id: any 1 to 256 printable characters (`@scope/name`, `ant://...`).
    pub struct ComponentId, 1..=256, |c| !c.is_control(), "printable characters"
}
text_type! {
    /// A user's id: 1 to 256 printable characters.
    pub struct UserId, 1..=256, |c| !c.is_control(), "printable characters"
}
text_type! {
    /// A name, version, author or the like: 1 to 256 printable characters.
    pub struct Name, 1..=256, |c| !c.is_control(), "printable characters"
}
text_type! {
    /// An application's id: any 1 to 256 printable characters.
    pub struct ApplicationId, 1..=256, |c| !c.is_control(), "printable characters"
}
text_type! {
    /// A key of an application's configuration: 1 to 256 printable characters.
    pub struct ConfigKey, 1..=256, |c| !c.is_control(), "printable characters"
}
text_type! {
    /// A message's id: 1 to 128 printable characters.
    pub struct MessageId, 1..=128, |c| !c.is_control(), "printable characters"
}
text_type! {
    /// A public key as text, in whatever encoding its owner uses: 1 to 8192 printable characters
    /// (an ML-DSA-87 key takes 5184 hexadecimal digits).
    pub struct PublicKey, 1..=8192, |c| !c.is_control(), "printable characters"
}
text_type! {
    /// The hash of a transaction: 1 to 256 printable characters.
    pub struct TransactionHash, 1..=256, |c| !c.is_control(), "printable characters"
}
text_type! {
    /// An address on a network, of a wallet or of a token: 1 to 256 printable characters.
    pub struct Address, 1..=256, |c| !c.is_control(), "printable characters"
}
text_type! {
    /// What is looked for, as a person types it: up to 1024 characters.
    pub struct SearchText, 0..=1024, |_| true, "text"
}
text_type! {
    /// A longer text for people: up to 65536 characters, line breaks allowed.
    pub struct Text, 0..=65536, |_| true, "text"
}
text_type! {
    /// A preference's key: 1 to 256 printable characters.
    pub struct PreferenceKey, 1..=256, |c| !c.is_control(), "printable characters"
}
text_type! {
    /// The key of a component's stored value: 1 to 256 printable characters.
    pub struct StorageKey, 1..=256, |c| !c.is_control(), "printable characters"
}
text_type! {
    /// What a blob is to its record (`binary`, `frontend`, or any name): 1 to 64 printable characters.
    pub struct Role, 1..=64, |c| !c.is_control(), "printable characters"
}
text_type! {
    /// The caller's own id of a request: 1 to 64 printable characters; a repeat gets the first one's answer.
    pub struct RequestId, 1..=64, |c| !c.is_control(), "printable characters"
}
text_type! {
    /// A position in a list, as a page's `nextCursor` gave it; opaque, valid for the same method and filter.
    pub struct Cursor, 1..=4096, |c| c.is_ascii_graphic(), "what nextCursor gave"
}
text_type! {
    /// The public part of a token, by which it is listed and revoked.
    pub struct TokenId, 1..=64, |c| c.is_ascii_alphanumeric(), "letters and digits"
}
text_type! {
    /// A job's id: its kind and a number.
    pub struct JobId, 1..=64, |c| c.is_ascii_alphanumeric() || c == '-', "letters, digits and -"
}
text_type! {
    /// The id of an upload under way.
    pub struct UploadId, 1..=64, |c| c.is_ascii_alphanumeric(), "letters and digits"
}
text_type! {
    /// The absolute path of a Unix socket; the system takes no longer ones.
    pub struct SocketPath, 2..=107, |c| !c.is_control(), "printable characters"
}

/// Defines an integer with bounds.
macro_rules! integer_type {
    (
        $(#[doc = $doc:literal])+
        pub struct $Name:ident($Inner:ty), $min:expr, $max:expr $(, $Derived:ident)?
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        $( #[derive($Derived)] )?
        #[serde(transparent)]
        pub struct $Name(pub $Inner);

        impl Wire for $Name {
            fn from_wire(raw: &RawValue, path: &Path<'_>, errors: &mut FieldErrors) -> Option<Self> {
                let parsed = raw.get().parse::<i64>().ok().filter(|value| ($min..=$max).contains(value));
                // The bounds lie inside the inner type, so the conversion never fails after them.
                let value = parsed.and_then(|value| <$Inner>::try_from(value).ok());
                if value.is_none() {
                    errors.add(path, format!("must be an integer from {} to {}", $min, $max));
                }
                value.map($Name)
            }
        }

        impl JsonSchema for $Name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($Name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "integer",
                    "minimum": $min,
                    "maximum": $max,
                    "description": concat!($( $doc ),+).trim()
                })
            }
        }
    };
}

integer_type! {
    /// A point in time: Unix seconds in UTC, for display only.
    pub struct Timestamp(i64), -MAX_SAFE_INTEGER, MAX_SAFE_INTEGER
}
integer_type! {
    /// A point in time: Unix milliseconds in UTC, for display only.
    pub struct TimestampMs(i64), -MAX_SAFE_INTEGER, MAX_SAFE_INTEGER
}
integer_type! {
    /// A record's revision: the position of its last change in the change feed; as `ifRevision`, 0 means "must not exist".
    pub struct Revision(u64), 0, MAX_SAFE_INTEGER
}
integer_type! {
    /// A position in the change feed: strictly after it is where one goes on.
    pub struct Position(u64), 0, MAX_SAFE_INTEGER
}
integer_type! {
    /// How many items a page may have: 1 to 1000.
    pub struct Limit(u16), 1, 1000
}
integer_type! {
    /// The place of a key in its component's derivation: a 31-bit index, as BIP-32 has them.
    pub struct DerivationIndex(u32), 0, 2_147_483_647
}
integer_type! {
    /// The id of a process.
    pub struct ProcessId(u32), 1, 2_147_483_647
}
integer_type! {
    /// How long something lives, in seconds: 1 to a hundred years.
    pub struct TtlSeconds(u32), 1, TtlSeconds::MAX
}
integer_type! {
    /// How long each chunk of an upload but the last is, in bytes: 64 KiB to 64 MiB.
    pub struct ChunkBytes(u32), 65_536, 67_108_864
}
integer_type! {
    /// The place of a chunk in its upload, from 0.
    pub struct ChunkIndex(u32), 0, ChunkIndex::MAX
}
integer_type! {
    /// A count, a size or an offset in bytes.
    pub struct UnsignedInteger(u64), 0, MAX_SAFE_INTEGER, Default
}

impl ChunkIndex {
    /// The last place: an upload has a million chunks at most.
    pub const MAX: i64 = (1 << 20) - 1;
}

impl TtlSeconds {
    /// The longest life: a hundred years of 365.25 days.
    pub const MAX: i64 = 3_155_760_000;
}

impl Default for Limit {
    fn default() -> Self {
        Limit(100)
    }
}

/// Defines a text that is never printed, and wiped when dropped.
macro_rules! secret_type {
    ($(#[doc = $doc:literal])+ pub struct $Name:ident, $description:literal) => {
        $(#[doc = $doc])+
        #[derive(Clone)]
        pub struct $Name(Zeroizing<String>);

        impl $Name {
            /// Takes a secret text.
            pub fn new(text: String) -> Self {
                Self(Zeroizing::new(text))
            }

            /// The text, for as short as possible.
            pub fn expose(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $Name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $Name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(Self::new)
            }
        }

        impl fmt::Debug for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("(secret)")
            }
        }

        impl Wire for $Name {
            fn from_wire(raw: &RawValue, path: &Path<'_>, errors: &mut FieldErrors) -> Option<Self> {
                string_from_wire(raw, path, errors, |text| Ok(Self::new(text)))
            }
        }

        impl JsonSchema for $Name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($Name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "description": $description })
            }
        }
    };
}

secret_type! {
    /// A seed phrase or a master key on its way to the vault: never printed, wiped when dropped.
    pub struct Secret, "A BIP-39 seed phrase, or a master key as 64 hexadecimal digits."
}
secret_type! {
    /// A token as it is shown to whoever is to use it: never printed, wiped when dropped.
    pub struct Token, "A token, to be sent as `Authorization: Bearer`, or as path prefix `/t/<token>/`."
}

/// A decimal number without a sign (`0`, `12.50`), of at most 100 digits: it is kept as it was given, and
/// never passes through a float.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Amount(String);

impl Amount {
    /// The most digits, before and after the point together.
    pub const MAX_DIGITS: usize = 100;

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Amount {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, "0"));
        let digits =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let leading_zero = whole.len() > 1 && whole.starts_with('0');
        if !digits(whole) || !digits(fraction) || leading_zero {
            Err("must be a decimal number without a sign, such as \"12.5\"".to_owned())
        } else if whole.len() + fraction.len() > Self::MAX_DIGITS {
            Err(format!("must have at most {} digits", Self::MAX_DIGITS))
        } else {
            Ok(Self(text))
        }
    }
}

impl FromStr for Amount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::try_from(text.to_owned())
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl Wire for Amount {
    fn from_wire(raw: &RawValue, path: &Path<'_>, errors: &mut FieldErrors) -> Option<Self> {
        string_from_wire(raw, path, errors, Self::try_from)
    }
}

impl JsonSchema for Amount {
    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^(0|[1-9][0-9]*)(\.[0-9]+)?$",
            "minLength": 1,
            "maxLength": Self::MAX_DIGITS + 1,
            "description": "A decimal number without a sign, of at most 100 digits, as a string: it never passes through a float."
        })
    }
}
