//! A JSON value kept as the text that was received.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{FieldErrors, Path, Wire};

/// A caller's JSON value (a manifest, a preference, metadata), kept and returned as its text.
///
/// Numbers keep their digits, objects the order of their members. At most
/// [`MAX_BYTES`](Self::MAX_BYTES) long and [`MAX_DEPTH`](Self::MAX_DEPTH) deep.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JsonText(Box<RawValue>);

impl JsonText {
    /// The longest text, in bytes.
    pub const MAX_BYTES: usize = 1 << 20;
    /// The most arrays and objects that may stand inside one another.
    pub const MAX_DEPTH: usize = 128;

    /// Takes a text that is JSON and within the limits.
    ///
    /// # Errors
    /// A sentence that says what is wrong, without the text.
    pub fn parse(text: String) -> Result<Self, String> {
        let raw = RawValue::from_string(text).map_err(|_| "must be a JSON value".to_owned())?;
        Self::check(&raw)?;
        Ok(Self(raw))
    }

    /// Takes a text that has passed [`parse`](Self::parse) before, such as one that was stored: that
    /// it is JSON is checked, the limits are not looked at again.
    ///
    /// # Errors
    /// Where it is not JSON.
    pub fn from_checked(text: String) -> Result<Self, String> {
        RawValue::from_string(text).map(Self).map_err(|_| "must be a JSON value".to_owned())
    }

    /// Writes a value as JSON.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), and where the value can't be written as JSON.
    pub fn from_serialize<T: Serialize>(value: &T) -> Result<Self, String> {
        let raw = serde_json::value::to_raw_value(value).map_err(|error| error.to_string())?;
        Self::check(&raw)?;
        Ok(Self(raw))
    }

    /// The text.
    pub fn get(&self) -> &str {
        self.0.get()
    }

    fn check(raw: &RawValue) -> Result<(), String> {
        let text = raw.get();
        if text.len() > Self::MAX_BYTES {
            return Err(format!("must be at most {} bytes of JSON", Self::MAX_BYTES));
        }
        let shape = scan(text);
        if shape.depth > Self::MAX_DEPTH {
            return Err(format!("must be nested at most {} deep", Self::MAX_DEPTH));
        }
        if shape.holds_nul {
            return Err("must not hold U+0000".to_owned());
        }
        Ok(())
    }
}

impl PartialEq for JsonText {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

struct Shape {
    depth: usize,
    holds_nul: bool,
}

/// Depth and NUL escapes of a text that is known to be JSON, without building the value.
fn scan(text: &str) -> Shape {
    let (mut depth, mut deepest) = (0usize, 0usize);
    let mut holds_nul = false;
    let mut bytes = text.bytes().enumerate();
    while let Some((_, byte)) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => {
                while let Some((_, inner)) = bytes.next() {
                    match inner {
                        b'"' => break,
                        b'\\' => {
                            if let Some((at, b'u')) = bytes.next() {
                                holds_nul |= text[at + 1..].starts_with("0000");
                            }
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    Shape { depth: deepest, holds_nul }
}

impl Wire for JsonText {
    fn from_wire(raw: &RawValue, path: &Path<'_>, errors: &mut FieldErrors) -> Option<Self> {
        match Self::check(raw) {
            Ok(()) => Some(Self(raw.to_owned())),
            Err(why) => {
                errors.add(path, why);
                None
            }
        }
    }
}

impl JsonSchema for JsonText {
    fn schema_name() -> Cow<'static, str> {
        "JsonValue".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Any JSON value, kept as its text: at most 1 MiB, at most 128 deep, without U+0000."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_kept() {
        let text = r#"{ "b":1.0, "a":12345678901234567890 , "b2":"\u00e9" }"#;
        assert_eq!(JsonText::parse(text.to_owned()).unwrap().get(), text);
    }

    #[test]
    fn limits_hold() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(JsonText::parse(nested(128)).is_ok());
        assert!(JsonText::parse(nested(129)).unwrap_err().contains("deep"));
        assert!(JsonText::parse(nested(100_000)).is_err());
        let long = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
        assert!(JsonText::parse(long(1 << 20)).is_ok());
        assert!(JsonText::parse(long((1 << 20) + 1)).is_err());
    }

    #[test]
    fn brackets_and_escapes_inside_strings_do_not_count() {
        assert_eq!(scan(r#"["[[[\"[[", {"\\":"}"}]"#).depth, 2);
        assert!(scan(r#""a\u0000""#).holds_nul);
        assert!(!scan(r#""a\\u0000""#).holds_nul);
        assert!(JsonText::parse(r#"{"\u0000":1}"#.to_owned()).is_err());
    }
}
