//! [`Feed`]: the log from a position on, in order, without holes and repeats, to whoever follows it.
//!
//! A durable consumer of JetStream brings events as they come. Whatever it doesn't bring (a hole, a stream that is away
//! or behind, a long way to catch up) is read from PostgreSQL by position, which is always right.

mod delivery;
mod live;

pub use live::Live;

use crate::{EventStore, RecordedEvent, StoreError};
use async_nats::connection::State;
use delivery::{Delivered, Delivery};
use domain::Position;
use std::time::Duration;
use tokio::{sync::watch, task::JoinHandle, time::Instant};
use tracing::{debug, warn};

/// What [`Feed::next_batch`] waits at most for something to come.
const IDLE_MAX: Duration = Duration::from_secs(1);
/// How long an event that is known to be in the log may take by JetStream, before it is fetched.
const GRACE: Duration = Duration::from_millis(20);
/// How often the log is looked at while JetStream brings nothing, for appends of other processes.
const POLL: Duration = Duration::from_millis(100);
/// Further behind than this, reading the log in large pieces is faster than having it brought.
const CATCH_UP_FROM: i64 = 2_000;
const JOIN_EVERY: Duration = Duration::from_secs(1);

pub struct Feed {
    store: EventStore,
    nats: Option<async_nats::Client>,
    name: String,
    /// The last position that was handed out.
    after: Position,
    head: watch::Receiver<Position>,
    delivery: Option<Delivery>,
    /// A delivery that JetStream was asked for. Nothing waits for it: a server that hangs must not hold up the log.
    joining: Option<JoinHandle<Result<Delivery, StoreError>>>,
    /// When JetStream was last asked for a delivery.
    asked: Option<Instant>,
    /// Since when something is known to be in the log that wasn't handed out.
    behind_since: Option<Instant>,
}

impl Feed {
    /// Follows the log after a position. `name` is that of the durable consumer: one feed of it at a time.
    pub async fn open(
        store: EventStore,
        nats: Option<async_nats::Client>,
        name: &str,
        after: Position,
    ) -> Result<Self, StoreError> {
        let head = store.head_watch();
        let mut feed = Self {
            store,
            nats,
            name: name.to_owned(),
            after,
            head,
            delivery: None,
            joining: None,
            asked: None,
            behind_since: None,
        };
        // This process may not have heard yet how far the log has come.
        feed.store.advance_head(feed.store.head().await?);
        feed.join_where_due().await;
        Ok(feed)
    }

    /// At most `max` events, the next ones. Empty where nothing came within about a second.
    pub async fn next_batch(&mut self, max: usize) -> Result<Vec<RecordedEvent>, StoreError> {
        let deadline = Instant::now() + IDLE_MAX;
        loop {
            self.note_head();
            self.join_where_due().await;
            let batch = match self.delivery.take() {
                Some(delivery) => self.take_delivered(delivery, max, deadline).await?,
                None => self.read_or_wait(max, deadline).await?,
            };
            if let Some(last) = batch.last() {
                self.after = last.position;
                self.behind_since = None;
            }
            if !batch.is_empty() || Instant::now() >= deadline {
                return Ok(batch);
            }
        }
    }

    /// Everything up to this position is dealt with for good.
    pub async fn ack(&mut self, position: Position) -> Result<(), StoreError> {
        let Some(delivery) = &mut self.delivery else { return Ok(()) };
        if let Err(error) = delivery.ack(position).await {
            // The checkpoint is the follower's own; without acks JetStream only brings again what is then left out.
            debug!(%error, "an ack was not sent");
            self.delivery = None;
        }
        Ok(())
    }

    fn note_head(&mut self) {
        let behind = self.head.borrow_and_update().0 - self.after.0;
        if behind <= 0 {
            self.behind_since = None;
        } else {
            self.behind_since.get_or_insert_with(Instant::now);
        }
        if behind > CATCH_UP_FROM {
            self.delivery = None;
        }
    }

    async fn join_where_due(&mut self) {
        if let Some(joining) = self.joining.take_if(|joining| joining.is_finished()) {
            match joining.await {
                Ok(Ok(delivery)) => self.delivery = Some(delivery),
                Ok(Err(error)) => {
                    warn!(%error, consumer = self.name, "jetstream does not deliver; the log is read instead");
                }
                Err(error) => warn!(%error, consumer = self.name, "joining jetstream has failed"),
            }
        }
        let is_close = self.head.borrow().0 - self.after.0 <= CATCH_UP_FROM;
        let is_due = self.asked.is_none_or(|asked| asked.elapsed() >= JOIN_EVERY);
        let Some(nats) = &self.nats else { return };
        let is_connected = nats.connection_state() == State::Connected;
        if self.delivery.is_some() || self.joining.is_some() || !is_close || !is_due || !is_connected {
            return;
        }
        self.asked = Some(Instant::now());
        let (nats, store, name, after) = (nats.clone(), self.store.clone(), self.name.clone(), self.after);
        self.joining = Some(tokio::spawn(async move { Delivery::open(&nats, &store, &name, after).await }));
    }

    async fn read_or_wait(&mut self, max: usize, deadline: Instant) -> Result<Vec<RecordedEvent>, StoreError> {
        let batch = self.store.read_log(self.after, max).await?;
        if batch.is_empty() {
            let until = deadline.min(Instant::now() + POLL);
            // An error says that the store is gone, and so will the next read.
            let _ = tokio::time::timeout_at(until, self.head.wait_for(|head| *head > self.after)).await;
        }
        Ok(batch)
    }

    /// What the delivery brings next; it is kept where it is in step.
    async fn take_delivered(
        &mut self,
        mut delivery: Delivery,
        max: usize,
        deadline: Instant,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let patience = self.behind_since.map_or(deadline, |since| deadline.min(since + GRACE));
        let delivered = tokio::select! {
            biased;
            delivered = delivery.next(self.after, max) => delivered,
            () = tokio::time::sleep_until(patience) => Delivered::Nothing,
            changed = self.head.changed(), if self.behind_since.is_none() => {
                self.delivery = Some(delivery);
                return changed.map(|()| vec![]).map_err(|_| StoreError::Stopped);
            }
        };
        match delivered {
            Delivered::Events(events) => {
                self.delivery = Some(delivery);
                Ok(events)
            }
            Delivered::Repeat => {
                self.delivery = Some(delivery);
                Ok(vec![])
            }
            Delivered::Hole | Delivered::Nothing => {
                self.delivery = Some(delivery);
                self.store.read_log(self.after, max).await
            }
            Delivered::Ended(error) => {
                warn!(%error, consumer = self.name, "jetstream has stopped delivering; the log is read instead");
                self.store.read_log(self.after, max).await
            }
        }
    }
}
