//! Reading content: `GET /blobs/{hash}`.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName, RANGE};
use http::{Method, Response, StatusCode};
use hyper::body::Incoming;
use osnova_storage_api::wire::BlobHash;
use tokio::io::{AsyncRead, ReadBuf};

use super::Progress;
use crate::client::{Client, HARMLESS};
use crate::error::{ClientError, Fault};
use crate::http::{Body, Connection, Pool, built};
use crate::repeat::Attempts;

/// What errors call this.
const WHAT: &str = "GET /blobs";

/// A content on its way, to be read as an [`AsyncRead`].
///
/// It ends without an error only after every byte that was asked for: a connection that breaks, or a
/// daemon that finds damage on its disk, is an error of the read that meets it. Dropping it ends the
/// transfer.
pub struct BlobStream {
    /// None once the body has ended and its connection went back.
    connection: Option<Connection>,
    pool: Arc<Pool>,
    body: Incoming,
    chunk: Bytes,
    remaining: u64,
    length: u64,
    offset: u64,
    size: u64,
    content_type: Option<String>,
    progress: Option<Arc<dyn Progress>>,
}

impl fmt::Debug for BlobStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobStream")
            .field("size", &self.size)
            .field("offset", &self.offset)
            .field("remaining", &self.remaining)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Reads a content, or a range of its bytes (`..` for the whole).
    ///
    /// ```no_run
    /// use osnova_storage_client::{Client, ClientError, api::wire::BlobHash};
    /// use tokio::io::AsyncReadExt;
    ///
    /// # async fn example(client: Client, hash: BlobHash) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut head = client.get_blob(&hash, ..4096).await?;
    /// let mut bytes = Vec::new();
    /// head.read_to_end(&mut bytes).await?;
    /// assert!(bytes.len() == 4096 || head.size() < 4096);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`call`](Self::call), and where the range is empty.
    pub async fn get_blob(
        &self,
        hash: &BlobHash,
        range: impl RangeBounds<u64>,
    ) -> Result<BlobStream, ClientError> {
        let range = range_header(&range)?;
        let mut attempts = Attempts::new(&self.inner().repeat);
        loop {
            match self.open_blob(hash, range.as_deref()).await {
                Ok(stream) => return Ok(stream),
                Err(fault) => self.wait(&mut attempts, fault, WHAT, HARMLESS).await?,
            }
        }
    }

    async fn open_blob(&self, hash: &BlobHash, range: Option<&str>) -> Result<BlobStream, Fault> {
        let http = &self.inner().http;
        let mut request = http.request(Method::GET, &format!("/blobs/{hash}"));
        if let Some(range) = range {
            request = request.header(RANGE, range);
        }
        let request = built(request.body(Body::from(Bytes::new())))?;
        let (connection, response) = http.exchange(request).await?;
        if !response.status().is_success() {
            return Err(http.refusal(connection, response, WHAT).await);
        }
        let shape = Shape::of(&response, range.is_some())
            .map_err(|why| ClientError::Answer { method: WHAT.to_owned(), why: why.to_owned() })?;
        let content_type = text(&response, CONTENT_TYPE).map(str::to_owned);
        Ok(BlobStream {
            connection: Some(connection),
            pool: http.pool.clone(),
            body: response.into_body(),
            chunk: Bytes::new(),
            remaining: shape.length,
            length: shape.length,
            offset: shape.offset,
            size: shape.size,
            content_type,
            progress: None,
        })
    }
}

/// Which part of a content a response holds.
#[derive(Debug, PartialEq)]
struct Shape {
    offset: u64,
    length: u64,
    size: u64,
}

impl Shape {
    fn of<B>(response: &Response<B>, asked_for_range: bool) -> Result<Self, &'static str> {
        let length: u64 = text(response, CONTENT_LENGTH)
            .and_then(|text| text.parse().ok())
            .ok_or("it does not say how long it is")?;
        if response.status() != StatusCode::PARTIAL_CONTENT {
            return match asked_for_range {
                true => Err("a range was asked for, and it is not one"),
                false => Ok(Self { offset: 0, length, size: length }),
            };
        }
        let (offset, end, size) = text(response, CONTENT_RANGE)
            .and_then(parse_content_range)
            .ok_or("its Content-Range can't be read")?;
        match end.checked_sub(offset).and_then(|span| span.checked_add(1)) {
            Some(span) if span == length && end < size => Ok(Self { offset, length, size }),
            _ => Err("its Content-Range and its length differ"),
        }
    }
}

/// `bytes 0-99/1234`.
fn parse_content_range(text: &str) -> Option<(u64, u64, u64)> {
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?, size.parse().ok()?))
}

