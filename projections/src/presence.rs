//! Who is told of whose presence, and what they are told besides whether someone is there.

use crate::{
    ProjectionError, Views,
    user::{COLUMNS, UserView, read},
};
use domain::{ConversationId, UserId};
use uuid::Uuid;

/// In conversations of more people nobody is told unasked.
pub const SMALL_MAX: i64 = 50;

/// The conversations of a person whose others are told of their presence unasked.
pub async fn small_conversations(views: &Views, user: UserId) -> Result<Vec<ConversationId>, ProjectionError> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "SELECT c.id FROM participant_view p JOIN conversation_view c ON c.id = p.conversation_id
          WHERE p.user_id = $1 AND c.deleted_at IS NULL AND c.participant_count <= $2",
    )
    .bind(user.0)
    .bind(SMALL_MAX)
    .fetch_all(views.pool())
    .await?;
    Ok(ids.into_iter().map(Into::into).collect())
}

/// Those of these people who share a conversation or a workspace with a person, and so see each other.
pub async fn acquainted(views: &Views, user: UserId, people: &[UserId]) -> Result<Vec<UserId>, ProjectionError> {
    let people: Vec<Uuid> = people.iter().map(|id| id.0).collect();
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "SELECT other.id FROM (SELECT DISTINCT unnest($2::uuid[])) AS other (id)
          WHERE EXISTS (
                SELECT FROM participant_view mine
                  JOIN participant_view theirs ON theirs.conversation_id = mine.conversation_id AND theirs.user_id = other.id
                  JOIN conversation_view c ON c.id = mine.conversation_id AND c.deleted_at IS NULL
                 WHERE mine.user_id = $1)
             OR EXISTS (
                SELECT FROM workspace_member_view mine
                  JOIN workspace_member_view theirs ON theirs.workspace_id = mine.workspace_id AND theirs.user_id = other.id
                  JOIN workspace_view w ON w.id = mine.workspace_id AND w.deleted_position IS NULL
                 WHERE mine.user_id = $1)",
    )
    .bind(user.0)
    .bind(people)
    .fetch_all(views.pool())
    .await?;
    Ok(ids.into_iter().map(Into::into).collect())
}

/// These people with what they say of themselves, as far as there are such.
pub async fn said(views: &Views, people: &[UserId]) -> Result<Vec<UserView>, ProjectionError> {
    let ids: Vec<Uuid> = people.iter().map(|id| id.0).collect();
    let sql = format!("SELECT {COLUMNS} FROM user_view WHERE id = ANY($1)");
    read(views, sqlx::query(&sql).bind(ids).fetch_all(views.pool()).await?).await
}
