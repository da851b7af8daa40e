//! What is pushed: every long-lived connection, over Socket.IO and plain WebSocket. [`Signaling`] takes them in.
//!
//! Architecture invariant: nothing durable is here. Any process may die at any time, and any other resumes its clients.

mod asyncapi;
mod command;
mod connection;
pub mod delivery;
mod emitted;
mod fields;
mod frame;
mod greeting;
mod outbox;
mod presence;
mod problem;
mod push;
mod rate;
mod revocation;
mod server;
mod socket_io;
mod sockets;
mod typing;
mod websocket;

pub use asyncapi::document as asyncapi;
pub use server::{Port, Signaling, SignalingConfig};
