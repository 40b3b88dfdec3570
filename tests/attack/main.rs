//! Attacks on the real daemon: by hostile web pages, by another user of the machine, out of a sandbox,
//! by clients that send garbage or too much. Each test tries what an attacker would, and then asks
//! whether the daemon still serves the others.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, reason = "tests")]

#[path = "../support/mod.rs"]
mod support;

mod browser;
mod fixture;
mod garbage;
mod limits;
mod other_user;
mod probe;
mod sandbox;
mod web_socket;
mod wire;
