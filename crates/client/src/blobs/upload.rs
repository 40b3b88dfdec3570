//! Putting content in chunks: `blobs.beginUpload`, `PUT /uploads/{uploadId}/{index}`, `blobs.commitUpload`.

use std::io::{self, SeekFrom};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::Method;
use osnova_storage_api::blobs::{
    BeginUpload, BeginUploadParams, BlobPut, CommitUpload, CommitUploadParams, UploadParams,
    UploadProgress, UploadStatus,
};
use osnova_storage_api::wire::{Name, UnsignedInteger, UploadId};
use osnova_storage_api::{ConflictReason, ErrorCode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeek, AsyncSeekExt};

use super::{Progress, PutBlob};
use crate::client::Client;
use crate::error::ClientError;
use crate::http::{Body, built};
use crate::repeat::{Attempts, Effect};

/// What errors call this.
const WHAT: &str = "PUT /uploads";
/// How often chunks that the daemon asks for again are sent, before its answer is handed on.
const ROUNDS: u32 = 5;
/// How often it is asked whether a commit that outlives its call has ended.
const COMMIT_POLL: Duration = Duration::from_millis(500);

impl Client {
    /// Stores the content of a source that can be read again, in chunks.
    ///
    /// It goes on by itself where a connection is lost or the daemon is restarted: what has arrived is not
    /// sent again. Chunks are held in memory, two at a time. A content of the hash that is expected, which
    /// the daemon has already, is not sent at all. Worth it from some megabytes on: each chunk is written to
    /// disk before the whole is.
    ///
    /// ```no_run
    /// use osnova_storage_client::{Client, ClientError, PutBlob};
    ///
    /// # async fn example(client: Client) -> Result<(), ClientError> {
    /// let film = tokio::fs::File::open("film.mkv").await.map_err(ClientError::Source)?;
    /// let about = PutBlob { name: Some("film.mkv".to_owned()), ..PutBlob::default() };
    /// println!("{}", client.upload(film, about).await?.hash);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`call`](Self::call); [`ClientError::Source`] where the source fails. What has arrived stays for
    /// a day, and [`resume_upload`](Self::resume_upload) goes on with it.
    pub async fn upload(
        &self,
        mut source: impl AsyncRead + AsyncSeek + Unpin + Send,
        about: PutBlob,
    ) -> Result<BlobPut, ClientError> {
        let length = length_of(&mut source).await?;
        let named = |name: Option<String>| {
            name.map(Name::try_from).transpose().map_err(ClientError::Params)
        };
        let params = BeginUploadParams {
            size: Some(UnsignedInteger(length)),
            chunk_bytes: None,
            content_type: named(about.content_type)?,
            name: named(about.name)?,
            metadata: None,
            expected_hash: about.expected_hash,
            pin: about.pin,
            request_id: None,
        };
        let begun = self.call::<BeginUpload>(params).await?;
        if begun.present {
            match self.commit(&begun.upload_id).await {
                Err(error) if wants_chunks(&error) => {}
                ended => return ended,
            }
        }
        self.resume_upload(source, &begun.upload_id, about.progress.as_deref()).await
    }

    /// Goes on with an upload that was begun with the size of this source, here or in another process;
    /// `blobs.listUploads` says which there are.
    ///
    /// # Errors
    /// As [`upload`](Self::upload); `not_found` where the upload has expired.
    pub async fn resume_upload(
        &self,
        mut source: impl AsyncRead + AsyncSeek + Unpin + Send,
        id: &UploadId,
        progress: Option<&dyn Progress>,
    ) -> Result<BlobPut, ClientError> {
        let length = length_of(&mut source).await?;
        let mut rounds = 0;
        loop {
            let status = self.upload_at_rest(id).await?;
            if status.hash.is_none() {
                if status.size != Some(UnsignedInteger(length)) {
                    let why = "the content is not as long as the upload was begun for";
                    let error = io::Error::new(io::ErrorKind::InvalidData, why);
                    return Err(ClientError::Source(error));
                }
                self.send_missing(&mut source, &status, length, progress).await?;
            }
            rounds += 1;
            match self.commit(id).await {
                Err(error) if wants_chunks(&error) && rounds < ROUNDS => {}
                ended => return ended,
            }
        }
    }

