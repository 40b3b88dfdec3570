//! Putting content: `PUT /blobs`.

use std::fmt;
use std::sync::Arc;

use http::Method;
use http::header::CONTENT_TYPE;
use osnova_storage_api::blobs::BlobPut;
use osnova_storage_api::wire::BlobHash;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::io::AsyncRead;

use super::Progress;
use crate::client::{Client, ONCE};
use crate::error::ClientError;
use crate::http::{Body, ReaderBody, built};
use crate::repeat::Attempts;

/// What errors call this.
const WHAT: &str = "PUT /blobs";
/// What of a name travels as it is; everything else is percent-encoded UTF-8.
pub(super) const PLAIN: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_').remove(b'~');

/// What to say of a content that is put.
#[derive(Clone, Default)]
pub struct PutBlob {
    /// What it is, as a media type.
    pub content_type: Option<String>,
    /// What to call it.
    pub name: Option<String>,
    /// Refuse the content unless this is its hash.
    pub expected_hash: Option<BlobHash>,
    /// Keep it until it is deleted; the daemon's default (true) where left out.
    pub pin: Option<bool>,
    /// How many bytes there are, where that is known: the daemon can refuse what has no room at once.
    /// A reader that gives more or fewer is an error.
    pub length: Option<u64>,
    /// Is told how much has been read.
    pub progress: Option<Arc<dyn Progress>>,
}

impl fmt::Debug for PutBlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PutBlob")
            .field("content_type", &self.content_type)
            .field("name", &self.name)
            .field("expected_hash", &self.expected_hash)
            .field("pin", &self.pin)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Stores the content that the reader gives.
    ///
    /// The reader is read once, so a put whose reply is lost is not repeated; the caller may do it
    /// again, since the same content is stored once.
    ///
    /// ```no_run
    /// use osnova_storage_client::{Client, ClientError, PutBlob};
    ///
    /// # async fn example(client: Client) -> Result<(), ClientError> {
    /// let file = tokio::fs::File::open("film.mkv").await.map_err(ClientError::Source)?;
    /// let about = PutBlob { name: Some("film.mkv".to_owned()), ..PutBlob::default() };
    /// let stored = client.put_blob(file, about).await?;
    /// println!("{} has {} bytes", stored.hash, stored.size.0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`call`](Self::call); [`ClientError::Source`] where the reader fails, and then nothing is stored.
    pub async fn put_blob(
        &self,
        reader: impl AsyncRead + Send + 'static,
        about: PutBlob,
    ) -> Result<BlobPut, ClientError> {
        let http = &self.inner().http;
        let target = match about.pin {
            None => "/blobs",
            Some(true) => "/blobs?pin=true",
            Some(false) => "/blobs?pin=false",
        };
        // The reader can be read once only, so all that may be tried again is done before.
        let mut attempts = Attempts::new(&self.inner().repeat);
        while let Err(fault) = http.reach().await {
            self.wait(&mut attempts, fault, WHAT, ONCE).await?;
        }

        let mut request = http.request(Method::PUT, target);
        if let Some(content_type) = &about.content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        if let Some(hash) = &about.expected_hash {
            request = request.header("x-expected-hash", hash.to_string());
        }
        if let Some(name) = &about.name {
            request = request.header("x-name", utf8_percent_encode(name, PLAIN).to_string());
        }
        let body = ReaderBody::new(Box::pin(reader), about.length, about.progress);
        let sent = async {
            let request = built(request.body(Body::Reader(body)))?;
            let (connection, response) = http.exchange(request).await?;
            if !response.status().is_success() {
                return Err(http.refusal(connection, response, WHAT).await);
            }
            http.short_answer(connection, response, WHAT).await
        };
        let answer = match sent.await {
            Ok(answer) => answer,
            Err(fault) => return Err(Attempts::end(fault, WHAT, self.endpoint(), ONCE)),
        };
        serde_json::from_slice(&answer).map_err(|error| ClientError::Answer {
            method: WHAT.to_owned(),
            why: error.to_string(),
        })
    }
}
