//! [`Batch`]: what events of the log make of the index.

use crate::{
    SearchError,
    document::{Document, is_file},
    marks::{Mark, Record},
};
use domain::{
    Aggregate, ConversationId, MessageId, Personal, Position, Quarter,
    conversation::{Conversation, ConversationEvent},
    message::{Message, MessageEvent},
};
use event_store::{EventStore, RecordedEvent};
use std::collections::{BTreeMap, HashMap};

/// Events that follow one another, as changes in the order of their last causes.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Of the last event.
    pub position: Position,
    pub changes: Vec<Change>,
    pub marks: Vec<Record>,
}

/// `at` is where the last event stands that the change follows from.
#[derive(Debug)]
pub(crate) enum Change {
    /// A message as it is now, in place of what is there of it.
    Put {
        document: Box<Document>,
        at: Position,
    },
    Remove {
        id: MessageId,
        quarter: Quarter,
        at: Position,
    },
    RemoveConversation {
        conversation: ConversationId,
        at: Position,
    },
}

/// A message's life as far as the index goes, its text still sealed.
struct Life {
    document: Document,
    content: Option<Personal>,
    at: Position,
}

impl Batch {
    /// None where there are no events. Texts are opened here, all at once.
    pub async fn of(store: &EventStore, events: &[RecordedEvent]) -> Result<Option<Self>, SearchError> {
        let Some(position) = events.last().map(|event| event.position) else { return Ok(None) };
        let mut gathered = Gathered::default();
        for event in events {
            gathered.take(event)?;
        }
        gathered.load(store, position).await?;
        let mut changes = gathered.conversations;
        changes.extend(open(store, gathered.lives).await?);
        changes.sort_by_key(Change::at);
        Ok(Some(Self { position, changes, marks: gathered.marks }))
    }
}

#[derive(Default)]
struct Gathered {
    lives: HashMap<MessageId, Life>,
    /// Sent before the batch and changed in it: by the last event that changed them.
    earlier: BTreeMap<MessageId, Position>,
    conversations: Vec<Change>,
    marks: Vec<Record>,
}

impl Gathered {
    fn take(&mut self, event: &RecordedEvent) -> Result<(), SearchError> {
        match event.aggregate_type.as_str() {
            Message::TYPE => self.message(event),
            Conversation::TYPE => self.conversation(event),
            _ => Ok(()),
        }
    }

    fn message(&mut self, event: &RecordedEvent) -> Result<(), SearchError> {
        let id: MessageId = event.aggregate_id.parse().map_err(|error| unfit(event, error))?;
        let mut mark = |mark| self.marks.push(Record { position: event.position, message: id, mark });
        match event.decode()? {
            fact @ MessageEvent::Sent { .. } => {
                self.lives.insert(id, Life::begin(id, event, fact)?);
            }
            fact @ MessageEvent::Edited { .. } => self.change(id, event.position, fact),
            fact @ MessageEvent::Deleted { .. } => {
                mark(Mark::Deleted);
                self.change(id, event.position, fact);
            }
            MessageEvent::ReactionAdded { .. } => mark(Mark::Reacted),
            MessageEvent::ReactionRemoved { .. } => mark(Mark::Unreacted),
            MessageEvent::Pinned { .. } => mark(Mark::Pinned),
            MessageEvent::Unpinned { .. } => mark(Mark::Unpinned),
        }
        Ok(())
    }

    fn change(&mut self, id: MessageId, at: Position, fact: MessageEvent) {
        match self.lives.get_mut(&id) {
            Some(life) => life.go_on(at, fact),
            None => _ = self.earlier.insert(id, at),
        }
    }

    fn conversation(&mut self, event: &RecordedEvent) -> Result<(), SearchError> {
        match event.decode()? {
            ConversationEvent::Deleted { .. } => {
                let conversation = event.aggregate_id.parse().map_err(|error| unfit(event, error))?;
                self.conversations.push(Change::RemoveConversation { conversation, at: event.position });
            }
            // Who may read what is asked of the read models when something is searched.
            ConversationEvent::Created { .. }
            | ConversationEvent::Updated { .. }
            | ConversationEvent::ParticipantAdded { .. }
            | ConversationEvent::ParticipantRemoved { .. }
            | ConversationEvent::ParticipantRoleChanged { .. } => {}
        }
        Ok(())
    }