fn text<B>(response: &Response<B>, name: HeaderName) -> Option<&str> {
    response.headers().get(name)?.to_str().ok()
}

/// The `Range` header; none for the whole.
fn range_header(range: &impl RangeBounds<u64>) -> Result<Option<String>, ClientError> {
    let empty = || ClientError::Params("the range is empty".to_owned());
    let first = match range.start_bound() {
        Bound::Included(first) => *first,
        Bound::Excluded(before) => before.checked_add(1).ok_or_else(empty)?,
        Bound::Unbounded => 0,
    };
    let last = match range.end_bound() {
        Bound::Included(last) => *last,
        Bound::Excluded(end) => end.checked_sub(1).ok_or_else(empty)?,
        Bound::Unbounded if first == 0 => return Ok(None),
        Bound::Unbounded => return Ok(Some(format!("bytes={first}-"))),
    };
    if last < first {
        return Err(empty());
    }
    Ok(Some(format!("bytes={first}-{last}")))
}

impl BlobStream {
    /// The size of the whole content in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Where in the content this stream begins.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// How many bytes this stream has in all.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// What its putter said it is.
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// Tells `progress` how much has been read.
    #[must_use]
    pub fn with_progress(mut self, progress: Arc<dyn Progress>) -> Self {
        self.progress = Some(progress);
        self
    }

    /// The next piece, as it came; none after the last. Copies less than reading into a buffer.
    ///
    /// # Errors
    /// The transfer broke before its end.
    pub async fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
        poll_fn(|cx| self.poll_chunk(cx)).await?;
        Ok((!self.chunk.is_empty()).then(|| std::mem::take(&mut self.chunk)))
    }

    /// Fills `chunk`; it stays empty only at the end.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.chunk.is_empty() {
            let Some(connection) = &mut self.connection else { return Poll::Ready(Ok(())) };
            match ready!(connection.poll_data(cx, &mut self.body)) {
                Some(Ok(chunk)) => {
                    let count = chunk.len() as u64;
                    let Some(remaining) = self.remaining.checked_sub(count) else {
                        return Poll::Ready(Err(broken("the content is longer than was said")));
                    };
                    self.remaining = remaining;
                    self.chunk = chunk;
                    if let Some(progress) = &self.progress {
                        progress.transferred(self.length - remaining);
                    }
                }
                Some(Err(error)) => {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, error)));
                }
                None if self.remaining > 0 => {
                    return Poll::Ready(Err(broken("the content ended early")));
                }
                None => {
                    if let Some(connection) = self.connection.take() {
                        self.pool.put_back(connection);
                    }
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

fn broken(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, why)
}

impl AsyncRead for BlobStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        ready!(stream.poll_chunk(cx))?;
        let count = stream.chunk.len().min(buffer.remaining());
        buffer.put_slice(&stream.chunk[..count]);
        stream.chunk.advance(count);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_as_headers() {
        let header = |range: (Bound<u64>, Bound<u64>)| range_header(&range).unwrap();
        use Bound::{Excluded, Included, Unbounded};
        assert_eq!(header((Unbounded, Unbounded)), None);
        assert_eq!(header((Included(0), Unbounded)), None);
        assert_eq!(header((Included(5), Unbounded)).unwrap(), "bytes=5-");
        assert_eq!(header((Unbounded, Excluded(10))).unwrap(), "bytes=0-9");
        assert_eq!(header((Included(5), Included(5))).unwrap(), "bytes=5-5");
        assert!(range_header(&(5..5)).is_err());
        assert!(range_header(&(..0)).is_err());
    }

    #[test]
    fn shapes_that_contradict_themselves_are_refused() {
        let shape = |status: u16, range: &str, length: &str, asked| {
            let response = Response::builder()
                .status(status)
                .header(CONTENT_RANGE, range)
                .header(CONTENT_LENGTH, length)
                .body(())
                .unwrap();
            Shape::of(&response, asked)
        };
        assert_eq!(shape(200, "", "7", false), Ok(Shape { offset: 0, length: 7, size: 7 }));
        assert_eq!(
            shape(206, "bytes 2-4/10", "3", true),
            Ok(Shape { offset: 2, length: 3, size: 10 })
        );
        assert!(shape(206, "bytes 2-4/10", "4", true).is_err());
        assert!(shape(206, "bytes 4-2/10", "3", true).is_err());
        assert!(shape(206, "bytes 2-4/4", "3", true).is_err());
        assert!(shape(200, "", "7", true).is_err());
        assert!(shape(200, "", "x", false).is_err());
    }
}
