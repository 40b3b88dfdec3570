//! `POST /blobs`: many contents in one body, each of any size, entered together.
//!
//! What [`super::blobs`] is to `blobs.put` this is to `blobs.putMany`. Each part is sealed as it comes, in
//! constant memory; they get their names and rows once the body has ended as it must, all or none.

use std::io::Read;
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use http::{HeaderMap, Response, header};
use osnova_storage_api::blobs::{PutMany, StoredBlobs};
use osnova_storage_api::wire::Name;
use osnova_storage_api::{ApiError, Method};
use osnova_storage_core::blob::PutBlob;
use osnova_storage_core::{Caller, Store, StoreError};

use super::blobs::{described, pinned, receive, traced};
use super::multipart::{Boundary, Fault, Multipart, param};
use crate::access::{self, Credential};
use crate::app::App;
use crate::errors;

/// How many contents a body may have: as many as `blobs.putMany` takes.
const MAX_PARTS: usize = 1000;
const NO_PARTS: &str = "must be multipart/form-data or multipart/mixed, with a boundary";

/// `POST /blobs`: stores the parts of the body.
pub(super) async fn post(
    State(app): State<Arc<App>>,
    Extension(credential): Extension<Arc<Credential>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    content: Body,
) -> Response<Body> {
    let answer = store(&app, &credential, query.as_deref(), &headers, content);
    traced(&PutMany::SPEC, &credential, answer).await
}

async fn store(
    app: &Arc<App>,
    credential: &Arc<Credential>,
    query: Option<&str>,
    headers: &HeaderMap,
    content: Body,
) -> Result<StoredBlobs, ApiError> {
    access::admit(credential, &PutMany::SPEC)?;
    let pinned = pinned(query)?;
    let boundary = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(Boundary::of)
        .ok_or_else(|| ApiError::field("content-type", NO_PARTS))?;
    receive(app, credential, content, move |store, caller, source| {
        store_parts(store, caller, Multipart::new(source, &boundary), pinned)
    })
    .await
}

/// Seals each part as it comes, and enters all.
fn store_parts<R: Read>(
    store: &Store,
    caller: &Caller,
    mut parts: Multipart<R>,
    pinned: bool,
) -> Result<StoredBlobs, StoreError> {
    let keys = store.vault().keys()?;
    let mut batch = store.blobs().batch(&keys, caller);
    loop {
        let item = format!("items.{}", batch.count());
        let Some(headers) = parts.next_part().map_err(|fault| refused(&item, fault))? else {
            break;
        };
        if batch.count() == MAX_PARTS {
            let why = format!("must have at most {MAX_PARTS} items");
            return Err(ApiError::field("items", why).into());
        }
        let put = part_params(&headers, pinned).map_err(|error| error.within(&item))?;
        batch.seal(&mut parts, &put).map_err(|error| match (parts.take_fault(), error) {
            (Some(fault), _) => refused(&item, fault),
            (None, error) => errors::within(&item, error),
        })?;
    }
    Ok(StoredBlobs { items: batch.enter(store.db())? })
}

/// What a body is refused for that has a fault at this part.
fn refused(item: &str, fault: Fault) -> StoreError {
    match fault {
        Fault::Body(source) => StoreError::Io { what: "reading the content".to_owned(), source },
        fault => ApiError::field(item, fault.to_string()).into(),
    }
}

/// What the headers of a part say of its content.
fn part_params(headers: &HeaderMap, pinned: bool) -> Result<PutBlob, ApiError> {
    const ENCODING: &str = "content-transfer-encoding";
    // What it would be decoded to is not what is stored.
    let is_encoded = headers.get(ENCODING).is_some_and(|encoding| {
        let plain = ["binary", "8bit", "7bit"];
        !plain.iter().any(|plain| encoding.as_bytes().eq_ignore_ascii_case(plain.as_bytes()))
    });
    if is_encoded {
        return Err(ApiError::field(ENCODING, "must be binary: contents are stored as they come"));
    }
    let mut put = described(headers, pinned)?;
    if put.holding.name.is_none() {
        put.holding.name = file_name(headers)?;
    }
    Ok(put)
}

/// The name of the file that a part holds, where it says one.
fn file_name(headers: &HeaderMap) -> Result<Option<Name>, ApiError> {
    const DISPOSITION: &str = "content-disposition";
    let named = headers.get(DISPOSITION).and_then(|disposition| {
        let disposition = disposition.as_bytes();
        let params = disposition.iter().position(|byte| *byte == b';')?;
        param(&disposition[params..], "filename")
    });
    let refused = |why: String| ApiError::field(DISPOSITION, why);
    named
        // A form sends one for a file that was not chosen.
        .filter(|name| !name.is_empty())
        .map(|name| {
            let name = String::from_utf8(name)
                .map_err(|_| refused("must name its file in UTF-8".to_owned()))?;
            // How forms write a quote (the HTML standard, "multipart form data"); the ends of lines that
            // they write alike are in no name.
            Name::try_from(name.replace("%22", "\"")).map_err(refused)
        })
        .transpose()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn name_of(disposition: &str) -> Result<Option<String>, ApiError> {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_bytes(disposition.as_bytes()).unwrap();
        headers.insert("content-disposition", value);
        Ok(part_params(&headers, true)?.holding.name.map(|name| name.as_str().to_owned()))
    }

    #[test]
    fn a_part_is_named_by_its_file() {
        for (disposition, name) in [
            ("form-data; name=\"a\"; filename=\"caf\u{e9} 1;.txt\"", Some("caf\u{e9} 1;.txt")),
            ("form-data; FileName=plain.txt; name=\"filename=no\"", Some("plain.txt")),
            ("attachment; filename=\"a%22b\\\"c\\\\d\\e\"", Some("a\"b\"c\\d\\e")),
            ("form-data; name=\"filename\"", None),
            ("form-data; name=\"a\"; filename=\"\"", None),
            ("form-data; filename=\"no end", None),
            ("filename=x", None),
            ("", None),
        ] {
            assert_eq!(name_of(disposition).unwrap().as_deref(), name, "{disposition}");
        }
        let long = format!("form-data; filename={}", "n".repeat(300));
        assert!(name_of(&long).is_err());
    }

    #[test]
    fn an_encoded_part_is_refused() {
        let mut headers = HeaderMap::new();
        for (encoding, taken) in [("Binary", true), ("8bit", true), ("base64", false), ("x", false)]
        {
            headers.insert("content-transfer-encoding", HeaderValue::from_static(encoding));
            assert_eq!(part_params(&headers, true).is_ok(), taken, "{encoding}");
        }
    }
}
