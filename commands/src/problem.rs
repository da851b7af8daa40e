//! [`Problem`]: how every way in (REST, sockets) tells that a command was not done. Faults are logged here, once.

use crate::CommandError;
use domain::{Kind, Refusal};
use event_store::StoreError;
use std::borrow::Cow;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// An HTTP status, whatever the way in.
    pub status: u16,
    /// Stable, snake_case.
    pub code: &'static str,
    /// A sentence for people.
    pub detail: Cow<'static, str>,
    /// Every wrong field, where the code is `validation_failed`.
    pub fields: Vec<WrongField>,
    /// When to come back, where that helps.
    pub retry_after_s: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongField {
    /// Its name, with a path where it is inside another: `userIds[3]`.
    pub field: String,
    pub code: &'static str,
    pub message: Cow<'static, str>,
}

impl Problem {
    pub fn new(status: u16, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, detail: detail.into(), fields: vec![], retry_after_s: None }
    }
    pub fn not_found(detail: &'static str) -> Self {
        Self::new(404, "not_found", detail)
    }
    pub fn invalid(fields: Vec<WrongField>) -> Self {
        let detail = if fields.len() == 1 { "a field is wrong" } else { "several fields are wrong" };
        Self { fields, ..Self::new(422, "validation_failed", detail) }
    }
    pub fn throttled(retry_after_s: u64) -> Self {
        Self::new(429, "rate_limited", "too many requests, try again later").after(retry_after_s)
    }
    pub fn unavailable(code: &'static str, detail: &'static str) -> Self {
        Self::new(503, code, detail).after(1)
    }
    pub fn store_unavailable() -> Self {
        Self::unavailable("store_unavailable", "the database can't be reached")
    }
    /// What went wrong is for the log, not for the caller.
    pub fn internal() -> Self {
        Self::new(500, "internal", "something went wrong on the server")
    }
    fn after(self, seconds: u64) -> Self {
        Self { retry_after_s: Some(seconds), ..self }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.kind {
            Kind::NotFound => 404,
            Kind::Forbidden => 403,
            Kind::Conflict => 409,
            Kind::Gone => 410,
            Kind::Invalid => return Self::from(vec![refusal]),
        };
        Self::new(status, refusal.code, refusal.detail)
    }
}

/// Several wrong fields at once.
impl From<Vec<Refusal>> for Problem {
    fn from(refusals: Vec<Refusal>) -> Self {
        let wrong = |refusal: Refusal| WrongField {
            field: refusal.field.unwrap_or_default().to_owned(),
            code: refusal.code,
            message: refusal.detail,
        };
        Self::invalid(refusals.into_iter().map(wrong).collect())
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Refused(refusal) => refusal.into(),
            CommandError::Invalid(refusals) => refusals.into(),
            CommandError::Unauthenticated(code) => Self::new(401, code, unauthenticated(code)),
            CommandError::KeyReused => {
                Self::new(409, "idempotency_key_reused", "this idempotency key came with another body before")
            }
            CommandError::Contended => Self::new(409, "contended", "others are changing the same thing, try again"),
            CommandError::Throttled { retry_after_s } => Self::throttled(retry_after_s),
            CommandError::Overloaded => Self::unavailable("overloaded", "the log takes no more for the moment"),
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
                Self::store_unavailable()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_keeps_its_code_and_gets_its_status() {
        for (kind, status) in [(Kind::NotFound, 404), (Kind::Forbidden, 403), (Kind::Conflict, 409), (Kind::Gone, 410)]
        {
            let problem = Problem::from(Refusal::new(kind, "some_code", "why"));
            assert_eq!((problem.status, problem.code), (status, "some_code"));
        }
    }

    #[test]
    fn refused_fields_are_all_named() {
        let problem = Problem::from(vec![
            Refusal::invalid("email", "email_invalid", "no address"),
            Refusal::invalid("username", "username_invalid", "no username"),
        ]);
        let fields: Vec<_> = problem.fields.iter().map(|wrong| wrong.field.as_str()).collect();
        assert_eq!((problem.status, fields), (422, vec!["email", "username"]));
    }
}
