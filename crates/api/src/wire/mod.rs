//! How values look on the wire, and how params become typed values.
//!
//! Params are parsed field by field, not by one `Deserialize` of the whole, for two reasons: every
//! bad parameter is named in one answer, and JSON values (a manifest, a preference) are kept as the
//! text that was received. The parsers turn bytes into types that can only be valid, so nothing
//! behind them checks again.

mod answers;
mod binary;
mod data_version;
mod json_text;
mod object;
mod scalars;
mod scope;

pub use answers::{Accepted, Deleted};
pub use binary::{Base64Data, BlobHash, HexError};
pub use data_version::DataVersion;
pub use json_text::JsonText;
pub use object::{FieldErrors, ParamsError, Path, RawObject, Wire, WireObject, camel_case};
pub(crate) use object::{wire_enum, wire_name, wire_object};
pub use scalars::{
    Address, Amount, ApplicationId, ChunkBytes, ChunkIndex, ComponentId, ConfigKey, Cursor,
    DerivationIndex, JobId, Limit, MessageId, Name, Position, PreferenceKey, ProcessId, PublicKey,
    RequestId, Revision, Role, SearchText, Secret, SocketPath, StorageKey, Text, Timestamp,
    TimestampMs, Token, TokenId, TransactionHash, TtlSeconds, UnsignedInteger, UploadId, UserId,
};
pub use scope::Scope;
