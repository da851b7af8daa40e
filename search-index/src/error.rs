//! [`SearchError`]: why nothing could be found, or the index not kept up.

use domain::Position;
use event_store::StoreError;
use std::{io, path::PathBuf};
use thiserror::Error;

#[derive(Debug, Error)]
pub enum SearchError {
    #[error("the search index: {0}")]
    Index(#[from] tantivy::TantivyError),
    #[error("the search index: {path}: {source}")]
    File { path: PathBuf, source: io::Error },
    /// One process at a time keeps an index.
    #[error("the search index in {0} is kept by another process")]
    InUse(PathBuf),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An event of the log does not fit what came before it.
    #[error("the event at position {position} can't be indexed: {reason}")]
    Unfit { position: Position, reason: String },
    /// A search took longer than anyone waits.
    #[error("the search took too long")]
    TooSlow,
    /// More searches than can be carried out at once.
    #[error("too many searches at once")]
    Busy,
    /// No search process answers.
    #[error("no search process answers")]
    Away,
    /// A message between processes that can't be read.
    #[error("a search could not be passed on: {0}")]
    Message(String),
}

impl SearchError {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }

    /// A task of the process that panicked or was cancelled.
    pub(crate) fn task(error: &tokio::task::JoinError) -> Self {
        Self::File { path: PathBuf::new(), source: io::Error::other(error.to_string()) }
    }
}
