//! How the refusals and faults of the layers below become problems.

use super::{FieldError, Problem};
use axum::http::StatusCode;
use commands::{CommandError, WrongField};
use event_store::StoreError;
use projections::{ProjectionError, message::PageError, sync::ChangesError};
use search_index::SearchError;

impl From<commands::Problem> for Problem {
    fn from(told: commands::Problem) -> Self {
        let commands::Problem { status, code, detail, fields, retry_after_s } = told;
        let wrong =
            |wrong: WrongField| FieldError { field: wrong.field, code: wrong.code.into(), message: wrong.message };
        match (status, retry_after_s) {
            (401, _) => Self::unauthenticated(code, detail),
            (422, _) if !fields.is_empty() => Self::invalid(fields.into_iter().map(wrong).collect()),
            (429, Some(seconds)) => Self::throttled(seconds),
            (503, Some(seconds)) => Self::unavailable(code, detail, seconds),
            _ => Self::new(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), code, detail),
        }
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        commands::Problem::from(error).into()
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        commands::Problem::from(error).into()
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
    commands::Problem::store_unavailable().into()
}
