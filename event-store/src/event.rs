//! [`RecordedEvent`]: a fact as it stands in the log.

use crate::{Metadata, StoreError, upcast};
use domain::{DomainEvent, EventId, Position, Sequence, Timestamp};
use serde::de::{
    DeserializeSeed, IntoDeserializer, MapAccess,
    value::{BorrowedStrDeserializer, MapAccessDeserializer},
};
use serde_json::Value;
use sqlx::types::chrono::{DateTime, Utc};
use uuid::Uuid;

#[derive(Clone, Debug)]
pub struct RecordedEvent {
    pub position: Position,
    pub event_id: EventId,
    pub aggregate_type: String,
    pub aggregate_id: String,
    pub sequence: Sequence,
    pub event_type: String,
    /// The version of `payload` as it is here: the current one.
    pub event_version: u32,
    /// Personal fields sealed, in the current version of its type.
    pub payload: Value,
    pub metadata: Metadata,
    pub recorded_at: Timestamp,
    pub leaf_hash: [u8; 32],
    /// Of a message.sent: its number in its conversation.
    pub message_sequence: Option<i64>,
}

impl RecordedEvent {
    /// The event as its aggregate's type knows it.
    pub fn decode<E: DomainEvent>(&self) -> Result<E, StoreError> {
        let fields = Fields { event_type: &self.event_type, payload: &self.payload, next: Next::Type };
        E::deserialize(MapAccessDeserializer::new(fields)).map_err(|error| {
            StoreError::unreadable(format!("{} at position {}", self.event_type, self.position), error)
        })
    }
}

/// `{"type": …, "payload": …}` without putting such an object together: every event of every replay comes through here.
struct Fields<'a> {
    event_type: &'a str,
    payload: &'a Value,
    next: Next,
}

enum Next {
    Type,
    Payload,
    End,
}

impl<'de> MapAccess<'de> for Fields<'de> {
    type Error = serde_json::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Self::Error> {
        let key = match self.next {
            Next::Type => "type",
            Next::Payload => "payload",
            Next::End => return Ok(None),
        };
        seed.deserialize(key.into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Self::Error> {
        match self.next {
            Next::Type => {
                self.next = Next::Payload;
                seed.deserialize(BorrowedStrDeserializer::new(self.event_type))
            }
            Next::Payload | Next::End => {
                self.next = Next::End;
                seed.deserialize(self.payload)
            }
        }
    }
}

/// A row of `events`, its JSON still as text.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct EventRow {
    pub position: i64,
    pub event_id: Uuid,
    pub aggregate_type: String,
    pub aggregate_id: String,
    pub sequence: i64,
    pub event_type: String,
    pub event_version: String,
    pub payload: String,
    pub metadata: String,
    pub recorded_at: DateTime<Utc>,
    pub leaf_hash: Vec<u8>,
    pub message_sequence: Option<i64>,
}

impl EventRow {
    /// The columns of this struct, for a SELECT.
    pub const COLUMNS: &str = "position, event_id, aggregate_type, aggregate_id, sequence, event_type, event_version, \
        payload::text AS payload, metadata::text AS metadata, recorded_at, leaf_hash, message_sequence";

    pub fn recorded_at(&self) -> Timestamp {
        self.recorded_at.into()
    }
}

impl TryFrom<EventRow> for RecordedEvent {
    type Error = StoreError;

    fn try_from(row: EventRow) -> Result<Self, StoreError> {
        let what = |part: &str| format!("the {part} at position {}", row.position);
        let version = row.event_version.parse().map_err(|error| StoreError::unreadable(what("version"), error))?;
        let payload =
            serde_json::from_str(&row.payload).map_err(|error| StoreError::unreadable(what("payload"), error))?;
        let metadata =
            serde_json::from_str(&row.metadata).map_err(|error| StoreError::unreadable(what("metadata"), error))?;
        let leaf_hash = <[u8; 32]>::try_from(row.leaf_hash.as_slice())
            .map_err(|error| StoreError::unreadable(what("leaf hash"), error))?;
        let (event_version, payload) = upcast::to_current(&row.event_type, version, payload);
        Ok(Self {
            position: Position(row.position),
            event_id: EventId(row.event_id),
            sequence: Sequence(row.sequence),
            recorded_at: row.recorded_at(),
            aggregate_type: row.aggregate_type,
            aggregate_id: row.aggregate_id,
            event_type: row.event_type,
            event_version,
            payload,
            metadata,
            leaf_hash,
            message_sequence: row.message_sequence,
        })
    }
}
