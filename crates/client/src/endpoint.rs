//! Where the daemon listens: the texts that name an endpoint, and the default one.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The environment variable that names the endpoint, as a host sets it for a component it starts.
pub const ENDPOINT_VARIABLE: &str = "OSNOVA_STORAGE_ENDPOINT";
/// The environment variable that holds the token, as a host sets it for a component it starts.
pub const TOKEN_VARIABLE: &str = "OSNOVA_STORAGE_TOKEN";
/// The environment variable that names the data root, for the daemon as for the default endpoint.
const DATA_ROOT_VARIABLE: &str = "OSNOVA_STORAGE_DATA_ROOT";
/// The owner's socket, in its directory.
const SOCKET_NAME: &str = "storage.sock";

/// How calls travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Each call is an HTTP request; as many connections as there are calls at a time.
    Http,
    /// All calls share one WebSocket.
    WebSocket,
}

/// What to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A Unix socket.
    Unix(PathBuf),
    /// A TCP port.
    Tcp {
        /// A host name or address, by convention a loopback one.
        host: String,
        /// The port.
        port: u16,
    },
}

/// Where the daemon listens, and how to speak to it.
///
/// As text: `unix:/run/user/1000/osnova/storage.sock`, `ws+unix:/path`, `http://127.0.0.1:7117`,
/// `ws://127.0.0.1:7117`. The path of a URL may be `/t/<token>/`, the daemon's form for clients that
/// can't set headers; it is taken as the token.
///
/// ```
/// use osnova_storage_client::{Endpoint, Protocol};
///
/// let endpoint: Endpoint = "ws://127.0.0.1:7117".parse()?;
/// assert_eq!(endpoint.protocol, Protocol::WebSocket);
/// assert_eq!(endpoint.to_string(), "ws://127.0.0.1:7117");
/// # Ok::<(), osnova_storage_client::EndpointError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// How calls travel.
    pub protocol: Protocol,
    /// What to connect to.
    pub address: Address,
    /// The token that stood in the text.
    pub(crate) token: Option<String>,
}

/// A text does not name an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EndpointError(String);

impl EndpointError {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl Endpoint {
    /// The daemon's Unix socket at this path, spoken to by HTTP.
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self { protocol: Protocol::Http, address: Address::Unix(path.into()), token: None }
    }

    /// `$OSNOVA_STORAGE_ENDPOINT`, else the default socket: `$XDG_RUNTIME_DIR/osnova/storage.sock`, or
    /// `run/storage.sock` in the data root where the root is not the default one, or where only that
    /// one is there.
    ///
    /// # Errors
    /// The variable does not name an endpoint, or there is no home directory to look in.
    pub fn from_env() -> Result<Self, EndpointError> {
        match env::var(ENDPOINT_VARIABLE) {
            Ok(text) if !text.is_empty() => text.parse(),
            _ => default_socket(
                |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from),
                Path::exists,
            )
            .map(Endpoint::unix),
        }
    }

    /// The `Host` of requests to it.
    pub(crate) fn host(&self) -> String {
        match &self.address {
            Address::Unix(_) => "localhost".to_owned(),
            Address::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            Address::Tcp { host, port } => format!("{host}:{port}"),
        }
    }
}

fn default_socket(
    variable: impl Fn(&str) -> Option<PathBuf>,
    exists: impl Fn(&Path) -> bool,
) -> Result<PathBuf, EndpointError> {
    let in_root = |root: PathBuf| root.join("run").join(SOCKET_NAME);
    if let Some(root) = variable(DATA_ROOT_VARIABLE) {
        return Ok(in_root(root));
    }
    let runtime = variable("XDG_RUNTIME_DIR").map(|dir| dir.join("osnova").join(SOCKET_NAME));
    let home = variable("HOME");
    let data = if cfg!(target_os = "macos") {
        home.map(|home| home.join("Library").join("Application Support"))
    } else {
        variable("XDG_DATA_HOME").or_else(|| home.map(|home| home.join(".local").join("share")))
    };
    let fallback = data.map(|data| in_root(data.join("osnova")));
    match (runtime, fallback) {
        (Some(runtime), Some(fallback)) if !exists(&runtime) && exists(&fallback) => Ok(fallback),
        (Some(path), _) | (None, Some(path)) => Ok(path),
        (None, None) => Err(EndpointError::new(format!(
            "no endpoint: set {ENDPOINT_VARIABLE}, XDG_RUNTIME_DIR or HOME"
        ))),
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        // The text may hold a token, so it is never said back.
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(EndpointError::new(
                "an endpoint begins with unix:, ws+unix:, http: or ws:, as in unix:/path/storage.sock",
            ));
        };
        match scheme {
            "unix" => unix(Protocol::Http, rest),
            "ws+unix" => unix(Protocol::WebSocket, rest),
            "http" => tcp(Protocol::Http, rest),
            "ws" => tcp(Protocol::WebSocket, rest),
            "https" | "wss" => Err(EndpointError::new(
                "TLS is not spoken: the daemon listens on this machine only; use http: or ws:",
            )),
            _ => Err(EndpointError::new("an endpoint's scheme is unix, ws+unix, http or ws")),
        }
    }
}

