//! [`Claim`]: a row that an append takes, changes, releases or relies on, for what must be unique or found across streams.

use crate::{EventStore, StoreError};
use domain::{Position, Timestamp};
use sqlx::types::chrono::{DateTime, Utc};
use std::collections::HashMap;

/// What an append does with one claim. All claims of an append hold at its position, or the append is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub(crate) kind: String,
    pub(crate) key: String,
    pub(crate) expected: Expected,
    pub(crate) then: Then,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Nobody holds it, or it has expired.
    Absent,
    Value(String),
    Anything,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    Put { value: String, expires_at: Option<Timestamp> },
    Delete,
    Keep,
}

impl Claim {
    /// Refused while someone holds it.
    pub fn take(kind: impl Into<String>, key: impl Into<String>, value: impl Into<String>) -> Self {
        Self::new(kind, key, Expected::Absent, Then::Put { value: value.into(), expires_at: None })
    }
    /// Gives it up, whoever held it.
    pub fn release(kind: impl Into<String>, key: impl Into<String>) -> Self {
        Self::new(kind, key, Expected::Anything, Then::Delete)
    }
    /// Writes it, whether it was there or not: for what is one's own already.
    pub fn set(kind: impl Into<String>, key: impl Into<String>, value: impl Into<String>) -> Self {
        Self::new(kind, key, Expected::Anything, Then::Put { value: value.into(), expires_at: None })
    }
    /// Relies on its being held with this value.
    pub fn hold(kind: impl Into<String>, key: impl Into<String>, value: impl Into<String>) -> Self {
        Self::new(kind, key, Expected::Value(value.into()), Then::Keep)
    }
    /// From then on anyone may take it.
    #[must_use]
    pub fn until(mut self, at: Timestamp) -> Self {
        if let Then::Put { expires_at, .. } = &mut self.then {
            *expires_at = Some(at);
        }
        self
    }

    fn new(kind: impl Into<String>, key: impl Into<String>, expected: Expected, then: Then) -> Self {
        Self { kind: kind.into(), key: key.into(), expected, then }
    }

    /// Two orders on one claim in one append are one: what the first expects, what the last makes of it. None where the
    /// second can't find the claim as it expects it once the first is done.
    pub(crate) fn followed_by(&self, next: &Self) -> Option<Self> {
        let left = match &self.then {
            Then::Put { value, .. } => Some(value),
            Then::Delete => None,
            Then::Keep => match &self.expected {
                Expected::Value(value) => Some(value),
                Expected::Absent | Expected::Anything => None,
            },
        };
        let holds = match &next.expected {
            Expected::Absent => left.is_none(),
            Expected::Value(value) => left == Some(value),
            Expected::Anything => true,
        };
        let then = if next.then == Then::Keep { &self.then } else { &next.then };
        holds.then(|| Self { then: then.clone(), ..self.clone() })
    }
}

/// A claim as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    pub value: String,
    /// Of the last event of the append that made it so.
    pub position: Position,
    pub expires_at: Option<Timestamp>,
}

impl EventStore {
    /// The claim, whether it has expired or not.
    pub async fn claim(&self, kind: &str, key: &str) -> Result<Option<Claimed>, StoreError> {
        let row: Option<(String, i64, Option<DateTime<Utc>>)> =
            sqlx::query_as("SELECT value, position, expires_at FROM claims WHERE kind = $1 AND key = $2")
                .bind(kind)
                .bind(key)
                .fetch_optional(self.pool())
                .await?;
        Ok(row.map(|(value, position, expires_at)| Claimed {
            value,
            position: Position(position),
            expires_at: expires_at.map(Timestamp::from),
        }))
    }

    /// The values of those of the keys that are claimed.
    pub async fn claims(&self, kind: &str, keys: &[String]) -> Result<HashMap<String, String>, StoreError> {
        let rows: Vec<(String, String)> =
            sqlx::query_as("SELECT key, value FROM claims WHERE kind = $1 AND key = ANY($2)")
                .bind(kind)
                .bind(keys)
                .fetch_all(self.pool())
                .await?;
        Ok(rows.into_iter().collect())
    }

    /// Keys with this beginning and their values, in byte order.
    pub async fn claims_with_prefix(
        &self,
        kind: &str,
        prefix: &str,
        limit: i64,
    ) -> Result<Vec<(String, String)>, StoreError> {
        // U+10FFFF sorts after whatever can follow the prefix.
        Ok(sqlx::query_as(
            "SELECT key, value FROM claims WHERE kind = $1 AND key >= $2 AND key < $3 ORDER BY key LIMIT $4",
        )
        .bind(kind)
        .bind(prefix)
        .bind(format!("{prefix}\u{10ffff}"))
        .bind(limit)
        .fetch_all(self.pool())
        .await?)
    }

    /// Forgets claims that expired before `before`, at most `limit` of them; anyone could have taken them since.
    pub async fn forget_expired_claims(&self, before: Timestamp, limit: i64) -> Result<u64, StoreError> {
        let forgotten = sqlx::query(
            "DELETE FROM claims WHERE (kind, key) IN (
               SELECT kind, key FROM claims WHERE expires_at < $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)
             AND expires_at < $1",
        )
        .bind(before.to_datetime())
        .bind(limit)
        .execute(self.pool())
        .await?;
        Ok(forgotten.rows_affected())
    }
}
