//! [`visible`]: the positions of what a person may see of a part of the log, found without reading it.

use super::stays::{self, Stay};
use crate::{ProjectionError, Views, sync, writer};
use domain::{ConversationId, MessageId, Position, Timestamp, UserId};
use sqlx::Row;
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// By two probes of an index for each stay, and one for the person's own side; only what is found leaves PostgreSQL.
const VISIBLE: &str = "WITH stay AS ( \
       SELECT conversation_id AS scope, FALSE AS is_workspace, joined_position AS joined, NULL::bigint AS ended \
       FROM participant_view WHERE user_id = $1 \
       UNION ALL SELECT conversation_id, FALSE, joined_position, left_position \
       FROM former_stay_view WHERE user_id = $1 AND left_position > $2 \
       UNION ALL SELECT m.workspace_id, TRUE, m.joined_position, w.deleted_position \
       FROM workspace_member_view m JOIN workspace_view w ON w.id = m.workspace_id WHERE m.user_id = $1) \
     SELECT seen.*, coalesce(c.history = 'shared', TRUE) AS is_shared FROM ( \
       (SELECT event.position, stay.* FROM stay CROSS JOIN LATERAL ( \
         (SELECT m.position FROM message_view m WHERE m.conversation_id = stay.scope AND NOT stay.is_workspace \
            AND m.position > greatest($2, stay.joined - 1) AND m.position <= least($3, stay.ended) \
          ORDER BY m.position LIMIT $4) \
         UNION ALL \
         (SELECT a.position FROM activity_view a WHERE a.scope = stay.scope \
            AND a.position > greatest($2, stay.joined - 1) AND a.position <= least($3, stay.ended) \
          ORDER BY a.position LIMIT $4)) event \
        ORDER BY event.position LIMIT $4) \
       UNION ALL \
       (SELECT a.position, NULL, FALSE, NULL, NULL FROM activity_view a \
        WHERE a.scope = $1 AND a.position > $2 AND a.position <= $3 ORDER BY a.position LIMIT $4)) seen \
     LEFT JOIN conversation_view c ON c.id = seen.scope \
     ORDER BY position LIMIT $4";

/// A part of what a person may see of the log.
#[derive(Clone, Debug, Default)]
pub struct Missed {
    /// Nothing up to here is missing from `positions`.
    pub until: Position,
    pub positions: Vec<Position>,
    /// Where the person was then.
    pub stays: Vec<Stay>,
}

/// The first `limit` positions after one, and not past another, at which something happened that the person may see by
/// where they were at that time. Views that are behind know only the first part.
pub async fn visible(
    views: &Views,
    user: UserId,
    after: Position,
    until: Position,
    limit: usize,
) -> Result<Missed, ProjectionError> {
    let mut tx = views.snapshot().await?;
    let known = writer::position(&mut tx).await?.min(until);
    if known <= after {
        return Ok(Missed { until: after, ..Missed::default() });
    }
    let query = sqlx::query(VISIBLE).bind(user.0).bind(after.0).bind(known.0);
    let rows = query.bind(i64::try_from(limit).unwrap_or(i64::MAX)).fetch_all(&mut *tx).await?;
    let mut missed = Missed { until: known, ..Missed::default() };
    let mut stays: HashSet<Stay> = HashSet::new();
    for row in &rows {
        missed.positions.push(Position(row.try_get("position")?));
        if row.try_get::<Option<Uuid>, _>("scope")?.is_some() {
            stays.insert(stays::read(row)?);
        }
    }
    if missed.positions.len() >= limit {
        missed.until = missed.positions.last().copied().unwrap_or(known);
    }
    missed.stays.extend(stays);
    Ok(missed)
}

/// Whether something that was missed was recorded longer ago than whoever missed it is told.
pub fn is_too_long_ago(views: &Views, recorded_at: Timestamp) -> bool {
    sync::is_too_long_ago(recorded_at, views.now())
}

/// Where these messages were sent: conversation and position.
pub async fn places(
    views: &Views,
    messages: &[MessageId],
) -> Result<HashMap<MessageId, (ConversationId, Position)>, ProjectionError> {
    let ids: Vec<Uuid> = messages.iter().map(|id| id.0).collect();
    let query = "SELECT id, conversation_id, position FROM message_view WHERE id = ANY($1)";
    let rows = sqlx::query(query).bind(ids).fetch_all(views.pool()).await?;
    let mut places = HashMap::with_capacity(rows.len());
    for row in rows {
        let place = (ConversationId(row.try_get("conversation_id")?), Position(row.try_get("position")?));
        places.insert(MessageId(row.try_get("id")?), place);
    }
    Ok(places)
}

/// Which of these messages are deleted.
pub async fn deleted(views: &Views, messages: &[MessageId]) -> Result<HashSet<MessageId>, ProjectionError> {
    let ids: Vec<Uuid> = messages.iter().map(|id| id.0).collect();
    let query = "SELECT id FROM message_view WHERE id = ANY($1) AND deleted_at IS NOT NULL";
    let found: Vec<Uuid> = sqlx::query_scalar(query).bind(ids).fetch_all(views.pool()).await?;
    Ok(found.into_iter().map(MessageId).collect())
}
