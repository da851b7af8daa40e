//! [`verify`]: proves that the log is what was appended, event by event from the first.

use crate::{
    EventStore, StoreError,
    append::{counted_conversation, is_counted},
    event::EventRow,
    leaf::{LeafParts, hash, is_canonical},
};
use domain::{Position, Timestamp};
use serde::Serialize;
use sqlx::FromRow;
use std::collections::HashMap;

const BATCH: i64 = 2_000;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Events looked at, and found right.
    pub events: i64,
    /// Where the log ends.
    pub head: Position,
    pub first_wrong: Option<Wrong>,
}

/// The first event that is not what was appended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Wrong {
    pub position: Position,
    pub why: &'static str,
}

#[derive(FromRow)]
struct Leaf {
    #[sqlx(flatten)]
    event: EventRow,
    leaf: Vec<u8>,
}

/// What the next event must follow.
#[derive(Default)]
struct Before {
    position: i64,
    recorded_at: Timestamp,
    /// Messages of each conversation.
    messages: HashMap<String, i64>,
}

/// Reads the whole log and recomputes every leaf, from the bytes that the view gives and from the columns.
/// `progress` is told each position that was reached.
pub async fn verify(store: &EventStore, mut progress: impl FnMut(Position)) -> Result<Report, StoreError> {
    let head = store.head().await?;
    let mut before = Before::default();
    while before.position < head.0 {
        let until = (before.position + BATCH).min(head.0);
        let misplaced = first_misplaced(store, before.position, until).await?;
        for leaf in leaves(store, before.position, until).await? {
            let wrong = before.check(&leaf).or_else(|| {
                let why = "its sequence does not follow in its stream";
                (Some(leaf.event.position) == misplaced)
                    .then_some(Wrong { position: Position(leaf.event.position), why })
            });
            if wrong.is_some() {
                return Ok(Report { events: before.position, head, first_wrong: wrong });
            }
            before.note(&leaf.event);
        }
        if before.position < until {
            let first_wrong = Some(Wrong { position: Position(before.position + 1), why: "it is missing" });
            return Ok(Report { events: before.position, head, first_wrong });
        }
        progress(Position(before.position));
    }
    Ok(Report { events: before.position, head, first_wrong: None })
}

impl Before {
    fn check(&self, leaf: &Leaf) -> Option<Wrong> {
        let event = &leaf.event;
        if event.position != self.position + 1 {
            return Some(Wrong { position: Position(self.position + 1), why: "it is missing" });
        }
        let parts = parts_of(event);
        let why = if hash(&leaf.leaf)[..] != event.leaf_hash[..] {
            "its leaf hash is not that of its leaf"
        } else if parts.hash()[..] != event.leaf_hash[..] {
            "its leaf hash is not that of its columns"
        } else if !is_canonical(&event.payload) || !is_canonical(&event.metadata) {
            "its payload or metadata is not canonical"
        } else if event.recorded_at() < self.recorded_at {
            "it was recorded before the event before it"
        } else if event.message_sequence != self.message_sequence(event) {
            "its message sequence does not follow in its conversation"
        } else {
            return None;
        };
        Some(Wrong { position: Position(event.position), why })
    }

    /// What the event's number in its conversation must be.
    fn message_sequence(&self, event: &EventRow) -> Option<i64> {
        let conversation = conversation_of(event)?;
        Some(self.messages.get(&conversation).copied().unwrap_or_default() + 1)
    }

    fn note(&mut self, event: &EventRow) {
        self.position = event.position;
        self.recorded_at = event.recorded_at();
        if let Some(conversation) = conversation_of(event) {
            *self.messages.entry(conversation).or_default() += 1;
        }
    }
}

fn conversation_of(event: &EventRow) -> Option<String> {
    if !is_counted(&event.event_type) {
        return None;
    }
    let payload = serde_json::from_str(&event.payload).ok()?;
    counted_conversation(&event.event_type, &payload).map(str::to_owned)
}

fn parts_of(event: &EventRow) -> LeafParts<'_> {
    LeafParts {
        event_id: event.event_id,
        aggregate_type: &event.aggregate_type,
        aggregate_id: &event.aggregate_id,
        sequence: event.sequence,
        event_type: &event.event_type,
        event_version: &event.event_version,
        payload: &event.payload,
        metadata: &event.metadata,
        recorded_at: event.recorded_at(),
    }
}

async fn leaves(store: &EventStore, after: i64, until: i64) -> Result<Vec<Leaf>, StoreError> {
    let query = format!(
        "SELECT {}, l.leaf FROM events
         JOIN (SELECT position AS at, leaf FROM event_leaf WHERE position > $1 AND position <= $2) AS l ON l.at = position
         WHERE position > $1 AND position <= $2 ORDER BY position",
        EventRow::COLUMNS
    );
    Ok(sqlx::query_as(&query).bind(after).bind(until).fetch_all(store.pool()).await?)
}

/// The first event of the range that doesn't carry the number after the one before it in its stream.
async fn first_misplaced(store: &EventStore, after: i64, until: i64) -> Result<Option<i64>, StoreError> {
    let found = sqlx::query_scalar(
        "SELECT min(e.position) FROM events e
         LEFT JOIN LATERAL (
             SELECT p.sequence FROM events p
             WHERE p.aggregate_id = e.aggregate_id AND p.aggregate_type = e.aggregate_type AND p.position < e.position
             ORDER BY p.position DESC LIMIT 1
         ) AS before ON true
         WHERE e.position > $1 AND e.position <= $2 AND e.sequence <> coalesce(before.sequence, 0) + 1",
    )
    .bind(after)
    .bind(until)
    .fetch_one(store.pool())
    .await?;
    Ok(found)
}
