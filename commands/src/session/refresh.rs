//! [`refresh`]: a refresh token is exchanged for the next one, once. A used one that comes again is refused; where its
//! successor has been used too, two hold the same family, and the family ends.

use super::{Tokens, Visitor, holder, row, tell_unasked};
use crate::{CommandError, Commands, RefreshToken};
use chrono::{DateTime, Utc};
use domain::{SessionId, Timestamp, UserId, user::RevocationReason};
use sqlx::{FromRow, PgConnection};
use std::time::Duration;
use uuid::Uuid;

const REFUSED: CommandError = CommandError::Unauthenticated("invalid_refresh_token");

/// Whose token it is.
#[derive(Clone, Copy)]
struct Family {
    session: SessionId,
    user: UserId,
}

enum Exchange {
    Done,
    /// Ended, expired, or used: a lost answer and two tabs at once are no theft.
    Refused,
    /// Used before, and its successor as well: the family has ended.
    Reused,
}

#[derive(FromRow)]
struct Presented {
    expires_at: DateTime<Utc>,
    is_used: bool,
    is_successor_used: bool,
}

pub async fn refresh(commands: &Commands, visitor: &Visitor, presented: &RefreshToken) -> Result<Tokens, CommandError> {
    let hash = presented.hash();
    let family = {
        let mut connection = commands.connection().await?;
        family_of(&mut connection, &hash).await.map_err(CommandError::from_database)?.ok_or(REFUSED)?
    };
    // All that can fail comes before the exchange, so that a fault costs nobody their token.
    let holder = holder(commands, family.user, family.session).await?.ok_or(REFUSED)?;
    let access = commands.issue(holder)?;
    let next = RefreshToken::from_random(commands.random());
    match exchange(commands, family, &hash, &next.hash()).await.map_err(CommandError::from_database)? {
        Exchange::Done => Ok(Tokens { access, refresh: next, expires_in: commands.auth.jwt_expiry }),
        Exchange::Refused => Err(REFUSED),
        Exchange::Reused => {
            commands.sessions.forget(family.session);
            tracing::warn!(user.id = %family.user, session.id = %family.session, "a refresh token came twice, its session is ended");
            let told =
                tell_unasked(commands, visitor, family.user, family.session, RevocationReason::TokenReused).await;
            // The row has ended and remembers that the log lacks it: the next sweep tells it.
            if let Err(error) = told {
                tracing::warn!(session.id = %family.session, %error, "the end of a session was not recorded yet");
            }
            Err(REFUSED)
        }
    }
}

async fn family_of(connection: &mut PgConnection, hash: &[u8; 32]) -> Result<Option<Family>, sqlx::Error> {
    let found: Option<(Uuid, Uuid)> = sqlx::query_as(
        "SELECT session.id, session.user_id FROM refresh_token JOIN session ON session.id = refresh_token.session_id
         WHERE refresh_token.token_hash = $1",
    )
    .bind(hash.as_slice())
    .fetch_optional(connection)
    .await?;
    Ok(found.map(|(session, user)| Family { session: session.into(), user: user.into() }))
}

/// Exchanges in one transaction. The session's row is locked first, so that a family's tokens come one after another,
/// and what is read after it is what the one before has written.
async fn exchange(
    commands: &Commands,
    family: Family,
    hash: &[u8; 32],
    next: &[u8; 32],
) -> Result<Exchange, sqlx::Error> {
    let now = commands.now();
    let mut transaction = commands.store.pool().begin().await?;
    if !lock(&mut transaction, family.session, now).await? {
        return Ok(Exchange::Refused);
    }
    let Some(token) = presented(&mut transaction, hash).await? else { return Ok(Exchange::Refused) };
    if token.is_used && token.is_successor_used {
        row::end(&mut transaction, family.user, family.session, RevocationReason::TokenReused, now).await?;
        transaction.commit().await?;
        return Ok(Exchange::Reused);
    }
    if token.is_used || token.expires_at <= now.to_datetime() {
        return Ok(Exchange::Refused);
    }
    rotate(&mut transaction, family.session, hash, next, now, commands.auth.refresh_token_expiry).await?;
    transaction.commit().await?;
    Ok(Exchange::Done)
}

/// Locks a session's row. False where it lives no more.
async fn lock(connection: &mut PgConnection, session: SessionId, now: Timestamp) -> Result<bool, sqlx::Error> {
    let alive: Option<bool> =
        sqlx::query_scalar("SELECT ended_at IS NULL AND expires_at > $2 FROM session WHERE id = $1 FOR UPDATE")
            .bind(session.0)
            .bind(now.to_datetime())
            .fetch_optional(connection)
            .await?;
    Ok(alive.unwrap_or(false))
}

async fn presented(connection: &mut PgConnection, hash: &[u8; 32]) -> Result<Option<Presented>, sqlx::Error> {
    sqlx::query_as(
        "SELECT token.expires_at, token.used_at IS NOT NULL AS is_used, successor.used_at IS NOT NULL AS is_successor_used
         FROM refresh_token token LEFT JOIN refresh_token successor ON successor.token_hash = token.successor_hash
         WHERE token.token_hash = $1",
    )
    .bind(hash.as_slice())
    .fetch_optional(connection)
    .await
}

async fn rotate(
    connection: &mut PgConnection,
    session: SessionId,
    hash: &[u8; 32],
    next: &[u8; 32],
    now: Timestamp,
    lifetime: Duration,
) -> Result<(), sqlx::Error> {
    let (at, expires_at) = (now.to_datetime(), row::expiry(now, lifetime));
    sqlx::query("UPDATE refresh_token SET used_at = $2, successor_hash = $3 WHERE token_hash = $1")
        .bind(hash.as_slice())
        .bind(at)
        .bind(next.as_slice())
        .execute(&mut *connection)
        .await?;
    sqlx::query("INSERT INTO refresh_token (token_hash, session_id, issued_at, expires_at) VALUES ($1, $2, $3, $4)")
        .bind(next.as_slice())
        .bind(session.0)
        .bind(at)
        .bind(expires_at)
        .execute(&mut *connection)
        .await?;
    sqlx::query("UPDATE session SET last_used_at = $2, expires_at = $3 WHERE id = $1")
        .bind(session.0)
        .bind(at)
        .bind(expires_at)
        .execute(&mut *connection)
        .await?;
    // An expired token is refused with or without its row.
    sqlx::query("DELETE FROM refresh_token WHERE session_id = $1 AND expires_at <= $2")
        .bind(session.0)
        .bind(at)
        .execute(connection)
        .await?;
    Ok(())
}
