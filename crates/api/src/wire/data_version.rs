//! The version of a component that its data belongs to.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::{FieldErrors, Path, Wire};

/// The major and minor version of a component: patches share their data.
///
/// Taken as `1.2`, or as a whole semantic version (`1.2.3`, `1.2.3-beta.1+build`); said as `1.2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DataVersion {
    /// The major version.
    pub major: u32,
    /// The minor version.
    pub minor: u32,
}

/// The longest text that is taken.
const MAX_BYTES: usize = 256;
/// What is wrong with any other text.
const EXPECTED: &str = "must be MAJOR.MINOR, or a semantic version";

impl FromStr for DataVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse(text).ok_or_else(|| EXPECTED.to_owned())
    }
}

fn parse(text: &str) -> Option<DataVersion> {
    if text.len() > MAX_BYTES {
        return None;
    }
    let (major, rest) = text.split_once('.')?;
    let (minor, patch) = match rest.split_once('.') {
        Some((minor, patch)) => (minor, Some(patch)),
        None => (rest, None),
    };
    if let Some(patch) = patch {
        let (number, label) = match patch.find(['-', '+']) {
            Some(at) => (&patch[..at], Some(&patch[at + 1..])),
            None => (patch, None),
        };
        part(number)?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+');
        if label.is_some_and(|label| label.is_empty() || !label.chars().all(allowed)) {
            return None;
        }
    }
    Some(DataVersion { major: part(major)?, minor: part(minor)? })
}

/// A number as a semantic version writes it: without zeros before it.
fn part(text: &str) -> Option<u32> {
    let plain =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

impl fmt::Display for DataVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl Serialize for DataVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DataVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Wire for DataVersion {
    fn from_wire(raw: &RawValue, path: &Path<'_>, errors: &mut FieldErrors) -> Option<Self> {
        let text = serde_json::from_str::<String>(raw.get()).unwrap_or_default();
        let parsed = parse(&text);
        if parsed.is_none() {
            errors.add(path, EXPECTED);
        }
        parsed
    }
}

impl JsonSchema for DataVersion {
    fn schema_name() -> Cow<'static, str> {
        "DataVersion".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "minLength": 3,
            "maxLength": MAX_BYTES,
            "description": "The version of a component that data belongs to: MAJOR.MINOR, or a semantic version, of which only these two count."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn major_and_minor_count() {
        for text in ["1.2", "1.2.0", "1.2.99", "1.2.3-beta.1", "1.2.3+build.7", "1.2.3-rc-1+a-b"] {
            assert_eq!(text.parse(), Ok(DataVersion { major: 1, minor: 2 }), "{text}");
        }
        assert_eq!("0.10".parse::<DataVersion>().unwrap().to_string(), "0.10");
        assert!(DataVersion { major: 1, minor: 9 } < DataVersion { major: 1, minor: 10 });
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "1",
            "1.",
            ".1",
            "v1.2",
            "1.2.",
            "1.2.x",
            "1.2.3.4",
            "1.2-beta",
            "1.2.3-",
            "1.2.3-é",
            "01.2",
            "1.02",
            "1.2.03",
            "-1.2",
            "+1.2",
            "1. 2",
            "4294967296.0",
            "1.2/../3",
            "..",
        ] {
            assert!(text.parse::<DataVersion>().is_err(), "{text:?}");
        }
        assert!(format!("1.2.3-{}", "a".repeat(300)).parse::<DataVersion>().is_err());
    }
}
