//! [`Fold`]: what a batch makes of conversations and participants, worked out in memory from the rows it touches.

use crate::{
    ProjectionError,
    batch::{Event, Fact},
    delivery::EndedStay,
};
use domain::{
    ConversationId, Position, Timestamp, UserId,
    conversation::{ConversationChanges, ConversationEvent, ConversationType, Founder, History, Role},
    message::News,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A row of `conversation_view`, without what the messages say of it.
#[derive(Clone, Debug)]
pub(crate) struct ConversationRow {
    pub r#type: ConversationType,
    pub history: History,
    pub name: Option<String>,
    pub description: Option<String>,
    pub topic: Option<String>,
    pub avatar_url: Option<String>,
    pub is_private: bool,
    pub max_members: i64,
    pub workspace_id: Option<uuid::Uuid>,
    pub created_by: UserId,
    pub participant_count: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub deleted_at: Option<Timestamp>,
    pub changed_position: Position,
}

/// A row of `participant_view`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ParticipantRow {
    pub role: Role,
    pub added_by: UserId,
    pub joined_at: Timestamp,
    pub joined_position: Position,
    pub joined_rank: i32,
    pub joined_sequence: i64,
    pub mark_sequence: i64,
    pub read_sequence: i64,
    pub last_read_at: Option<Timestamp>,
    pub last_read_message_id: Option<uuid::Uuid>,
    pub preferences: Preferences,
    pub changed_position: Position,
}

/// What a person has set for themselves. It outlives their leaving, as it does in their inbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Preferences {
    pub is_muted: bool,
    pub is_pinned: bool,
}

/// A row of `former_participant_view`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FormerRow {
    pub left_position: Position,
    pub preferences: Preferences,
}

/// Somebody's place in a conversation.
pub(crate) type Seat = (ConversationId, UserId);

/// What a batch's conversation events are about, so that those rows can be read before they are folded.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    pub conversations: BTreeSet<ConversationId>,
    pub seats: BTreeSet<Seat>,
    /// Conversations whose participants are all needed: deleted, or with another history.
    pub whole: BTreeSet<ConversationId>,
}

impl Touched {
    pub(crate) fn by(batch: &[Fact]) -> Result<Self, ProjectionError> {
        let mut touched = Self::default();
        for fact in batch {
            let Event::Conversation(event) = &fact.event else { continue };
            let id = conversation_of(fact)?;
            touched.conversations.insert(id);
            match event {
                ConversationEvent::Created { participants, .. } => {
                    touched.seats.extend(participants.iter().map(|founder| (id, founder.user_id)));
                }
                ConversationEvent::Updated(changes) => {
                    if changes.history.is_some() {
                        touched.whole.insert(id);
                    }
                }
                ConversationEvent::Deleted { .. } => {
                    touched.whole.insert(id);
                }
                ConversationEvent::ParticipantAdded { user_id, .. }
                | ConversationEvent::ParticipantRemoved { user_id, .. }
                | ConversationEvent::ParticipantRoleChanged { user_id, .. } => {
                    touched.seats.insert((id, *user_id));
                }
            }
        }
        Ok(touched)
    }
}

/// The rows touched, as they were and then as the batch leaves them.
#[derive(Debug, Default)]
pub(crate) struct Fold {
    pub conversations: BTreeMap<ConversationId, ConversationRow>,
    pub participants: BTreeMap<Seat, ParticipantRow>,
    pub former: BTreeMap<Seat, FormerRow>,
    /// Who had left before the batch: those of them who are back are former no more.
    pub had_left: Vec<Seat>,
    /// Stays that the batch ended.
    pub ended: Vec<EndedStay>,
    /// Messages so far, of the conversations that the batch touches.
    pub sequences: HashMap<ConversationId, i64>,
}

impl Fold {
    pub(crate) fn apply(&mut self, batch: &[Fact]) -> Result<(), ProjectionError> {
        for fact in batch {
            match &fact.event {
                Event::Conversation(event) => self.conversation(conversation_of(fact)?, event, fact)?,
                // Whoever joins starts after the messages sent until then, those of the same batch too.
                Event::Message(event) => match event.news() {
                    News::Sent { conversation } => {
                        let sequence =
                            fact.message_sequence.ok_or_else(|| inapplicable(fact, "a message has no number"))?;
                        self.sequences.insert(conversation, sequence);
                    }
                    News::Changed => {}
                },
                Event::User(_) | Event::Workspace(_) | Event::Inbox(_) | Event::Other => {}
            }
        }
        Ok(())
    }

