//! Hostile web pages: what a browser may be made to send, byte by byte, and a real browser that is made
//! to send it.

mod chromium;
mod page_server;
mod raw;
