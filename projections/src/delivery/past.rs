//! [`visible`]: the positions of what a person may see of a part of the log, found without reading it.

use super::stays::{Stay, stays_on};
use crate::{ProjectionError, Views, sync, writer};
use domain::{ConversationId, MessageId, Position, Timestamp, UserId};
use sqlx::Row;
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// By two probes of an index for each stay, and one for the person's own side.
const VISIBLE: &str = "SELECT DISTINCT position FROM ( \
       SELECT seen.position \
       FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS stay (scope, joined, ended) \
       CROSS JOIN LATERAL ( \
         (SELECT m.position FROM message_view m WHERE m.conversation_id = stay.scope \
            AND m.position > greatest($5, stay.joined - 1) AND m.position <= least($6, stay.ended) \
          ORDER BY m.position LIMIT $7) \
         UNION ALL \
         (SELECT a.position FROM activity_view a WHERE a.scope = stay.scope \
            AND a.position > greatest($5, stay.joined - 1) AND a.position <= least($6, stay.ended) \
          ORDER BY a.position LIMIT $7)) seen \
       UNION ALL \
       (SELECT a.position FROM activity_view a WHERE a.scope = $4 AND a.position > $5 AND a.position <= $6 \
        ORDER BY a.position LIMIT $7)) seen \
     ORDER BY position LIMIT $7";

/// A part of what a person may see of the log.
#[derive(Clone, Debug, Default)]
pub struct Missed {
    /// Nothing up to here is missing from `positions`.
    pub until: Position,
    pub positions: Vec<Position>,
    /// Where the person was meanwhile.
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
    let stays = stays_on(&mut tx, user, after).await?;
    let positions: Vec<i64> = sqlx::query_scalar(VISIBLE)
        .bind(stays.iter().map(|stay| stay.scope.id()).collect::<Vec<_>>())
        .bind(stays.iter().map(|stay| stay.joined.0).collect::<Vec<_>>())
        .bind(stays.iter().map(|stay| stay.left.map_or(i64::MAX, |left| left.0)).collect::<Vec<_>>())
        .bind(user.0)
        .bind(after.0)
        .bind(known.0)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&mut *tx)
        .await?;
    let is_all = positions.len() < limit;
    let until = positions.last().filter(|_| !is_all).map_or(known, |last| Position(*last));
    Ok(Missed { until, positions: positions.into_iter().map(Position).collect(), stays })
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
