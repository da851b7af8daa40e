//! [`Message`]: one message's life, from being sent to being deleted.
//!
//! Whether someone may post, read or moderate is the conversation's to say (`Conversation::require_participant`,
//! `may_read`, `is_moderator`); whoever gives these commands has asked it and guards its stream.

mod emoji;
mod mention;

pub use mention::{candidates, names_mentioned};

use crate::{
    Aggregate, Context, ConversationId, DomainEvent, KeyScope, Kind, MessageId, Personal, Position, ReactionId,
    Refusal, Snapshots, Timestamp, UserId, limits::CONTENT_CHARS_MAX,
};
use emoji::is_emoji;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Different emoji by one person on one message.
pub const REACTIONS_PER_PERSON_MAX: usize = 50;

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
    #[serde(rename = "message.pinned")]
    Pinned { pinned_by: UserId, pinned_at: Timestamp },
    #[serde(rename = "message.unpinned")]
    Unpinned { unpinned_by: UserId },
}
impl DomainEvent for MessageEvent {}

/// What an event is to those who only follow that messages come and change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    Sent {
        conversation: ConversationId,
    },
    /// For all who are in the conversation of a message that was sent before.
    Changed,
}

impl MessageEvent {
    /// Said here once, so that those who follow messages need not know every verb.
    pub fn news(&self) -> News {
        match self {
            Self::Sent { conversation_id, .. } => News::Sent { conversation: *conversation_id },
            Self::Edited { .. }
            | Self::Deleted { .. }
            | Self::ReactionAdded { .. }
            | Self::ReactionRemoved { .. }
            | Self::Pinned { .. }
            | Self::Unpinned { .. } => News::Changed,
        }
    }

    /// The text that takes the place of the one before, where the event brings one.
    pub fn rewording(&self) -> Option<&Personal> {
        match self {
            Self::Edited { content, .. } => Some(content),
            Self::Sent { .. }
            | Self::Deleted { .. }
            | Self::ReactionAdded { .. }
            | Self::ReactionRemoved { .. }
            | Self::Pinned { .. }
            | Self::Unpinned { .. } => None,
        }
    }
}

