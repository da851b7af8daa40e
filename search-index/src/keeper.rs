//! [`Keeper`]: follows the log and keeps the index of a directory up with it.

pub(crate) mod home;

use crate::{Index, SearchError, Writer, change::Batch};
use async_nats::Client;
use domain::Position;
use event_store::{EventStore, RecordedEvent, subscription::Feed};
use home::Home;
use metrics::{gauge, histogram};
use std::{path::PathBuf, time::Duration};
use tokio::{
    task::spawn_blocking,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

/// Events asked of the feed at once.
const FEED_MAX: usize = 2_000;
/// While the log is far ahead, a commit holds so many events at least.
const COMMIT_EVENTS: usize = 20_000;
/// Commits are at least so far apart: what comes meanwhile goes into the next.
const COMMIT_EVERY: Duration = Duration::from_millis(100);
const BACK_OFF_MIN: Duration = Duration::from_millis(100);
const BACK_OFF_MAX: Duration = Duration::from_secs(30);

/// One for a directory. It goes on until the shutdown, whatever fails.
pub struct Keeper {
    store: EventStore,
    nats: Option<Client>,
    dir: PathBuf,
    index: Index,
    batch_max: usize,
}

impl Keeper {
    /// `dir` is made where it isn't there.
    pub fn new(store: EventStore, nats: Option<Client>, dir: PathBuf) -> Self {
        Self { store, nats, dir, index: Index::default(), batch_max: COMMIT_EVENTS }
    }

    /// What it keeps, to be searched by others.
    pub fn index(&self) -> Index {
        self.index.clone()
    }

    /// For tests: how many events are committed together at most.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn with_batches_of(mut self, events: usize) -> Self {
        self.batch_max = events;
        self
    }

    /// Runs until the shutdown. What fails is tried again with a growing pause; nothing is ever skipped.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut failures = 0_u32;
        while !shutdown.is_cancelled() {
            let before = self.index.position();
            let Err(error) = self.keep(&shutdown).await else { continue };
            failures = if self.index.position() > before { 1 } else { failures + 1 };
            if let SearchError::Unfit { position, .. } = &error {
                error!(%position, %error, "an event can't be indexed; the index stands still before it");
            } else {
                warn!(%error, "the index could not be kept up; trying again");
            }
            let pause = BACK_OFF_MAX.min(BACK_OFF_MIN * 2_u32.pow(failures.saturating_sub(1).min(16)));
            tokio::select! { () = shutdown.cancelled() => {}, () = sleep(pause) => {} }
        }
    }

    /// Until the shutdown, or until a rebuilt index waits for taking over.
    async fn keep(&self, shutdown: &CancellationToken) -> Result<(), SearchError> {
        let (dir, log_id, index) = (self.dir.clone(), self.store.log_id(), self.index.clone());
        let (home, mut writer) = spawn_blocking(move || Home::open(&dir, log_id, index)).await.map_err(task)??;
        info!(position = %writer.position(), "keeping the search index");
        let mut feed = Feed::open(self.store.clone(), self.nats.clone(), home.name(), writer.position()).await?;
        let mut next_commit = Instant::now();
        loop {
            tokio::select! { () = shutdown.cancelled() => break, () = tokio::time::sleep_until(next_commit) => {} }
            let events = tokio::select! {
                () = shutdown.cancelled() => break,
                events = self.gather(&mut feed) => events?,
            };
            next_commit = Instant::now() + COMMIT_EVERY;
            if let Some(batch) = Batch::of(&self.store, &events).await? {
                writer = commit(writer, batch).await?;
                feed.ack(writer.position()).await?;
            }
            self.measure(writer.position());
            if home.has_successor() {
                info!("a rebuilt search index takes over");
                break;
            }
        }
        // Merges that are under way are given up: the next process begins them again.
        spawn_blocking(move || drop((writer, home))).await.map_err(task)
    }

    /// What is there to be indexed: as soon as there is anything, but a good deal where there is much.
    async fn gather(&self, feed: &mut Feed) -> Result<Vec<RecordedEvent>, SearchError> {
        let piece = FEED_MAX.min(self.batch_max);
        let mut events = feed.next_batch(piece).await?;
        let mut last = events.len();
        while last == piece && events.len() < self.batch_max {
            let more = feed.next_batch(piece).await?;
            last = more.len();
            events.extend(more);
        }
        Ok(events)
    }

    #[expect(clippy::cast_precision_loss, reason = "numbers of events are far below 2^52")]
    fn measure(&self, position: Position) {
        let behind = (self.store.head_watch().borrow().0 - position.0).max(0);
        gauge!("hansard_projection_lag_events", "projection" => "search").set(behind as f64);
    }
}

async fn commit(mut writer: Writer, batch: Batch) -> Result<Writer, SearchError> {
    let started = Instant::now();
    let (writer, applied) = spawn_blocking(move || {
        let applied = writer.apply(&batch);
        (writer, applied)
    })
    .await
    .map_err(task)?;
    applied?;
    histogram!("hansard_search_commit_seconds").record(started.elapsed().as_secs_f64());
    debug!(position = %writer.position(), "indexed");
    Ok(writer)
}

#[expect(clippy::needless_pass_by_value, reason = "a shape that map_err takes")]
fn task(error: tokio::task::JoinError) -> SearchError {
    SearchError::task(&error)
}