    fn conversation(
        &mut self,
        id: ConversationId,
        event: &ConversationEvent,
        fact: &Fact,
    ) -> Result<(), ProjectionError> {
        match event {
            ConversationEvent::Created { participants, created_at, created_by, .. } => {
                self.conversations
                    .insert(id, created(event, fact).ok_or_else(|| inapplicable(fact, "not a creation"))?);
                for (rank, Founder { user_id, role }) in (0..).zip(participants) {
                    self.join((id, *user_id), *role, *created_by, *created_at, rank, fact)?;
                }
            }
            ConversationEvent::Updated(changes) => self.row(id, fact)?.update(changes, fact.recorded_at),
            ConversationEvent::Deleted { .. } => {
                let row = self.row(id, fact)?;
                row.deleted_at = Some(fact.recorded_at);
                let first = (id, UserId(uuid::Uuid::nil()));
                let seats: Vec<Seat> =
                    self.participants.range(first..).map(|(seat, _)| *seat).take_while(|seat| seat.0 == id).collect();
                for seat in seats {
                    self.leave(seat, fact)?;
                }
            }
            ConversationEvent::ParticipantAdded { user_id, role, added_by, joined_at } => {
                self.join((id, *user_id), *role, *added_by, *joined_at, 0, fact)?;
            }
            ConversationEvent::ParticipantRemoved { user_id, .. } => self.leave((id, *user_id), fact)?,
            ConversationEvent::ParticipantRoleChanged { user_id, role } => {
                if let Some(participant) = self.participants.get_mut(&(id, *user_id)) {
                    participant.role = *role;
                    participant.changed_position = fact.position;
                }
            }
        }
        self.row(id, fact)?.changed_position = fact.position;
        Ok(())
    }

    fn join(
        &mut self,
        seat: Seat,
        role: Role,
        added_by: UserId,
        joined_at: Timestamp,
        joined_rank: i32,
        fact: &Fact,
    ) -> Result<(), ProjectionError> {
        let joined_sequence = self.sequences.get(&seat.0).copied().unwrap_or_default();
        let before = self.participants.get(&seat).map(|participant| participant.preferences);
        let preferences = before.or_else(|| self.former.remove(&seat).map(|former| former.preferences));
        let row = ParticipantRow {
            role,
            added_by,
            joined_at,
            joined_position: fact.position,
            joined_rank,
            joined_sequence,
            mark_sequence: joined_sequence,
            read_sequence: 0,
            last_read_at: None,
            last_read_message_id: None,
            preferences: preferences.unwrap_or_default(),
            changed_position: fact.position,
        };
        if self.participants.insert(seat, row).is_none() {
            self.row(seat.0, fact)?.participant_count += 1;
        }
        Ok(())
    }

    fn leave(&mut self, seat: Seat, fact: &Fact) -> Result<(), ProjectionError> {
        if let Some(participant) = self.participants.remove(&seat) {
            let (conversation, user) = seat;
            self.ended.push(EndedStay { conversation, user, joined: participant.joined_position, left: fact.position });
            let former = FormerRow { left_position: fact.position, preferences: participant.preferences };
            self.former.insert(seat, former);
            self.row(seat.0, fact)?.participant_count -= 1;
        }
        Ok(())
    }

    fn row(&mut self, id: ConversationId, fact: &Fact) -> Result<&mut ConversationRow, ProjectionError> {
        self.conversations.get_mut(&id).ok_or_else(|| inapplicable(fact, "its conversation was never created"))
    }
}

impl ConversationRow {
    /// An empty text clears.
    fn update(&mut self, changes: &ConversationChanges, at: Timestamp) {
        let set = |field: &mut Option<String>, change: &Option<String>| {
            if let Some(text) = change {
                *field = Some(text.clone()).filter(|text| !text.is_empty());
            }
        };
        set(&mut self.name, &changes.name);
        set(&mut self.description, &changes.description);
        set(&mut self.topic, &changes.topic);
        set(&mut self.avatar_url, &changes.avatar_url);
        self.history = changes.history.unwrap_or(self.history);
        self.updated_at = at;
    }
}

fn created(event: &ConversationEvent, fact: &Fact) -> Option<ConversationRow> {
    let ConversationEvent::Created {
        r#type,
        history,
        name,
        description,
        avatar_url,
        is_private,
        max_members,
        workspace_id,
        created_by,
        participants: _,
        created_at,
    } = event
    else {
        return None;
    };
    let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    Some(ConversationRow {
        r#type: *r#type,
        history: *history,
        name: filled(name),
        description: filled(description),
        topic: None,
        avatar_url: filled(avatar_url),
        is_private: *is_private,
        max_members: i64::from(*max_members),
        workspace_id: workspace_id.map(Into::into),
        created_by: *created_by,
        participant_count: 0,
        created_at: *created_at,
        updated_at: *created_at,
        deleted_at: None,
        changed_position: fact.position,
    })
}

fn conversation_of(fact: &Fact) -> Result<ConversationId, ProjectionError> {
    fact.aggregate_id.parse().map_err(|_| inapplicable(fact, "its stream is not named by an id"))
}

pub(crate) fn inapplicable(fact: &Fact, reason: &str) -> ProjectionError {
    ProjectionError::Inapplicable { position: fact.position, reason: reason.to_owned() }
}
