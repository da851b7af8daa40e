//! Reading the log: by position, which is all there is to order, and by stream.

use crate::{EventStore, RecordedEvent, StoreError, event::EventRow};
use domain::{Position, Sequence};
use std::collections::HashSet;

impl EventStore {
    /// Events of the stream after a sequence, in order.
    pub async fn read_stream(
        &self,
        aggregate_type: &str,
        id: &str,
        after: Sequence,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        self.stream_rows(aggregate_type, id, after.0).await?.into_iter().map(RecordedEvent::try_from).collect()
    }

    /// Which of these streams have events.
    pub async fn existing_streams(&self, aggregate_type: &str, ids: &[String]) -> Result<HashSet<String>, StoreError> {
        let found: Vec<String> = sqlx::query_scalar(
            "SELECT aggregate_id FROM streams WHERE aggregate_type = $1 AND aggregate_id = ANY($2) AND sequence > 0",
        )
        .bind(aggregate_type)
        .bind(ids)
        .fetch_all(self.pool())
        .await?;
        Ok(found.into_iter().collect())
    }

    /// At most `limit` events after a position, in order and without gaps.
    pub async fn read_log(&self, after: Position, limit: usize) -> Result<Vec<RecordedEvent>, StoreError> {
        self.log_rows(after, limit).await?.into_iter().map(RecordedEvent::try_from).collect()
    }

    pub async fn event_at(&self, position: Position) -> Result<Option<RecordedEvent>, StoreError> {
        let query = format!("SELECT {} FROM events WHERE position = $1", EventRow::COLUMNS);
        let row: Option<EventRow> = sqlx::query_as(&query).bind(position.0).fetch_optional(self.pool()).await?;
        row.map(RecordedEvent::try_from).transpose()
    }

    /// The events at these positions, in order.
    pub async fn events_at(&self, positions: &[Position]) -> Result<Vec<RecordedEvent>, StoreError> {
        let query = format!("SELECT {} FROM events WHERE position = ANY($1) ORDER BY position", EventRow::COLUMNS);
        let positions: Vec<i64> = positions.iter().map(|position| position.0).collect();
        let rows: Vec<EventRow> = sqlx::query_as(&query).bind(positions).fetch_all(self.pool()).await?;
        rows.into_iter().map(RecordedEvent::try_from).collect()
    }

    /// The last event's position, zero for an empty log.
    pub async fn head(&self) -> Result<Position, StoreError> {
        let head = sqlx::query_scalar("SELECT position FROM head").fetch_one(self.pool()).await?;
        Ok(Position(head))
    }

    pub(crate) async fn log_rows(&self, after: Position, limit: usize) -> Result<Vec<EventRow>, StoreError> {
        // The upper bound lets PostgreSQL leave the later partitions alone.
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let query = format!(
            "SELECT {} FROM events WHERE position > $1 AND position <= $2 ORDER BY position",
            EventRow::COLUMNS
        );
        let rows = sqlx::query_as(&query).bind(after.0).bind(after.0.saturating_add(limit)).fetch_all(self.pool());
        Ok(rows.await?)
    }

    pub(crate) async fn stream_rows(
        &self,
        aggregate_type: &str,
        id: &str,
        after: i64,
    ) -> Result<Vec<EventRow>, StoreError> {
        let query = format!(
            "SELECT {} FROM (SELECT first_position, last_position FROM streams
                             WHERE aggregate_type = $1 AND aggregate_id = $2) AS range
             JOIN events ON aggregate_id = $2 AND aggregate_type = $1 AND sequence > $3
                        AND position BETWEEN first_position AND last_position
             ORDER BY position",
            EventRow::COLUMNS
        );
        let rows = sqlx::query_as(&query).bind(aggregate_type).bind(id).bind(after).fetch_all(self.pool());
        Ok(rows.await?)
    }
}
