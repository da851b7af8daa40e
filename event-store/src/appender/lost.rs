//! When the connection was lost: coming back, and finding out which appends of the batch stand. None that was committed
//! is lost or made twice.

use super::{
    Outcome, PATIENCE, Task, Waiting,
    connection::{Connection, Session},
    verdict::appended,
};
use crate::StoreError;
use domain::{Sequence, Timestamp};
use sqlx::{
    FromRow, PgConnection,
    types::chrono::{DateTime, Utc},
};
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};
use tracing::{info, warn};
use uuid::Uuid;

const BACK_OFF_FIRST: Duration = Duration::from_millis(20);
const BACK_OFF_MAX: Duration = Duration::from_secs(1);

#[derive(FromRow)]
struct Landed {
    event_id: Uuid,
    position: i64,
    recorded_at: DateTime<Utc>,
    message_sequence: Option<i64>,
}

impl Task {
    /// Answers those of the batch that were committed, and hands back those that were not.
    pub(super) async fn recover(&mut self, batch: Vec<Waiting>) -> Vec<Waiting> {
        let lost = self.connection.take().map(|connection| connection.session);
        loop {
            if !self.reconnect().await {
                continue;
            }
            let Some(connection) = &mut self.connection else { continue };
            match find(connection.raw(), lost, self.known, &batch).await {
                Ok(landed) => return self.settle_landed(batch, &landed).await,
                Err(error) => {
                    warn!(%error, "it could not be seen yet which appends were committed");
                    self.connection = None;
                }
            }
        }
    }

    /// Tries to connect for as long as waiting is bearable. False where PostgreSQL stayed away: then those in the queue
    /// have been told so.
    pub(super) async fn reconnect(&mut self) -> bool {
        let started = Instant::now();
        let mut back_off = BACK_OFF_FIRST;
        while started.elapsed() < PATIENCE {
            match Connection::open(&self.database_url).await {
                Ok(connection) => {
                    self.connection = Some(connection);
                    info!("the appender is connected");
                    return true;
                }
                Err(error) => warn!(%error, "the appender can't connect"),
            }
            tokio::time::sleep(back_off).await;
            back_off = (back_off * 2).min(BACK_OFF_MAX);
        }
        while let Ok(waiting) = self.queue.try_recv() {
            self.pending.push_back(waiting);
        }
        turn_away(self.pending.drain(..));
        false
    }

    async fn settle_landed(&mut self, batch: Vec<Waiting>, landed: &[Landed]) -> Vec<Waiting> {
        if let Some(last) = landed.iter().map(|landed| landed.position).max() {
            self.tell_head(last).await;
        }
        let by_event: HashMap<Uuid, &Landed> = landed.iter().map(|landed| (landed.event_id, landed)).collect();
        let mut left = Vec::new();
        for waiting in batch {
            let events = &waiting.prepared.events;
            let Some(first) = events.first().and_then(|event| by_event.get(&event.id)) else {
                left.push(waiting);
                continue;
            };
            let sequences = events.iter().filter_map(|event| by_event.get(&event.id)?.message_sequence.map(Sequence));
            let done =
                appended(&waiting.prepared, first.position, Timestamp::from(first.recorded_at), sequences.collect());
            waiting.answer(Ok(Outcome::Done(done)));
        }
        left
    }
}

/// Tells appends that were not sent that nothing came of them.
pub(super) fn turn_away(batch: impl IntoIterator<Item = Waiting>) {
    batch.into_iter().for_each(|waiting| waiting.answer(Err(StoreError::Unreachable.into())));
}

/// The batch's events that are in the log, once nothing more can come of the lost connection.
async fn find(
    connection: &mut PgConnection,
    lost: Option<Session>,
    known: i64,
    batch: &[Waiting],
) -> Result<Vec<Landed>, sqlx::Error> {
    if let Some(session) = lost {
        wait_for_end(connection, session).await?;
    }
    let ids: Vec<Uuid> = batch.iter().flat_map(|waiting| &waiting.prepared.events).map(|event| event.id).collect();
    // Whatever holds the head has ended when this is through.
    sqlx::query("SELECT position FROM head FOR UPDATE").execute(&mut *connection).await?;
    sqlx::query_as(
        "SELECT event_id, position, recorded_at, message_sequence FROM events
         WHERE position > $1 AND event_id = ANY($2) ORDER BY position",
    )
    .bind(known)
    .bind(ids)
    .fetch_all(connection)
    .await
}

/// Ends the server process of the lost connection, which may still be at work on the batch, and waits until it is gone.
async fn wait_for_end(connection: &mut PgConnection, session: Session) -> Result<(), sqlx::Error> {
    loop {
        let is_there: bool = sqlx::query_scalar(
            "SELECT count(pg_terminate_backend(pid)) > 0 FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2",
        )
        .bind(session.pid)
        .bind(session.started)
        .fetch_one(&mut *connection)
        .await?;
        if !is_there {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
