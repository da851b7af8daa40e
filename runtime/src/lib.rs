//! How a process lives: its settings, clock, ids, telemetry and end. Depends on nothing of ours; everything else may
//! depend on it.

pub mod clock;
pub mod connections;
pub mod id;
pub mod secret;
pub mod settings;
pub mod shutdown;
pub mod telemetry;
pub mod wire;
