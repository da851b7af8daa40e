//! [`run`]: carries the log to JetStream, in order, so that a message's sequence in the stream is its event's position.
//!
//! One process does at a time: who holds an advisory lock. Should two ever think so, each message says which sequence
//! must stand before it, and the stream takes only one of them.

mod lease;
mod stream;

use crate::{EventStore, StoreError, carried, carried::Source};
use async_nats::jetstream::{
    Context,
    context::{ContextBuilder, PublishError},
    message::PublishMessage,
    publish::PublishAck,
};
use domain::Position;
use futures::{FutureExt, future::BoxFuture};
use lease::Lease;
use std::{
    collections::VecDeque,
    future::IntoFuture,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};
pub(crate) use stream::description;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Messages sent whose acks are still to come.
const PENDING_MAX: usize = 1_000;
const READ_MAX: usize = 500;
/// How often the log is looked at where nobody has said that it goes on.
const POLL: Duration = Duration::from_millis(100);
/// How often the stream is compared with the log where nothing looks wrong.
const COMPARE_EVERY: Duration = Duration::from_secs(15);
const ACK_TIMEOUT: Duration = Duration::from_secs(5);
const BACK_OFF_FIRST: Duration = Duration::from_millis(50);
const BACK_OFF_MAX: Duration = Duration::from_secs(2);

/// Publishes for as long as this process leads, and stands by while another does. `public_url`: where events come from.
pub async fn run(store: EventStore, nats: async_nats::Client, public_url: Option<String>, shutdown: CancellationToken) {
    let jetstream = ContextBuilder::new().timeout(ACK_TIMEOUT).max_ack_inflight(PENDING_MAX).build(nats.clone());
    let source = Source::new(public_url.as_deref(), store.log_id());
    let head = store.head_watch();
    let mut publisher =
        Publisher { store, nats, jetstream, source, head, published: 0, acked: 0, pending: VecDeque::new() };
    let mut back_off = BACK_OFF_FIRST;
    while !shutdown.is_cancelled() {
        let started = Instant::now();
        let led = tokio::select! {
            () = shutdown.cancelled() => return,
            led = publisher.lead() => led,
        };
        let Err(error) = led;
        if started.elapsed() > BACK_OFF_MAX {
            back_off = BACK_OFF_FIRST;
        }
        warn!(%error, "the publisher does not lead any more");
        tokio::time::sleep(back_off).await;
        back_off = (back_off * 2).min(BACK_OFF_MAX);
    }
}

struct Publisher {
    store: EventStore,
    nats: async_nats::Client,
    jetstream: Context,
    source: Source,
    head: watch::Receiver<Position>,
    /// The last position that was sent.
    published: i64,
    /// The last position that the stream has.
    acked: i64,
    pending: VecDeque<(i64, BoxFuture<'static, Result<PublishAck, PublishError>>)>,
}

impl Publisher {
    /// Waits to become the leader and publishes until that, or PostgreSQL, is lost.
    async fn lead(&mut self) -> Result<std::convert::Infallible, StoreError> {
        let mut lease = Lease::take(self.store.pool()).await?;
        info!("the publisher leads");
        let mut back_off = BACK_OFF_FIRST;
        loop {
            match self.publish_until_in_doubt(&mut lease).await {
                Ok(()) => back_off = BACK_OFF_FIRST,
                Err(StoreError::Nats(error)) => {
                    // Sent again from where the stream is, once that is known.
                    warn!(%error, "jetstream does not take events");
                    self.measure_lag();
                    tokio::time::sleep(back_off).await;
                    back_off = (back_off * 2).min(BACK_OFF_MAX);
                    lease.check().await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Compares the stream with the log, then publishes until it is time to compare again.
    async fn publish_until_in_doubt(&mut self, lease: &mut Lease) -> Result<(), StoreError> {
        self.pending.clear();
        let connects = self.connects();
        self.published = stream::bring_in_step(&self.jetstream, &self.store).await?;
        self.acked = self.published;
        let compared = Instant::now();
        while compared.elapsed() < COMPARE_EVERY && self.connects() == connects {
            lease.check_now_and_then().await?;
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
        let rows = self.store.log_rows(Position(self.published), READ_MAX).await?;
        for row in &rows {
            while self.pending.len() >= PENDING_MAX {
                self.settle_first().await?;
            }
            let (subject, headers, payload) = carried::carry(row, self.store.names(), &self.source)?;
            let message = PublishMessage::build().payload(payload).headers(headers);
            let ack = self.jetstream.send_publish(subject, message).await.map_err(StoreError::nats)?;
            self.pending.push_back((row.position, ack.into_future()));
            self.published = row.position;
        }
        if let Some(last) = rows.last() {
            // What another process has appended may be news here.
            self.store.advance_head(Position(last.position));
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
        self.nats.statistics().connects.load(Ordering::Relaxed)
    }

    fn measure_lag(&self) {
        let lag = (self.head.borrow().0 - self.acked).max(0);
        metrics::gauge!("hansard_publisher_lag_events").set(f64::from(u32::try_from(lag).unwrap_or(u32::MAX)));
    }
}
