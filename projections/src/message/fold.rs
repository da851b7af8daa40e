//! [`Fold`]: what a batch makes of messages, worked out in memory from the rows it touches.

use crate::{
    ProjectionError,
    batch::{Event, Fact},
    conversation::inapplicable,
};
use domain::{
    ConversationId, MessageId, Position, Timestamp, UserId,
    message::{Broadcast, MessageEvent, MessageType},
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use uuid::Uuid;

/// A row of `message_view`. How many answers its thread has is counted beside it.
#[derive(Clone, Debug)]
pub(crate) struct MessageRow {
    pub conversation: ConversationId,
    pub sequence: i64,
    pub position: Position,
    pub sender: UserId,
    pub sender_rank: i64,
    /// Sealed; none once deleted.
    pub content: Option<String>,
    pub r#type: MessageType,
    pub reply_to: Option<MessageId>,
    pub thread_root: Option<MessageId>,
    pub mentions: Vec<UserId>,
    pub broadcast: Option<Broadcast>,
    pub is_edited: bool,
    pub client_message_id: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub deleted_at: Option<Timestamp>,
    pub pin: Option<Pin>,
    /// Earlier wordings so far.
    pub versions: i32,
}

/// Who pinned a message, and when; by position the newest pin is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pin {
    pub by: UserId,
    pub at: Timestamp,
    pub position: Position,
}

/// A row of `message_version_view`.
#[derive(Clone, Debug)]
pub(crate) struct VersionRow {
    pub message: MessageId,
    pub version: i32,
    pub content: String,
    pub edited_at: Timestamp,
}

/// What the messages of a batch say of their conversation.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct News {
    /// The newest one sent in the batch: its number, id and time.
    pub last: Option<(i64, MessageId, Timestamp)>,
    pub changed_position: Position,
}

/// One person's one emoji on one message.
pub(crate) type ReactionKey = (MessageId, String, UserId);

/// What a batch's message events are about, so that those rows can be read before they are folded.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    /// Messages sent before the batch.
    pub messages: BTreeSet<MessageId>,
    /// Whose number of messages so far is needed.
    pub senders: BTreeSet<(ConversationId, UserId)>,
}

impl Touched {
    pub(crate) fn by(batch: &[Fact]) -> Result<Self, ProjectionError> {
        let mut touched = Self::default();
        let mut sent = BTreeSet::new();
        for (fact, event) in batch.iter().filter_map(message_event) {
            let id = message_of(fact)?;
            match event {
                MessageEvent::Sent { conversation_id, sender_id, .. } => {
                    sent.insert(id);
                    touched.senders.insert((*conversation_id, *sender_id));
                }
                MessageEvent::Edited { .. }
                | MessageEvent::Deleted { .. }
                | MessageEvent::ReactionAdded { .. }
                | MessageEvent::ReactionRemoved { .. }
                | MessageEvent::Pinned { .. }
                | MessageEvent::Unpinned { .. } => {
                    if !sent.contains(&id) {
                        touched.messages.insert(id);
                    }
                }
            }
        }
        Ok(touched)
    }
}

pub(crate) fn message_event(fact: &Fact) -> Option<(&Fact, &MessageEvent)> {
    match &fact.event {
        Event::Message(event) => Some((fact, event)),
        Event::User(_) | Event::Workspace(_) | Event::Conversation(_) | Event::Inbox(_) | Event::Other => None,
    }
}

/// The rows touched as the batch leaves them, and what it adds beside them.
#[derive(Debug, Default)]
pub(crate) struct Fold {
    pub sent: Vec<(MessageId, MessageRow)>,
    sent_at: HashMap<MessageId, usize>,
    /// Sent before the batch.
    pub older: BTreeMap<MessageId, MessageRow>,
    /// Which of the older ones have changed in their own row.
    pub changed: BTreeSet<MessageId>,
    /// Which of the older ones were deleted, with whom they had mentioned.
    pub deleted: Vec<(MessageId, ConversationId, i64, Vec<UserId>)>,
    pub versions: Vec<VersionRow>,
    /// None where it was taken back.
    pub reactions: BTreeMap<ReactionKey, Option<(Uuid, Position)>>,
    pub answers: BTreeMap<MessageId, i64>,
    pub ranks: HashMap<(ConversationId, UserId), i64>,
    pub news: BTreeMap<ConversationId, News>,
}

