//! The parts of a `multipart` body (RFC 2046, section 5.1), read one after another by a thread that blocks.
//!
//! A part's content passes through a buffer of fixed size, however long it is; what stands around contents
//! (headers, delimiters, the text before and after) is bounded. It must not know what parts are for.

use std::io::{self, Read};

use http::header::Entry;
use http::{HeaderMap, HeaderName, HeaderValue};
use thiserror::Error;

/// How much of a body is held at a time.
const BUFFER_BYTES: usize = 64 << 10;
/// The longest boundary (RFC 2046, section 5.1.1).
const MAX_BOUNDARY_BYTES: usize = 70;
/// How long all header lines of a part may be together. They must fit into the buffer.
const MAX_HEADER_BYTES: usize = 16 << 10;
/// How long the white space behind a delimiter may be.
const MAX_PADDING_BYTES: usize = 256;
/// How much may stand before the first delimiter, and behind the last: it is thrown away.
const MAX_AROUND_BYTES: usize = 64 << 10;

/// What is wrong with a body.
#[derive(Debug, Error)]
pub(super) enum Fault {
    /// It can't be read.
    #[error("can't be read: {0}")]
    Body(#[from] io::Error),
    /// It has no end.
    #[error("ends before its last delimiter")]
    Cut,
    /// A boundary is the beginning of a line.
    #[error("has a line that begins as a delimiter and goes on")]
    Delimiter,
    /// A line among the headers is no header, or comes twice.
    #[error("has a line that is no header, or a header twice")]
    Header,
    /// The headers are too long.
    #[error("has headers of more than {MAX_HEADER_BYTES} bytes")]
    LongHeaders,
    /// Too much belongs to no part.
    #[error("has more than {MAX_AROUND_BYTES} bytes before or behind its parts")]
    Around,
}

/// The boundary between the parts of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Boundary(String);

impl Boundary {
    /// The boundary that a `Content-Type` names; `None` where it is not that of a body in parts.
    pub(super) fn of(content_type: &str) -> Option<Self> {
        let (kind, params) = content_type.split_once(';')?;
        let kind = kind.trim().to_ascii_lowercase();
        if kind != "multipart/form-data" && kind != "multipart/mixed" {
            return None;
        }
        let boundary = param(params.as_bytes(), "boundary")?;
        let is_boundary = (1..=MAX_BOUNDARY_BYTES).contains(&boundary.len())
            && boundary.iter().all(|byte| matches!(byte, b' '..=b'~'))
            && !boundary.ends_with(b" ");
        String::from_utf8(boundary).ok().filter(|_| is_boundary).map(Self)
    }
}

/// The value of a parameter of a header, quoted or not: `; name=value; name="value"`.
///
/// In a quoted value a backslash stands before a quote or another backslash; any other is one itself, as
/// browsers send it in file names.
pub(super) fn param(params: &[u8], wanted: &str) -> Option<Vec<u8>> {
    let mut rest = params;
    loop {
        rest = rest.trim_ascii_start();
        rest = rest.strip_prefix(b";").unwrap_or(rest).trim_ascii_start();
        let equals = rest.iter().position(|byte| *byte == b'=')?;
        let name = rest[..equals].trim_ascii();
        let (value, after) = match rest[equals + 1..].trim_ascii_start() {
            [b'"', quoted @ ..] => unquoted(quoted)?,
            plain => {
                let end = plain.iter().position(|byte| *byte == b';').unwrap_or(plain.len());
                (plain[..end].trim_ascii().to_vec(), &plain[end..])
            }
        };
        if name.eq_ignore_ascii_case(wanted.as_bytes()) {
            return Some(value);
        }
        rest = after;
    }
}

/// What stands before the closing quote, and what behind it.
fn unquoted(quoted: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut value = Vec::new();
    let mut rest = quoted;
    loop {
        rest = match rest {
            [b'"', after @ ..] => return Some((value, after)),
            [b'\\', byte @ (b'"' | b'\\'), after @ ..] | [byte, after @ ..] => {
                value.push(*byte);
                after
            }
            [] => return None,
        };
    }
}

/// Where the reading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the first delimiter.
    Before,
    /// In the content of a part.
    Content,
    /// Behind the bytes of a delimiter.
    Delimiter,
    /// Behind the end.
    End,
}

/// A body in parts. It reads as the content of the part that [`next_part`](Self::next_part) has come to.
pub(super) struct Multipart<R> {
    source: R,
    buffer: Box<[u8]>,
    /// What of the buffer is held, and how much of that is known to be content.
    start: usize,
    end: usize,
    content: usize,
    /// The end of the line before, two hyphens and the boundary.
    delimiter: Vec<u8>,
    place: Place,
    fault: Option<Fault>,
}

