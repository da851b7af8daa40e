//! What is pushed: every long-lived connection, over Socket.IO and plain WebSocket.

pub mod delivery;
mod push;
