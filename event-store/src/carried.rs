//! The form in which JetStream carries an event: the payload as it is stored, and all else in headers, those of
//! CloudEvents 1.0 among them.

use crate::{RecordedEvent, StoreError, event::EventRow, leaf::LeafParts, upcast};
use async_nats::{HeaderMap, HeaderValue, Message};
use domain::{EventId, Position, Sequence, Timestamp};
use serde::Deserialize;
use uuid::Uuid;

const POSITION: &str = "Hansard-Position";
const SEQUENCE: &str = "Hansard-Sequence";
const MESSAGE_SEQUENCE: &str = "Hansard-Message-Sequence";
const METADATA: &str = "Hansard-Metadata";
const CE_ID: &str = "ce-id";
const CE_TYPE: &str = "ce-type";
const CE_SUBJECT: &str = "ce-subject";
const CE_TIME: &str = "ce-time";
const CE_DATASCHEMA: &str = "ce-dataschema";

/// In a subject: that there is no workspace.
const NO_WORKSPACE: &str = "_";

/// Where events say that they come from.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    source: String,
    schemas: String,
}

impl Source {
    /// Without a public address a log is known by its id.
    pub fn new(public_url: Option<&str>, log_id: Uuid) -> Self {
        match public_url {
            Some(url) => {
                let url = url.trim_end_matches('/');
                Self { source: url.to_owned(), schemas: format!("{url}/api/schemas") }
            }
            None => Self { source: format!("hansard/{log_id}"), schemas: "hansard:/api/schemas".to_owned() },
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Scope {
    workspace_id: Option<String>,
}

/// Subject and headers; the subject begins with `subjects`.
pub(crate) fn carry(row: &EventRow, subjects: &str, source: &Source) -> Result<(String, HeaderMap), StoreError> {
    let scope: Scope = serde_json::from_str(&row.metadata)
        .map_err(|error| StoreError::unreadable(format!("the metadata at position {}", row.position), error))?;
    let subject = format!(
        "{subjects}.{}.{}.{}",
        token(scope.workspace_id.as_deref().unwrap_or(NO_WORKSPACE)),
        // `message.sent` is two tokens.
        row.event_type,
        token(&row.aggregate_id),
    );
    let mut headers = HeaderMap::new();
    headers.insert(async_nats::header::NATS_MESSAGE_ID, row.event_id.to_string());
    headers.insert(async_nats::header::NATS_EXPECTED_LAST_SEQUENCE, (row.position - 1).to_string());
    headers.insert("ce-specversion", "1.0");
    headers.insert(CE_ID, row.event_id.to_string());
    headers.insert(CE_TYPE, row.event_type.as_str());
    headers.insert("ce-source", source.source.as_str());
    headers.insert(CE_SUBJECT, format!("{}/{}", row.aggregate_type, row.aggregate_id));
    headers.insert(CE_TIME, row.recorded_at().to_string());
    headers.insert(CE_DATASCHEMA, format!("{}/{}/{}", source.schemas, row.event_type, row.event_version));
    headers.insert("content-type", "application/json");
    headers.insert(POSITION, row.position.to_string());
    headers.insert(SEQUENCE, row.sequence.to_string());
    if let Some(sequence) = row.message_sequence {
        headers.insert(MESSAGE_SEQUENCE, sequence.to_string());
    }
    headers.insert(METADATA, row.metadata.as_str());
    Ok((subject, headers))
}

/// The event, as reading it from PostgreSQL would give it; none where the message is not in the form of [`carry`].
pub(crate) fn read(message: &Message) -> Option<RecordedEvent> {
    let headers = message.headers.as_ref()?;
    let header = |name: &str| headers.get(name).map(HeaderValue::as_str);
    let (aggregate_type, aggregate_id) = header(CE_SUBJECT)?.split_once('/')?;
    let (_, version) = header(CE_DATASCHEMA)?.rsplit_once('/')?;
    let parts = LeafParts {
        event_id: header(CE_ID)?.parse().ok()?,
        aggregate_type,
        aggregate_id,
        sequence: header(SEQUENCE)?.parse().ok()?,
        event_type: header(CE_TYPE)?,
        event_version: version,
        payload: std::str::from_utf8(&message.payload).ok()?,
        metadata: header(METADATA)?,
        recorded_at: Timestamp::parse(header(CE_TIME)?)?,
    };
    let payload = serde_json::from_str(parts.payload).ok()?;
    let (event_version, payload) = upcast::to_current(parts.event_type, version.parse().ok()?, payload);
    Some(RecordedEvent {
        position: Position(header(POSITION)?.parse().ok()?),
        event_id: EventId(parts.event_id),
        aggregate_type: aggregate_type.to_owned(),
        aggregate_id: aggregate_id.to_owned(),
        sequence: Sequence(parts.sequence),
        event_type: parts.event_type.to_owned(),
        event_version,
        payload,
        metadata: serde_json::from_str(parts.metadata).ok()?,
        recorded_at: parts.recorded_at,
        leaf_hash: parts.hash(),
        message_sequence: match header(MESSAGE_SEQUENCE) {
            Some(sequence) => Some(sequence.parse().ok()?),
            None => None,
        },
    })
}

/// One token of a subject: dots, spaces and wildcards would make it several, or none.
fn token(text: &str) -> String {
    text.replace(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '.' | '*' | '>'), "_")
}

/// The id of the event in a message.
pub(crate) fn event_id(headers: &HeaderMap) -> Option<Uuid> {
    headers.get(CE_ID)?.as_str().parse().ok()
}
