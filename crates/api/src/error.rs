//! What a caller is told when a call fails: the codes, and the error object of the wire.
//!
//! The set of codes is part of the contract (design, section 2). What is said here reaches the
//! caller; causes, paths and SQL go to the log only, joined by [`ErrorData::incident`].

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Largest integer that every JSON implementation keeps exactly: 2^53 - 1 (RFC 8259, section 6).
pub const MAX_SAFE_INTEGER: i64 = (1 << 53) - 1;

macro_rules! error_codes {
    ($( $(#[doc = $doc:literal])+ $variant:ident = $code:literal, $name:literal, $status:literal; )+) => {
        /// The kind of a failure: a JSON-RPC code, its name in `data.code`, and its HTTP status.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ErrorCode { $( $(#[doc = $doc])+ $variant, )+ }

        impl ErrorCode {
            /// Every code, in the order of the documented table.
            pub const ALL: &'static [ErrorCode] = &[$( ErrorCode::$variant ),+];

            /// The number in `error.code`.
            pub const fn code(self) -> i32 {
                match self { $( ErrorCode::$variant => $code ),+ }
            }

            /// The name in `error.data.code`.
            pub const fn name(self) -> &'static str {
                match self { $( ErrorCode::$variant => $name ),+ }
            }

            /// The status of the plain HTTP routes for this failure.
            pub const fn http_status(self) -> u16 {
                match self { $( ErrorCode::$variant => $status ),+ }
            }

            /// When this code is answered, in a sentence.
            pub const fn when(self) -> &'static str {
                match self { $( ErrorCode::$variant => concat!($( $doc ),+).trim_ascii() ),+ }
            }
        }
    };
}

error_codes! {
    /// The bytes are not JSON.
    ParseError = -32700, "parse_error", 400;
    /// The JSON is not a JSON-RPC 2.0 request.
    InvalidRequest = -32600, "invalid_request", 400;
    /// There is no method of this name.
    MethodNotFound = -32601, "method_not_found", 404;
    /// `params` is neither an object nor an array.
    InvalidParams = -32602, "invalid_params", 400;
    /// The daemon failed in a way it does not know; `data.incident` stands in its log.
    InternalError = -32603, "internal_error", 500;
    /// A parameter is out of its domain; `data.fields` says which and why.
    ValidationError = -32000, "validation_error", 400;
    /// It is absent, or not this caller's to see.
    NotFound = -32001, "not_found", 404;
    /// The daemon can't take the call now (queue full, shutting down); ask again after `data.retryAfterMs`.
    Unavailable = -32002, "unavailable", 503;
    /// There is no credential, or it is not valid.
    Unauthorized = -32003, "unauthorized", 401;
    /// The credential lacks the scope, or the request comes from a foreign origin.
    Forbidden = -32020, "forbidden", 403;
    /// The state of the store forbids it; `data.reason` says why.
    Conflict = -32021, "conflict", 409;
    /// A quota of the caller or of the store is used up.
    QuotaExceeded = -32022, "quota_exceeded", 429;
    /// The disk, or the share of it that may be used, is full.
    DiskFull = -32023, "disk_full", 507;
    /// Stored data is damaged: a ciphertext does not authenticate, a hash differs, the database is corrupt.
    IntegrityError = -32024, "integrity_error", 500;
    /// The call needs the master key and none is loaded.
    Locked = -32025, "locked", 423;
    /// The key given is not the key of this data root.
    WrongKey = -32026, "wrong_key", 401;
    /// Over a documented limit on the size of requests, batches or responses.
    TooLarge = -32027, "too_large", 413;
    /// Reading or writing failed; `data.outcome` is `unknown` where a commit's sync failed.
    IoError = -32028, "io_error", 500;
    /// The position in the change feed was pruned, or never was.
    Gone = -32029, "gone", 410;
}

impl ErrorCode {
    /// The code with this number, if it is one of ours.
    pub fn from_code(code: i32) -> Option<ErrorCode> {
        Self::ALL.iter().copied().find(|known| known.code() == code)
    }

    /// The code with this name in `data.code`.
    pub fn from_name(name: &str) -> Option<ErrorCode> {
        Self::ALL.iter().copied().find(|known| known.name() == name)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for ErrorCode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        ErrorCode::from_name(&name)
            .ok_or_else(|| serde::de::Error::custom("an error code this version does not know"))
    }
}

/// Why a [`ErrorCode::Conflict`] was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConflictReason {
    /// The id is taken.
    Exists,
    /// `ifRevision` is not the record's revision; `currentRevision` is (0: absent).
    Revision,
    /// The record names something that is absent, or not the caller's to name.
    ForeignKey,
    /// Others still name it; `holders` says who, as far as the caller may see them.
    Referenced,
    /// The change of state is not a legal one.
    Transition,
    /// The `requestId` was used before, with another method or other params.
    RequestReused,
}

