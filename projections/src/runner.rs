//! [`Runner`]: follows the log and keeps the live views up with it, batch by batch.

use crate::{
    Progress, ProjectionError, Views,
    batch::{self, Fact},
    progress, schema, status, writer,
};
use async_nats::{Client, connection::State};
use domain::Position;
use event_store::{RecordedEvent, subscription::Feed};
use metrics::{gauge, histogram};
use sqlx::{Connection, PgConnection};
use std::time::{Duration, Instant};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

/// Events applied in one transaction while it follows the log.
const BATCH_MAX: usize = 2_000;
/// How often a worker that stands by asks whether the leader is gone.
const STANDBY: Duration = Duration::from_millis(500);
const BACK_OFF_MIN: Duration = Duration::from_millis(100);
const BACK_OFF_MAX: Duration = Duration::from_secs(30);

/// Any number may run, in one process or in many: one leads, the others stand by.
pub struct Runner {
    views: Views,
    progress: Progress,
    nats: Option<Client>,
    batch_max: usize,
    trouble: Trouble,
}

/// What went wrong since the last batch that went well.
#[derive(Default)]
struct Trouble {
    failures: u32,
    /// A batch up to here failed as a whole: until it is passed, events are applied one by one.
    careful_until: Position,
    /// An event that can't be applied by itself either.
    stopped_at: Option<Position>,
}

impl Runner {
    pub fn new(views: Views, progress: Progress, nats: Option<Client>) -> Self {
        Self { views, progress, nats, batch_max: BATCH_MAX, trouble: Trouble::default() }
    }

    #[cfg(test)]
    #[must_use]
    pub(crate) fn with_batches_of(mut self, events: usize) -> Self {
        self.batch_max = events;
        self
    }

    /// Runs until the shutdown. What fails is tried again with a growing pause; nothing is ever skipped.
    pub async fn run(mut self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            match self.lead(&shutdown).await {
                Ok(()) => {}
                Err(ProjectionError::Overtaken { expected }) => {
                    info!(projection = schema::NAME, position = %expected, "the checkpoint was moved by another; reading it anew");
                }
                Err(error) => {
                    self.trouble.failures += 1;
                    self.report(&error);
                    tokio::select! {
                        () = shutdown.cancelled() => {}
                        () = sleep(self.trouble.pause()) => {}
                    }
                }
            }
        }
    }

    /// Waits to be the only one, then follows the log.
    async fn lead(&mut self, shutdown: &CancellationToken) -> Result<(), ProjectionError> {
        let mut connection = schema::connect_writer(self.views.options(), schema::LIVE).await?;
        while !schema::try_lock(&mut connection, schema::LEADING).await? {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = sleep(STANDBY) => {}
            }
        }
        let ended = self.follow(&mut connection, shutdown).await;
        // Closed rather than dropped, so that the lock is free when the next one asks for it.
        if let Err(error) = connection.close().await {
            debug!(%error, "the writer's connection was lost");
        }
        ended
    }

    /// Applies the log from the checkpoint on.
    async fn follow(
        &mut self,
        connection: &mut PgConnection,
        shutdown: &CancellationToken,
    ) -> Result<(), ProjectionError> {
        schema::ensure(connection).await?;
        let mut position = writer::position(connection).await?;
        info!(projection = schema::NAME, %position, "following the log");
        self.announce(position).await;
        let mut feed = Feed::open(self.views.store().clone(), self.nats.clone(), schema::NAME, position).await?;
        loop {
            let batch = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                batch = feed.next_batch(self.batch_size(position)) => batch?,
            };
            if batch.is_empty() {
                self.measure_lag(position, None);
                continue;
            }
            position = self.apply(connection, position, batch).await?;
            feed.ack(position).await?;
            self.announce(position).await;
        }
    }

    fn batch_size(&self, position: Position) -> usize {
        if position < self.trouble.careful_until { 1 } else { self.batch_max }
    }

    async fn apply(
        &mut self,
        connection: &mut PgConnection,
        from: Position,
        batch: Vec<RecordedEvent>,
    ) -> Result<Position, ProjectionError> {
        let started = Instant::now();
        let last = batch.last().map_or(from, |event| event.position);
        match self.try_apply(connection, from, batch).await {
            Ok(facts) => {
                self.trouble.failures = 0;
                self.trouble.stopped_at = None;
                gauge!("hansard_projection_stopped", "projection" => schema::NAME).set(0.0);
                measure_batch(last.0 - from.0, started.elapsed());
                self.measure_lag(last, facts.last());
                Ok(last)
            }
            Err(error) => {
                self.trouble.note(&error, from, last);
                Err(error)
            }
        }
    }

    async fn try_apply(
        &self,
        connection: &mut PgConnection,
        from: Position,
        batch: Vec<RecordedEvent>,
    ) -> Result<Vec<Fact>, ProjectionError> {
        let facts = batch::decode_all(batch)?;
        writer::commit(connection, from, &facts, self.views.keyring()).await?;
        Ok(facts)
    }

    async fn announce(&self, position: Position) {
        self.progress.advance(position);
        // A client without a connection would keep what it is given, until it takes no more and we wait.
        if let Some(nats) = self.nats.as_ref().filter(|nats| nats.connection_state() == State::Connected)
            && let Err(error) = nats.publish(progress::subject(&self.views), position.to_string().into()).await
        {
            // Who waits elsewhere polls meanwhile.
            warn!(%error, "the views' progress was not announced");
        }
    }

    fn measure_lag(&self, position: Position, last: Option<&Fact>) {
        let events = (self.views.store().head_watch().borrow().0 - position.0).max(0);
        let millis = last.filter(|_| events > 0).map_or(0, |fact| self.views.now().0 - fact.recorded_at.0);
        gauge!("hansard_projection_lag_events", "projection" => schema::NAME).set(as_f64(events));
        gauge!("hansard_projection_lag_seconds", "projection" => schema::NAME).set(status::seconds(millis));
    }

    fn report(&self, error: &ProjectionError) {
        if let Some(position) = self.trouble.stopped_at {
            gauge!("hansard_projection_stopped", "projection" => schema::NAME).set(1.0);
            error!(projection = schema::NAME, %position, %error, "an event can't be applied; the views stand still before it");
        } else {
            warn!(projection = schema::NAME, %error, "the views could not be kept up; trying again");
        }
    }
}

impl Trouble {
    /// A batch after `from` up to `last` failed.
    fn note(&mut self, error: &ProjectionError, from: Position, last: Position) {
        if error.is_passing() {
            return;
        }
        if last.0 - from.0 > 1 {
            self.careful_until = last;
        } else {
            self.stopped_at = Some(last);
        }
    }

    fn pause(&self) -> Duration {
        let doublings = self.failures.saturating_sub(1).min(16);
        BACK_OFF_MAX.min(BACK_OFF_MIN * 2_u32.pow(doublings))
    }
}

fn measure_batch(events: i64, took: Duration) {
    histogram!("hansard_projection_batch_events", "projection" => schema::NAME).record(as_f64(events));
    histogram!("hansard_projection_batch_seconds", "projection" => schema::NAME).record(took.as_secs_f64());
}

#[expect(clippy::cast_precision_loss, reason = "numbers of events are far below 2^52")]
fn as_f64(events: i64) -> f64 {
    events as f64
}

#[cfg(test)]
mod tests;
