//! [`changes`]: what a client that knows all up to a position has missed.

use super::{
    Notifications, Removed, Sync,
    snapshot::{me, workspaces},
};
use crate::{ProjectionError, Views, conversation, writer};
use domain::{ConversationId, Position, Timestamp, UserId, WorkspaceId};
use sqlx::PgConnection;
use thiserror::Error;
use uuid::Uuid;

/// Whoever has missed more events than this starts again.
pub const EVENTS_MAX: i64 = 10_000;
/// Whoever has been away for longer starts again.
const AGE_MAX_MS: i64 = 7 * 24 * 3_600_000;

#[derive(Debug, Error)]
pub enum ChangesError {
    /// More than 10,000 events that the person may see ago, more than 7 days ago, or not yet.
    #[error("the position is too long ago, or past the head of the log: start again")]
    TooOld,
    #[error(transparent)]
    Projection(#[from] ProjectionError),
}

impl From<sqlx::Error> for ChangesError {
    fn from(error: sqlx::Error) -> Self {
        Self::Projection(error.into())
    }
}

/// What has changed after `since`, and what is gone. None until the views have heard of the person.
///
/// A conversation has changed with its own row, with the person's side of it, and with any of its messages.
pub async fn changes(views: &Views, user: UserId, since: Position) -> Result<Option<Sync>, ChangesError> {
    let mut tx = views.snapshot().await?;
    let position = writer::position(&mut tx).await?;
    check_bounds(&mut tx, views, user, since, position).await?;
    let Some(me) = me(&mut tx, views, user).await? else { return Ok(None) };
    Ok(Some(Sync {
        log_id: views.store().log_id(),
        // Views that lag behind what the client knows have nothing to tell it.
        position: position.max(since),
        me,
        workspaces: workspaces(&mut tx, user, since).await?,
        conversations: conversation::changed_since(&mut tx, views.keyring(), user, since).await?,
        removed: Some(removed(&mut tx, user, since).await?),
        presence: [],
        notifications: Notifications::default(),
        active_calls: [],
    }))
}

async fn check_bounds(
    connection: &mut PgConnection,
    views: &Views,
    user: UserId,
    since: Position,
    position: Position,
) -> Result<(), ChangesError> {
    if since.0 < 0 || (since > position && since > views.store().head().await.map_err(ProjectionError::from)?) {
        return Err(ChangesError::TooOld);
    }
    if since >= position {
        return Ok(());
    }
    let first = views.store().event_at(Position(since.0 + 1)).await.map_err(ProjectionError::from)?;
    if first.is_some_and(|first| is_too_long_ago(first.recorded_at, views.now())) {
        return Err(ChangesError::TooOld);
    }
    // No more of them can be seen than there are.
    if position.0 - since.0 > EVENTS_MAX && seen(connection, user, since).await? > EVENTS_MAX {
        return Err(ChangesError::TooOld);
    }
    Ok(())
}

pub(crate) fn is_too_long_ago(recorded_at: Timestamp, now: Timestamp) -> bool {
    recorded_at.plus_millis(AGE_MAX_MS) < now
}

/// How many events after a position the person may see; no more than one over the bound are counted.
async fn seen(connection: &mut PgConnection, user: UserId, since: Position) -> Result<i64, ProjectionError> {
    let query = "SELECT count(*) FROM ( \
           SELECT FROM participant_view p JOIN message_view m ON m.conversation_id = p.conversation_id \
             AND m.position > greatest($2, p.joined_position) WHERE p.user_id = $1 \
           UNION ALL SELECT FROM participant_view p JOIN activity_view a ON a.scope = p.conversation_id \
             AND a.position > greatest($2, p.joined_position) WHERE p.user_id = $1 \
           UNION ALL SELECT FROM workspace_member_view w JOIN activity_view a ON a.scope = w.workspace_id \
             AND a.position > greatest($2, w.joined_position) WHERE w.user_id = $1 \
           UNION ALL SELECT FROM activity_view a WHERE a.scope = $1 AND a.position > $2 \
           LIMIT $3) seen";
    let count = sqlx::query_scalar(query).bind(user.0).bind(since.0).bind(EVENTS_MAX + 1);
    Ok(count.fetch_one(connection).await?)
}

async fn removed(connection: &mut PgConnection, user: UserId, since: Position) -> Result<Removed, ProjectionError> {
    let left = "SELECT conversation_id FROM former_participant_view WHERE user_id = $1 AND left_position > $2 \
                ORDER BY left_position, conversation_id";
    let left: Vec<Uuid> = sqlx::query_scalar(left).bind(user.0).bind(since.0).fetch_all(&mut *connection).await?;
    let deleted = "SELECT w.id FROM workspace_member_view m JOIN workspace_view w ON w.id = m.workspace_id \
                   WHERE m.user_id = $1 AND w.deleted_position > $2 ORDER BY w.deleted_position";
    let deleted: Vec<Uuid> = sqlx::query_scalar(deleted).bind(user.0).bind(since.0).fetch_all(connection).await?;
    Ok(Removed {
        conversations: left.into_iter().map(ConversationId).collect(),
        workspaces: deleted.into_iter().map(WorkspaceId).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_missed_for_over_seven_days_is_too_long_ago() {
        let recorded_at = Timestamp::parse("2026-01-31T08:00:00.000Z").unwrap();
        let a_week = Timestamp::parse("2026-02-07T08:00:00.000Z").unwrap();
        assert!(!is_too_long_ago(recorded_at, a_week));
        assert!(is_too_long_ago(recorded_at, a_week.plus_millis(1)));
    }
}
