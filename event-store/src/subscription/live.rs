//! [`Live`]: the log from its end on, the short way: as a plain NATS subscriber, without a consumer or a checkpoint.
//!
//! For a process that hands events on while they are new and keeps nothing of them. What plain NATS loses or brings out
//! of order is read from PostgreSQL by position; while NATS is away PostgreSQL is asked instead.

use crate::{EventStore, RecordedEvent, StoreError, carried};
use async_nats::{Message, Subscriber, connection::State};
use domain::Position;
use futures::{FutureExt, StreamExt};
use std::time::Duration;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

/// What [`Live::next_batch`] waits at most for something to come.
const IDLE_MAX: Duration = Duration::from_secs(1);
/// How long an event that is known to be in the log may take by NATS, before it is fetched.
const GRACE: Duration = Duration::from_millis(20);
/// How often the log is looked at while NATS is away, or has never brought anything.
const POLL: Duration = Duration::from_millis(100);
/// A subscriber's own queue is lost with the connection; so it is looked at where nothing was heard for this long.
const DOUBT: Duration = Duration::from_millis(500);

pub struct Live {
    store: EventStore,
    nats: Option<async_nats::Client>,
    /// The last position that was handed out.
    after: Position,
    head: watch::Receiver<Position>,
    heard: Option<Subscriber>,
    /// Heard ahead of its turn: what lies before it is being fetched.
    ahead: Option<RecordedEvent>,
    /// Since when something is known to be in the log that wasn't handed out.
    behind_since: Option<Instant>,
    looked: Instant,
}

impl Live {
    /// Follows the log from after a position.
    pub async fn open(
        store: EventStore,
        nats: Option<async_nats::Client>,
        after: Position,
    ) -> Result<Self, StoreError> {
        let head = store.head_watch();
        let mut live =
            Self { store, nats, after, head, heard: None, ahead: None, behind_since: None, looked: Instant::now() };
        live.listen().await?;
        live.store.advance_head(live.store.head().await?);
        Ok(live)
    }

    /// At most `max` events, the next ones, in order and without holes. Empty where nothing came within about a second.
    pub async fn next_batch(&mut self, max: usize) -> Result<Vec<RecordedEvent>, StoreError> {
        let deadline = Instant::now() + IDLE_MAX;
        loop {
            self.listen().await?;
            let batch = self.hear_or_read(max, deadline).await?;
            if let Some(last) = batch.last() {
                self.after = last.position;
                self.behind_since = None;
            }
            if !batch.is_empty() || Instant::now() >= deadline {
                return Ok(batch);
            }
        }
    }

    /// A subscription outlives its connection: the client takes it up again by itself.
    async fn listen(&mut self) -> Result<(), StoreError> {
        let Some(nats) = self.nats.as_ref().filter(|nats| nats.connection_state() == State::Connected) else {
            return Ok(());
        };
        if self.heard.is_none() {
            let subjects = format!("{}.>", self.store.names().subjects);
            self.heard = Some(nats.subscribe(subjects).await.map_err(StoreError::nats)?);
        }
        Ok(())
    }

    fn is_connected(&self) -> bool {
        self.heard.is_some() && self.nats.as_ref().is_some_and(|nats| nats.connection_state() == State::Connected)
    }

    async fn hear_or_read(&mut self, max: usize, deadline: Instant) -> Result<Vec<RecordedEvent>, StoreError> {
        if let Some(ahead) = self.ahead.take() {
            return self.fill_before(ahead, max).await;
        }
        let is_behind = *self.head.borrow_and_update() > self.after;
        self.behind_since = if is_behind { self.behind_since.or_else(|| Some(Instant::now())) } else { None };
        let doubt = if self.is_connected() { DOUBT } else { POLL };
        let patience = match self.behind_since {
            Some(since) if self.is_connected() => since + GRACE,
            Some(since) => since,
            None => self.looked + doubt,
        };
        let woken = tokio::select! {
            biased;
            message = next(&mut self.heard) => Woken::Heard(message),
            () = sleep_until(patience.min(deadline)) => Woken::Impatient,
            changed = self.head.changed(), if !is_behind => changed.map(|()| Woken::Told).map_err(|_| StoreError::Stopped)?,
        };
        match woken {
            Woken::Heard(Some(message)) => self.take(&message, max).await,
            Woken::Heard(None) => {
                self.heard = None;
                Ok(vec![])
            }
            Woken::Told => Ok(vec![]),
            Woken::Impatient if Instant::now() < patience => Ok(vec![]),
            Woken::Impatient => self.read(max).await,
        }
    }

    async fn read(&mut self, max: usize) -> Result<Vec<RecordedEvent>, StoreError> {
        self.looked = Instant::now();
        let batch = self.store.read_log(self.after, max).await?;
        if let Some(last) = batch.last() {
            self.store.advance_head(last.position);
        }
        Ok(batch)
    }

    /// The event in a message and those that are there with it.
    async fn take(&mut self, message: &Message, max: usize) -> Result<Vec<RecordedEvent>, StoreError> {
        let mut events: Vec<RecordedEvent> = Vec::new();
        let mut next_message = Some(carried::read(message));
        while let Some(event) = next_message.take() {
            let last = events.last().map_or(self.after, |event| event.position);
            if let Some(event) = event.filter(|event| event.position > last) {
                if event.position.0 > last.0 + 1 {
                    self.ahead = Some(event);
                    break;
                }
                events.push(event);
            }
            if events.len() < max
                && let Some(heard) = &mut self.heard
                && let Some(Some(message)) = heard.next().now_or_never()
            {
                next_message = Some(carried::read(&message));
            }
        }
        if let Some(last) = events.last() {
            self.looked = Instant::now();
            self.store.advance_head(last.position);
        }
        match self.ahead.take() {
            Some(ahead) if events.is_empty() => self.fill_before(ahead, max).await,
            ahead => {
                self.ahead = ahead;
                Ok(events)
            }
        }
    }

    /// What lies between the last event and one that came ahead of its turn, and that one with it where it fits.
    async fn fill_before(&mut self, ahead: RecordedEvent, max: usize) -> Result<Vec<RecordedEvent>, StoreError> {
        if ahead.position.0 == self.after.0 + 1 {
            return Ok(vec![ahead]);
        }
        if ahead.position <= self.after {
            return Ok(vec![]);
        }
        // Should the read stop short of it, it is known to be there.
        self.store.advance_head(ahead.position);
        self.read(max).await
    }
}

enum Woken {
    Heard(Option<Message>),
    Told,
    Impatient,
}

async fn next(heard: &mut Option<Subscriber>) -> Option<Message> {
    match heard {
        Some(heard) => heard.next().await,
        None => std::future::pending().await,
    }
}
