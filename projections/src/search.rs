//! What a search asks of the read models: [`readable`] conversations before, the [`messages`] that were found after,
//! and [`people`] by their names.

use crate::{
    Listed, ProjectionError, Views,
    conversation::visible,
    message::{self, MessageView, Place},
    user::{self, UserView},
};
use domain::{ConversationId, MessageId, UserId};
use sqlx::Row;
use std::collections::HashMap;
use uuid::Uuid;

/// What one may read of a conversation, by its messages' numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadableConversation {
    pub id: ConversationId,
    pub name: Option<String>,
    /// The number of the last message that is hidden: 0 where all may be read.
    pub floor: i64,
}

/// Conversations that one search can reach: those with the newest messages, where somebody may read more.
const READABLE_MAX: i64 = 30_000;

/// First what can only be visible, by indexes; then the rule itself.
const READABLE: &str = concat!(
    "WITH mine AS MATERIALIZED ( \
       SELECT conversation_id AS id FROM participant_view WHERE user_id = $1 \
       UNION SELECT o.id FROM workspace_member_view m JOIN conversation_view o ON o.workspace_id = m.workspace_id \
         WHERE m.user_id = $1 AND o.type = 'channel' AND NOT o.is_private) \
     SELECT c.id, c.name, v.floor FROM mine JOIN (",
    visible!(),
    ") ON c.id = mine.id WHERE c.last_sequence > v.floor ORDER BY c.last_message_at DESC NULLS LAST LIMIT $2"
);

/// The conversations of which a person may read something now.
pub async fn readable(views: &Views, user: UserId) -> Result<Vec<ReadableConversation>, ProjectionError> {
    let rows = sqlx::query(READABLE).bind(user.0).bind(READABLE_MAX).fetch_all(views.pool()).await?;
    rows.iter()
        .map(|row| {
            let id = ConversationId(row.try_get("id")?);
            Ok(ReadableConversation { id, name: row.try_get("name")?, floor: row.try_get("floor")? })
        })
        .collect()
}

/// Those of these messages that the person may read now and that are not deleted.
pub async fn messages(
    views: &Views,
    user: UserId,
    ids: &[MessageId],
) -> Result<HashMap<MessageId, MessageView>, ProjectionError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let mut tx = views.snapshot().await?;
    let query = concat!(
        "SELECT m.id, v.floor FROM message_view m JOIN (",
        visible!(),
        ") ON c.id = m.conversation_id WHERE m.id = ANY($2) AND m.sequence > v.floor AND m.deleted_at IS NULL"
    );
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query(query).bind(user.0).bind(&ids).fetch_all(&mut *tx).await?;
    let mut places = Vec::with_capacity(rows.len());
    for row in &rows {
        places.push(Place { id: MessageId(row.try_get("id")?), floor: row.try_get("floor")? });
    }
    message::load(&mut tx, views.keyring(), user, &places).await
}

/// The people who have these usernames.
pub async fn people_named(views: &Views, usernames: &[String]) -> Result<HashMap<String, UserId>, ProjectionError> {
    if usernames.is_empty() {
        return Ok(HashMap::new());
    }
    let found: Vec<(String, Uuid)> = sqlx::query_as("SELECT username, id FROM user_view WHERE username = ANY($1)")
        .bind(usernames)
        .fetch_all(views.pool())
        .await?;
    Ok(found.into_iter().map(|(username, id)| (username, UserId(id))).collect())
}

/// People by the beginnings of their names, with the number of all.
pub async fn people(
    views: &Views,
    text: &str,
    limit: i64,
    offset: i64,
) -> Result<(Vec<UserView>, u64), ProjectionError> {
    let total = user::count(views, text).await?;
    let listed = if limit > 0 && offset < total {
        user::search(views, text, limit, offset).await?
    } else {
        Listed::of(vec![], 0)
    };
    Ok((listed.items, u64::try_from(total).unwrap_or_default()))
}

#[cfg(test)]
mod tests;
