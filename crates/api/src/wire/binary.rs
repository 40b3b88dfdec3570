//! Bytes on the wire: content hashes in hexadecimal, content in base64.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::{FieldErrors, Path, Wire};

/// The SHA-256 of a content: its address. 64 lower-case hexadecimal digits on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobHash([u8; 32]);

/// A text is not 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 64 lower-case hexadecimal digits")]
pub struct HexError;

impl BlobHash {
    /// The hash of these bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for BlobHash {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        let digits: &[u8; 64] = text.as_bytes().try_into().map_err(|_| HexError)?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

const fn digit(character: u8) -> Result<u8, HexError> {
    match character {
        b'0'..=b'9' => Ok(character - b'0'),
        b'a'..=b'f' => Ok(character - b'a' + 10),
        _ => Err(HexError),
    }
}

impl fmt::Display for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 64];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        f.pad(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for BlobHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BlobHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Wire for BlobHash {
    fn from_wire(raw: &RawValue, path: &Path<'_>, errors: &mut FieldErrors) -> Option<Self> {
        let text = serde_json::from_str::<Cow<'_, str>>(raw.get()).unwrap_or_default();
        let parsed = text.parse();
        if let Err(HexError) = parsed {
            errors.add(path, HexError.to_string());
        }
        parsed.ok()
    }
}

impl JsonSchema for BlobHash {
    fn schema_name() -> Cow<'static, str> {
        "BlobHash".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[0-9a-f]{64}$",
            "description": "The SHA-256 of a content, as 64 lower-case hexadecimal digits: its address."
        })
    }
}

/// Content in a JSON string: base64, standard alphabet, padded (RFC 4648, section 4).
#[derive(Clone, PartialEq, Eq)]
pub struct Base64Data(pub Vec<u8>);

impl fmt::Debug for Base64Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Serialize for Base64Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        STANDARD.decode(text.as_bytes()).map(Base64Data).map_err(serde::de::Error::custom)
    }
}

impl Wire for Base64Data {
    fn from_wire(raw: &RawValue, path: &Path<'_>, errors: &mut FieldErrors) -> Option<Self> {
        let Ok(text) = serde_json::from_str::<Key<'_>>(raw.get()) else {
            errors.add(path, "must be a string");
            return None;
        };
        match STANDARD.decode(text.0.as_bytes()) {
            Ok(bytes) => Some(Base64Data(bytes)),
            Err(_) => {
                errors.add(path, "must be base64, standard alphabet, padded");
                None
            }
        }
    }
}

/// A string borrowed from the request where it holds no escapes: base64 never does, and may be long.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl JsonSchema for Base64Data {
    fn schema_name() -> Cow<'static, str> {
        "Base64Data".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "contentEncoding": "base64",
            "description": "Bytes in base64, standard alphabet, padded (RFC 4648, section 4)."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_64_lower_case_digits() {
        let text = "0123456789abcdef".repeat(4);
        assert_eq!(text.parse::<BlobHash>().unwrap().to_string(), text);
        for bad in
            ["", &text[1..], &text.to_uppercase(), &format!("{}g", &text[1..]), "../etc/passwd"]
        {
            assert_eq!(bad.parse::<BlobHash>(), Err(HexError));
        }
    }
}
