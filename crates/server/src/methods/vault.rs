//! `vault`.

use osnova_storage_api::ApiError;
use osnova_storage_api::vault::{Lock, Status, Unlock};
use osnova_storage_core::StoreError;
use osnova_storage_core::vault::keys::MasterKey;

use crate::rpc::Registry;

pub(super) fn register(registry: &mut Registry) {
    registry.blocking::<Unlock>(|app, _, params| {
        let master = MasterKey::parse(params.secret.expose().as_bytes())
            .map_err(|error| StoreError::Refused(ApiError::field("secret", error.to_string())))?;
        app.unlock
            .attempt(|| app.store.unlock(master), |error| matches!(error, StoreError::WrongKey))
    });
    registry.blocking::<Lock>(|app, _, _| {
        app.store.vault().lock();
        Ok(app.store.vault_state())
    });
    registry.immediate::<Status>(|app, _, _| Ok(app.store.vault_state()));
}
