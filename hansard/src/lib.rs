//! The binary in parts: [`cli`] reads the command line, each command is a module of its own, and [`stack`] runs the
//! embedded servers.

pub mod admin;
pub mod audit;
pub mod cli;
pub mod config;
pub mod documents;
pub mod events;
pub mod import;
pub mod inbox;
pub mod listen;
pub mod migrate;
pub mod output;
pub mod process;
pub mod projections;
pub mod role;
pub mod seed;
pub mod stack;
mod stalled;
pub mod up;
