//! [`ProjectionError`]: why a view could not be read, written or made.

use domain::Position;
use event_store::StoreError;
use thiserror::Error;

#[derive(Debug, Error)]
pub enum ProjectionError {
    #[error("the read model's database: {0}")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An event of the log does not fit the types of this build.
    #[error("the event at position {position} can't be decoded: {source}")]
    Undecodable { position: Position, source: Box<StoreError> },
    /// An event of the log does not fit what came before it.
    #[error("the event at position {position} can't be applied: {reason}")]
    Inapplicable { position: Position, reason: String },
    /// A stored value is not one that the writers write.
    #[error("{table} holds what it can't hold: {reason}")]
    Corrupt { table: &'static str, reason: String },
    /// Somebody else has moved the checkpoint: a rebuild was swapped in, or another worker leads.
    #[error("the checkpoint is no longer at position {expected}")]
    Overtaken { expected: Position },
    #[error("there is no projection {0:?}")]
    Unknown(String),
    /// Another rebuild or diff holds the scratch schema.
    #[error("another rebuild or diff is under way")]
    Busy,
}

impl ProjectionError {
    /// Whether the same may go well a moment later: the database was away, busy or short of something.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Database(sqlx::Error::Database(error)) => error
                .code()
                .is_some_and(|code| ["08", "40", "53", "55", "57"].iter().any(|class| code.starts_with(class))),
            Self::Database(error) => {
                matches!(
                    error,
                    sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed
                )
            }
            Self::Store(_)
            | Self::Undecodable { .. }
            | Self::Inapplicable { .. }
            | Self::Corrupt { .. }
            | Self::Unknown(_) => false,
            Self::Overtaken { .. } | Self::Busy => true,
        }
    }
}
