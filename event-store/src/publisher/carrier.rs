//! [`Carrier`]: carries the log to one stream, for as long as this process leads.

use super::{BACK_OFF_FIRST, BACK_OFF_MAX, PENDING_MAX, edition::Edition, stream, window::Window};
use crate::{StoreError, carried, carried::Source};
use async_nats::jetstream::{Context, context::PublishError, message::PublishMessage, publish::PublishAck};
use domain::Position;
use futures::{FutureExt, future::BoxFuture};
use std::{
    collections::VecDeque,
    convert::Infallible,
    future::IntoFuture,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};
use tokio::sync::watch;
use tracing::warn;

/// How often the log is looked at where nobody has said that it goes on.
const POLL: Duration = Duration::from_millis(100);
/// How often the stream is compared with the log where nothing looks wrong.
const COMPARE_EVERY: Duration = Duration::from_secs(15);

pub(super) struct Carrier {
    edition: Edition,
    window: Arc<Window>,
    jetstream: Context,
    source: Source,
    head: watch::Receiver<Position>,
    /// The last position that was sent.
    published: i64,
    /// The last position that the stream has.
    acked: i64,
    pending: VecDeque<(i64, BoxFuture<'static, Result<PublishAck, PublishError>>)>,
}

impl Carrier {
    pub fn new(edition: Edition, window: Arc<Window>, jetstream: Context, source: Source) -> Self {
        let head = window.store.head_watch();
        Self { edition, window, jetstream, source, head, published: 0, acked: 0, pending: VecDeque::new() }
    }

    /// Publishes until PostgreSQL is lost.
    pub async fn carry(&mut self) -> Result<Infallible, StoreError> {
        let mut back_off = BACK_OFF_FIRST;
        loop {
            match self.publish_until_in_doubt().await {
                Ok(()) => back_off = BACK_OFF_FIRST,
                Err(StoreError::Nats(error)) => {
                    // Sent again from where the stream is, once that is known.
                    warn!(%error, stream = self.edition.stream, "jetstream does not take events");
                    self.measure_lag();
                    tokio::time::sleep(back_off).await;
                    back_off = (back_off * 2).min(BACK_OFF_MAX);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Compares the stream with the log, then publishes until it is time to compare again.
    async fn publish_until_in_doubt(&mut self) -> Result<(), StoreError> {
        self.pending.clear();
        let connects = self.connects();
        self.published = stream::bring_in_step(&self.jetstream, &self.window.store, &self.edition).await?;
        self.acked = self.published;
        let compared = Instant::now();
        while compared.elapsed() < COMPARE_EVERY && self.connects() == connects {
            let is_more = self.publish_some().await?;
            self.settle_ready()?;
            self.measure_lag();
            if is_more {
                continue;
            }
            self.settle_all().await?;
            self.measure_lag();
            // An error says that the store is gone, and so would the next read.
            let _ = tokio::time::timeout(POLL, self.head.wait_for(|head| head.0 > self.published)).await;
        }
        self.settle_all().await
    }

    /// Sends what follows. False where that is nothing.
    async fn publish_some(&mut self) -> Result<bool, StoreError> {
        let rows = self.window.after(self.published).await?;
        for row in &*rows {
            while self.pending.len() >= PENDING_MAX {
                self.settle_first().await?;
            }
            let (subject, headers) = carried::carry(row, &self.edition.subjects, &self.source)?;
            let message = PublishMessage::build().payload(self.edition.payload(row)?).headers(headers);
            let ack = self.jetstream.send_publish(subject, message).await.map_err(StoreError::nats)?;
            self.pending.push_back((row.position, ack.into_future()));
            self.published = row.position;
        }
        if let Some(last) = rows.last() {
            // What another process has appended may be news here.
            self.window.store.advance_head(Position(last.position));
        }
        Ok(!rows.is_empty())
    }

    async fn settle_all(&mut self) -> Result<(), StoreError> {
        while !self.pending.is_empty() {
            self.settle_first().await?;
        }
        Ok(())
    }

    async fn settle_first(&mut self) -> Result<(), StoreError> {
        let Some((position, ack)) = self.pending.pop_front() else { return Ok(()) };
        self.settle(position, ack.await)
    }

    /// Takes the acks that have come already.
    fn settle_ready(&mut self) -> Result<(), StoreError> {
        while let Some((position, ack)) = self.pending.front_mut() {
            let (position, Some(ack)) = (*position, ack.now_or_never()) else { break };
            self.pending.pop_front();
            self.settle(position, ack)?;
        }
        Ok(())
    }

    fn settle(&mut self, position: i64, ack: Result<PublishAck, PublishError>) -> Result<(), StoreError> {
        let ack = ack.map_err(StoreError::nats)?;
        if i64::try_from(ack.sequence) != Ok(position) {
            return Err(StoreError::Nats(format!("position {position} stands at {} in the stream", ack.sequence)));
        }
        self.acked = position;
        Ok(())
    }

    /// Raised whenever the connection was lost and made again.
    fn connects(&self) -> u64 {
        self.jetstream.client().statistics().connects.load(Ordering::Relaxed)
    }

    fn measure_lag(&self) {
        let lag = (self.head.borrow().0 - self.acked).max(0);
        metrics::gauge!("hansard_publisher_lag_events", "stream" => self.edition.stream.clone())
            .set(f64::from(u32::try_from(lag).unwrap_or(u32::MAX)));
    }
}
