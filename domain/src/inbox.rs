//! [`Inbox`]: one person's side of one conversation. A stream of its own, so that reading never contends with sending.

use crate::{
    Aggregate, Context, ConversationId, DomainEvent, KeyScope, Kind, MessageId, Position, Refusal, Sequence, Timestamp, UserId,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The stream's id: `<conversation>:<person>`.
pub fn inbox_id(conversation: ConversationId, user: UserId) -> String {
    format!("{conversation}:{user}")
}

/// Reading moves a mark forward only; marking unread moves it back only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    Read,
    Unread,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "payload", rename_all_fields = "camelCase")]
pub enum InboxEvent {
    /// All messages of the conversation up to and with `sequence` are read, those after it are not.
    #[serde(rename = "inbox.read_marked")]
    ReadMarked {
        conversation_id: ConversationId,
        user_id: UserId,
        message_id: MessageId,
        sequence: Sequence,
        direction: Direction,
        read_at: Timestamp,
    },
    #[serde(rename = "inbox.preference_changed")]
    PreferenceChanged {
        conversation_id: ConversationId,
        user_id: UserId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        is_muted: Option<bool>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        is_pinned: Option<bool>,
    },
}
impl DomainEvent for InboxEvent {}

/// `sequence` is the message's number in its conversation, from the log.
#[derive(Clone, Copy, Debug)]
pub enum InboxCommand {
    MarkRead { conversation: ConversationId, message: MessageId, sequence: Sequence },
    MarkUnread { conversation: ConversationId, message: MessageId, sequence: Sequence },
    ChangePreference { conversation: ConversationId, is_muted: Option<bool>, is_pinned: Option<bool> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InboxError {
    NotAMessageOfTheConversation,
}

impl From<InboxError> for Refusal {
    fn from(error: InboxError) -> Self {
        match error {
            InboxError::NotAMessageOfTheConversation => {
                Self::new(Kind::NotFound, "not_found", "there is no such message in this conversation")
            }
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Inbox {
    /// None until the first mark: then what counts is where the person joined, which this stream does not know.
    mark: Option<Sequence>,
    is_muted: bool,
    is_pinned: bool,
}

impl Aggregate for Inbox {
    const TYPE: &'static str = "inbox";
    type Command = InboxCommand;
    type Event = InboxEvent;
    type Error = InboxError;

    fn decide(&self, command: InboxCommand, ctx: &Context) -> Result<Vec<InboxEvent>, InboxError> {
        let marked = |conversation_id, message_id, sequence, direction| InboxEvent::ReadMarked {
            conversation_id,
            user_id: ctx.actor,
            message_id,
            sequence,
            direction,
            read_at: ctx.now,
        };
        match command {
            InboxCommand::MarkRead { sequence, .. } | InboxCommand::MarkUnread { sequence, .. } if sequence.0 < 1 => {
                Err(InboxError::NotAMessageOfTheConversation)
            }
            InboxCommand::MarkRead { conversation, message, sequence } => {
                let moves = self.mark.is_none_or(|mark| sequence > mark);
                Ok(moves.then(|| marked(conversation, message, sequence, Direction::Read)).into_iter().collect())
            }
            InboxCommand::MarkUnread { conversation, message, sequence } => {
                let before = Sequence(sequence.0 - 1);
                let moves = self.mark.is_none_or(|mark| before < mark);
                Ok(moves.then(|| marked(conversation, message, before, Direction::Unread)).into_iter().collect())
            }
            InboxCommand::ChangePreference { conversation, is_muted, is_pinned } => {
                let is_muted = is_muted.filter(|muted| *muted != self.is_muted);
                let is_pinned = is_pinned.filter(|pinned| *pinned != self.is_pinned);
                if is_muted.is_none() && is_pinned.is_none() {
                    return Ok(vec![]);
                }
                Ok(vec![InboxEvent::PreferenceChanged { conversation_id: conversation, user_id: ctx.actor, is_muted, is_pinned }])
            }
        }
    }

    fn apply(&mut self, event: &InboxEvent, _: Position) {
        match event {
            InboxEvent::ReadMarked { sequence, .. } => self.mark = Some(*sequence),
            InboxEvent::PreferenceChanged { is_muted, is_pinned, .. } => {
                self.is_muted = is_muted.unwrap_or(self.is_muted);
                self.is_pinned = is_pinned.unwrap_or(self.is_pinned);
            }
        }
    }

    fn key_scope(&self) -> Option<KeyScope> {
        None
    }
}
