//! [`sent`] and [`changed`]: what is told of a message.
//!
//! One encoding serves all, so nothing in it depends on who reads: counters are as the event leaves them, zero, and what
//! is quoted is named by its id, for not everybody may read it.

use super::Push;
use domain::{
    ConversationId, MessageId, Position, Sequence, Timestamp, UserId,
    message::{Broadcast, MessageType},
};
use projections::{message::MessageView, user::UserSummary};
use serde::Serialize;
use serde_json::json;

/// What a send says of a message.
pub(super) struct Sent {
    pub id: MessageId,
    pub conversation: ConversationId,
    pub sequence: Option<i64>,
    pub position: Position,
    pub sender: UserId,
    pub summary: Option<UserSummary>,
    /// None where its key is gone.
    pub content: Option<String>,
    pub r#type: MessageType,
    pub reply_to: Option<MessageId>,
    pub mentions: Vec<UserId>,
    pub broadcast: Option<Broadcast>,
    pub client_message_id: Option<String>,
    pub created_at: Timestamp,
}

pub(super) fn sent(sent: Sent) -> Push {
    #[derive(Serialize)]
    struct New {
        message: MessageView,
    }
    let message = MessageView {
        id: sent.id,
        conversation_id: sent.conversation,
        sequence: Sequence(sent.sequence.unwrap_or_default()),
        position: sent.position,
        sender_id: sent.sender,
        sender: sent.summary,
        content: sent.content,
        r#type: sent.r#type,
        reply_to_id: sent.reply_to,
        reply_to: None,
        thread_count: 0,
        attachments: [],
        mentions: sent.mentions,
        broadcast: sent.broadcast,
        reactions: vec![],
        is_edited: false,
        is_pinned: false,
        read_by: 0,
        client_message_id: sent.client_message_id,
        created_at: sent.created_at,
        updated_at: sent.created_at,
        deleted_at: None,
    };
    Push::new(NEW, &New { message })
}

pub(crate) const NEW: &str = "message:new";
const NEW_BEFORE: &[u8] = br#"{"message":"#;

/// The message alone, without copying it: what stands in a `message:new`.
pub(crate) fn bare(push: &Push) -> Option<bytes::Bytes> {
    let is_new = push.event == NEW && push.data.starts_with(NEW_BEFORE);
    is_new.then(|| push.data.slice(NEW_BEFORE.len()..push.data.len() - 1))
}

pub(super) enum Changed {
    Edited { content: Option<String>, at: Timestamp },
    Deleted,
    Reacted { reaction_id: domain::ReactionId, emoji: String, user: UserId },
    Unreacted { reaction_id: domain::ReactionId, emoji: String, user: UserId },
    Pinned(UserId),
    Unpinned(UserId),
}

pub(super) fn changed(id: MessageId, conversation: ConversationId, change: Changed) -> Push {
    let reaction = |reaction_id, emoji, user| {
        json!({
            "messageId": id, "conversationId": conversation,
            "reaction": {"reactionId": reaction_id, "emoji": emoji, "userId": user},
        })
    };
    let by = |user: UserId| json!({"messageId": id, "conversationId": conversation, "userId": user});
    match change {
        Changed::Edited { content, at } => Push::new(
            "message:updated",
            &json!({"messageId": id, "conversationId": conversation, "content": content, "updatedAt": at}),
        ),
        Changed::Deleted => Push::new("message:deleted", &json!({"messageId": id, "conversationId": conversation})),
        Changed::Reacted { reaction_id, emoji, user } => {
            Push::new("message:reaction:added", &reaction(reaction_id, emoji, user))
        }
        Changed::Unreacted { reaction_id, emoji, user } => {
            Push::new("message:reaction:removed", &reaction(reaction_id, emoji, user))
        }
        Changed::Pinned(user) => Push::new("message:pinned", &by(user)),
        Changed::Unpinned(user) => Push::new("message:unpinned", &by(user)),
    }
}

/// How far somebody has read.
pub(super) fn read(id: MessageId, conversation: ConversationId, user: UserId) -> Push {
    Push::new("message:read", &json!({"messageId": id, "conversationId": conversation, "userId": user}))
}
