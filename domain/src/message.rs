//! [`Message`]: one message's life, from being sent to being deleted.
//!
//! Whether someone may post, read or moderate is the conversation's to say (`Conversation::require_participant`,
//! `may_read`, `is_moderator`); whoever gives these commands has asked it and guards its stream.

use crate::{
    Aggregate, Context, ConversationId, DomainEvent, KeyScope, Kind, MessageId, Personal, Position, ReactionId, Refusal, Timestamp,
    UserId, limits::CONTENT_CHARS_MAX,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;
use utoipa::ToSchema;

/// Different emoji by one person on one message.
pub const REACTIONS_PER_PERSON_MAX: usize = 50;
const EMOJI_NAME_CHARS_MAX: usize = 64;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MessageType {
    #[default]
    Text,
    Image,
    Video,
    Audio,
    File,
}

/// A mention of everyone, kept once and expanded on reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Broadcast {
    Channel,
    Here,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "payload", rename_all_fields = "camelCase")]
pub enum MessageEvent {
    #[serde(rename = "message.sent")]
    Sent {
        conversation_id: ConversationId,
        sender_id: UserId,
        content: Personal,
        r#type: MessageType,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply_to_id: Option<MessageId>,
        /// The first message of the thread that this one belongs to; absent outside threads.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        thread_root_id: Option<MessageId>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        mentions: Vec<UserId>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        broadcast: Option<Broadcast>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_message_id: Option<String>,
        /// The original time, where a message was imported.
        created_at: Timestamp,
    },
    #[serde(rename = "message.edited")]
    Edited { content: Personal, edited_at: Timestamp },
    #[serde(rename = "message.deleted")]
    Deleted { deleted_by: UserId, deleted_at: Timestamp },
    #[serde(rename = "message.reaction_added")]
    ReactionAdded { reaction_id: ReactionId, emoji: String, user_id: UserId },
    #[serde(rename = "message.reaction_removed")]
    ReactionRemoved { reaction_id: ReactionId, emoji: String, user_id: UserId },
}
impl DomainEvent for MessageEvent {}

#[derive(Clone, Debug)]
pub enum MessageCommand {
    Send(NewMessage),
    Edit { content: String },
    /// `moderator`: whether the actor runs the conversation.
    Delete { moderator: bool },
    React { reaction: ReactionId, emoji: String },
    Unreact { reaction: ReactionId },
    /// By its emoji, for clients that don't keep reaction ids.
    UnreactEmoji { emoji: String },
}

