//! An event's Merkle leaf, put together here as an auditor would: by RFC 8785 from the event's parts, without trusting
//! the database's own composition.

use domain::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// What an event's leaf is made of. Payload and metadata are canonical JSON.
pub(crate) struct LeafParts<'a> {
    pub event_id: Uuid,
    pub aggregate_type: &'a str,
    pub aggregate_id: &'a str,
    pub sequence: i64,
    pub event_type: &'a str,
    pub event_version: &'a str,
    pub payload: &'a str,
    pub metadata: &'a str,
    pub recorded_at: Timestamp,
}

impl LeafParts<'_> {
    /// The bytes that are hashed.
    pub fn bytes(&self) -> Vec<u8> {
        let text = |text: &str| serde_json::Value::from(text);
        format!(
            r#"{{"aggregateId":{},"aggregateType":{},"eventId":"{}","metadata":{},"payload":{},"recordedAt":"{}","sequence":{},"type":{},"version":{}}}"#,
            text(self.aggregate_id),
            text(self.aggregate_type),
            self.event_id,
            self.metadata,
            self.payload,
            self.recorded_at,
            self.sequence,
            text(self.event_type),
            self.event_version,
        )
        .into_bytes()
    }

    pub fn hash(&self) -> [u8; 32] {
        hash(&self.bytes())
    }
}

/// RFC 6962, 2.1: SHA-256 of a zero byte and the leaf.
pub(crate) fn hash(leaf: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update([0]).chain_update(leaf).finalize().into()
}

/// Whether a text is JSON in the form of RFC 8785.
pub(crate) fn is_canonical(text: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(text)
        .is_ok_and(|value| serde_json_canonicalizer::to_string(&value).is_ok_and(|canonical| canonical == text))
}