    /// Reads from the log what was sent before the batch: the index keeps no texts.
    async fn load(&mut self, store: &EventStore, up_to: Position) -> Result<(), SearchError> {
        if self.earlier.is_empty() {
            return Ok(());
        }
        let ids: Vec<String> = self.earlier.keys().map(ToString::to_string).collect();
        for event in store.read_streams(Message::TYPE, &ids, up_to).await? {
            let id: MessageId = event.aggregate_id.parse().map_err(|error| unfit(&event, error))?;
            match event.decode()? {
                fact @ MessageEvent::Sent { .. } => _ = self.lives.insert(id, Life::begin(id, &event, fact)?),
                fact @ (MessageEvent::Edited { .. } | MessageEvent::Deleted { .. }) => {
                    let life = self.lives.get_mut(&id).ok_or_else(|| unfit(&event, "the message was never sent"))?;
                    life.go_on(event.position, fact);
                }
                MessageEvent::ReactionAdded { .. }
                | MessageEvent::ReactionRemoved { .. }
                | MessageEvent::Pinned { .. }
                | MessageEvent::Unpinned { .. } => {}
            }
        }
        Ok(())
    }
}

impl Life {
    fn begin(id: MessageId, event: &RecordedEvent, fact: MessageEvent) -> Result<Self, SearchError> {
        let MessageEvent::Sent { conversation_id, sender_id, content, r#type, created_at, .. } = fact else {
            return Err(unfit(event, "a message begins with being sent"));
        };
        let document = Document {
            id,
            conversation: conversation_id,
            sender: sender_id,
            sequence: event.message_sequence.ok_or_else(|| unfit(event, "it has no number in its conversation"))?,
            position: event.position,
            created_at,
            text: String::new(),
            has_file: is_file(r#type),
        };
        Ok(Self { document, content: Some(content), at: event.position })
    }

    fn go_on(&mut self, at: Position, fact: MessageEvent) {
        self.at = at;
        match fact {
            MessageEvent::Edited { content, .. } => self.content = Some(content),
            MessageEvent::Deleted { .. } => self.content = None,
            MessageEvent::Sent { .. }
            | MessageEvent::ReactionAdded { .. }
            | MessageEvent::ReactionRemoved { .. }
            | MessageEvent::Pinned { .. }
            | MessageEvent::Unpinned { .. } => {}
        }
    }
}

/// A text whose key was destroyed is as good as deleted.
async fn open(store: &EventStore, lives: HashMap<MessageId, Life>) -> Result<Vec<Change>, SearchError> {
    let sealed: Vec<&str> = lives.values().filter_map(|life| sealed(life.content.as_ref())).collect();
    let mut opened = store.keyring().open_many(&sealed).await?.into_iter();
    let texts: Vec<Option<String>> = lives
        .values()
        .map(|life| match &life.content {
            Some(Personal::Plain(text)) => Some(text.clone()),
            Some(Personal::Sealed(_)) => opened.next().flatten(),
            None => None,
        })
        .collect();
    let change = |(life, text): (Life, Option<String>)| match text {
        Some(text) => Change::Put { document: Box::new(Document { text, ..life.document }), at: life.at },
        None => Change::Remove { id: life.document.id, quarter: life.document.created_at.quarter(), at: life.at },
    };
    Ok(lives.into_values().zip(texts).map(change).collect())
}

fn sealed(content: Option<&Personal>) -> Option<&str> {
    match content? {
        Personal::Sealed(text) => Some(text),
        Personal::Plain(_) => None,
    }
}

impl Change {
    fn at(&self) -> Position {
        match self {
            Self::Put { at, .. } | Self::Remove { at, .. } | Self::RemoveConversation { at, .. } => *at,
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "errors and words, made on the spot")]
fn unfit(event: &RecordedEvent, reason: impl ToString) -> SearchError {
    SearchError::Unfit { position: event.position, reason: reason.to_string() }
}
