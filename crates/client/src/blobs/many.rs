//! Putting many small contents: `POST /blobs`.

use bytes::{Bytes, BytesMut};
use http::Method;
use http::header::{CONTENT_TYPE, HeaderValue};
use osnova_storage_api::blobs::{BlobPut, StoredBlobs};
use osnova_storage_api::wire::BlobHash;
use percent_encoding::utf8_percent_encode;

use super::put::PLAIN;
use crate::client::Client;
use crate::error::ClientError;
use crate::http::{Body, built};
use crate::repeat::{Attempts, Effect};

/// What errors call this.
const WHAT: &str = "POST /blobs";
/// How many contents go together at most: the daemon takes no more.
const MAX_TOGETHER: usize = 1000;
/// From how many bytes on no more contents are added: they are held in memory until they are stored.
const ENOUGH_BYTES: usize = 8 << 20;

/// A content at hand, and what to say of it.
#[derive(Debug, Clone, Default)]
pub struct SmallBlob {
    /// The content.
    pub bytes: Bytes,
    /// What it is, as a media type.
    pub content_type: Option<String>,
    /// What to call it.
    pub name: Option<String>,
    /// Refuse it, and those that go with it, unless this is its hash.
    pub expected_hash: Option<BlobHash>,
}

impl Client {
    /// Stores many small contents; the answers stand in their order.
    ///
    /// They go together, up to a thousand or some megabytes at a time, which the daemon stores all or none,
    /// and much faster than one after another. A time whose reply is lost is repeated. Contents are asked of
    /// the iterator as they are needed.
    ///
    /// ```no_run
    /// use osnova_storage_client::{Client, ClientError, SmallBlob};
    ///
    /// # async fn example(client: Client) -> Result<(), ClientError> {
    /// let texts = ["one", "two"].map(|text| SmallBlob { bytes: text.into(), ..SmallBlob::default() });
    /// for stored in client.put_blobs(texts, None).await? {
    ///     println!("{}", stored.hash);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`call`](Self::call). The contents that went before are stored then, and may be put again.
    pub async fn put_blobs(
        &self,
        contents: impl IntoIterator<Item = SmallBlob, IntoIter: Send>,
        pin: Option<bool>,
    ) -> Result<Vec<BlobPut>, ClientError> {
        let mut stored = Vec::new();
        let mut parts = Parts::new()?;
        for content in contents {
            parts.add(&content)?;
            if parts.count == MAX_TOGETHER || parts.body.len() >= ENOUGH_BYTES {
                stored.extend(self.put_parts(parts, pin).await?);
                parts = Parts::new()?;
            }
        }
        if parts.count > 0 {
            stored.extend(self.put_parts(parts, pin).await?);
        }
        Ok(stored)
    }

    /// Sends contents that go together, again where the answer was lost.
    async fn put_parts(
        &self,
        parts: Parts,
        pin: Option<bool>,
    ) -> Result<Vec<BlobPut>, ClientError> {
        let http = &self.inner().http;
        let target = match pin {
            None => "/blobs",
            Some(true) => "/blobs?pin=true",
            Some(false) => "/blobs?pin=false",
        };
        let kind = format!("multipart/form-data; boundary={}", parts.boundary);
        let (count, body) = (parts.count, parts.ended());
        let mut attempts = Attempts::new(&self.inner().repeat);
        let answer = loop {
            let sent = async {
                let request = http.request(Method::POST, target).header(CONTENT_TYPE, &kind);
                let request = built(request.body(Body::from(body.clone())))?;
                let (connection, response) = http.exchange(request).await?;
                if !response.status().is_success() {
                    return Err(http.refusal(connection, response, WHAT).await);
                }
                http.short_answer(connection, response, WHAT).await
            };
            match sent.await {
                Ok(answer) => break answer,
                Err(fault) => {
                    // The same contents are stored once.
                    let effect = Effect { repeatable: true, only_reads: false };
                    self.wait(&mut attempts, fault, WHAT, effect).await?;
                }
            }
        };
        let wrong = |why: String| ClientError::Answer { method: WHAT.to_owned(), why };
        let answer: StoredBlobs =
            serde_json::from_slice(&answer).map_err(|error| wrong(error.to_string()))?;
        if answer.items.len() != count {
            return Err(wrong(format!("it is of {} contents, not {count}", answer.items.len())));
        }
        Ok(answer.items)
    }
}

/// The body of a request as it grows.
struct Parts {
    /// Nothing that is put has it: it is random, and made after the contents.
    boundary: String,
    body: BytesMut,
    count: usize,
}

impl Parts {
    fn new() -> Result<Self, ClientError> {
        let mut random = [0; 16];
        getrandom::fill(&mut random)
            .map_err(|error| ClientError::Source(std::io::Error::other(error.to_string())))?;
        let boundary = format!("{:032x}", u128::from_le_bytes(random));
        Ok(Self { boundary, body: BytesMut::new(), count: 0 })
    }

    fn add(&mut self, content: &SmallBlob) -> Result<(), ClientError> {
        self.body.extend_from_slice(format!("--{}\r\n", self.boundary).as_bytes());
        self.header("content-disposition", "form-data; name=\"blob\"")?;
        if let Some(content_type) = &content.content_type {
            self.header(CONTENT_TYPE.as_str(), content_type)?;
        }
        if let Some(hash) = &content.expected_hash {
            self.header("x-expected-hash", &hash.to_string())?;
        }
        if let Some(name) = &content.name {
            self.header("x-name", &utf8_percent_encode(name, PLAIN).to_string())?;
        }
        for bytes in [b"\r\n", content.bytes.as_ref(), b"\r\n"] {
            self.body.extend_from_slice(bytes);
        }
        self.count += 1;
        Ok(())
    }

    fn header(&mut self, name: &str, value: &str) -> Result<(), ClientError> {
        // What may not stand in a header would be another one.
        let value = HeaderValue::from_str(value)
            .map_err(|_| ClientError::Params(format!("the {name} can't be sent")))?;
        for bytes in [name.as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            self.body.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn ended(mut self) -> Bytes {
        self.body.extend_from_slice(format!("--{}--\r\n", self.boundary).as_bytes());
        self.body.freeze()
    }
}
