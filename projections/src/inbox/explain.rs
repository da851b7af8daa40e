//! [`explain`]: the messages behind the counts, found by their definition and not by the arithmetic of [`super::unread`].

use crate::{ProjectionError, Views, conversation::visible};
use domain::{ConversationId, MessageId, UserId};
use serde::Serialize;
use sqlx::{PgConnection, Row};
use utoipa::ToSchema;
use uuid::Uuid;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Explained {
    /// The number of the last message that counts as read.
    pub mark_sequence: i64,
    /// In the order of the conversation.
    pub unread: Vec<MessageId>,
    /// Those of them that mention the person.
    pub mentions: Vec<MessageId>,
}

/// None where the person is no participant. Costs what it returns, and every message after the mark: for operators and
/// tests, not for lists.
pub async fn explain(
    views: &Views,
    user: UserId,
    conversation: ConversationId,
) -> Result<Option<Explained>, ProjectionError> {
    explain_on(&mut *views.snapshot().await?, user, conversation).await
}

pub(crate) async fn explain_on(
    connection: &mut PgConnection,
    user: UserId,
    conversation: ConversationId,
) -> Result<Option<Explained>, ProjectionError> {
    let mark = concat!(
        "SELECT greatest(p.mark_sequence, v.floor) AS mark, p.joined_sequence FROM ",
        visible!(),
        " WHERE c.id = $2 AND p.user_id IS NOT NULL"
    );
    let Some(row) = sqlx::query(mark).bind(user.0).bind(conversation.0).fetch_optional(&mut *connection).await? else {
        return Ok(None);
    };
    let (mark_sequence, joined_sequence): (i64, i64) = (row.try_get("mark")?, row.try_get("joined_sequence")?);
    let unread = "SELECT id, coalesce($1 = ANY(mentions), false) AND broadcast IS NULL \
                    OR broadcast IS NOT NULL AND sequence > $4 AS is_mention \
                  FROM message_view WHERE conversation_id = $2 AND sequence > $3 AND sender_id <> $1 AND deleted_at IS NULL \
                  ORDER BY sequence";
    let query = sqlx::query(unread).bind(user.0).bind(conversation.0).bind(mark_sequence).bind(joined_sequence);
    let mut explained = Explained { mark_sequence, ..Explained::default() };
    for row in query.fetch_all(connection).await? {
        let id = MessageId(row.try_get::<Uuid, _>("id")?);
        explained.unread.push(id);
        if row.try_get("is_mention")? {
            explained.mentions.push(id);
        }
    }
    Ok(Some(explained))
}
