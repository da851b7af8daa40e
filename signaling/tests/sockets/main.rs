//! Sockets of whole processes on real servers: as many nodes as a test wants, on one log.

#![allow(clippy::unwrap_used, reason = "tests")]

mod abuse;
mod client;
mod frames;
mod nodes;
mod sessions;
mod together;
