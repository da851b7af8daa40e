//! [`Progress`]: how far the views are, pushed to whoever waits for their own write to be read back.

use crate::{ProjectionError, Views, schema};
use async_nats::Client;
use domain::Position;
use futures::StreamExt;
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Mutex, watch},
    time::{Instant, sleep, sleep_until, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// While no push comes, the checkpoint itself is asked this often: the messages may be lost, or NATS away.
const POLL: Duration = Duration::from_millis(50);
/// A wait this long that was in vain means that the views are known to lag.
const LAG_KNOWN: Duration = Duration::from_secs(2);
const LAG_POLL: Duration = Duration::from_millis(250);
const RETRY: Duration = Duration::from_secs(1);

/// Where a worker tells the other processes its position, as a decimal number. A position belongs to a log.
pub(crate) fn subject(views: &Views) -> String {
    format!("hansard.progress.{}.{}", schema::NAME, views.store().log_id())
}

/// Cheap to clone; one for a process.
#[derive(Clone)]
pub struct Progress(Arc<Inner>);

struct Inner {
    views: Views,
    position: watch::Sender<Position>,
    /// The highest position that was waited for in vain: until it is reached, the views lag by [`LAG_KNOWN`] at least.
    given_up: AtomicI64,
    /// One waiter asks for all.
    polling: Mutex<()>,
}

impl Progress {
    pub async fn open(views: Views) -> Result<Self, ProjectionError> {
        let position = watch::Sender::new(views.position().await?);
        Ok(Self(Arc::new(Inner { views, position, given_up: AtomicI64::new(0), polling: Mutex::new(()) })))
    }

    pub fn position(&self) -> Position {
        *self.0.position.borrow()
    }
    /// Told of each change of the position.
    pub fn watch(&self) -> watch::Receiver<Position> {
        self.0.position.subscribe()
    }
    /// Events between here and the head, as far as this process knows.
    pub fn lag(&self, head: Position) -> i64 {
        (head.0 - self.position().0).max(0)
    }
    /// Whether somebody has waited two seconds for a position that is still to come.
    pub fn is_known_to_lag(&self) -> bool {
        self.position().0 < self.0.given_up.load(Ordering::Relaxed)
    }

    /// Takes note of a position; an older one changes nothing.
    pub fn advance(&self, position: Position) {
        self.0.position.send_if_modified(|current| {
            let is_news = position > *current;
            *current = position.max(*current);
            is_news
        });
    }

    /// Waits until the views have applied a position. False where they have not in time, or at once where they are
    /// known to lag.
    pub async fn wait_for(&self, position: Position, timeout: Duration) -> bool {
        let mut watch = self.watch();
        let deadline = Instant::now() + timeout;
        if self.is_known_to_lag() {
            return self.position() >= position;
        }
        while *watch.borrow_and_update() < position {
            let wake = deadline.min(Instant::now() + POLL);
            tokio::select! {
                _ = watch.changed() => {}
                () = sleep_until(wake) => self.poll(deadline).await,
            }
            if Instant::now() >= deadline && self.position() < position {
                self.give_up(position, timeout);
                return false;
            }
        }
        true
    }

    /// Positions past the head are anyone's guess and say nothing of the views.
    fn give_up(&self, position: Position, waited: Duration) {
        let head = *self.0.views.store().head_watch().borrow();
        if waited < LAG_KNOWN || position > head {
            return;
        }
        let watched = self.0.given_up.fetch_max(position.0, Ordering::Relaxed);
        if watched <= self.position().0 {
            tokio::spawn(self.clone().watch_lag());
        }
    }

    /// While nobody waits any more, somebody has to see that there is no lag any more.
    async fn watch_lag(self) {
        while self.is_known_to_lag() {
            sleep(LAG_POLL).await;
            self.poll(Instant::now() + LAG_KNOWN).await;
        }
    }

    async fn poll(&self, deadline: Instant) {
        let Ok(_polling) = self.0.polling.try_lock() else { return };
        if let Ok(Ok(position)) = timeout_at(deadline, self.0.views.position()).await {
            self.advance(position);
        }
    }

    /// Hears the positions of workers in other processes, until the shutdown.
    pub async fn listen(self, nats: Client, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.hear(&nats) => {}
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = sleep(RETRY) => {}
            }
        }
    }

    async fn hear(&self, nats: &Client) {
        let mut messages = match nats.subscribe(subject(&self.0.views)).await {
            Ok(messages) => messages,
            Err(error) => return warn!(%error, "the views' progress can't be subscribed to"),
        };
        while let Some(message) = messages.next().await {
            if let Some(position) = std::str::from_utf8(&message.payload).ok().and_then(|text| text.parse().ok()) {
                self.advance(Position(position));
            }
        }
    }
}

#[cfg(test)]
mod tests;
