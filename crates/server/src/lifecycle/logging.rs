//! Logs: for people on a terminal, JSON otherwise, on stderr.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::config::ConfigError;

/// Dependencies log at INFO at most: those that read JSON-RPC and WebSockets print params at TRACE.
const CAPS: &[&str] = &[
    "jsonrpsee=info",
    "jsonrpsee_server=info",
    "jsonrpsee_core=info",
    "jsonrpsee-server=info",
    "jsonrpsee-core=info",
    "hyper=info",
    "hyper_util=info",
    "h2=info",
    "tower=info",
    "axum=info",
    "soketto=info",
    "tungstenite=info",
    "tokio_tungstenite=info",
    "r2d2=info",
    "tokio=info",
    "mio=info",
];

/// Whatever the filter says, denied calls and calls of the admin's are logged.
const AUDIT: &str = "audit=info";

/// Starts logging by this filter.
///
/// # Errors
/// Where the filter can't be read.
pub fn start(filter: &str) -> Result<(), ConfigError> {
    let bad = |error: &dyn std::fmt::Display| ConfigError::new(format!("the log filter: {error}"));
    let mut filter = EnvFilter::builder().parse(filter).map_err(|error| bad(&error))?;
    for cap in CAPS.iter().chain(&[AUDIT]) {
        filter = filter.add_directive(cap.parse().map_err(|error| bad(&error))?);
    }
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    // A second start in one process (a test's) keeps the first one's subscriber.
    let _ = if io::stderr().is_terminal() {
        subscriber.with_target(false).try_init()
    } else {
        subscriber.json().flatten_event(true).try_init()
    };
    Ok(())
}
