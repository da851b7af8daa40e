//! How the refusals and faults of the layers below become problems. Faults are logged here, once.

use super::Problem;
use axum::http::StatusCode;
use commands::CommandError;
use event_store::StoreError;
use projections::{ProjectionError, message::PageError, sync::ChangesError};
use search_index::SearchError;

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Refused(refusal) => refusal.into(),
            CommandError::Invalid(refusals) => refusals.into(),
            CommandError::Unauthenticated(code) => Self::unauthenticated(code, unauthenticated(code)),
            CommandError::KeyReused => Self::new(
                StatusCode::CONFLICT,
                "idempotency_key_reused",
                "this idempotency key came with another body before",
            ),
            CommandError::Contended => {
                Self::new(StatusCode::CONFLICT, "contended", "others are changing the same thing, try again")
            }
            CommandError::Throttled { retry_after_s } => Self::throttled(retry_after_s),
            CommandError::Overloaded => Self::unavailable("overloaded", "the log takes no more for the moment", 1),
            CommandError::Store(error) => error.into(),
            CommandError::Internal(reason) => {
                tracing::error!(error = %reason, "a command failed");
                Self::internal()
            }
        }
    }
}

fn unauthenticated(code: &str) -> &'static str {
    match code {
        "token_expired" => "the token has expired",
        "token_invalid" => "the token is not valid",
        "session_ended" => "the session of this token has ended",
        "invalid_credentials" => "e-mail address or password is wrong",
        "invalid_refresh_token" => "the refresh token is not valid",
        _ => "a valid token is needed",
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(error = %error, "the log could not be used");
        match error {
            StoreError::Database(_) | StoreError::Nats(_) | StoreError::Unreachable | StoreError::Stopped => {
                store_unavailable()
            }
            StoreError::Migration(_)
            | StoreError::Unreadable { .. }
            | StoreError::UnknownKey(_)
            | StoreError::Forged(_)
            | StoreError::WrongMasterKey
            | StoreError::KeyDir { .. }
            | StoreError::NoKeyScope(_)
            | StoreError::EmptyAppend => Self::internal(),
        }
    }
}

impl From<ProjectionError> for Problem {
    fn from(error: ProjectionError) -> Self {
        if let ProjectionError::Store(error) = error {
            return error.into();
        }
        tracing::error!(error = %error, "a read model could not be read");
        if error.is_passing() { store_unavailable() } else { Self::internal() }
    }
}

impl From<PageError> for Problem {
    fn from(error: PageError) -> Self {
        match error {
            PageError::NotFound => Self::not_found("there is no such conversation or message"),
            PageError::UnknownCursor => Self::new(
                StatusCode::NOT_FOUND,
                "unknown_cursor",
                "the message that the page was to begin at is not in this conversation",
            ),
            PageError::Projection(error) => error.into(),
        }
    }
}

impl From<ChangesError> for Problem {
    fn from(error: ChangesError) -> Self {
        match error {
            ChangesError::TooOld => {
                Self::new(StatusCode::GONE, "too_old", "the position is too long ago or past the head: start again")
            }
            ChangesError::Projection(error) => error.into(),
        }
    }
}

impl From<SearchError> for Problem {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::TooSlow => Self::unavailable("search_too_slow", "the search took too long: narrow it", 1),
            SearchError::Busy => Self::unavailable("overloaded", "there are too many searches for the moment", 1),
            SearchError::Away => Self::unavailable("search_unavailable", "no search process answers", 1),
            SearchError::Store(error) => error.into(),
            SearchError::Index(_)
            | SearchError::File { .. }
            | SearchError::InUse(_)
            | SearchError::Unfit { .. }
            | SearchError::Message(_) => {
                tracing::error!(error = %error, "a search failed");
                Self::unavailable("search_unavailable", "the search index can't be read", 5)
            }
        }
    }
}

fn store_unavailable() -> Problem {
    Problem::unavailable("store_unavailable", "the database can't be reached", 1)
}
