//! [`StoreError`]: what can go wrong with the log, and [`AppendError`]: why an append was not made.

use domain::Position;
use thiserror::Error;

#[derive(Debug, Error)]
pub enum StoreError {
    #[error("postgresql: {0}")]
    Database(#[from] sqlx::Error),
    /// It stayed away for longer than an append may wait. Nothing was done.
    #[error("postgresql can't be reached")]
    Unreachable,
    #[error("migration: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    #[error("nats: {0}")]
    Nats(String),
    /// Something stored can't be read as what it must be.
    #[error("{what} is unreadable: {why}")]
    Unreadable { what: String, why: String },
    /// Nobody has ever had, or nobody has any more, the key that this ciphertext names. Never taken for "erased".
    #[error("there is no data key {0}")]
    UnknownKey(String),
    /// The key is there, but the text was not sealed with it, or was changed.
    #[error("text sealed with key {0} can't be opened")]
    Forged(String),
    #[error("the epoch key can't be opened: MASTER_KEY is not the one that it was made with")]
    WrongMasterKey,
    #[error("key directory {path}: {source}")]
    KeyDir { path: String, source: std::io::Error },
    /// A personal field in an event of an aggregate that names no key for it.
    #[error("{0} holds a personal field, but its aggregate names no key for it")]
    NoKeyScope(String),
    #[error("an append needs at least one event")]
    EmptyAppend,
    /// The appender's task has ended: the process is stopping.
    #[error("the appender has stopped")]
    Stopped,
}

impl StoreError {
    #[expect(clippy::needless_pass_by_value, reason = "errors are handed on, and read better so")]
    pub(crate) fn unreadable(what: impl Into<String>, why: impl ToString) -> Self {
        Self::Unreadable { what: what.into(), why: why.to_string() }
    }
    #[expect(clippy::needless_pass_by_value, reason = "errors are handed on, and read better so")]
    pub(crate) fn nats(error: impl ToString) -> Self {
        Self::Nats(error.to_string())
    }
}

#[derive(Debug, Error)]
pub enum AppendError {
    /// A stream that was written or guarded is not any more as it was read: load it again and decide again.
    #[error("{aggregate_type} {aggregate_id} has changed")]
    Conflict { aggregate_type: String, aggregate_id: String },
    /// Someone holds the claim, since the event at `position`.
    #[error("{kind} is claimed")]
    Claimed { kind: String, key: String, value: String, position: Position },
    /// Two writes to one stream in one append, the second of which was decided without the first: a caller's mistake.
    #[error("{aggregate_type} {aggregate_id} is written twice in one append")]
    WrittenTwice { aggregate_type: &'static str, aggregate_id: String },
    /// Orders on one claim in one append that can't both hold, such as two takes: a caller's mistake.
    #[error("{kind} is claimed twice in one append")]
    ClaimedTwice { kind: String },
    /// The queue is full: to be told 503 and to come back.
    #[error("overloaded: the append queue is full")]
    Overloaded,
    /// Sealed text is copied whose key was destroyed.
    #[error("the key of a copied text was destroyed")]
    KeyGone,
    #[error("this machine's clock is more than 60 s ahead of postgresql's")]
    Clock,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for AppendError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}