impl<R: Read> Multipart<R> {
    /// A body with this boundary.
    pub(super) fn new(source: R, boundary: &Boundary) -> Self {
        let mut buffer = vec![0; BUFFER_BYTES].into_boxed_slice();
        // The first delimiter may stand where nothing is before it.
        buffer[..2].copy_from_slice(b"\r\n");
        let delimiter = format!("\r\n--{}", boundary.0).into_bytes();
        let place = Place::Before;
        Self { source, buffer, start: 0, end: 2, content: 0, delimiter, place, fault: None }
    }

    /// Goes to the next part, over what of this one was not read; answers with its headers, or `None` once
    /// the body has ended as it must.
    ///
    /// # Errors
    /// What is wrong with the body; nothing more can be read of it then.
    pub(super) fn next_part(&mut self) -> Result<Option<HeaderMap>, Fault> {
        let mut around = 0;
        while matches!(self.place, Place::Before | Place::Content) {
            let skipped = self.find_content()?;
            self.skip(skipped);
            around += skipped;
            if self.place == Place::Before && around > MAX_AROUND_BYTES {
                return Err(Fault::Around);
            }
        }
        if self.place == Place::End {
            return Ok(None);
        }
        while self.end - self.start < 2 {
            self.fill()?;
        }
        if self.held().starts_with(b"--") {
            self.read_end()?;
            self.place = Place::End;
            return Ok(None);
        }
        let mut left = MAX_PADDING_BYTES;
        let padding = self.take_line(&mut left, Fault::Delimiter)?;
        if !padding.iter().all(|byte| matches!(byte, b' ' | b'\t')) {
            return Err(Fault::Delimiter);
        }
        let headers = self.read_headers()?;
        // The empty line that ends the headers may be the end of the line before a delimiter: the part
        // has no content then.
        self.start -= 2;
        self.place = Place::Content;
        if self.find_content()? > 0 {
            self.skip(2);
        }
        Ok(Some(headers))
    }

    /// What was wrong, where reading the content of a part failed for it.
    pub(super) fn take_fault(&mut self) -> Option<Fault> {
        self.fault.take()
    }

    fn held(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    fn skip(&mut self, count: usize) {
        self.start += count;
        self.content = self.content.saturating_sub(count);
    }

    /// Reads more of the body.
    fn fill(&mut self) -> Result<(), Fault> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        match self.read_some()? {
            0 => Err(Fault::Cut),
            count => {
                self.end += count;
                Ok(())
            }
        }
    }

