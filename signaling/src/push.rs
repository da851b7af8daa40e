//! [`Entry`]: what becomes of an event for those who are connected: its [`Push`]es, encoded once, and whom they are for.

mod conversation;
mod message;
mod render;

pub(crate) use message::bare;
pub(crate) use render::Renderer;

use bytes::Bytes;
use domain::{ConversationId, MessageId, Position, Timestamp, UserId, WorkspaceId};
use projections::delivery::{Scope, Stay};
use serde::Serialize;

/// One durable frame, as all who get it get it.
#[derive(Clone, Debug)]
pub(crate) struct Push {
    pub event: &'static str,
    /// The text of a JSON object.
    pub data: Bytes,
}

impl Push {
    /// What is put together here always can be written.
    pub fn new(event: &'static str, data: &impl Serialize) -> Self {
        Self { event, data: serde_json::to_vec(data).unwrap_or_default().into() }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub position: Position,
    pub recorded_at: Timestamp,
    pub audience: Audience,
    pub pushes: Vec<Push>,
    /// Whose deletion makes the pushes unfit to be told late.
    pub message: Option<MessageId>,
    /// Of the message.
    pub is_deletion: bool,
    pub moves: Option<Moves>,
}

/// Whom an event is for, among those who were there at that event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    Nobody,
    Person(UserId),
    Workspace(WorkspaceId),
    Conversation {
        id: ConversationId,
        /// Where the message was sent that it is about: whoever may not read that one is told nothing of it either.
        about: Option<Position>,
    },
    /// All of a conversation that is small at that event; of a larger one the reader alone.
    Readers {
        conversation: ConversationId,
        reader: UserId,
    },
}

/// What an event changes in who is where.
#[derive(Clone, Debug)]
pub(crate) struct Moves {
    pub scope: Scope,
    pub joined: Vec<UserId>,
    pub left: Left,
    /// Whether those who join may read what was sent before; set where it changes, and where somebody joins.
    pub is_shared: Option<bool>,
    /// How many are in the conversation then; set where somebody joins.
    pub participants: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    Nobody,
    One(UserId),
    All,
}

impl Entry {
    /// For whoever was at these stays of theirs.
    pub fn is_for(&self, user: UserId, stays: &[Stay]) -> bool {
        let was_in = |scope: Scope, about: Option<Position>| {
            stays.iter().any(|stay| stay.scope == scope && stay.covers(self.position, about))
        };
        match self.audience {
            Audience::Nobody => false,
            Audience::Person(person) => person == user,
            Audience::Workspace(id) => was_in(Scope::Workspace(id), None),
            Audience::Conversation { id, about } => was_in(Scope::Conversation(id), about),
            Audience::Readers { conversation, reader } => {
                reader == user || was_in(Scope::Conversation(conversation), None)
            }
        }
    }

    pub fn bytes(&self) -> usize {
        let joined = self.moves.as_ref().map_or(0, |moves| size_of_val(moves.joined.as_slice()));
        size_of::<Self>() + joined + self.pushes.iter().map(|push| push.data.len()).sum::<usize>()
    }
}
