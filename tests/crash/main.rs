//! Crash and fault tests: the real daemon killed under load, its system calls made to fail, its
//! clients slow or gone, its memory measured.
//!
//! Environment: `OSNOVA_TEST_SEED` (the seed of `kill`, printed by every run),
//! `OSNOVA_TEST_ROUNDS` (how often `kill` kills; 50), `OSNOVA_TEST_STREAM_MIB` (the size of the content
//! that `memory` streams; 512), `OSNOVA_TEST_MIX_SECONDS` (how long `collecting` goes on; 60).
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "tests: they fail by panics, and say what they did and skipped"
)]

#[path = "../support/mod.rs"]
mod support;

mod collecting;
mod faults;
mod kill;
mod memory;
mod on_disk;
mod random;
mod slow;
mod sync;
mod tmpfs;
mod wire;