fn unix(protocol: Protocol, rest: &str) -> Result<Endpoint, EndpointError> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path.is_empty() {
        return Err(EndpointError::new(
            "a unix endpoint needs a path, as in unix:/path/storage.sock",
        ));
    }
    Ok(Endpoint { protocol, address: Address::Unix(PathBuf::from(path)), token: None })
}

fn tcp(protocol: Protocol, rest: &str) -> Result<Endpoint, EndpointError> {
    let rest = rest
        .strip_prefix("//")
        .ok_or_else(|| EndpointError::new("a TCP endpoint is as http://127.0.0.1:7117"))?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let authority: http::uri::Authority =
        authority.parse().map_err(|_| EndpointError::new("the endpoint's host can't be read"))?;
    let port = authority.port_u16().ok_or_else(|| {
        EndpointError::new("a TCP endpoint needs a port, as in http://127.0.0.1:7117")
    })?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    if host.is_empty() || authority.as_str().contains('@') {
        return Err(EndpointError::new("a TCP endpoint holds a host and a port, and no user"));
    }
    let token = match path.trim_end_matches('/') {
        "" => None,
        path => match path.strip_prefix("t/") {
            Some(token) if !token.is_empty() && !token.contains('/') => Some(token.to_owned()),
            _ => return Err(EndpointError::new("the path of an endpoint is / or /t/<token>/")),
        },
    };
    Ok(Endpoint { protocol, address: Address::Tcp { host, port }, token })
}

impl fmt::Display for Endpoint {
    /// The endpoint without its token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.protocol, &self.address) {
            (Protocol::Http, Address::Unix(path)) => write!(f, "unix:{}", path.display()),
            (Protocol::WebSocket, Address::Unix(path)) => write!(f, "ws+unix:{}", path.display()),
            (Protocol::Http, Address::Tcp { .. }) => write!(f, "http://{}", self.host()),
            (Protocol::WebSocket, Address::Tcp { .. }) => write!(f, "ws://{}", self.host()),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_and_said_back() {
        for text in [
            "unix:/run/osnova/storage.sock",
            "ws+unix:/a b/storage.sock",
            "http://127.0.0.1:7117",
            "ws://localhost:1",
            "http://[::1]:7117",
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
        assert_eq!("unix:///run/s".parse::<Endpoint>().unwrap().to_string(), "unix:/run/s");
        for bad in [
            "",
            "/run/s",
            "unix:",
            "http:127.0.0.1:1",
            "http://127.0.0.1",
            "https://127.0.0.1:1",
            "http://a:b@127.0.0.1:1",
            "http://127.0.0.1:1/x",
            "http://127.0.0.1:1/t/",
            "ftp://a:1",
        ] {
            assert!(bad.parse::<Endpoint>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_token_in_the_path_is_taken_and_not_shown() {
        let endpoint: Endpoint = "http://127.0.0.1:7117/t/s3cret/".parse().unwrap();
        assert_eq!(endpoint.token.as_deref(), Some("s3cret"));
        assert_eq!(
            format!("{endpoint} {endpoint:?}"),
            "http://127.0.0.1:7117 http://127.0.0.1:7117"
        );
    }

    #[test]
    fn the_default_socket_follows_the_root() {
        let with = |set: &[(&str, &str)], there: &str| {
            default_socket(
                |name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into()),
                |path| path == Path::new(there),
            )
            .map(|path| path.display().to_string())
            .unwrap_or_default()
        };
        let both = [("XDG_RUNTIME_DIR", "/r"), ("XDG_DATA_HOME", "/d")];
        assert_eq!(with(&both, ""), "/r/osnova/storage.sock");
        assert_eq!(with(&both, "/r/osnova/storage.sock"), "/r/osnova/storage.sock");
        assert_eq!(with(&both, "/d/osnova/run/storage.sock"), "/d/osnova/run/storage.sock");
        assert_eq!(with(&[("OSNOVA_STORAGE_DATA_ROOT", "/x")], ""), "/x/run/storage.sock");
        assert_eq!(with(&[], ""), "");
    }
}
