//! [`VISIBLE`]: who may read what of a conversation. Every query of conversations and messages goes through it.

use crate::ProjectionError;
use domain::{ConversationId, UserId};
use sqlx::{PgConnection, Row};

/// What one may read of a conversation: its messages after `floor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    /// The number of the last message that is hidden: 0 where all may be read.
    pub floor: i64,
    pub last_sequence: i64,
}

/// Joins `c` (conversation_view) and, where they are in it, `p` (participant_view) of person `$1`. A row comes out where
/// they may read: participants, and members of the workspace, guests aside, of a public channel. Messages have numbers
/// without gaps in the order of positions, so that what lies before one's joining is what lies up to `joined_sequence`.
/// Where history is not shared, an onlooker reads what they would if they joined now: nothing of the time before.
macro_rules! visible {
    () => {
        "conversation_view c \
         LEFT JOIN participant_view p ON p.conversation_id = c.id AND p.user_id = $1 \
         JOIN LATERAL (SELECT CASE WHEN c.history = 'joined' THEN coalesce(p.joined_sequence, c.last_sequence) ELSE 0 END AS floor) v \
           ON c.deleted_at IS NULL AND (p.user_id IS NOT NULL OR (c.type = 'channel' AND NOT c.is_private AND EXISTS ( \
             SELECT FROM workspace_member_view wm JOIN workspace_view w ON w.id = wm.workspace_id \
             WHERE wm.workspace_id = c.workspace_id AND wm.user_id = $1 AND wm.role <> 'guest' \
               AND w.deleted_position IS NULL)))"
    };
}
pub(crate) use visible;

/// None where the conversation is absent, deleted or not the person's to see.
pub(crate) async fn access(
    connection: &mut PgConnection,
    user: UserId,
    conversation: ConversationId,
) -> Result<Option<Access>, ProjectionError> {
    let row = sqlx::query(concat!("SELECT v.floor, c.last_sequence FROM ", visible!(), " WHERE c.id = $2"))
        .bind(user.0)
        .bind(conversation.0)
        .fetch_optional(connection)
        .await?;
    row.map(|row| Ok(Access { floor: row.try_get("floor")?, last_sequence: row.try_get("last_sequence")? })).transpose()
}