    /// How far an upload is, once no commit of it runs.
    async fn upload_at_rest(&self, id: &UploadId) -> Result<UploadStatus, ClientError> {
        loop {
            let params = UploadParams { upload_id: id.clone() };
            let status = self.call::<UploadProgress>(params).await?;
            if !status.committing {
                return Ok(status);
            }
            tokio::time::sleep(COMMIT_POLL).await;
        }
    }

    /// Commits an upload, and waits for as long as that takes.
    async fn commit(&self, id: &UploadId) -> Result<BlobPut, ClientError> {
        let mut rounds = 0;
        loop {
            let params =
                CommitUploadParams { upload_id: id.clone(), expected_hash: None, chunks: None };
            let error = match self.call::<CommitUpload>(params).await {
                Ok(put) => return Ok(put),
                Err(error) => error,
            };
            let runs_on = matches!(error, ClientError::Timeout { .. })
                || error.code() == Some(ErrorCode::Unavailable);
            rounds += 1;
            if !runs_on || rounds == ROUNDS {
                return Err(error);
            }
            self.upload_at_rest(id).await?;
        }
    }

    /// Sends the chunks that are not there, two at a time: while one is written to disk, the next comes.
    async fn send_missing(
        &self,
        source: &mut (impl AsyncRead + AsyncSeek + Unpin + Send),
        status: &UploadStatus,
        length: u64,
        progress: Option<&dyn Progress>,
    ) -> Result<(), ClientError> {
        let chunk_bytes = u64::from(status.chunk_bytes.0);
        let chunks = length.div_ceil(chunk_bytes);
        let mut missing = (0..chunks).filter(|index| {
            !status
                .received
                .iter()
                .any(|range| (u64::from(range.from.0)..=u64::from(range.to.0)).contains(index))
        });
        let mut there = status.bytes.0;
        let told = |there: u64| {
            if let Some(progress) = progress {
                progress.transferred(there.min(length));
            }
        };
        told(there);
        while let Some(first) = missing.next() {
            let bytes = read_chunk(source, first, chunk_bytes, length).await?;
            there += bytes.len() as u64;
            if let Some(second) = missing.next() {
                let more = read_chunk(source, second, chunk_bytes, length).await?;
                there += more.len() as u64;
                let id = &status.upload_id;
                tokio::try_join!(
                    self.send_chunk(id, first, &bytes),
                    self.send_chunk(id, second, &more)
                )?;
            } else {
                self.send_chunk(&status.upload_id, first, &bytes).await?;
            }
            told(there);
        }
        Ok(())
    }

    /// Sends a chunk, again where its answer was lost.
    async fn send_chunk(
        &self,
        id: &UploadId,
        index: u64,
        bytes: &Bytes,
    ) -> Result<(), ClientError> {
        let http = &self.inner().http;
        let mut attempts = Attempts::new(&self.inner().repeat);
        loop {
            let sent = async {
                let request = http.request(Method::PUT, &format!("/uploads/{id}/{index}"));
                let request = built(request.body(Body::from(bytes.clone())))?;
                let (connection, response) = http.exchange(request).await?;
                if !response.status().is_success() {
                    return Err(http.refusal(connection, response, WHAT).await);
                }
                http.short_answer(connection, response, WHAT).await
            };
            match sent.await {
                Ok(_) => return Ok(()),
                Err(fault) => {
                    let effect = Effect { repeatable: true, only_reads: false };
                    self.wait(&mut attempts, fault, WHAT, effect).await?;
                }
            }
        }
    }
}

/// Whether the daemon asks for chunks before it commits.
fn wants_chunks(error: &ClientError) -> bool {
    matches!(error, ClientError::Api(error)
        if error.data.reason == Some(ConflictReason::Transition) && error.data.index.is_some())
}

async fn length_of(source: &mut (impl AsyncSeek + Unpin)) -> Result<u64, ClientError> {
    source.seek(SeekFrom::End(0)).await.map_err(ClientError::Source)
}

async fn read_chunk(
    source: &mut (impl AsyncRead + AsyncSeek + Unpin),
    index: u64,
    chunk_bytes: u64,
    length: u64,
) -> Result<Bytes, ClientError> {
    let begins = index * chunk_bytes;
    let left = chunk_bytes.min(length.saturating_sub(begins));
    let mut bytes = BytesMut::zeroed(usize::try_from(left).unwrap_or(usize::MAX));
    source.seek(SeekFrom::Start(begins)).await.map_err(ClientError::Source)?;
    source.read_exact(&mut bytes).await.map_err(ClientError::Source)?;
    Ok(bytes.freeze())
}
