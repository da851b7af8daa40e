//! What live delivery asks: whose an event is ([`stays`]), and which events a person has missed ([`visible`]).

mod past;
mod reads;
mod stays;

pub use past::{Missed, deleted, is_too_long_ago, places, visible};
pub(crate) use reads::shown_to_all;
pub(crate) use stays::{EndedStay, save_ended};
pub use stays::{Scope, Stay, Stays, stays};

pub(crate) const DDL: &str = include_str!("../schema/delivery.sql");

/// Others' read marks are told in conversations of at most this many.
pub const SMALL_PARTICIPANTS_MAX: i64 = 50;

#[cfg(test)]
mod tests;
