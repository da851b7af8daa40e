//! [`Edition`]: which of the streams beside the log, and what of an event is in it.

use crate::{EventStore, StoreError, event::EventRow};
use bytes::Bytes;
use domain::{personal::ENC, schema::Redaction};
use serde_json::Value;

pub(crate) struct Edition {
    /// The stream's name.
    pub stream: String,
    /// What its subjects begin with.
    pub subjects: String,
    /// Which log the stream carries: a position means nothing in another's.
    pub description: String,
    /// None: events are carried as they are stored.
    redaction: Option<Redaction>,
}

impl Edition {
    /// All of every event.
    pub fn events(store: &EventStore) -> Self {
        let names = store.names();
        Self {
            stream: names.stream.clone(),
            subjects: names.subjects.clone(),
            description: format!("the log {}: a message's sequence is its position", store.log_id()),
            redaction: None,
        }
    }

    /// Every event without its personal fields.
    pub fn analytics(store: &EventStore) -> Self {
        let names = store.names();
        let log_id = store.log_id();
        Self {
            stream: names.analytics_stream.clone(),
            subjects: names.analytics_subjects.clone(),
            description: format!("the log {log_id} without personal fields: a message's sequence is its position"),
            redaction: Some(Redaction::by_schemas()),
        }
    }

    /// The body of the event's message.
    pub fn payload(&self, row: &EventRow) -> Result<Bytes, StoreError> {
        // Whatever is personal is stored sealed, so that an event without that mark is carried as it is.
        match &self.redaction {
            Some(redaction) if row.payload.contains(ENC) => redacted(redaction, row).map(Bytes::from),
            Some(_) | None => Ok(Bytes::from(row.payload.clone())),
        }
    }
}

fn redacted(redaction: &Redaction, row: &EventRow) -> Result<Vec<u8>, StoreError> {
    let unreadable = |error| StoreError::unreadable(format!("the payload at position {}", row.position), error);
    let mut payload: Value = serde_json::from_str(&row.payload).map_err(unreadable)?;
    redaction.redact(&row.event_type, &mut payload);
    serde_json::to_vec(&payload).map_err(unreadable)
}