    /// Reads behind what is held; 0 at the end of the body.
    fn read_some(&mut self) -> io::Result<usize> {
        loop {
            match self.source.read(&mut self.buffer[self.end..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }

    /// How much of what is held is content; 0 at a delimiter, which is taken.
    fn find_content(&mut self) -> Result<usize, Fault> {
        while self.content == 0 {
            let (content, is_delimiter) = before_delimiter(self.held(), &self.delimiter);
            self.content = content;
            match (content, is_delimiter) {
                (0, true) => {
                    self.start += self.delimiter.len();
                    self.place = Place::Delimiter;
                    return Ok(0);
                }
                (0, false) => self.fill()?,
                _ => {}
            }
        }
        Ok(self.content)
    }

    /// Takes a line, without its end, of at most `left` bytes, which become fewer.
    fn take_line(&mut self, left: &mut usize, too_long: Fault) -> Result<Vec<u8>, Fault> {
        let mut seen = 0;
        loop {
            let held = self.held();
            if let Some(at) = memchr::memchr(b'\r', &held[seen..]).map(|at| seen + at) {
                match held.get(at + 1) {
                    Some(b'\n') if at + 2 <= *left => {
                        let line = held[..at].to_vec();
                        *left -= at + 2;
                        self.start += at + 2;
                        return Ok(line);
                    }
                    Some(b'\n') => return Err(too_long),
                    Some(_) => {
                        seen = at + 1;
                        continue;
                    }
                    None => seen = at,
                }
            } else {
                seen = held.len();
            }
            if held.len() > *left {
                return Err(too_long);
            }
            self.fill()?;
        }
    }

    fn read_headers(&mut self) -> Result<HeaderMap, Fault> {
        let mut headers = HeaderMap::new();
        let mut left = MAX_HEADER_BYTES;
        loop {
            let line = self.take_line(&mut left, Fault::LongHeaders)?;
            if line.is_empty() {
                return Ok(headers);
            }
            let colon = line.iter().position(|byte| *byte == b':').ok_or(Fault::Header)?;
            let name = HeaderName::from_bytes(&line[..colon]).map_err(|_| Fault::Header)?;
            let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
            match headers.entry(name) {
                Entry::Vacant(entry) => entry.insert(value.map_err(|_| Fault::Header)?),
                Entry::Occupied(_) => return Err(Fault::Header),
            };
        }
    }

    /// Reads what stands behind the last delimiter: a body that is cut off is found here.
    fn read_end(&mut self) -> Result<(), Fault> {
        let mut around = self.end - self.start;
        loop {
            self.start = 0;
            self.end = 0;
            match self.read_some()? {
                0 => return Ok(()),
                count => around += count,
            }
            if around > MAX_AROUND_BYTES {
                return Err(Fault::Around);
            }
        }
    }
}

/// How many bytes are before a delimiter, or before what may be the beginning of one; whether it is one.
///
/// A delimiter has one carriage return, at its beginning, so no byte is looked at more than twice.
fn before_delimiter(held: &[u8], delimiter: &[u8]) -> (usize, bool) {
    for at in memchr::memchr_iter(b'\r', held) {
        let rest = &held[at..];
        let length = rest.len().min(delimiter.len());
        if rest[..length] == delimiter[..length] {
            return (at, length == delimiter.len());
        }
    }
    (held.len(), false)
}

/// The content of the current part.
impl<R: Read> Read for Multipart<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.place != Place::Content {
            return Ok(0);
        }
        let content = self.find_content().map_err(|fault| match fault {
            Fault::Body(error) => error,
            fault => {
                let error = io::Error::new(io::ErrorKind::InvalidData, fault.to_string());
                self.fault = Some(fault);
                error
            }
        })?;
        let count = content.min(buffer.len());
        buffer[..count].copy_from_slice(&self.held()[..count]);
        self.skip(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Gives a few bytes at a time, as a network does.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.0.len().min(self.1).min(buffer.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    type Part = (HeaderMap, Vec<u8>);

    fn read_all(body: &[u8], boundary: &str, piece: usize) -> Result<Vec<Part>, Fault> {
        let mut body = Multipart::new(Pieces(body, piece), &Boundary(boundary.to_owned()));
        let mut parts = Vec::new();
        while let Some(headers) = body.next_part()? {
            let mut content = Vec::new();
            if body.read_to_end(&mut content).is_err() {
                return Err(body.take_fault().unwrap());
            }
            parts.push((headers, content));
        }
        assert!(body.next_part()?.is_none());
        Ok(parts)
    }

    fn contents(body: &str) -> Result<Vec<Vec<u8>>, Fault> {
        let mut all = (1..8).chain([100, BUFFER_BYTES]).map(|piece| {
            let parts = read_all(body.as_bytes(), "b", piece)?;
            Ok(parts.into_iter().map(|(_, content)| content).collect::<Vec<_>>())
        });
        let first = all.next().unwrap();
        for other in all {
            assert_eq!(other.as_ref().ok(), first.as_ref().ok(), "{body:?}");
        }
        first
    }

    #[test]
    fn boundaries_are_read() {
        for (content_type, boundary) in [
            ("multipart/form-data; boundary=b", Some("b")),
            ("Multipart/Mixed;charset=utf-8; Boundary=\"a b;=\\\"c\"", Some("a b;=\"c")),
            ("multipart/form-data; boundary=\"a=b\" ; x=y", Some("a=b")),
            ("multipart/form-data; x=\"; boundary=no\"; boundary=yes", Some("yes")),
            ("multipart/form-data", None),
            ("multipart/form-data; boundary", None),
            ("multipart/form-data; boundary=", None),
            ("multipart/form-data; boundary=\"a ", None),
            ("multipart/form-data; boundary=\"a \"", None),
            ("multipart/form-data; boundary=\"a\tb\"", None),
            ("multipart/related; boundary=b", None),
            ("text/plain; boundary=b", None),
        ] {
            let read = Boundary::of(content_type).map(|boundary| boundary.0);
            assert_eq!(read.as_deref(), boundary, "{content_type}");
        }
        let of =
            |length| Boundary::of(&format!("multipart/mixed; boundary={}", "b".repeat(length)));
        assert!(of(MAX_BOUNDARY_BYTES).is_some() && of(MAX_BOUNDARY_BYTES + 1).is_none());
    }

    #[test]
    fn parts_are_read() {
        for (body, expected) in [
            ("--b--", &[][..]),
            ("--b--\r\n", &[]),
            ("\r\n--b--behind", &[]),
            ("--b\r\n\r\none\r\n--b--", &["one"]),
            ("before\r\n--b \t\r\n\r\none\r\n--b\r\nX: y\r\n\r\ntwo\r\n--b--\r\n", &["one", "two"]),
            // Without content: with the empty line before the delimiter, and without.
            ("--b\r\n\r\n\r\n--b\r\nX: y\r\n\r\n--b\r\n\r\n--b--", &["", "", ""]),
            ("--b\r\n\r\n\r\n\r\n--b--", &["\r\n"]),
            ("--b\r\n\r\n--c\r\n-b\r\n--\n--b\r--b\r\n--b--", &["--c\r\n-b\r\n--\n--b\r--b"]),
            ("x--b\r\n--b\r\n\r\n\r\r\r\n--b--", &["\r\r"]),
        ] {
            let read = contents(body).unwrap();
            assert_eq!(
                read,
                expected.iter().map(|it| it.as_bytes()).collect::<Vec<_>>(),
                "{body:?}"
            );
        }
    }

    #[test]
    fn what_is_not_read_of_a_part_is_passed_over() {
        let body = b"--b\r\n\r\none\r\n--b\r\nX: y\r\n\r\ntwo\r\n--b--";
        let mut body = Multipart::new(Pieces(body, 3), &Boundary("b".to_owned()));
        assert!(body.next_part().unwrap().unwrap().is_empty());
        assert_eq!(body.next_part().unwrap().unwrap()["x"], "y");
        let mut content = [0; 2];
        body.read_exact(&mut content).unwrap();
        assert_eq!(&content, b"tw");
        assert!(body.next_part().unwrap().is_none());
    }

    #[test]
    fn what_is_wrong_is_said() {
        let in_a_part = |headers: &str| format!("--b\r\n{headers}\r\n\r\nx\r\n--b--");
        let long = |length: usize| in_a_part(&format!("x: {}", "y".repeat(length)));
        let around = "x".repeat(MAX_AROUND_BYTES + 1);
        // The lines with their ends, and the empty one.
        let longest = MAX_HEADER_BYTES - "x: \r\n\r\n".len();
        assert!(contents(&long(longest)).is_ok());
        for (body, why) in [
            (String::new(), "ends before"),
            ("no delimiter".to_owned(), "ends before"),
            ("--b".to_owned(), "ends before"),
            ("--b-".to_owned(), "ends before"),
            ("--b\r\n".to_owned(), "ends before"),
            ("--b\r\nX: y".to_owned(), "ends before"),
            ("--b\r\nX: y\r\n\r\n".to_owned(), "ends before"),
            ("--b\r\n\r\ncontent\r\n--".to_owned(), "ends before"),
            ("--bb\r\n\r\nx\r\n--b--".to_owned(), "begins as a delimiter"),
            ("--b\r\n\r\nx\r\n--b x\r\n\r\n--b--".to_owned(), "begins as a delimiter"),
            (format!("--b{}\r\n\r\n--b--", " ".repeat(300)), "begins as a delimiter"),
            (in_a_part("no header"), "no header"),
            (in_a_part(": y"), "no header"),
            (in_a_part("X : y"), "no header"),
            (in_a_part("X: a\r\n Folded: b"), "no header"),
            (in_a_part("X: a\nb"), "no header"),
            (in_a_part("X: a\rb"), "no header"),
            (in_a_part("X: a\r\nx: b"), "a header twice"),
            (long(longest + 1), "headers of more than"),
            (long(1 << 20), "headers of more than"),
            (format!("{around}\r\n--b--"), "before or behind"),
            (format!("--b--{around}"), "before or behind"),
        ] {
            let told = contents(&body).unwrap_err().to_string();
            assert!(told.contains(why), "{:?}: {told}", &body[..body.len().min(60)]);
        }
    }

    /// Bytes that make what looks like a delimiter.
    fn tricky(most: usize) -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), Just(b'b'), any::<u8>()];
        proptest::collection::vec(byte, 0..most)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            all in proptest::collection::vec(tricky(300), 0..6), piece in 1..400_usize
        ) {
            let mut body = Vec::new();
            for content in &all {
                body.extend_from_slice(b"--bob-1\r\nContent-Type: x/y\r\n\r\n");
                body.extend_from_slice(content);
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(b"--bob-1--\r\n");
            let read = read_all(&body, "bob-1", piece).unwrap();
            for (headers, _) in &read {
                prop_assert_eq!(&headers["content-type"], "x/y");
            }
            let read: Vec<Vec<u8>> = read.into_iter().map(|(_, content)| content).collect();
            prop_assert_eq!(read, all);
        }

        #[test]
        fn noise_is_read_alike_however_it_comes(body in tricky(400), piece in 1..40_usize) {
            let outcome = |piece| {
                read_all(&body, "b", piece).map_err(|fault| fault.to_string())
            };
            prop_assert_eq!(outcome(piece), outcome(1 << 20));
        }
    }
}