#[derive(Clone, Debug)]
pub struct NewMessage {
    pub conversation: ConversationId,
    pub content: String,
    pub r#type: MessageType,
    pub reply_to: Option<MessageId>,
    pub thread_root: Option<MessageId>,
    pub mentions: Vec<UserId>,
    pub broadcast: Option<Broadcast>,
    pub client_message_id: Option<String>,
    /// Now, or the original time of an imported message.
    pub created_at: Timestamp,
    /// Imported messages may be empty.
    pub may_be_empty: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageError {
    NotFound,
    AlreadyExists,
    AlreadyDeleted,
    NotTheSender,
    NotAllowed,
    ContentMissing,
    ContentTooLong,
    ClientMessageIdTooLong,
    NotAnEmoji,
    TooManyReactions,
    ReactionNotFound,
    NotTheReactor,
}

impl From<MessageError> for Refusal {
    fn from(error: MessageError) -> Self {
        use MessageError as E;
        match error {
            E::NotFound => Self::new(Kind::NotFound, "not_found", "there is no such message"),
            E::AlreadyExists => Self::new(Kind::Conflict, "already_exists", "a message with this id was sent already"),
            E::AlreadyDeleted => Self::new(Kind::Gone, "message_deleted", "the message was deleted"),
            E::NotTheSender => Self::new(Kind::Forbidden, "not_sender", "only its sender may edit a message"),
            E::NotAllowed => {
                Self::new(Kind::Forbidden, "not_allowed", "only its sender and those who run the conversation may delete a message")
            }
            E::ContentMissing => Self::invalid("content", "required", "a message needs a text of 1 to 40,000 characters"),
            E::ContentTooLong => Self::invalid("content", "too_long", "a message has at most 40,000 characters"),
            E::ClientMessageIdTooLong => {
                Self::invalid("clientMessageId", "invalid", "clientMessageId has 1 to 128 printable characters")
            }
            E::NotAnEmoji => Self::invalid("emoji", "invalid", "one emoji, or a custom one as :name:, is needed"),
            E::TooManyReactions => {
                Self::new(Kind::Conflict, "too_many_reactions", "one person puts at most 50 different emoji on a message")
            }
            E::ReactionNotFound => Self::new(Kind::NotFound, "not_found", "there is no such reaction on this message"),
            E::NotTheReactor => Self::new(Kind::Forbidden, "not_allowed", "only who reacted may take the reaction back"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reaction {
    pub id: ReactionId,
    pub emoji: String,
    pub user: UserId,
}

#[derive(Clone, Debug)]
struct Sent {
    conversation: ConversationId,
    sender: UserId,
    thread_root: Option<MessageId>,
    created_at: Timestamp,
    position: Position,
    is_deleted: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Message {
    sent: Option<Sent>,
    reactions: Vec<Reaction>,
}

impl Message {
    pub fn conversation(&self) -> Option<ConversationId> {
        self.sent.as_ref().map(|sent| sent.conversation)
    }
    pub fn sender(&self) -> Option<UserId> {
        self.sent.as_ref().map(|sent| sent.sender)
    }
    /// Where in the log it was sent: what its readability hangs on.
    pub fn position(&self) -> Option<Position> {
        self.sent.as_ref().map(|sent| sent.position)
    }
    /// The root of the thread that an answer to this message joins: its own, or itself.
    pub fn thread_root(&self) -> Option<MessageId> {
        self.sent.as_ref().and_then(|sent| sent.thread_root)
    }
    pub fn is_deleted(&self) -> bool {
        self.sent.as_ref().is_some_and(|sent| sent.is_deleted)
    }
    pub fn reactions(&self) -> &[Reaction] {
        &self.reactions
    }

    fn living(&self) -> Result<&Sent, MessageError> {
        match &self.sent {
            None => Err(MessageError::NotFound),
            Some(sent) if sent.is_deleted => Err(MessageError::AlreadyDeleted),
            Some(sent) => Ok(sent),
        }
    }

    fn send(&self, new: NewMessage, actor: UserId) -> Result<Vec<MessageEvent>, MessageError> {
        if self.sent.is_some() {
            return Err(MessageError::AlreadyExists);
        }
        if !(new.may_be_empty && new.content.is_empty()) {
            check_content(&new.content)?;
        }
        if new.client_message_id.as_deref().is_some_and(|id| !is_client_message_id(id)) {
            return Err(MessageError::ClientMessageIdTooLong);
        }
        Ok(vec![MessageEvent::Sent {
            conversation_id: new.conversation,
            sender_id: actor,
            content: Personal::Plain(new.content),
            r#type: new.r#type,
            reply_to_id: new.reply_to,
            thread_root_id: new.thread_root,
            mentions: new.mentions,
            broadcast: new.broadcast,
            client_message_id: new.client_message_id,
            created_at: new.created_at,
        }])
    }

    fn react(&self, reaction_id: ReactionId, emoji: String, user_id: UserId) -> Result<Vec<MessageEvent>, MessageError> {
        self.living()?;
        if !is_emoji(&emoji) {
            return Err(MessageError::NotAnEmoji);
        }
        if self.reactions.iter().any(|r| r.user == user_id && r.emoji == emoji) {
            return Ok(vec![]);
        }
        if self.reactions.iter().filter(|r| r.user == user_id).count() >= REACTIONS_PER_PERSON_MAX {
            return Err(MessageError::TooManyReactions);
        }
        Ok(vec![MessageEvent::ReactionAdded { reaction_id, emoji, user_id }])
    }

    fn unreact(&self, reaction: &Reaction, actor: UserId) -> Result<Vec<MessageEvent>, MessageError> {
        self.living()?;
        if reaction.user != actor {
            return Err(MessageError::NotTheReactor);
        }
        Ok(vec![MessageEvent::ReactionRemoved { reaction_id: reaction.id, emoji: reaction.emoji.clone(), user_id: actor }])
    }
}

impl Aggregate for Message {
    const TYPE: &'static str = "message";
    type Command = MessageCommand;
    type Event = MessageEvent;
    type Error = MessageError;

    fn decide(&self, command: MessageCommand, ctx: &Context) -> Result<Vec<MessageEvent>, MessageError> {
        match command {
            MessageCommand::Send(new) => self.send(new, ctx.actor),
            MessageCommand::Edit { content } => {
                let sent = self.living()?;
                if sent.sender != ctx.actor {
                    return Err(MessageError::NotTheSender);
                }
                check_content(&content)?;
                Ok(vec![MessageEvent::Edited { content: Personal::Plain(content), edited_at: ctx.now }])
            }
            MessageCommand::Delete { moderator } => {
                let sent = self.sent.as_ref().ok_or(MessageError::NotFound)?;
                if sent.sender != ctx.actor && !moderator {
                    return Err(MessageError::NotAllowed);
                }
                if sent.is_deleted {
                    return Ok(vec![]);
                }
                Ok(vec![MessageEvent::Deleted { deleted_by: ctx.actor, deleted_at: ctx.now }])
            }
            MessageCommand::React { reaction, emoji } => self.react(reaction, emoji, ctx.actor),
            MessageCommand::Unreact { reaction } => {
                let found = self.reactions.iter().find(|r| r.id == reaction).ok_or(MessageError::ReactionNotFound)?;
                self.unreact(found, ctx.actor)
            }
            MessageCommand::UnreactEmoji { emoji } => {
                let mine = |r: &&Reaction| r.user == ctx.actor && r.emoji == emoji;
                let found = self.reactions.iter().find(mine).ok_or(MessageError::ReactionNotFound)?;
                self.unreact(found, ctx.actor)
            }
        }
    }

    fn apply(&mut self, event: &MessageEvent, at: Position) {
        match event {
            MessageEvent::Sent { conversation_id, sender_id, thread_root_id, created_at, .. } => {
                self.sent = Some(Sent {
                    conversation: *conversation_id,
                    sender: *sender_id,
                    thread_root: *thread_root_id,
                    created_at: *created_at,
                    position: at,
                    is_deleted: false,
                });
            }
            MessageEvent::Edited { .. } => {}
            MessageEvent::Deleted { .. } => {
                if let Some(sent) = &mut self.sent {
                    sent.is_deleted = true;
                }
                self.reactions.clear();
            }
            MessageEvent::ReactionAdded { reaction_id, emoji, user_id } => {
                self.reactions.push(Reaction { id: *reaction_id, emoji: emoji.clone(), user: *user_id });
            }
            MessageEvent::ReactionRemoved { reaction_id, .. } => self.reactions.retain(|r| r.id != *reaction_id),
        }
    }

    fn key_scope(&self) -> Option<KeyScope> {
        self.sent.as_ref().map(|sent| KeyScope::Conversation {
            person: sent.sender,
            conversation: sent.conversation,
            quarter: sent.created_at.quarter(),
        })
    }
}

fn check_content(content: &str) -> Result<(), MessageError> {
    if content.is_empty() {
        return Err(MessageError::ContentMissing);
    }
    if content.chars().count() > CONTENT_CHARS_MAX {
        return Err(MessageError::ContentTooLong);
    }
    Ok(())
}

fn is_client_message_id(id: &str) -> bool {
    (1..=128).contains(&id.chars().count()) && !id.chars().any(char::is_control)
}

/// One grapheme cluster that is no letter, digit or space, or `:custom_name:`.
fn is_emoji(text: &str) -> bool {
    if let Some(name) = text.strip_prefix(':').and_then(|rest| rest.strip_suffix(':')) {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+');
        return (1..=EMOJI_NAME_CHARS_MAX).contains(&name.len()) && name.chars().all(legal);
    }
    let is_pictograph = text.chars().any(|c| c > '\u{a8}' && !c.is_alphanumeric() && !c.is_whitespace() && !c.is_control());
    is_pictograph && text.chars().count() <= 32 && text.graphemes(true).count() == 1
}

/// The `@names` in a text, without their `@`, lower-case, each once, in order. What they mean is the caller's to find.
pub fn names_mentioned(content: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut before = None;
    let mut chars = content.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        // An @ within a word is part of an address, not a mention.
        if c == '@' && !before.is_some_and(|b: char| b.is_alphanumeric() || matches!(b, '.' | '_' | '-' | '@')) {
            let rest = &content[at + 1..];
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))).unwrap_or(rest.len());
            let name = rest[..end].to_ascii_lowercase();
            if !name.is_empty() && !names.contains(&name) {
                names.push(name);
            }
        }
        before = Some(c);
    }
    names
}
