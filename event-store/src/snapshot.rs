//! Snapshots: a long stream's state as it stood at a sequence, so that loading folds only what came after.
//!
//! Architecture invariant: what is loaded from a snapshot equals what is folded from the first event. Nothing but time is
//! lost with one.

use crate::{EventStore, Loaded, StoreError, event::EventRow};
use domain::{Aggregate, Position, Sequence, Snapshots, personal::PLAIN};
use sqlx::{FromRow, PgPool};
use std::sync::Arc;
use tracing::{debug, warn};

/// Events since the last snapshot that make a new one worth its writing.
const EVENTS_MIN: i64 = 200;
/// Of a longer stream an eighth of it: its state grows with it, and all of them together stay in proportion to it.
const SHARE: i64 = 8;
/// Snapshots that a process writes at once; others wait for the next load.
pub(crate) const WRITERS: usize = 2;

#[derive(FromRow)]
struct Row {
    is_snapshot: bool,
    #[sqlx(flatten)]
    event: EventRow,
}

impl EventStore {
    /// Loads a stream that nothing is known of: its snapshot, where there is one, and the events after it.
    pub(crate) async fn resume<A: Aggregate>(
        &self,
        loaded: &mut Loaded<A>,
        snapshots: &Snapshots<A>,
    ) -> Result<Vec<EventRow>, StoreError> {
        let mut rows = self.rows_from_snapshot(A::TYPE, &loaded.id, snapshots.form).await?;
        if rows.first().is_some_and(|row| row.is_snapshot) {
            let kept = rows.remove(0).event;
            match (snapshots.read)(&kept.payload) {
                Ok(state) => {
                    loaded.state = Arc::new(state);
                    loaded.sequence = Sequence(kept.sequence);
                    loaded.kept = loaded.sequence;
                    loaded.last_position = Position(kept.position);
                    loaded.message_sequence = kept.message_sequence.map(Sequence);
                }
                Err(error) => {
                    warn!(%error, aggregate.r#type = A::TYPE, aggregate.id = loaded.id, "a snapshot is unreadable");
                    forget(self.pool(), A::TYPE, &loaded.id).await?;
                    return self.stream_rows(A::TYPE, &loaded.id, 0).await;
                }
            }
        }
        Ok(rows.into_iter().map(|row| row.event).collect())
    }

    /// In one round trip: the snapshot in the shape of an event, its state as the payload, then the events after it.
    async fn rows_from_snapshot(&self, aggregate_type: &str, id: &str, form: i64) -> Result<Vec<Row>, StoreError> {
        let query = format!(
            "WITH kept AS (SELECT sequence, position, message_sequence, state FROM snapshots
                           WHERE aggregate_type = $1 AND aggregate_id = $2 AND form = $3)
             SELECT true AS is_snapshot, position, gen_random_uuid() AS event_id, $1 AS aggregate_type,
                    $2 AS aggregate_id, sequence, '' AS event_type, '' AS event_version, state AS payload,
                    '' AS metadata, now() AS recorded_at, ''::bytea AS leaf_hash, message_sequence
             FROM kept
             UNION ALL
             SELECT false AS is_snapshot, {}
             FROM (SELECT first_position, last_position FROM streams
                   WHERE aggregate_type = $1 AND aggregate_id = $2) AS range
             JOIN events ON aggregate_id = $2 AND aggregate_type = $1
                        AND position BETWEEN first_position AND last_position
                        AND position > coalesce((SELECT k.position FROM kept AS k), 0)
             ORDER BY position",
            EventRow::COLUMNS
        );
        Ok(sqlx::query_as(&query).bind(aggregate_type).bind(id).bind(form).fetch_all(self.pool()).await?)
    }

    /// Has a snapshot written where enough has come since the last one. Nobody waits for it.
    pub(crate) fn keep_where_due<A: Aggregate>(&self, loaded: &mut Loaded<A>) {
        let Some(snapshots) = A::snapshots() else { return };
        if loaded.sequence.0 - loaded.kept.0 < EVENTS_MIN.max(loaded.sequence.0 / SHARE) {
            return;
        }
        let Ok(turn) = self.snapshot_turns().clone().try_acquire_owned() else { return };
        loaded.kept = loaded.sequence;
        let (pool, loaded) = (self.pool().clone(), loaded.clone());
        tokio::spawn(async move {
            let _turn = turn;
            if let Err(error) = write(&pool, &loaded, snapshots).await {
                warn!(%error, aggregate.r#type = A::TYPE, aggregate.id = loaded.id, "a snapshot was not written");
            }
        });
    }
}

async fn write<A: Aggregate>(
    pool: &PgPool,
    loaded: &Loaded<A>,
    snapshots: &'static Snapshots<A>,
) -> Result<(), StoreError> {
    let unreadable = |why: &dyn ToString| StoreError::unreadable("a state", why.to_string());
    // Large states are the reason for all this.
    let state = loaded.state.clone();
    let written = tokio::task::spawn_blocking(move || (snapshots.write)(&state));
    let state = written.await.map_err(|error| unreadable(&error))?.map_err(|error| unreadable(&error))?;
    if state.contains(&format!("\"{PLAIN}\":")) {
        return Err(unreadable(&"it holds a personal field that is not sealed"));
    }
    sqlx::query(
        "INSERT INTO snapshots AS k (aggregate_type, aggregate_id, form, sequence, position, message_sequence, state)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (aggregate_type, aggregate_id, form) DO UPDATE
         SET sequence = excluded.sequence, position = excluded.position, state = excluded.state,
             message_sequence = excluded.message_sequence, written_at = excluded.written_at
         WHERE k.sequence < excluded.sequence",
    )
    .bind(A::TYPE)
    .bind(&loaded.id)
    .bind(snapshots.form)
    .bind(loaded.sequence.0)
    .bind(loaded.last_position.0)
    .bind(loaded.message_sequence.map(|sequence| sequence.0))
    .bind(&state)
    .execute(pool)
    .await?;
    debug!(
        aggregate.r#type = A::TYPE,
        aggregate.id = loaded.id,
        sequence = loaded.sequence.0,
        "a snapshot was written"
    );
    forget_old_forms(pool, A::TYPE, &loaded.id, snapshots.form).await
}

/// Those of versions that nobody has run for a day.
async fn forget_old_forms(pool: &PgPool, aggregate_type: &str, id: &str, form: i64) -> Result<(), StoreError> {
    sqlx::query(
        "DELETE FROM snapshots WHERE aggregate_type = $1 AND aggregate_id = $2 AND form <> $3
         AND written_at < now() - interval '1 day'",
    )
    .bind(aggregate_type)
    .bind(id)
    .bind(form)
    .execute(pool)
    .await?;
    Ok(())
}

async fn forget(pool: &PgPool, aggregate_type: &str, id: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM snapshots WHERE aggregate_type = $1 AND aggregate_id = $2")
        .bind(aggregate_type)
        .bind(id)
        .execute(pool)
        .await?;
    Ok(())
}
