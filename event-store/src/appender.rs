//! [`Appender`]: one task a process that takes what is waiting, sends it in one round trip and gives each append its
//! own verdict.

mod batch;
mod connection;
mod lost;
mod verdict;

pub(crate) use verdict::Outcome;

use crate::{AppendError, StoreError, append::Prepared, store::advance};
use async_nats::connection::State;
use batch::take_batch;
use connection::{Connection, Failure};
use domain::Position;
use runtime::clock::Clock;
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{
    mpsc::{self, error::TrySendError},
    oneshot, watch,
};
use tracing::warn;
use verdict::{Answers, Verdict};

/// Appends in one batch at most.
const BATCH_APPENDS_MAX: usize = 512;
/// Events in one batch at most; a larger append is a batch of its own.
const BATCH_EVENTS_MAX: usize = 2_000;
/// Positions after which it is looked whether partitions are still far enough ahead.
const PARTITION_CHECK_EVERY: i64 = 100_000;
/// How long appends wait for PostgreSQL to come back before they are told that it is away.
const PATIENCE: Duration = Duration::from_secs(5);

/// The way to the task.
pub(crate) struct Appender {
    queue: mpsc::Sender<Waiting>,
}

/// An append that waits for its verdict.
pub(crate) struct Waiting {
    prepared: Prepared,
    answer: oneshot::Sender<Result<Outcome, AppendError>>,
}

impl Waiting {
    fn answer(self, verdict: Result<Outcome, AppendError>) {
        // Whoever asked may have gone; what is done stays done.
        let _ = self.answer.send(verdict);
    }
}

impl Appender {
    pub async fn start(
        database_url: String,
        announce: Option<(async_nats::Client, String)>,
        clock: Arc<dyn Clock>,
        queue_limit: usize,
        head: watch::Sender<Position>,
    ) -> Result<Self, StoreError> {
        let mut connection = Connection::open(&database_url).await?;
        connection.make_partitions_ahead().await?;
        let known = connection.head().await?;
        let (queue, waiting) = mpsc::channel(queue_limit.max(1));
        let task = Task {
            database_url,
            connection: Some(connection),
            announce,
            clock,
            queue: waiting,
            pending: VecDeque::new(),
            known,
            partitions_checked: known,
            head,
        };
        tokio::spawn(task.run());
        Ok(Self { queue })
    }

    pub async fn submit(&self, prepared: Prepared) -> Result<Outcome, AppendError> {
        let (answer, verdict) = oneshot::channel();
        match self.queue.try_send(Waiting { prepared, answer }) {
            Ok(()) => verdict.await.map_err(|_| StoreError::Stopped)?,
            Err(TrySendError::Full(_)) => {
                metrics::counter!("hansard_append_refused_total", "verdict" => "overloaded").increment(1);
                Err(AppendError::Overloaded)
            }
            Err(TrySendError::Closed(_)) => Err(StoreError::Stopped.into()),
        }
    }
}

struct Task {
    database_url: String,
    connection: Option<Connection>,
    /// Where others are told how far the log has come.
    announce: Option<(async_nats::Client, String)>,
    clock: Arc<dyn Clock>,
    queue: mpsc::Receiver<Waiting>,
    /// Taken from the queue and not sent yet.
    pending: VecDeque<Waiting>,
    /// The log's end as this task last saw it.
    known: i64,
    partitions_checked: i64,
    head: watch::Sender<Position>,
}

impl Task {
    async fn run(mut self) {
        while self.take_from_queue().await {
            let batch = take_batch(&mut self.pending, BATCH_APPENDS_MAX, BATCH_EVENTS_MAX);
            self.measure(&batch);
            self.commit(batch).await;
            self.look_after_partitions().await;
        }
    }

