//! Sockets of whole processes on real servers: as many nodes as a test wants, on one log.

#![expect(clippy::unwrap_used, reason = "it is how a test fails")]

mod abuse;
mod client;
mod frames;
mod nodes;
mod sessions;
mod together;
