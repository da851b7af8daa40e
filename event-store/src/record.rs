//! The log as auditors read it: [`AuditedEvent`], with its proof and its personal fields opened.

mod index;

pub use index::{index_full_partitions, keep_indexed};

use crate::{EventStore, RecordedEvent, StoreError, event::EventRow};
use domain::{ConversationId, EventId, Position, Sequence, Timestamp, UserId};
use serde::Serialize;
use serde_json::Value;
use sqlx::{Postgres, QueryBuilder};
use utoipa::ToSchema;

/// An event with the fields that the contract names.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Event)]
pub struct AuditedEvent {
    pub position: Position,
    #[schema(value_type = String, format = Uuid)]
    pub event_id: EventId,
    pub aggregate_type: String,
    pub aggregate_id: String,
    pub sequence: Sequence,
    pub r#type: String,
    pub version: u32,
    #[schema(value_type = Object)]
    pub payload: Value,
    #[schema(value_type = Object)]
    pub metadata: Value,
    pub recorded_at: Timestamp,
    /// SHA-256 of a zero byte and the leaf, in hexadecimal.
    pub leaf_hash: String,
}

/// Which events; all that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    pub aggregate_type: Option<String>,
    pub aggregate_id: Option<String>,
    pub event_type: Option<String>,
    pub actor: Option<UserId>,
    pub conversation: Option<ConversationId>,
    /// Recorded then or later.
    pub from: Option<Timestamp>,
    /// Recorded before.
    pub to: Option<Timestamp>,
}

impl EventStore {
    /// At most `limit` events after one position and before another, in their order, personal fields opened.
    pub async fn audited(
        &self,
        after: Position,
        before: Position,
        limit: i64,
        filter: &EventFilter,
    ) -> Result<Vec<AuditedEvent>, StoreError> {
        let mut query: QueryBuilder<'_, Postgres> = QueryBuilder::new("SELECT ");
        query.push(EventRow::COLUMNS).push(" FROM events WHERE position > ").push_bind(after.0);
        query.push(" AND position < ").push_bind(before.0);
        for (column, value) in [
            ("aggregate_type", &filter.aggregate_type),
            ("aggregate_id", &filter.aggregate_id),
            ("event_type", &filter.event_type),
            ("metadata->>'actorId'", &filter.actor.map(|id| id.to_string())),
            ("metadata->>'conversationId'", &filter.conversation.map(|id| id.to_string())),
        ] {
            if let Some(value) = value {
                query.push(" AND ").push(column).push(" = ").push_bind(value.clone());
            }
        }
        if let Some(from) = filter.from {
            query.push(" AND recorded_at >= ").push_bind(from.to_datetime());
        }
        if let Some(to) = filter.to {
            query.push(" AND recorded_at < ").push_bind(to.to_datetime());
        }
        query.push(" ORDER BY position LIMIT ").push_bind(limit);
        let rows: Vec<EventRow> = query.build_query_as().fetch_all(self.pool()).await?;
        let mut events = Vec::with_capacity(rows.len());
        for row in rows {
            events.push(self.audit(row.try_into()?).await?);
        }
        Ok(events)
    }

    async fn audit(&self, event: RecordedEvent) -> Result<AuditedEvent, StoreError> {
        let mut payload = event.payload;
        self.keyring().open_payload(&mut payload).await?;
        Ok(AuditedEvent {
            position: event.position,
            event_id: event.event_id,
            aggregate_type: event.aggregate_type,
            aggregate_id: event.aggregate_id,
            sequence: event.sequence,
            r#type: event.event_type,
            version: event.event_version,
            payload,
            metadata: serde_json::to_value(&event.metadata)
                .map_err(|error| StoreError::unreadable("metadata", error))?,
            recorded_at: event.recorded_at,
            leaf_hash: hex::encode(event.leaf_hash),
        })
    }

    /// The last position that was recorded at a time or before it; zero where none was.
    pub async fn position_at(&self, at: Timestamp) -> Result<Position, StoreError> {
        let (mut low, mut high) = (0, self.head().await?.0);
        // Times never fall along positions, so halving finds it without an index on time.
        while low < high {
            let middle = low + (high - low + 1) / 2;
            let recorded: (sqlx::types::chrono::DateTime<sqlx::types::chrono::Utc>,) =
                sqlx::query_as("SELECT recorded_at FROM events WHERE position = $1")
                    .bind(middle)
                    .fetch_one(self.pool())
                    .await?;
            if Timestamp::from(recorded.0) <= at { low = middle } else { high = middle - 1 }
        }
        Ok(Position(low))
    }

    /// The events of several streams of one type up to a position, by stream and sequence.
    pub async fn read_streams(
        &self,
        aggregate_type: &str,
        ids: &[String],
        up_to: Position,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let sql = format!(
            "SELECT {} FROM events WHERE aggregate_type = $1 AND aggregate_id = ANY($2) AND position <= $3
              ORDER BY aggregate_id, sequence",
            EventRow::COLUMNS
        );
        let rows: Vec<EventRow> =
            sqlx::query_as(&sql).bind(aggregate_type).bind(ids).bind(up_to.0).fetch_all(self.pool()).await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }
}
