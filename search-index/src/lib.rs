//! What can be found: [`Index`] answers a [`search::Question`], a [`Keeper`] keeps it up with the log, a [`SearchClient`]
//! asks one in this process or another. [`query::parse`] reads what people type, [`highlights`] shows what was found.
//!
//! The index holds the words of messages and where they stand, in the clear, and no texts: it lies in the data directory
//! of the process that keeps it and follows from the log alone, so that it can be thrown away and made again.
//!
//! Architecture invariant: what is not in the scope of a question is neither found nor counted.

mod bucket;
mod change;
mod client;
mod contents;
mod document;
mod error;
mod highlight;
mod index;
mod keeper;
#[cfg(test)]
mod law;
mod marks;
pub mod query;
mod rebuild;
pub mod search;
#[cfg(test)]
mod testing;
mod text;

pub use client::{SearchClient, serve};
pub use error::SearchError;
pub use highlight::highlights;
pub use index::{Index, Writer};
pub use keeper::Keeper;
pub use rebuild::{IndexDiff, diff, position, rebuild};
