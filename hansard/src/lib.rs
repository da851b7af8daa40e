//! The binary in parts: [`cli`] reads the command line, each command is a module of its own, and [`stack`] runs the
//! embedded servers.

pub mod cli;
pub mod config;
pub mod listen;
pub mod stack;
pub mod up;
