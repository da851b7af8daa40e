//! What can be asked: [`Views`] are read models with the queries on them, a [`Runner`] keeps them up with the log.
//!
//! All views that are served together are one projection, [`NAME`], with one checkpoint; its tables live in a schema of
//! their own, so that a rebuild makes another beside it and swaps. Each slice has its tables in `schema/<slice>.sql`,
//! and in its module a writer (`apply`) and its queries.
//!
//! Architecture invariant: nothing is in these tables that does not follow from the log alone, wherever batches are cut.

mod batch;
pub mod conversation;
mod copy;
pub mod delivery;
mod diff;
mod error;
pub mod inbox;
#[cfg(test)]
mod law;
pub mod message;
pub mod presence;
mod progress;
mod rebuild;
pub mod record;
mod runner;
mod schema;
pub mod search;
mod status;
pub mod sync;
#[cfg(test)]
mod testing;
pub mod user;
mod views;
mod word;
pub mod workspace;
mod writer;

pub use diff::{TableDiff, diff};
pub use error::ProjectionError;
pub use progress::Progress;
pub use rebuild::{Step, rebuild};
pub use runner::Runner;
pub use schema::{NAME, ensure};
pub use status::{Lag, ProjectionState, status};
pub use views::{Listed, Views};
