//! The rows of sessions and refresh tokens. Every time in them is the caller's clock's.

use super::Opening;
use chrono::{DateTime, Utc};
use domain::{SessionId, Timestamp, UserId, user::RevocationReason};
use sqlx::{FromRow, PgConnection};
use std::time::Duration;
use uuid::Uuid;

#[derive(FromRow)]
pub struct Listed {
    pub id: Uuid,
    pub device: Option<String>,
    pub address: Option<String>,
    pub created_at: DateTime<Utc>,
    pub last_used_at: DateTime<Utc>,
}

/// A session whose end the log may not have yet.
pub struct Untold {
    pub session: SessionId,
    pub user: UserId,
    pub reason: RevocationReason,
}

/// What a session's row says of its life.
#[derive(Clone, Copy, FromRow)]
pub struct Life {
    pub is_alive: bool,
    pub last_used_at: DateTime<Utc>,
}

pub fn expiry(now: Timestamp, lifetime: Duration) -> DateTime<Utc> {
    now.plus_millis(i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX / 4)).to_datetime()
}

pub async fn insert(connection: &mut PgConnection, opening: &Opening, now: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query(
        "WITH opened AS (
             INSERT INTO session (id, user_id, device, address, created_at, last_used_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $5, $6) RETURNING id
         )
         INSERT INTO refresh_token (token_hash, session_id, issued_at, expires_at) SELECT $7, id, $5, $6 FROM opened",
    )
    .bind(opening.session.0)
    .bind(opening.user.0)
    .bind(&opening.device)
    .bind(&opening.address)
    .bind(now.to_datetime())
    .bind(expiry(now, opening.lifetime))
    .bind(opening.refresh.hash().as_slice())
    .execute(connection)
    .await?;
    Ok(())
}

pub async fn remove(connection: &mut PgConnection, session: SessionId) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM session WHERE id = $1").bind(session.0).execute(connection).await?;
    Ok(())
}

pub async fn list(
    connection: &mut PgConnection,
    user: UserId,
    now: Timestamp,
    limit: i64,
    offset: i64,
) -> Result<Vec<Listed>, sqlx::Error> {
    sqlx::query_as(
        "SELECT id, device, address, created_at, last_used_at FROM session
         WHERE user_id = $1 AND ended_at IS NULL AND expires_at > $2
         ORDER BY last_used_at DESC, id DESC LIMIT $3 OFFSET $4",
    )
    .bind(user.0)
    .bind(now.to_datetime())
    .bind(limit)
    .bind(offset)
    .fetch_all(connection)
    .await
}

pub async fn life(
    connection: &mut PgConnection,
    session: SessionId,
    now: Timestamp,
) -> Result<Option<Life>, sqlx::Error> {
    sqlx::query_as("SELECT ended_at IS NULL AND expires_at > $2 AS is_alive, last_used_at FROM session WHERE id = $1")
        .bind(session.0)
        .bind(now.to_datetime())
        .fetch_optional(connection)
        .await
}

/// Notes that a session is used, unless someone has noted it since `before`.
pub async fn touch(
    connection: &mut PgConnection,
    session: SessionId,
    now: Timestamp,
    before: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE session SET last_used_at = $2 WHERE id = $1 AND last_used_at <= $3")
        .bind(session.0)
        .bind(now.to_datetime())
        .bind(before.to_datetime())
        .execute(connection)
        .await?;
    Ok(())
}

/// Ends a person's living session. False where there is none of this name.
pub async fn end(
    connection: &mut PgConnection,
    user: UserId,
    session: SessionId,
    reason: RevocationReason,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let ended = sqlx::query(
        "UPDATE session SET ended_at = $3, untold_reason = $4
         WHERE id = $1 AND user_id = $2 AND ended_at IS NULL AND expires_at > $3",
    )
    .bind(session.0)
    .bind(user.0)
    .bind(now.to_datetime())
    .bind(reason_word(reason))
    .execute(connection)
    .await?;
    Ok(ended.rows_affected() > 0)
}

pub async fn mark_told(connection: &mut PgConnection, session: SessionId) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE session SET untold_reason = NULL WHERE id = $1 AND untold_reason IS NOT NULL")
        .bind(session.0)
        .execute(connection)
        .await?;
    Ok(())
}

/// Ends that were to be told before `before` and perhaps were not.
pub async fn untold(connection: &mut PgConnection, before: Timestamp, limit: i64) -> Result<Vec<Untold>, sqlx::Error> {
    let rows: Vec<(Uuid, Uuid, String)> = sqlx::query_as(
        "SELECT id, user_id, untold_reason FROM session
         WHERE untold_reason IS NOT NULL AND ended_at < $1 ORDER BY ended_at LIMIT $2",
    )
    .bind(before.to_datetime())
    .bind(limit)
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(session, user, word)| {
            Ok(Untold { session: session.into(), user: user.into(), reason: reason_of(&word)? })
        })
        .collect()
}

/// Forgets sessions that expired before `before`, with their tokens.
pub async fn remove_expired(connection: &mut PgConnection, before: Timestamp) -> Result<u64, sqlx::Error> {
    let removed = sqlx::query("DELETE FROM session WHERE expires_at < $1 AND untold_reason IS NULL")
        .bind(before.to_datetime())
        .execute(connection)
        .await?;
    Ok(removed.rows_affected())
}

const fn reason_word(reason: RevocationReason) -> &'static str {
    match reason {
        RevocationReason::LoggedOut => "logged_out",
        RevocationReason::Ended => "ended",
        RevocationReason::TokenReused => "token_reused",
    }
}

fn reason_of(word: &str) -> Result<RevocationReason, sqlx::Error> {
    [RevocationReason::LoggedOut, RevocationReason::Ended, RevocationReason::TokenReused]
        .into_iter()
        .find(|reason| reason_word(*reason) == word)
        .ok_or_else(|| sqlx::Error::Decode(format!("{word:?} is no reason why a session ends").into()))
}
