//! [`apply`]: brings read marks and preferences up to the end of a batch.

use crate::{
    ProjectionError,
    batch::{Event, Fact},
    conversation::{FormerRow, ParticipantRow, Preferences, Seat, participant_row, seat},
    inbox::ReaderCounts,
    word,
};
use domain::{
    ConversationId, Position, Timestamp,
    conversation::History,
    inbox::{Direction, InboxEvent},
};
use event_store::Keyring;
use sqlx::{PgConnection, Row};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use uuid::Uuid;

/// Participants come and go in the conversation slice, which has seen the whole batch: a mark from before somebody
/// last joined is past, a preference lasts.
pub(crate) async fn apply(tx: &mut PgConnection, batch: &[Fact], _: &Keyring) -> Result<(), ProjectionError> {
    let changes: Vec<(Position, &InboxEvent)> = batch.iter().filter_map(inbox_event).collect();
    if changes.is_empty() {
        return Ok(());
    }
    let seats: BTreeSet<Seat> = changes.iter().map(|(_, event)| seat_of(event)).collect();
    let mut rows = Rows::load(tx, &seats).await?;
    let mut readers = ReaderCounts::default();
    rows.count(&mut readers, -1);
    for (position, event) in changes {
        rows.apply(position, event);
    }
    rows.count(&mut readers, 1);
    rows.save(tx).await?;
    readers.save(tx).await
}

fn inbox_event(fact: &Fact) -> Option<(Position, &InboxEvent)> {
    match &fact.event {
        Event::Inbox(event) => Some((fact.position, event)),
        Event::User(_) | Event::Workspace(_) | Event::Conversation(_) | Event::Message(_) | Event::Other => None,
    }
}

fn seat_of(event: &InboxEvent) -> Seat {
    match event {
        InboxEvent::ReadMarked { conversation_id, user_id, .. }
        | InboxEvent::PreferenceChanged { conversation_id, user_id, .. } => (*conversation_id, *user_id),
    }
}

#[derive(Default)]
struct Rows {
    histories: HashMap<ConversationId, History>,
    participants: BTreeMap<Seat, ParticipantRow>,
    former: BTreeMap<Seat, FormerRow>,
}

impl Rows {
    async fn load(tx: &mut PgConnection, seats: &BTreeSet<Seat>) -> Result<Self, ProjectionError> {
        let (conversations, users): (Vec<Uuid>, Vec<Uuid>) = seats.iter().map(|(c, u)| (c.0, u.0)).unzip();
        let mut rows = Self::default();
        let present = "SELECT p.*, c.history FROM unnest($1::uuid[], $2::uuid[]) AS seat (conversation_id, user_id) \
                       JOIN participant_view p USING (conversation_id, user_id) \
                       JOIN conversation_view c ON c.id = p.conversation_id";
        for row in &sqlx::query(present).bind(&conversations).bind(&users).fetch_all(&mut *tx).await? {
            let at = seat(row)?;
            rows.histories.insert(at.0, word::read("conversation_view", row.try_get("history")?)?);
            rows.participants.insert(at, participant_row(row)?);
        }
        if rows.participants.len() < seats.len() {
            let former = "SELECT f.* FROM unnest($1::uuid[], $2::uuid[]) AS seat (conversation_id, user_id) \
                          JOIN former_participant_view f USING (conversation_id, user_id)";
            for row in &sqlx::query(former).bind(&conversations).bind(&users).fetch_all(tx).await? {
                rows.former.insert(seat(row)?, FormerRow::read(row)?);
            }
        }
        Ok(rows)
    }

    fn count(&self, readers: &mut ReaderCounts, times: i64) {
        for ((conversation, _), participant) in &self.participants {
            if let Some(history) = self.histories.get(conversation) {
                readers.count(*conversation, *history, participant, times);
            }
        }
    }

