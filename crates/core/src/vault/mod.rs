//! The vault: the master key's derived keys, loaded or not.
//!
//! It holds keys and hands them out for as long as a call needs them; it does not know what they seal
//! nor whether they are this data root's ([`Store::unlock`](crate::store::Store::unlock) finds that
//! out before it hands them in).

pub mod keys;

use std::sync::{Arc, PoisonError, RwLock};

use keys::KeySet;

use crate::error::{Result, StoreError};

/// The loaded keys, if any. Cheap to clone, shared by all parts of the store.
#[derive(Clone, Default)]
pub struct Vault(Arc<RwLock<Option<Arc<KeySet>>>>);

impl Vault {
    /// The keys, for as long as the caller holds them.
    ///
    /// # Errors
    /// [`StoreError::Locked`].
    pub fn keys(&self) -> Result<Arc<KeySet>> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        keys.clone().ok_or(StoreError::Locked)
    }

    /// Which key is loaded, in hexadecimal; tells nothing of the key itself.
    pub fn key_id(&self) -> Option<String> {
        self.keys().ok().map(|keys| keys.key_id().to_string())
    }

    pub(crate) fn load(&self, keys: KeySet) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(keys));
    }

    /// Forgets the keys; they are wiped when the last call that holds them ends.
    pub fn lock(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
