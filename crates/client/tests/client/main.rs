//! The client and the command line against a daemon that answers by script.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

#[cfg(all(feature = "cli", unix))]
mod access_commands;
#[cfg(all(feature = "cli", unix))]
mod command_line;
#[cfg(all(feature = "cli", unix))]
mod file_commands;
mod job_commands;
#[cfg(all(feature = "cli", unix))]
mod program;
mod put_many;
#[cfg(all(feature = "cli", unix))]
mod record_commands;
mod refusing;
mod repeating;
mod searching;
mod streams;
mod support;
#[cfg(all(feature = "cli", unix))]
mod upload_command;
#[cfg(all(feature = "cli", unix))]
mod values;
mod web_socket;