    /// Waits for something to do. False when nobody can append any more and all is done.
    async fn take_from_queue(&mut self) -> bool {
        let room = BATCH_APPENDS_MAX.saturating_sub(self.pending.len());
        if self.pending.is_empty() {
            let mut taken = Vec::new();
            if self.queue.recv_many(&mut taken, room).await == 0 {
                return false;
            }
            self.pending.extend(taken);
            return true;
        }
        for _ in 0..room {
            let Ok(waiting) = self.queue.try_recv() else { break };
            self.pending.push_back(waiting);
        }
        true
    }

    /// Sends the batch until every append of it has its verdict.
    async fn commit(&mut self, mut batch: Vec<Waiting>) {
        while !batch.is_empty() {
            let Some(connection) = &mut self.connection else {
                // What is in doubt never comes here: whatever waits now was not sent, or is known not to have landed.
                if !self.reconnect().await {
                    lost::turn_away(batch);
                    return;
                }
                continue;
            };
            let started = Instant::now();
            match connection.append(&batch, self.clock.now()).await {
                Ok(answers) => {
                    metrics::histogram!("hansard_append_seconds").record(started.elapsed().as_secs_f64());
                    self.settle(batch, answers).await;
                    return;
                }
                Err(Failure::Refused(error)) => {
                    self.commit_singly(batch, error).await;
                    return;
                }
                Err(Failure::Lost(error)) => {
                    warn!(%error, "the connection was lost while appending");
                    batch = self.recover(batch).await;
                }
            }
        }
    }

    /// PostgreSQL refused the whole batch, so that nothing of it stands. One append of it is to blame, and it alone is
    /// to be told.
    async fn commit_singly(&mut self, batch: Vec<Waiting>, error: sqlx::Error) {
        match <[Waiting; 1]>::try_from(batch) {
            Ok([single]) => single.answer(Err(error.into())),
            Err(batch) => {
                for waiting in batch {
                    Box::pin(self.commit(vec![waiting])).await;
                }
            }
        }
    }

    /// Tells the new head, then hands out the verdicts: a process that ends with its last verdict has told it. Appends
    /// that are to come again do so before all others.
    async fn settle(&mut self, batch: Vec<Waiting>, answers: Answers) {
        if let Some(last) = answers.last_position() {
            self.tell_head(last).await;
        }
        let mut again = Vec::new();
        for (n, waiting) in batch.into_iter().enumerate() {
            match answers.verdict(n, &waiting.prepared) {
                Verdict::Again => again.push(waiting),
                Verdict::Answer(verdict) => waiting.answer(verdict),
            }
        }
        again.into_iter().rev().for_each(|waiting| self.pending.push_front(waiting));
    }

    async fn tell_head(&mut self, position: i64) {
        self.known = position;
        advance(&self.head, Position(position));
        // A client without a connection would keep what it is given, until it takes no more and appends wait.
        if let Some((nats, subject)) = &self.announce
            && nats.connection_state() == State::Connected
            && let Err(error) = nats.publish(subject.clone(), position.to_string().into()).await
        {
            // Others poll: they learn of it a little later.
            warn!(%error, "the new head was not announced");
        }
    }

    async fn look_after_partitions(&mut self) {
        if self.known - self.partitions_checked < PARTITION_CHECK_EVERY {
            return;
        }
        let Some(connection) = &mut self.connection else { return };
        match connection.make_partitions_ahead().await {
            Ok(()) => self.partitions_checked = self.known,
            Err(error) => {
                warn!(%error, "partitions could not be made ahead");
                self.connection = None;
            }
        }
    }

    fn measure(&self, batch: &[Waiting]) {
        let events: usize = batch.iter().map(|waiting| waiting.prepared.events.len()).sum();
        metrics::histogram!("hansard_append_batch_appends").record(as_f64(batch.len()));
        metrics::histogram!("hansard_append_batch_events").record(as_f64(events));
        metrics::gauge!("hansard_append_queue").set(as_f64(self.queue.len() + self.pending.len()));
    }
}

fn as_f64(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
