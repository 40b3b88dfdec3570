//! Streams of content, over plain HTTP on the same endpoint, in constant memory.

mod get;
mod many;
mod put;
mod upload;

pub use get::BlobStream;
pub use many::SmallBlob;
pub use put::PutBlob;

/// Is told how far a transfer has come. Any `Fn(u64)` is one.
pub trait Progress: Send + Sync {
    /// So many bytes have been transferred so far.
    fn transferred(&self, bytes: u64);
}

impl<F: Fn(u64) + Send + Sync> Progress for F {
    fn transferred(&self, bytes: u64) {
        self(bytes);
    }
}