#[derive(Clone, Debug)]
pub enum MessageCommand {
    Send(NewMessage),
    Edit {
        content: String,
    },
    /// `moderator`: whether the actor runs the conversation.
    Delete {
        moderator: bool,
    },
    React {
        reaction: ReactionId,
        emoji: String,
    },
    Unreact {
        reaction: ReactionId,
    },
    /// By its emoji, for clients that don't keep reaction ids.
    UnreactEmoji {
        emoji: String,
    },
    Pin,
    Unpin,
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
    ClientMessageIdInvalid,
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
            E::NotAllowed => Self::new(
                Kind::Forbidden,
                "not_allowed",
                "only its sender and those who run the conversation may delete a message",
            ),
            E::ContentMissing => {
                Self::invalid("content", "required", "a message needs a text of 1 to 40,000 characters")
            }
            E::ContentTooLong => Self::invalid("content", "too_long", "a message has at most 40,000 characters"),
            E::ClientMessageIdInvalid => {
                Self::invalid("clientMessageId", "invalid", "clientMessageId has 1 to 128 printable characters")
            }
            E::NotAnEmoji => Self::invalid("emoji", "invalid", "one emoji, or a custom one as :name:, is needed"),
            E::TooManyReactions => Self::new(
                Kind::Conflict,
                "too_many_reactions",
                "one person puts at most 50 different emoji on a message",
            ),
            E::ReactionNotFound => Self::new(Kind::NotFound, "not_found", "there is no such reaction on this message"),
            E::NotTheReactor => {
                Self::new(Kind::Forbidden, "not_allowed", "only who reacted may take the reaction back")
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaction {
    pub id: ReactionId,
    pub emoji: String,
    pub user: UserId,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Sent {
    conversation: ConversationId,
    sender: UserId,
    thread_root: Option<MessageId>,
    created_at: Timestamp,
    position: Position,
    is_deleted: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    sent: Option<Sent>,
    reactions: Vec<Reaction>,
    is_pinned: bool,
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
    pub fn is_pinned(&self) -> bool {
        self.is_pinned
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
            return Err(MessageError::ClientMessageIdInvalid);
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

    fn react(
        &self,
        reaction_id: ReactionId,
        emoji: String,
        user_id: UserId,
    ) -> Result<Vec<MessageEvent>, MessageError> {
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

    fn unreact(&self, is_meant: impl Fn(&Reaction) -> bool, actor: UserId) -> Result<Vec<MessageEvent>, MessageError> {
        self.living()?;
        let reaction = self.reactions.iter().find(|r| is_meant(r)).ok_or(MessageError::ReactionNotFound)?;
        if reaction.user != actor {
            return Err(MessageError::NotTheReactor);
        }
        Ok(vec![MessageEvent::ReactionRemoved {
            reaction_id: reaction.id,
            emoji: reaction.emoji.clone(),
            user_id: actor,
        }])
    }
}

const SNAPSHOTS: &Snapshots<Message> = &Snapshots::of(include_bytes!("message.rs"));

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
            MessageCommand::Unreact { reaction } => self.unreact(|r| r.id == reaction, ctx.actor),
            MessageCommand::UnreactEmoji { emoji } => {
                self.unreact(|r| r.user == ctx.actor && r.emoji == emoji, ctx.actor)
            }
            MessageCommand::Pin => {
                self.living()?;
                let event = MessageEvent::Pinned { pinned_by: ctx.actor, pinned_at: ctx.now };
                Ok(if self.is_pinned { vec![] } else { vec![event] })
            }
            MessageCommand::Unpin => {
                self.living()?;
                let event = MessageEvent::Unpinned { unpinned_by: ctx.actor };
                Ok(if self.is_pinned { vec![event] } else { vec![] })
            }
        }
    }

    fn apply(&mut self, event: &MessageEvent, at: Position) {
        match event {
            // Sent a second time, it stays as it was the first time.
            MessageEvent::Sent { conversation_id, sender_id, thread_root_id, created_at, .. } => {
                self.sent.get_or_insert(Sent {
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
                self.is_pinned = false;
            }
            MessageEvent::ReactionAdded { reaction_id, emoji, user_id } => {
                self.reactions.push(Reaction { id: *reaction_id, emoji: emoji.clone(), user: *user_id });
            }
            MessageEvent::ReactionRemoved { reaction_id, .. } => self.reactions.retain(|r| r.id != *reaction_id),
            MessageEvent::Pinned { .. } => self.is_pinned = true,
            MessageEvent::Unpinned { .. } => self.is_pinned = false,
        }
    }

    fn key_scope(&self) -> Option<KeyScope> {
        self.sent.as_ref().map(|sent| KeyScope::Conversation {
            person: sent.sender,
            conversation: sent.conversation,
            quarter: sent.created_at.quarter(),
        })
    }

    fn snapshots() -> Option<&'static Snapshots<Self>> {
        Some(SNAPSHOTS)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ALICE, BOB, CAROL, Given, NOW, by, given};
    use uuid::Uuid;

    const ID: MessageId = MessageId(Uuid::from_u128(0x31));
    const ROOT: MessageId = MessageId(Uuid::from_u128(0x30));
    const CONVERSATION: ConversationId = ConversationId(Uuid::from_u128(0x21));

    fn new(content: &str) -> NewMessage {
        NewMessage {
            conversation: CONVERSATION,
            content: content.to_owned(),
            r#type: MessageType::Text,
            reply_to: None,
            thread_root: None,
            mentions: vec![],
            broadcast: None,
            client_message_id: None,
            created_at: NOW,
            may_be_empty: false,
        }
    }
    fn sent(content: &str) -> MessageEvent {
        MessageEvent::Sent {
            conversation_id: CONVERSATION,
            sender_id: ALICE,
            content: Personal::plain(content),
            r#type: MessageType::Text,
            reply_to_id: None,
            thread_root_id: None,
            mentions: vec![],
            broadcast: None,
            client_message_id: None,
            created_at: NOW,
        }
    }
    fn deleted() -> MessageEvent {
        MessageEvent::Deleted { deleted_by: ALICE, deleted_at: NOW }
    }
    fn reaction(n: u128) -> ReactionId {
        ReactionId(Uuid::from_u128(0x4000 + n))
    }
    fn react(n: u128, emoji: &str) -> MessageCommand {
        MessageCommand::React { reaction: reaction(n), emoji: emoji.to_owned() }
    }
    fn reacted(n: u128, emoji: &str, user_id: UserId) -> MessageEvent {
        MessageEvent::ReactionAdded { reaction_id: reaction(n), emoji: emoji.to_owned(), user_id }
    }
    fn unreacted(n: u128, emoji: &str, user_id: UserId) -> MessageEvent {
        MessageEvent::ReactionRemoved { reaction_id: reaction(n), emoji: emoji.to_owned(), user_id }
    }
    fn pinned(pinned_by: UserId) -> MessageEvent {
        MessageEvent::Pinned { pinned_by, pinned_at: NOW }
    }
    fn unpinned(unpinned_by: UserId) -> MessageEvent {
        MessageEvent::Unpinned { unpinned_by }
    }
    fn edit(content: &str) -> MessageCommand {
        MessageCommand::Edit { content: content.to_owned() }
    }
    fn unsent() -> Given<Message> {
        given(ID, [])
    }
    /// Alice's message, and what came after.
    fn message(past: impl IntoIterator<Item = MessageEvent>) -> Given<Message> {
        given(ID, std::iter::once(sent("hello")).chain(past))
    }

    #[test]
    fn a_message_is_sent_by_whoever_asks() {
        unsent().when(MessageCommand::Send(new("hello")), by(ALICE)).then([sent("hello")]);
    }

    #[test]
    fn all_that_a_message_was_given_is_kept() {
        let command = NewMessage {
            r#type: MessageType::Image,
            reply_to: Some(ROOT),
            thread_root: Some(ROOT),
            mentions: vec![BOB, CAROL],
            broadcast: Some(Broadcast::Here),
            client_message_id: Some("device 7".to_owned()),
            created_at: NOW.plus_millis(-1),
            ..new("hello")
        };
        unsent().when(MessageCommand::Send(command), by(BOB)).then([MessageEvent::Sent {
            conversation_id: CONVERSATION,
            sender_id: BOB,
            content: Personal::plain("hello"),
            r#type: MessageType::Image,
            reply_to_id: Some(ROOT),
            thread_root_id: Some(ROOT),
            mentions: vec![BOB, CAROL],
            broadcast: Some(Broadcast::Here),
            client_message_id: Some("device 7".to_owned()),
            created_at: NOW.plus_millis(-1),
        }]);
    }

    #[test]
    fn a_message_is_sent_once() {
        message([]).when(MessageCommand::Send(new("hello")), by(ALICE)).then_refused(MessageError::AlreadyExists);
    }

    #[test]
    fn a_second_sending_in_the_log_changes_nothing() {
        let again = MessageEvent::Sent {
            conversation_id: CONVERSATION,
            sender_id: BOB,
            content: Personal::plain("again"),
            r#type: MessageType::Text,
            reply_to_id: None,
            thread_root_id: None,
            mentions: vec![],
            broadcast: None,
            client_message_id: None,
            created_at: NOW,
        };
        assert_eq!(message([again]).state.sender(), Some(ALICE));
        assert!(message([deleted(), sent("again")]).state.is_deleted());
    }

    #[test]
    fn a_deleted_message_is_not_sent_again() {
        let command = MessageCommand::Send(new("hello"));
        message([deleted()]).when(command, by(ALICE)).then_refused(MessageError::AlreadyExists);
    }

    #[test]
    fn an_empty_message_is_refused() {
        unsent().when(MessageCommand::Send(new("")), by(ALICE)).then_refused(MessageError::ContentMissing);
    }

    #[test]
    fn an_imported_message_may_be_empty() {
        let command = NewMessage { may_be_empty: true, ..new("") };
        unsent().when(MessageCommand::Send(command), by(ALICE)).then([sent("")]);
    }

    #[test]
    fn a_message_of_40_000_characters_is_taken_whatever_they_weigh() {
        let content = "👍".repeat(40_000);
        unsent().when(MessageCommand::Send(new(&content)), by(ALICE)).then([sent(&content)]);
    }

    #[test]
    fn a_message_of_40_001_characters_is_refused_even_from_an_import() {
        let command = NewMessage { may_be_empty: true, ..new(&"x".repeat(40_001)) };
        unsent().when(MessageCommand::Send(command), by(ALICE)).then_refused(MessageError::ContentTooLong);
    }

    #[test]
    fn the_text_of_a_message_is_kept_to_the_letter() {
        let text = "  one\n\ttwo \u{202e}\0 ";
        unsent().when(MessageCommand::Send(new(text)), by(ALICE)).then([sent(text)]);
    }

    #[test]
    fn a_client_message_id_that_is_empty_too_long_or_not_printable_is_refused() {
        for id in ["", &"x".repeat(129), "a\nb"] {
            let command = NewMessage { client_message_id: Some(id.to_owned()), ..new("hello") };
            unsent().when(MessageCommand::Send(command), by(ALICE)).then_refused(MessageError::ClientMessageIdInvalid);
        }
    }

    #[test]
    fn its_sender_edits_a_message() {
        let event = MessageEvent::Edited { content: Personal::plain("bye"), edited_at: NOW };
        message([]).when(edit("bye"), by(ALICE)).then([event]);
    }

    #[test]
    fn nobody_else_edits_a_message() {
        message([]).when(edit("bye"), by(BOB)).then_refused(MessageError::NotTheSender);
    }

    #[test]
    fn an_edit_keeps_the_rules_of_a_text() {
        message([]).when(edit(""), by(ALICE)).then_refused(MessageError::ContentMissing);
        message([]).when(edit(&"x".repeat(40_001)), by(ALICE)).then_refused(MessageError::ContentTooLong);
    }

    #[test]
    fn a_deleted_message_cannot_be_edited() {
        message([deleted()]).when(edit("back"), by(ALICE)).then_refused(MessageError::AlreadyDeleted);
    }

    #[test]
    fn its_sender_deletes_a_message() {
        message([]).when(MessageCommand::Delete { moderator: false }, by(ALICE)).then([deleted()]);
    }

    #[test]
    fn who_runs_the_conversation_deletes_a_message() {
        let event = MessageEvent::Deleted { deleted_by: BOB, deleted_at: NOW };
        message([]).when(MessageCommand::Delete { moderator: true }, by(BOB)).then([event]);
    }

    #[test]
    fn nobody_else_deletes_a_message() {
        message([]).when(MessageCommand::Delete { moderator: false }, by(BOB)).then_refused(MessageError::NotAllowed);
    }

    #[test]
    fn a_message_is_deleted_once() {
        message([deleted()]).when(MessageCommand::Delete { moderator: false }, by(ALICE)).then_nothing();
    }

    #[test]
    fn a_message_that_was_never_sent_is_not_found() {
        let unreact = MessageCommand::Unreact { reaction: reaction(1) };
        let unreact_emoji = MessageCommand::UnreactEmoji { emoji: "👍".to_owned() };
        let others = [MessageCommand::Delete { moderator: true }, MessageCommand::Pin, MessageCommand::Unpin];
        for command in others.into_iter().chain([edit("x"), react(1, "👍"), unreact, unreact_emoji]) {
            unsent().when(command, by(ALICE)).then_refused(MessageError::NotFound);
        }
    }

    #[test]
    fn someone_reacts() {
        message([]).when(react(1, "👍"), by(BOB)).then([reacted(1, "👍", BOB)]);
    }

    #[test]
    fn the_same_reaction_twice_is_one() {
        message([reacted(1, "👍", BOB)]).when(react(2, "👍"), by(BOB)).then_nothing();
    }

    #[test]
    fn another_person_and_another_emoji_are_reactions_of_their_own() {
        message([reacted(1, "👍", BOB)]).when(react(2, "👍"), by(CAROL)).then([reacted(2, "👍", CAROL)]);
        message([reacted(1, "👍", BOB)]).when(react(2, "🎉"), by(BOB)).then([reacted(2, "🎉", BOB)]);
    }

    #[test]
    fn what_is_no_emoji_is_no_reaction() {
        for text in ["", "👍👍", "nice", ":party", "e\u{301}"] {
            message([]).when(react(1, text), by(BOB)).then_refused(MessageError::NotAnEmoji);
        }
    }

    #[test]
    fn one_person_puts_at_most_fifty_emoji_on_a_message() {
        let fifty = || (0..50).map(|n| reacted(n, &format!(":e{n}:"), BOB));
        message(fifty()).when(react(50, ":e50:"), by(BOB)).then_refused(MessageError::TooManyReactions);
        message(fifty()).when(react(50, ":e50:"), by(CAROL)).then([reacted(50, ":e50:", CAROL)]);
        message(fifty().skip(1)).when(react(50, ":e50:"), by(BOB)).then([reacted(50, ":e50:", BOB)]);
    }

    #[test]
    fn a_deleted_message_takes_no_reaction() {
        message([deleted()]).when(react(1, "👍"), by(BOB)).then_refused(MessageError::AlreadyDeleted);
    }

    #[test]
    fn who_reacted_takes_the_reaction_back() {
        let command = MessageCommand::Unreact { reaction: reaction(1) };
        message([reacted(1, "👍", BOB)]).when(command, by(BOB)).then([unreacted(1, "👍", BOB)]);
    }

    #[test]
    fn a_reaction_is_taken_back_by_its_emoji_too() {
        let past = [reacted(1, "👍", CAROL), reacted(2, "🎉", BOB), reacted(3, "👍", BOB)];
        let command = MessageCommand::UnreactEmoji { emoji: "👍".to_owned() };
        message(past).when(command, by(BOB)).then([unreacted(3, "👍", BOB)]);
    }

    #[test]
    fn the_reaction_of_another_stays() {
        let by_id = MessageCommand::Unreact { reaction: reaction(1) };
        message([reacted(1, "👍", BOB)]).when(by_id, by(CAROL)).then_refused(MessageError::NotTheReactor);
        let by_emoji = MessageCommand::UnreactEmoji { emoji: "👍".to_owned() };
        message([reacted(1, "👍", BOB)]).when(by_emoji, by(CAROL)).then_refused(MessageError::ReactionNotFound);
    }

    #[test]
    fn an_unknown_reaction_is_not_found() {
        let command = MessageCommand::Unreact { reaction: reaction(2) };
        message([reacted(1, "👍", BOB)]).when(command, by(BOB)).then_refused(MessageError::ReactionNotFound);
    }

    #[test]
    fn the_reactions_of_a_deleted_message_are_gone_with_it() {
        let command = MessageCommand::Unreact { reaction: reaction(1) };
        message([reacted(1, "👍", BOB), deleted()]).when(command, by(BOB)).then_refused(MessageError::AlreadyDeleted);
        assert!(message([reacted(1, "👍", BOB), deleted()]).state.reactions().is_empty());
    }

    #[test]
    fn a_reaction_can_be_given_again_after_its_removal() {
        let past = [reacted(1, "👍", BOB), unreacted(1, "👍", BOB)];
        message(past).when(react(2, "👍"), by(BOB)).then([reacted(2, "👍", BOB)]);
    }

    #[test]
    fn another_than_its_sender_pins_a_message() {
        message([]).when(MessageCommand::Pin, by(BOB)).then([pinned(BOB)]);
    }

    #[test]
    fn pinning_what_is_pinned_changes_nothing() {
        message([pinned(BOB)]).when(MessageCommand::Pin, by(CAROL)).then_nothing();
    }

    #[test]
    fn another_than_who_pinned_it_unpins_a_message() {
        message([pinned(BOB)]).when(MessageCommand::Unpin, by(CAROL)).then([unpinned(CAROL)]);
    }

    #[test]
    fn unpinning_what_is_not_pinned_changes_nothing() {
        message([]).when(MessageCommand::Unpin, by(BOB)).then_nothing();
        message([pinned(BOB), unpinned(BOB)]).when(MessageCommand::Unpin, by(BOB)).then_nothing();
    }

    #[test]
    fn a_message_can_be_pinned_again_after_it_was_unpinned() {
        message([pinned(BOB), unpinned(BOB)]).when(MessageCommand::Pin, by(ALICE)).then([pinned(ALICE)]);
    }

    #[test]
    fn a_deleted_message_is_neither_pinned_nor_unpinned() {
        for command in [MessageCommand::Pin, MessageCommand::Unpin] {
            message([pinned(BOB), deleted()]).when(command, by(BOB)).then_refused(MessageError::AlreadyDeleted);
        }
    }

    #[test]
    fn deleting_a_message_unpins_it() {
        assert!(message([pinned(BOB)]).state.is_pinned());
        assert!(!message([pinned(BOB), deleted()]).state.is_pinned());
    }

    #[test]
    fn a_message_remembers_where_it_stands_and_whose_it_is() {
        let state = message([deleted()]).state;
        assert_eq!((state.conversation(), state.sender()), (Some(CONVERSATION), Some(ALICE)));
        assert_eq!((state.position(), state.is_deleted()), (Some(Position(1)), true));
    }

    #[test]
    fn a_text_is_sealed_under_the_senders_key_of_its_conversation_and_quarter() {
        let scope = KeyScope::Conversation { person: ALICE, conversation: CONVERSATION, quarter: NOW.quarter() };
        assert_eq!(message([]).state.key_scope(), Some(scope));
        assert_eq!(unsent().state.key_scope(), None);
    }
}
