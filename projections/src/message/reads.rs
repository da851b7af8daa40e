//! [`reads`]: who has read a message.

use super::shape::find;
use crate::{
    Listed, ProjectionError, Views,
    user::{UserSummary, summary},
};
use domain::{MessageId, Timestamp, UserId};
use serde::Serialize;
use sqlx::Row;
use utoipa::ToSchema;

/// Somebody who has read a message, and when they last moved their mark to or past it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Read)]
pub struct ReadView {
    pub user_id: UserId,
    pub user: Option<UserSummary>,
    pub read_at: Timestamp,
}

/// Everyone but its sender who has marked it, or a later one, read, the latest first: as many as its `readBy` says.
/// None where there is no such message, or the person may not read it.
pub async fn reads(
    views: &Views,
    user: UserId,
    id: MessageId,
    limit: i64,
    offset: i64,
) -> Result<Option<Listed<ReadView>>, ProjectionError> {
    let mut tx = views.snapshot().await?;
    if find(&mut tx, user, id).await?.is_none() {
        return Ok(None);
    }
    let query = "SELECT p.user_id, p.last_read_at, u.username, u.first_name, u.last_name, u.avatar_url FROM ( \
           SELECT p.user_id, p.last_read_at FROM message_view m JOIN conversation_view c ON c.id = m.conversation_id \
           JOIN participant_view p ON p.conversation_id = m.conversation_id AND p.user_id <> m.sender_id \
             AND p.read_sequence >= m.sequence AND (c.history = 'shared' OR p.joined_sequence < m.sequence) \
           WHERE m.id = $1 ORDER BY p.last_read_at DESC, p.user_id LIMIT $2 OFFSET $3) p \
         LEFT JOIN user_view u ON u.id = p.user_id ORDER BY p.last_read_at DESC, p.user_id";
    let rows = sqlx::query(query).bind(id.0).bind(limit.saturating_add(1)).bind(offset).fetch_all(&mut *tx).await?;
    let mut readers = Vec::with_capacity(rows.len());
    for row in &rows {
        let is_known = row.try_get::<Option<&str>, _>("username")?.is_some();
        readers.push(ReadView {
            user_id: UserId(row.try_get("user_id")?),
            user: if is_known { Some(summary(row, "user_id")?) } else { None },
            read_at: row.try_get::<chrono::DateTime<chrono::Utc>, _>("last_read_at")?.into(),
        });
    }
    Ok(Some(Listed::of(readers, limit)))
}
