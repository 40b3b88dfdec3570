//! `blobs`: content as base64 in JSON. The streams are in [`crate::http`].

use osnova_storage_api::blobs::{
    Adopt, BlobData, BlobInput, BlobPut, Collect, Delete, Get, GetParams, Grant, Has, List, Pin,
    Put, PutMany, PutManyParams, PutParams, Stat, StoredBlobs, Unpin, Upgrade, Usage, Verify,
};
use osnova_storage_api::wire::{Base64Data, UnsignedInteger};
use osnova_storage_api::{ApiError, ErrorCode};
use osnova_storage_core::blob::PutBlob;
use osnova_storage_core::db::blobs;
use osnova_storage_core::error::Result;
use osnova_storage_core::{Caller, StoreError};

use crate::app::App;
use crate::errors;
use crate::rpc::Registry;

/// What an answer of `blobs.get` takes beside its data.
const ANSWER_OVERHEAD: usize = 4096;

pub(super) fn register(registry: &mut Registry) {
    registry.blocking::<Put>(put);
    registry.blocking_large::<PutMany>(put_many);
    registry.blocking_large::<Get>(get);
    registry.point_read::<Stat>(blobs::stat);
    registry.read::<Has>(blobs::has);
    registry.read::<List>(blobs::list);
    registry.write::<Pin>(blobs::pin);
    registry.write::<Unpin>(blobs::unpin);
    registry.write::<Grant>(blobs::grant);
    registry.blocking::<Delete>(|app, caller, params| {
        app.store.blobs().delete(app.store.db(), caller, params)
    });
    registry.blocking::<Collect>(|app, caller, params| app.store.collect_blobs(caller, params));
    registry.blocking::<Adopt>(|app, caller, params| app.store.adopt_blobs(caller, params));
    registry.blocking::<Verify>(|app, caller, params| app.store.verify_blobs(caller, params));
    registry.blocking::<Upgrade>(|app, caller, params| app.store.upgrade_blobs(caller, params));
    registry.blocking::<Usage>(|app, caller, _| {
        let limits = app.store.blobs().limits();
        app.store.db().read(|reader| blobs::usage(reader, caller, limits))
    });
}

fn put(app: &App, caller: &Caller, params: &PutParams) -> Result<BlobPut> {
    let keys = app.store.vault().keys()?;
    let put = described(params);
    app.store.blobs().put(app.store.db(), &keys, caller, &mut params.data.0.as_slice(), &put)
}

fn put_many(app: &App, caller: &Caller, params: &PutManyParams) -> Result<StoredBlobs> {
    let keys = app.store.vault().keys()?;
    let mut batch = app.store.blobs().batch(&keys, caller);
    for (index, item) in params.items.iter().enumerate() {
        batch
            .seal(&mut item.data.0.as_slice(), &described(item))
            .map_err(|error| errors::within(&format!("items.{index}"), error))?;
    }
    Ok(StoredBlobs { items: batch.enter(app.store.db())? })
}

/// What is said of a content that is put.
fn described(item: &BlobInput) -> PutBlob {
    PutBlob {
        holding: blobs::Holding {
            name: item.name.clone(),
            content_type: item.content_type.clone(),
            metadata: item.metadata.clone(),
            pinned: item.pin.unwrap_or(true),
        },
        expected_hash: item.expected_hash,
        length: u64::try_from(item.data.0.len()).ok(),
    }
}

fn get(app: &App, caller: &Caller, params: &GetParams) -> Result<BlobData> {
    let keys = app.store.vault().keys()?;
    let blob = app.store.blobs().open(app.store.db(), &keys, caller, &params.hash)?;
    let offset = params.offset.map_or(0, |offset| offset.0);
    let left = blob.size().saturating_sub(offset);
    let length = params.length.map_or(left, |length| length.0.min(left));
    // Base64 makes four characters of three bytes.
    let most = app.limits.response_bytes.saturating_sub(ANSWER_OVERHEAD) / 4 * 3;
    let length = usize::try_from(length).ok().filter(|length| *length <= most).ok_or_else(|| {
        StoreError::Refused(ApiError::new(
            ErrorCode::TooLarge,
            format!("at most {most} bytes fit into an answer: ask for a part, or GET /blobs/{{hash}}"),
        ))
    })?;
    let data = blob.read(offset, length as u64)?;
    Ok(BlobData {
        data: Base64Data(data),
        size: UnsignedInteger(blob.size()),
        content_type: blob.content_type().cloned(),
    })
}
