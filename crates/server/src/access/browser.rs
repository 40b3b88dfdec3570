//! Keeps browsers out: a page someone opens must not reach the daemon.
//!
//! A page can send requests to localhost; its browser says where they come from in `Origin`, so any
//! request with an `Origin` that is not listed is refused, `null` too. What a page embeds (an image, a
//! script) or links to comes without one, but with `Sec-Fetch-Site` (Fetch Metadata): anything is refused
//! that was not the user's own doing. By DNS rebinding a page can make itself the same origin; its `Host`
//! then names its own domain, so on TCP only names of this machine are taken. Pages of a listed origin
//! are told so by CORS (the Fetch standard, section 3.3), without which their browser would not show them
//! an answer.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HOST,
    ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use osnova_storage_api::{ApiError, ErrorCode};

use super::Peer;

/// A browser says how the page that sends a request and its target are related.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Checks where a request comes from, and whom it is for.
pub(super) fn check<B>(
    peer: &Peer,
    request: &Request<B>,
    allowed_origins: &[String],
    allowed_hosts: &[String],
) -> Result<(), ApiError> {
    let headers = request.headers();
    for origin in headers.get_all(ORIGIN) {
        let known =
            origin.to_str().is_ok_and(|origin| allowed_origins.iter().any(|it| it == origin));
        if !known {
            return Err(forbidden("requests from web pages are refused"));
        }
    }
    let by_a_page = headers.get(FETCH_SITE).is_some_and(|site| site != "none");
    if by_a_page && !headers.contains_key(ORIGIN) {
        return Err(forbidden("requests from web pages are refused"));
    }
    if matches!(peer, Peer::Tcp) {
        let mut hosts = headers.get_all(HOST).iter();
        let host = hosts.next().and_then(|host| host.to_str().ok());
        let known = |host: &str| is_this_machine(host) || allowed_hosts.iter().any(|it| it == host);
        // A host in the target counts more than the header (RFC 9112, section 3.2.2).
        let in_target = request.uri().authority().map(|authority| authority.as_str());
        if hosts.next().is_some() || !host.is_some_and(known) || !in_target.is_none_or(known) {
            return Err(forbidden("the Host header must name this machine"));
        }
    }
    Ok(())
}

/// How long a browser may remember what a listed origin may do, in seconds.
const REMEMBERED: HeaderValue = HeaderValue::from_static("600");
/// What a page may send.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT");
/// The headers of ours that a page may send.
const SENT: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, range, if-range, if-none-match, x-name, x-expected-hash",
);
/// The headers of ours that a page may see.
const SEEN: HeaderValue =
    HeaderValue::from_static("etag, content-range, accept-ranges, retry-after, www-authenticate");
/// A browser asks whether a page of the network may reach this machine (Private Network Access).
const ASKS_PRIVATE: HeaderName = HeaderName::from_static("access-control-request-private-network");
const ALLOWS_PRIVATE: HeaderName = HeaderName::from_static("access-control-allow-private-network");

/// A listed origin that a request comes from.
pub(crate) struct Cors(HeaderValue);

/// The origin of a request whose origin was [checked](check).
pub(crate) fn cors(headers: &HeaderMap) -> Option<Cors> {
    headers.get(ORIGIN).cloned().map(Cors)
}

impl Cors {
    /// The answer to a browser that asks before it sends; it carries no credential then.
    pub(crate) fn preflight<B, T: Default>(&self, request: &Request<B>) -> Option<Response<T>> {
        let asks = request.method() == Method::OPTIONS
            && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if !asks {
            return None;
        }
        let mut response = Response::new(T::default());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, SENT);
        headers.insert(ACCESS_CONTROL_MAX_AGE, REMEMBERED);
        if request.headers().contains_key(ASKS_PRIVATE) {
            headers.insert(ALLOWS_PRIVATE, HeaderValue::from_static("true"));
        }
        self.apply(&mut response);
        Some(response)
    }

    /// Lets the page see the answer.
    pub(crate) fn apply<B>(&self, response: &mut Response<B>) {
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, self.0.clone());
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, SEEN);
        headers.append(VARY, HeaderValue::from_static("origin"));
    }
}

fn forbidden(message: &str) -> ApiError {
    ApiError::new(ErrorCode::Forbidden, message)
}

/// Whether a `Host` is a loopback name, with or without a port.
fn is_this_machine(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').unwrap_or_default(),
        None => host.find(':').map_or((host, ""), |colon| host.split_at(colon)),
    };
    let is_port = |digits: &str| digits.parse::<u16>().is_ok() && !digits.starts_with('+');
    if !port.is_empty() && !port.strip_prefix(':').is_some_and(is_port) {
        return false;
    }
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(peer: &Peer, headers: &[(&'static str, &str)]) -> bool {
        let mut request = Request::new(());
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        let (origins, hosts) = (["http://localhost:5173".to_owned()], ["box.lan:7117".to_owned()]);
        check(peer, &request, &origins, &hosts).is_ok()
    }

    #[test]
    fn pages_are_refused() {
        let unix = &Peer::Owner { uid: 1000 };
        assert!(checked(unix, &[("host", "anything")]));
        assert!(checked(unix, &[]));
        for origin in ["null", "https://evil.example", "http://localhost:5174", "http://127.0.0.1"]
        {
            assert!(!checked(unix, &[("origin", origin)]), "{origin}");
            assert!(!checked(&Peer::Tcp, &[("host", "localhost"), ("origin", origin)]), "{origin}");
        }
        assert!(checked(&Peer::Tcp, &[("host", "localhost"), ("origin", "http://localhost:5173")]));
        for host in [
            "box.lan:7117",
            "localhost",
            "LOCALHOST:7117",
            "127.0.0.1",
            "127.0.0.1:7117",
            "[::1]:7117",
        ] {
            assert!(checked(&Peer::Tcp, &[("host", host)]), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:7117",
            "192.168.1.1",
            "[::2]",
            "localhost:7117@evil.example",
            "localhost:",
            "localhost:+80",
            "[::1]x",
            "[::1",
            "",
        ] {
            assert!(!checked(&Peer::Tcp, &[("host", host)]), "{host}");
        }
        for site in ["cross-site", "same-site", "same-origin"] {
            assert!(!checked(unix, &[("sec-fetch-site", site)]), "{site}");
            let listed = ("origin", "http://localhost:5173");
            assert!(checked(unix, &[listed, ("sec-fetch-site", site)]), "{site}");
        }
        assert!(checked(unix, &[("sec-fetch-site", "none")]));
        assert!(!checked(&Peer::Tcp, &[]));
        assert!(!checked(&Peer::Tcp, &[("host", "localhost"), ("host", "localhost")]));
    }
}