impl Fold {
    pub(crate) fn apply(&mut self, batch: &[Fact]) -> Result<(), ProjectionError> {
        for (fact, event) in batch.iter().filter_map(message_event) {
            let id = message_of(fact)?;
            match event {
                MessageEvent::Sent { .. } => self.send(id, event, fact)?,
                MessageEvent::Edited { content, edited_at } => self.edit(id, content.as_stored(), *edited_at, fact)?,
                MessageEvent::Deleted { deleted_at, .. } => self.delete(id, *deleted_at, fact)?,
                MessageEvent::ReactionAdded { reaction_id, emoji, user_id } => {
                    self.row(id, fact)?;
                    self.reactions.insert((id, emoji.clone(), *user_id), Some((reaction_id.0, fact.position)));
                }
                MessageEvent::ReactionRemoved { emoji, user_id, .. } => {
                    self.row(id, fact)?;
                    self.reactions.insert((id, emoji.clone(), *user_id), None);
                }
                MessageEvent::Pinned { pinned_by, pinned_at } => {
                    let pin = Pin { by: *pinned_by, at: *pinned_at, position: fact.position };
                    self.pin(id, Some(pin), fact)?;
                }
                MessageEvent::Unpinned { .. } => self.pin(id, None, fact)?,
            }
            let conversation = self.row(id, fact)?.conversation;
            self.news.entry(conversation).or_default().changed_position = fact.position;
        }
        Ok(())
    }

    fn send(&mut self, id: MessageId, event: &MessageEvent, fact: &Fact) -> Result<(), ProjectionError> {
        let mut row = sent(event, fact).ok_or_else(|| inapplicable(fact, "a message has no number"))?;
        let rank = self.ranks.entry((row.conversation, row.sender)).or_default();
        *rank += 1;
        row.sender_rank = *rank;
        if let Some(root) = row.thread_root {
            *self.answers.entry(root).or_default() += 1;
        }
        self.news.entry(row.conversation).or_default().last = Some((row.sequence, id, row.created_at));
        self.sent_at.insert(id, self.sent.len());
        self.sent.push((id, row));
        Ok(())
    }

    fn edit(&mut self, id: MessageId, content: &str, at: Timestamp, fact: &Fact) -> Result<(), ProjectionError> {
        let row = self.row(id, fact)?;
        let Some(before) = row.content.replace(content.to_owned()) else {
            return Err(inapplicable(fact, "a deleted message can't be edited"));
        };
        row.versions += 1;
        let version = VersionRow { message: id, version: row.versions, content: before, edited_at: row.updated_at };
        row.is_edited = true;
        row.updated_at = at;
        self.versions.push(version);
        self.changed.insert(id);
        Ok(())
    }

    fn pin(&mut self, id: MessageId, pin: Option<Pin>, fact: &Fact) -> Result<(), ProjectionError> {
        self.row(id, fact)?.pin = pin;
        self.changed.insert(id);
        Ok(())
    }

    /// All that was said goes, here and in what hangs on the message; its place in the conversation stays.
    fn delete(&mut self, id: MessageId, at: Timestamp, fact: &Fact) -> Result<(), ProjectionError> {
        let row = self.row(id, fact)?;
        if row.deleted_at.is_some() {
            return Ok(());
        }
        row.content = None;
        row.broadcast = None;
        row.versions = 0;
        row.updated_at = at;
        row.deleted_at = Some(at);
        row.pin = None;
        let mentions = std::mem::take(&mut row.mentions);
        let (conversation, sequence, root) = (row.conversation, row.sequence, row.thread_root);
        if let Some(root) = root {
            *self.answers.entry(root).or_default() -= 1;
        }
        self.versions.retain(|version| version.message != id);
        self.reactions.retain(|(message, ..), _| *message != id);
        if self.older.contains_key(&id) {
            self.changed.insert(id);
            self.deleted.push((id, conversation, sequence, mentions));
        }
        Ok(())
    }

    fn row(&mut self, id: MessageId, fact: &Fact) -> Result<&mut MessageRow, ProjectionError> {
        let row = match self.sent_at.get(&id) {
            Some(at) => self.sent.get_mut(*at).map(|(_, row)| row),
            None => self.older.get_mut(&id),
        };
        row.ok_or_else(|| inapplicable(fact, "its message was never sent"))
    }
}

fn sent(event: &MessageEvent, fact: &Fact) -> Option<MessageRow> {
    let MessageEvent::Sent {
        conversation_id,
        sender_id,
        content,
        r#type,
        reply_to_id,
        thread_root_id,
        mentions,
        broadcast,
        client_message_id,
        created_at,
    } = event
    else {
        return None;
    };
    Some(MessageRow {
        conversation: *conversation_id,
        sequence: fact.message_sequence?,
        position: fact.position,
        sender: *sender_id,
        sender_rank: 0,
        content: Some(content.as_stored().to_owned()),
        r#type: *r#type,
        reply_to: *reply_to_id,
        thread_root: *thread_root_id,
        mentions: mentions.clone(),
        broadcast: *broadcast,
        is_edited: false,
        client_message_id: client_message_id.clone(),
        created_at: *created_at,
        updated_at: *created_at,
        deleted_at: None,
        pin: None,
        versions: 0,
    })
}

fn message_of(fact: &Fact) -> Result<MessageId, ProjectionError> {
    fact.aggregate_id.parse().map_err(|_| inapplicable(fact, "its stream is not named by an id"))
}
