//! `hansard import`: brings in another product's history. [`slack`] reads a Slack export.

pub mod balance;
pub mod names;
pub mod slack;
pub mod text;
