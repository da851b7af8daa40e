//! [`CommandError`]: how a command can end otherwise than done.

use domain::{
    Kind, Refusal, audit::AuditError, conversation::ConversationError, inbox::InboxError, message::MessageError,
    user::UserError, workspace::WorkspaceError,
};
use event_store::{AppendError, StoreError};
use thiserror::Error;

#[derive(Debug, Error)]
pub enum CommandError {
    /// A rule forbids it.
    #[error("{0}")]
    Refused(Refusal),
    /// Several fields are wrong; all are named.
    #[error("{} fields are wrong", .0.len())]
    Invalid(Vec<Refusal>),
    /// Who asks is not signed in, or not as they say.
    #[error("not authenticated: {0}")]
    Unauthenticated(&'static str),
    /// The idempotency key was used for another body.
    #[error("the idempotency key was used with another body")]
    KeyReused,
    /// Others changed the same thing faster, again and again.
    #[error("too many changes at once")]
    Contended,
    /// Too many tries; come back after so many seconds.
    #[error("throttled for {retry_after_s} s")]
    Throttled { retry_after_s: u64 },
    /// The log takes no more for the moment.
    #[error("overloaded")]
    Overloaded,
    /// PostgreSQL could not be reached, or could not say whether it was done.
    #[error("the store is unavailable: {0}")]
    Store(#[from] StoreError),
    #[error("internal: {0}")]
    Internal(String),
}

impl CommandError {
    pub(crate) fn not_found(detail: &'static str) -> Self {
        Self::Refused(Refusal::new(Kind::NotFound, "not_found", detail))
    }
    pub(crate) fn from_database(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
    /// Whether it may have been done all the same: the store was lost before it could say.
    pub(crate) const fn may_have_been_done(&self) -> bool {
        matches!(self, Self::Store(_))
    }
    /// Whether a rule, not a fault, stopped it: then fresh state may decide otherwise.
    pub(crate) const fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Invalid(_))
    }
}

macro_rules! refused {
    ($($error:ty),* $(,)?) => {$(
        impl From<$error> for CommandError {
            fn from(error: $error) -> Self {
                Self::Refused(error.into())
            }
        }
    )*};
}
// One by one: for whatever becomes a refusal, this could meet the store's errors.
refused!(Refusal, AuditError, ConversationError, InboxError, MessageError, UserError, WorkspaceError);

/// Conflicts and claims are for the loop in `run` to settle; what comes through here is not.
impl CommandError {
    pub(crate) fn from_append(error: AppendError) -> Self {
        match error {
            AppendError::Overloaded => Self::Overloaded,
            AppendError::KeyGone => Self::not_found("the text's key was destroyed"),
            AppendError::Store(error) => Self::Store(error),
            AppendError::Clock => Self::Internal("this machine's clock is over 60 s ahead of PostgreSQL's".to_owned()),
            AppendError::Conflict { .. } | AppendError::Claimed { .. } => Self::Contended,
            AppendError::WrittenTwice { .. } | AppendError::ClaimedTwice { .. } => Self::Internal(error.to_string()),
        }
    }
}