    fn apply(&mut self, position: Position, event: &InboxEvent) {
        let at = seat_of(event);
        match event {
            InboxEvent::ReadMarked { message_id, sequence, direction, read_at, .. } => {
                if let Some(row) = self.participants.get_mut(&at).filter(|row| position > row.joined_position) {
                    row.mark(sequence.0, *direction, message_id.0, *read_at);
                    row.changed_position = row.changed_position.max(position);
                }
            }
            InboxEvent::PreferenceChanged { is_muted, is_pinned, .. } => {
                if let Some(row) = self.participants.get_mut(&at) {
                    row.preferences.set(*is_muted, *is_pinned);
                    row.changed_position = row.changed_position.max(position);
                } else if let Some(row) = self.former.get_mut(&at) {
                    row.preferences.set(*is_muted, *is_pinned);
                }
            }
        }
    }

    async fn save(&self, tx: &mut PgConnection) -> Result<(), ProjectionError> {
        let rows = &self.participants;
        sqlx::query(
            "UPDATE participant_view p SET mark_sequence = new.mark_sequence, read_sequence = new.read_sequence, \
               last_read_at = new.last_read_at, last_read_message_id = new.last_read_message_id, \
               is_muted = new.is_muted, is_pinned = new.is_pinned, \
               changed_position = new.changed_position \
             FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::timestamptz[], $6::uuid[], $7::bool[], \
               $8::bool[], $9::bigint[]) AS new (conversation_id, user_id, mark_sequence, read_sequence, last_read_at, \
               last_read_message_id, is_muted, is_pinned, changed_position) \
             WHERE p.conversation_id = new.conversation_id AND p.user_id = new.user_id",
        )
        .bind(rows.keys().map(|at| at.0.0).collect::<Vec<_>>())
        .bind(rows.keys().map(|at| at.1.0).collect::<Vec<_>>())
        .bind(rows.values().map(|row| row.mark_sequence).collect::<Vec<_>>())
        .bind(rows.values().map(|row| row.read_sequence).collect::<Vec<_>>())
        .bind(rows.values().map(|row| row.last_read_at.map(Timestamp::to_datetime)).collect::<Vec<_>>())
        .bind(rows.values().map(|row| row.last_read_message_id).collect::<Vec<_>>())
        .bind(rows.values().map(|row| row.preferences.is_muted).collect::<Vec<_>>())
        .bind(rows.values().map(|row| row.preferences.is_pinned).collect::<Vec<_>>())
        .bind(rows.values().map(|row| row.changed_position.0).collect::<Vec<_>>())
        .execute(&mut *tx)
        .await?;
        if self.former.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "UPDATE former_participant_view f SET is_muted = new.is_muted, is_pinned = new.is_pinned \
             FROM unnest($1::uuid[], $2::uuid[], $3::bool[], $4::bool[]) AS new (conversation_id, user_id, is_muted, is_pinned) \
             WHERE f.conversation_id = new.conversation_id AND f.user_id = new.user_id",
        )
        .bind(self.former.keys().map(|at| at.0.0).collect::<Vec<_>>())
        .bind(self.former.keys().map(|at| at.1.0).collect::<Vec<_>>())
        .bind(self.former.values().map(|row| row.preferences.is_muted).collect::<Vec<_>>())
        .bind(self.former.values().map(|row| row.preferences.is_pinned).collect::<Vec<_>>())
        .execute(tx)
        .await?;
        Ok(())
    }
}

impl ParticipantRow {
    /// Reading only moves a mark forward, marking unread only back: two devices at once end at the later or the earlier.
    fn mark(&mut self, sequence: i64, direction: Direction, message_id: Uuid, at: Timestamp) {
        match direction {
            Direction::Read => {
                if sequence >= self.read_sequence {
                    self.last_read_message_id = Some(message_id);
                }
                self.mark_sequence = self.mark_sequence.max(sequence);
                self.read_sequence = self.read_sequence.max(sequence);
                self.last_read_at = Some(at);
            }
            Direction::Unread => {
                self.mark_sequence = self.mark_sequence.min(sequence);
                self.read_sequence = self.read_sequence.min(sequence);
            }
        }
    }
}

impl Preferences {
    fn set(&mut self, is_muted: Option<bool>, is_pinned: Option<bool>) {
        self.is_muted = is_muted.unwrap_or(self.is_muted);
        self.is_pinned = is_pinned.unwrap_or(self.is_pinned);
    }
}
