//! [`shown_to_all`]: which read marks of a batch all participants are told of.
//!
//! That is decided by how many there were at that very event, so that it is the same wherever batches are cut, and as
//! it was when it was pushed.

use super::SMALL_PARTICIPANTS_MAX;
use crate::{
    ProjectionError,
    batch::{Event, Fact},
};
use domain::{
    ConversationId, Position,
    conversation::ConversationEvent,
    inbox::{Direction, InboxEvent},
};
use sqlx::{PgConnection, Row};
use std::collections::{BTreeSet, HashMap, HashSet};
use uuid::Uuid;

/// Relies on the conversations as the batch leaves them.
pub(crate) async fn shown_to_all(tx: &mut PgConnection, batch: &[Fact]) -> Result<HashSet<Position>, ProjectionError> {
    let read: BTreeSet<Uuid> = batch.iter().filter_map(read_in).map(|id| id.0).collect();
    if read.is_empty() {
        return Ok(HashSet::new());
    }
    let mut counts = counts_after(tx, &read).await?;
    let mut shown = HashSet::new();
    for fact in batch.iter().rev() {
        if let Some(conversation) = read_in(fact) {
            if counts.get(&conversation).is_some_and(|count| *count <= SMALL_PARTICIPANTS_MAX) {
                shown.insert(fact.position);
            }
        } else if let Event::Conversation(event) = &fact.event
            && let Ok(id) = fact.aggregate_id.parse()
            && let Some(count) = counts.get_mut(&ConversationId(id))
        {
            match event {
                ConversationEvent::ParticipantAdded { .. } => *count -= 1,
                ConversationEvent::ParticipantRemoved { .. } => *count += 1,
                ConversationEvent::Deleted { .. } => *count = left_at(tx, id, fact.position).await?,
                ConversationEvent::Created { .. }
                | ConversationEvent::Updated(_)
                | ConversationEvent::ParticipantRoleChanged { .. } => {}
            }
        }
    }
    Ok(shown)
}

/// The conversation in which somebody has read on.
fn read_in(fact: &Fact) -> Option<ConversationId> {
    match &fact.event {
        Event::Inbox(InboxEvent::ReadMarked { conversation_id, direction: Direction::Read, .. }) => {
            Some(*conversation_id)
        }
        Event::Inbox(
            InboxEvent::ReadMarked { direction: Direction::Unread, .. } | InboxEvent::PreferenceChanged { .. },
        )
        | Event::User(_)
        | Event::Workspace(_)
        | Event::Conversation(_)
        | Event::Message(_)
        | Event::Other => None,
    }
}

async fn counts_after(
    tx: &mut PgConnection,
    conversations: &BTreeSet<Uuid>,
) -> Result<HashMap<ConversationId, i64>, ProjectionError> {
    let ids: Vec<Uuid> = conversations.iter().copied().collect();
    let query = "SELECT id, participant_count FROM conversation_view WHERE id = ANY($1)";
    let rows = sqlx::query(query).bind(ids).fetch_all(tx).await?;
    rows.iter().map(|row| Ok((ConversationId(row.try_get("id")?), row.try_get("participant_count")?))).collect()
}

/// How many left with their conversation.
async fn left_at(tx: &mut PgConnection, conversation: Uuid, position: Position) -> Result<i64, ProjectionError> {
    let query = "SELECT count(*) FROM former_participant_view WHERE conversation_id = $1 AND left_position = $2";
    Ok(sqlx::query_scalar(query).bind(conversation).bind(position.0).fetch_one(tx).await?)
}