/// The `data` of an error object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorData {
    /// The kind of the failure by name.
    pub code: ErrorCode,
    /// Why it is a conflict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<ConflictReason>,
    /// Each bad parameter, by its path, and what is wrong with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<BTreeMap<String, String>>,
    /// The record's revision where `ifRevision` did not match; 0 where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_revision: Option<u64>,
    /// Who names the content, as `namespace/key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holders: Option<Vec<String>>,
    /// The position, from 0, of the operation that failed among many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// `unknown` where nobody can say whether the change was made durable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// How long to wait before asking again, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// What to look for in the daemon's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
}

/// A failure as the caller sees it: the error object of JSON-RPC, and the body of a failed plain HTTP request.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    /// A sentence for a person; programs look at `data`.
    pub message: String,
    /// What a program looks at.
    pub data: Box<ErrorData>,
}

impl ApiError {
    /// An error of this kind with a sentence for a person.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let data = ErrorData {
            code,
            reason: None,
            fields: None,
            current_revision: None,
            holders: None,
            index: None,
            outcome: None,
            retry_after_ms: None,
            incident: None,
        };
        Self { message: message.into(), data: Box::new(data) }
    }

    /// A validation error naming each bad field.
    pub fn validation(fields: BTreeMap<String, String>) -> Self {
        let message = match fields.iter().next() {
            Some((name, why)) if fields.len() == 1 => format!("{name} {why}"),
            Some((name, why)) => format!("{} parameters are bad; {name} {why}", fields.len()),
            None => "bad parameters".to_owned(),
        };
        let mut error = Self::new(ErrorCode::ValidationError, message);
        error.data.fields = Some(fields);
        error
    }

    /// A validation error of one field.
    pub fn field(name: &str, why: impl Into<String>) -> Self {
        Self::validation(BTreeMap::from([(name.to_owned(), why.into())]))
    }

    /// A conflict with its reason.
    pub fn conflict(reason: ConflictReason, message: impl Into<String>) -> Self {
        let mut error = Self::new(ErrorCode::Conflict, message);
        error.data.reason = Some(reason);
        error
    }

    /// `ifRevision` did not match; `current` is 0 where the record is absent.
    pub fn revision(current: u64) -> Self {
        let mut error = Self::conflict(ConflictReason::Revision, "the record has another revision");
        error.data.current_revision = Some(current);
        error
    }

    /// The call can't be taken now.
    pub fn unavailable(message: impl Into<String>, retry_after_ms: u64) -> Self {
        let mut error = Self::new(ErrorCode::Unavailable, message);
        error.data.retry_after_ms = Some(retry_after_ms);
        error
    }

    /// The same error, with its fields said of the member `path` of the params.
    pub fn within(mut self, path: &str) -> Self {
        if let Some(fields) = self.data.fields.take() {
            let within = |(field, why)| (format!("{path}.{field}"), why);
            self.data.fields = Some(fields.into_iter().map(within).collect());
        }
        self
    }

    /// The same error, said of the operation at `index` among many.
    pub fn at_index(mut self, index: usize) -> Self {
        self.data.index = Some(index as u64);
        self
    }

    /// The kind of the failure.
    pub fn code(&self) -> ErrorCode {
        self.data.code
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.data.code, self.message)
    }
}

impl std::error::Error for ApiError {}

/// The error object as it stands on the wire.
#[derive(Serialize, Deserialize)]
struct ErrorObject {
    code: i32,
    message: String,
    data: ErrorData,
}

impl Serialize for ApiError {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let object = ErrorObject {
            code: self.data.code.code(),
            message: self.message.clone(),
            data: (*self.data).clone(),
        };
        object.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ApiError {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = ErrorObject::deserialize(deserializer)?;
        Ok(ApiError { message: object.message, data: Box::new(object.data) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_unique() {
        for (position, code) in ErrorCode::ALL.iter().enumerate() {
            for other in &ErrorCode::ALL[position + 1..] {
                assert_ne!(code.code(), other.code());
                assert_ne!(code.name(), other.name());
            }
            assert_eq!(ErrorCode::from_code(code.code()), Some(*code));
        }
    }

    #[test]
    fn the_object_comes_back_as_it_went() {
        let error = ApiError::revision(7).at_index(3);
        let text = serde_json::to_string(&error).unwrap();
        assert_eq!(
            text,
            r#"{"code":-32021,"message":"the record has another revision","data":{"code":"conflict","reason":"revision","currentRevision":7,"index":3}}"#
        );
        assert_eq!(serde_json::from_str::<ApiError>(&text).unwrap(), error);
    }
}
