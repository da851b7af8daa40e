//! [`stays`]: where a person is and was, from which position to which.

use crate::{ProjectionError, Views, writer};
use domain::{ConversationId, Position, UserId, WorkspaceId};
use sqlx::{PgConnection, Row, postgres::PgRow};
use std::collections::HashMap;
use uuid::Uuid;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    Conversation(ConversationId),
    Workspace(WorkspaceId),
}

/// A time that somebody spent somewhere. Events at both its ends are theirs to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stay {
    pub scope: Scope,
    pub joined: Position,
    /// None where it goes on.
    pub left: Option<Position>,
    /// Whether they may read what was sent before they joined.
    pub is_shared: bool,
}

impl Stay {
    /// Whether an event is theirs to see; and if it is about a message, whether that is, by where it was sent.
    pub fn covers(&self, position: Position, about: Option<Position>) -> bool {
        self.joined <= position
            && self.left.is_none_or(|left| position <= left)
            && about.is_none_or(|sent| self.is_shared || sent > self.joined)
    }
}

/// As they stood at a position of the log.
#[derive(Clone, Debug)]
pub struct Stays {
    pub position: Position,
    pub stays: Vec<Stay>,
    /// Of the conversations among them.
    pub participants: HashMap<ConversationId, i64>,
}

/// A stay in a conversation, as its end left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EndedStay {
    pub conversation: ConversationId,
    pub user: UserId,
    pub joined: Position,
    pub left: Position,
}

/// All stays that go on, and those that ended after a position.
pub async fn stays(views: &Views, user: UserId, since: Position) -> Result<Stays, ProjectionError> {
    let mut tx = views.snapshot().await?;
    let position = writer::position(&mut tx).await?;
    let mut found = Stays { position, stays: vec![], participants: HashMap::new() };
    // There may be thousands: four arrays are read faster than as many rows.
    let query = "SELECT coalesce(array_agg(p.conversation_id), '{}') AS ids, \
           coalesce(array_agg(p.joined_position), '{}') AS joined, \
           coalesce(array_agg(c.history = 'shared'), '{}') AS shared, \
           coalesce(array_agg(c.participant_count), '{}') AS participants \
         FROM participant_view p JOIN conversation_view c ON c.id = p.conversation_id WHERE p.user_id = $1";
    let row = sqlx::query(query).bind(user.0).fetch_one(&mut *tx).await?;
    let (ids, joined): (Vec<Uuid>, Vec<i64>) = (row.try_get("ids")?, row.try_get("joined")?);
    let (shared, participants): (Vec<bool>, Vec<i64>) = (row.try_get("shared")?, row.try_get("participants")?);
    for (((id, joined), is_shared), participants) in ids.into_iter().zip(joined).zip(shared).zip(participants) {
        let id = ConversationId(id);
        found.stays.push(Stay { scope: Scope::Conversation(id), joined: Position(joined), left: None, is_shared });
        found.participants.insert(id, participants);
    }
    let query = "SELECT f.conversation_id AS scope, FALSE AS is_workspace, f.joined_position AS joined, \
           f.left_position AS ended, c.history = 'shared' AS is_shared \
         FROM former_stay_view f JOIN conversation_view c ON c.id = f.conversation_id \
         WHERE f.user_id = $1 AND f.left_position > $2 \
         UNION ALL SELECT m.workspace_id, TRUE, m.joined_position, w.deleted_position, TRUE \
         FROM workspace_member_view m JOIN workspace_view w ON w.id = m.workspace_id \
         WHERE m.user_id = $1 AND (w.deleted_position IS NULL OR w.deleted_position > $2)";
    for row in &sqlx::query(query).bind(user.0).bind(since.0).fetch_all(&mut *tx).await? {
        found.stays.push(read(row)?);
    }
    Ok(found)
}

pub(super) fn read(row: &PgRow) -> Result<Stay, ProjectionError> {
    let id: Uuid = row.try_get("scope")?;
    let is_workspace: bool = row.try_get("is_workspace")?;
    Ok(Stay {
        scope: if is_workspace { Scope::Workspace(id.into()) } else { Scope::Conversation(id.into()) },
        joined: Position(row.try_get("joined")?),
        left: row.try_get::<Option<i64>, _>("ended")?.map(Position),
        is_shared: row.try_get("is_shared")?,
    })
}

pub(crate) async fn save_ended(tx: &mut PgConnection, ended: &[EndedStay]) -> Result<(), ProjectionError> {
    if ended.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO former_stay_view (conversation_id, user_id, joined_position, left_position) \
         SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[])",
    )
    .bind(ended.iter().map(|stay| stay.conversation.0).collect::<Vec<_>>())
    .bind(ended.iter().map(|stay| stay.user.0).collect::<Vec<_>>())
    .bind(ended.iter().map(|stay| stay.joined.0).collect::<Vec<_>>())
    .bind(ended.iter().map(|stay| stay.left.0).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}
