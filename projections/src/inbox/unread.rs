//! [`unread`]: what somebody has not read, counted without reading it.

use crate::{ProjectionError, Views, conversation::visible};
use domain::{ConversationId, UserId};
use serde::Serialize;
use sqlx::{PgConnection, Row};
use utoipa::ToSchema;

/// Sends after the read mark, by others, not deleted; and those of them that mention the person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Unread {
    pub unread_count: i64,
    pub mention_count: i64,
}

/// Adds `u.mark`, `u.unread_count` and `u.mention_count` to [`visible`]'s `c`, `p` and `v`.
///
/// Messages have numbers without gaps, and each knows the how-manieth of its sender it is: what came after the mark is a
/// difference, one's own among it another. Only what was deleted after the mark is counted row by row, in an index of
/// deleted messages alone, and so are mentions and broadcasts. A broadcast mentions who was there when it was sent.
macro_rules! unread_counts {
    () => {
        " CROSS JOIN LATERAL (SELECT greatest(p.mark_sequence, v.floor) AS mark) k \
          CROSS JOIN LATERAL (SELECT k.mark, CASE WHEN p.user_id IS NULL OR k.mark >= c.last_sequence THEN 0 ELSE \
              c.last_sequence - k.mark \
              - coalesce((SELECT o.sender_rank FROM message_view o WHERE o.conversation_id = c.id \
                  AND o.sender_id = p.user_id ORDER BY o.sequence DESC LIMIT 1), 0) \
              + coalesce((SELECT o.sender_rank FROM message_view o WHERE o.conversation_id = c.id \
                  AND o.sender_id = p.user_id AND o.sequence <= k.mark ORDER BY o.sequence DESC LIMIT 1), 0) \
              - (SELECT count(*) FROM message_view d WHERE d.conversation_id = c.id AND d.sequence > k.mark \
                  AND d.sender_id <> p.user_id AND d.deleted_at IS NOT NULL) END AS unread_count, \
            CASE WHEN p.user_id IS NULL OR k.mark >= c.last_sequence THEN 0 ELSE \
              (SELECT count(*) FROM mention_view n WHERE n.conversation_id = c.id AND n.user_id = p.user_id \
                  AND n.sequence > k.mark) \
              + (SELECT count(*) FROM message_view b WHERE b.conversation_id = c.id \
                  AND b.sequence > greatest(k.mark, p.joined_sequence) AND b.sender_id <> p.user_id \
                  AND b.broadcast IS NOT NULL AND b.deleted_at IS NULL) END AS mention_count) u"
    };
}
pub(crate) use unread_counts;

/// None where the conversation is not the person's to see.
pub async fn unread(
    views: &Views,
    user: UserId,
    conversation: ConversationId,
) -> Result<Option<Unread>, ProjectionError> {
    unread_on(&mut *views.pool().acquire().await?, user, conversation).await
}

pub(crate) async fn unread_on(
    connection: &mut PgConnection,
    user: UserId,
    conversation: ConversationId,
) -> Result<Option<Unread>, ProjectionError> {
    let query =
        concat!("SELECT u.unread_count, u.mention_count FROM ", visible!(), unread_counts!(), " WHERE c.id = $2");
    let row = sqlx::query(query).bind(user.0).bind(conversation.0).fetch_optional(connection).await?;
    let counts = |row: sqlx::postgres::PgRow| {
        Ok(Unread { unread_count: row.try_get("unread_count")?, mention_count: row.try_get("mention_count")? })
    };
    row.map(counts).transpose()
}
