//! One person's side of a conversation: [`unread`] counts what they have not read, [`explain`] names it.

mod apply;
mod explain;
mod readers;
mod unread;

pub(crate) use apply::apply;
pub use explain::{Explained, explain};
pub(crate) use readers::{ReaderCounts, readers};
pub(crate) use unread::unread_counts;
pub use unread::{Unread, unread};
#[cfg(test)]
pub(crate) use {explain::explain_on, unread::unread_on};

pub(crate) const DDL: &str = include_str!("../schema/inbox.sql");
