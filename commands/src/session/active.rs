//! [`Sessions`]: whether a session lives, asked at every request and answered from memory for a second.

use super::row;
use crate::CommandError;
use domain::{SessionId, Timestamp};
use moka::sync::Cache;
use runtime::clock::Clock;
use sqlx::PgPool;
use std::{fmt, sync::Arc, time::Duration};

/// Another process's ending of a session is heard of within this time.
const ACTIVE_TTL: Duration = Duration::from_millis(900);
/// An end heard of in this process is remembered until no access token of the session can still be good.
const ENDED_TTL: Duration = Duration::from_hours(1);
const ENTRIES_MAX: u64 = 200_000;
/// Use is noted at most this often.
const TOUCH_EVERY_MILLIS: i64 = 60_000;

/// Tells whether sessions live. Cheap to clone; clones share what they know.
#[derive(Clone)]
pub struct Sessions {
    pool: PgPool,
    clock: Arc<dyn Clock>,
    active: Cache<SessionId, bool>,
    /// What is over never lives again; asked first, so that an answer that was read before an end and stored after it
    /// is not believed.
    ended: Cache<SessionId, ()>,
}

impl Sessions {
    pub(crate) fn new(pool: PgPool, clock: Arc<dyn Clock>) -> Self {
        let active = Cache::builder().max_capacity(ENTRIES_MAX).time_to_live(ACTIVE_TTL).build();
        let ended = Cache::builder().max_capacity(ENTRIES_MAX).time_to_live(ENDED_TTL).build();
        Self { pool, clock, active, ended }
    }

    /// Whether a session's tokens are still good. Ended elsewhere it is known within a second, ended here at once.
    pub async fn is_active(&self, session: SessionId) -> Result<bool, CommandError> {
        if self.ended.contains_key(&session) {
            return Ok(false);
        }
        if let Some(is_active) = self.active.get(&session) {
            return Ok(is_active);
        }
        let is_active = self.ask(session).await.map_err(CommandError::from_database)?;
        self.active.insert(session, is_active);
        Ok(is_active && !self.ended.contains_key(&session))
    }

    /// The session has ended: believe no memory of it.
    pub(crate) fn forget(&self, session: SessionId) {
        self.ended.insert(session, ());
        self.active.invalidate(&session);
    }

    async fn ask(&self, session: SessionId) -> Result<bool, sqlx::Error> {
        let now = Timestamp::from(self.clock.now());
        let mut connection = self.pool.acquire().await?;
        let Some(life) = row::life(&mut connection, session, now).await? else { return Ok(false) };
        let before = now.plus_millis(-TOUCH_EVERY_MILLIS);
        if life.is_alive
            && Timestamp::from(life.last_used_at) <= before
            && let Err(error) = row::touch(&mut connection, session, now, before).await
        {
            tracing::warn!(session.id = %session, %error, "a session's use was not noted");
        }
        Ok(life.is_alive)
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}
