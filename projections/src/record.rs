//! [`conversation`]: a conversation exactly as it stood at a position, folded from the log.
//!
//! The views only tell which messages there are to look for; what is said of them comes from their events.

use crate::{ProjectionError, Views};
use domain::{
    Aggregate, ConversationId, MessageId, Personal, Position, ReactionId, Sequence, Timestamp, UserId,
    conversation::{Conversation, ConversationEvent, ConversationType, History, Role},
    message::{Message, MessageEvent, MessageType},
};
use event_store::RecordedEvent;
use serde::Serialize;
use std::collections::HashMap;
use utoipa::ToSchema;

/// A conversation as it stood.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ConversationRecord {
    pub position: Position,
    pub conversation: RecordedConversation,
    pub members: Vec<RecordedMember>,
    /// Oldest first.
    pub messages: Vec<RecordedMessage>,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordedConversation {
    pub id: ConversationId,
    pub r#type: ConversationType,
    pub history: History,
    pub name: Option<String>,
    pub is_deleted: bool,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordedMember {
    pub user_id: UserId,
    pub role: Role,
    /// The position of the event that brought them in.
    pub joined_position: Position,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordedMessage {
    pub id: MessageId,
    pub sequence: Sequence,
    pub position: Position,
    pub sender_id: UserId,
    /// As it was worded then; null where it was deleted by then.
    pub content: Option<String>,
    pub r#type: MessageType,
    pub reply_to_id: Option<MessageId>,
    pub is_edited: bool,
    pub is_deleted: bool,
    pub created_at: Timestamp,
    pub reactions: Vec<RecordedReaction>,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordedReaction {
    pub reaction_id: ReactionId,
    pub emoji: String,
    pub user_id: UserId,
}

/// As it stood at `position`, with the last `limit` messages before the one of number `before`. None where it was not
/// there yet.
pub async fn conversation(
    views: &Views,
    id: ConversationId,
    position: Position,
    limit: i64,
    before: Option<i64>,
) -> Result<Option<ConversationRecord>, ProjectionError> {
    let events = views.store().read_streams(Conversation::TYPE, &[id.to_string()], position).await?;
    let mut state = Conversation::default();
    let mut is_there = false;
    // Deleting empties a conversation; who was in it is what an auditor asks.
    let mut members = Vec::new();
    for event in &events {
        let fact: ConversationEvent = event.decode()?;
        if matches!(fact, ConversationEvent::Deleted { .. }) {
            members = listed(&state);
        }
        state.apply(&fact, event.position);
        is_there = true;
    }
    if !is_there {
        return Ok(None);
    }
    if state.exists() {
        members = listed(&state);
    }
    let conversation = RecordedConversation {
        id,
        r#type: state.r#type,
        history: state.history,
        name: state.name.clone(),
        is_deleted: !state.exists(),
    };
    let messages = messages(views, id, position, limit, before).await?;
    Ok(Some(ConversationRecord { position, conversation, members, messages }))
}

fn listed(state: &Conversation) -> Vec<RecordedMember> {
    let member = |(user_id, participant): (UserId, &domain::conversation::Participant)| RecordedMember {
        user_id,
        role: participant.role,
        joined_position: participant.joined_at,
    };
    let mut members: Vec<RecordedMember> = state.participants().map(member).collect();
    members.sort_by_key(|member| (member.joined_position, member.user_id));
    members
}

async fn messages(
    views: &Views,
    id: ConversationId,
    position: Position,
    limit: i64,
    before: Option<i64>,
) -> Result<Vec<RecordedMessage>, ProjectionError> {
    let found: Vec<(uuid::Uuid,)> = sqlx::query_as(
        "SELECT id FROM message_view
          WHERE conversation_id = $1 AND position <= $2 AND sequence < $3
          ORDER BY sequence DESC LIMIT $4",
    )
    .bind(id.0)
    .bind(position.0)
    .bind(before.unwrap_or(i64::MAX))
    .bind(limit)
    .fetch_all(views.pool())
    .await?;
    let ids: Vec<String> = found.iter().map(|(id,)| id.to_string()).collect();
    let events = views.store().read_streams(Message::TYPE, &ids, position).await?;
    let mut lives: HashMap<&str, Vec<&RecordedEvent>> = HashMap::new();
    for event in &events {
        lives.entry(&event.aggregate_id).or_default().push(event);
    }
    let mut messages = Vec::with_capacity(ids.len());
    for id in ids.iter().rev() {
        if let Some(message) = fold(views, lives.get(id.as_str()).map_or(&[][..], Vec::as_slice)).await? {
            messages.push(message);
        }
    }
    Ok(messages)
}

async fn fold(views: &Views, life: &[&RecordedEvent]) -> Result<Option<RecordedMessage>, ProjectionError> {
    let mut state = Message::default();
    let mut folded: Option<(RecordedMessage, Personal)> = None;
    for event in life {
        let fact: MessageEvent = event.decode()?;
        state.apply(&fact, event.position);
        if let Some(content) = fact.rewording() {
            if let Some((message, wording)) = &mut folded {
                (message.is_edited, *wording) = (true, content.clone());
            }
        } else if let MessageEvent::Sent { sender_id, content, r#type, reply_to_id, created_at, .. } = fact {
            let Ok(id) = event.aggregate_id.parse() else { continue };
            let message = RecordedMessage {
                id,
                sequence: Sequence(event.message_sequence.unwrap_or_default()),
                position: event.position,
                sender_id,
                content: None,
                r#type,
                reply_to_id,
                is_edited: false,
                is_deleted: false,
                created_at,
                reactions: vec![],
            };
            folded = Some((message, content));
        }
    }
    let Some((mut message, wording)) = folded else { return Ok(None) };
    message.is_deleted = state.is_deleted();
    if !message.is_deleted {
        message.content = opened(views, wording).await?;
    }
    let reaction =
        |r: &domain::message::Reaction| RecordedReaction { reaction_id: r.id, emoji: r.emoji.clone(), user_id: r.user };
    message.reactions = state.reactions().iter().map(reaction).collect();
    Ok(Some(message))
}

async fn opened(views: &Views, text: Personal) -> Result<Option<String>, ProjectionError> {
    match text {
        Personal::Plain(text) => Ok(Some(text)),
        Personal::Sealed(sealed) => Ok(views.keyring().open(&sealed).await?),
    }
}
