//! [`run`]: carries the log to JetStream, in order, so that a message's sequence in a stream is its event's position.
//!
//! Two streams, each at its own pace: all of every event, and every event without its personal fields for data teams.
//! One process carries at a time: who holds an advisory lock. Should two ever think so, each message says which sequence
//! must stand before it, and the stream takes only one of them.

mod carrier;
mod consumers;
mod edition;
mod lease;
mod stream;
mod window;

use crate::{EventStore, StoreError, carried::Source};
use async_nats::jetstream::context::ContextBuilder;
use carrier::Carrier;
pub(crate) use edition::Edition;
use lease::Lease;
use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use window::Window;

/// Messages of a stream that were sent and whose acks are still to come.
const PENDING_MAX: usize = 1_000;
const ACK_TIMEOUT: Duration = Duration::from_secs(5);
const BACK_OFF_FIRST: Duration = Duration::from_millis(50);
const BACK_OFF_MAX: Duration = Duration::from_secs(2);

/// Publishes for as long as this process leads, and stands by while another does. `public_url`: where events come from.
pub async fn run(store: EventStore, nats: async_nats::Client, public_url: Option<String>, shutdown: CancellationToken) {
    let source = Source::new(public_url.as_deref(), store.log_id());
    let window = Arc::new(Window::new(store.clone()));
    let carrier = |edition| {
        // Of its own, so that a stream that takes nothing uses up nobody else's acks.
        let jetstream = ContextBuilder::new().timeout(ACK_TIMEOUT).max_ack_inflight(PENDING_MAX).build(nats.clone());
        Carrier::new(edition, window.clone(), jetstream, source.clone())
    };
    let (mut events, mut analytics) = (carrier(Edition::events(&store)), carrier(Edition::analytics(&store)));
    let mut back_off = BACK_OFF_FIRST;
    while !shutdown.is_cancelled() {
        let started = Instant::now();
        let led = tokio::select! {
            () = shutdown.cancelled() => return,
            led = lead(&store, &mut events, &mut analytics) => led,
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

/// Waits to become the leader and publishes until that, or PostgreSQL, is lost.
async fn lead(store: &EventStore, events: &mut Carrier, analytics: &mut Carrier) -> Result<Infallible, StoreError> {
    let mut lease = Lease::take(store.pool()).await?;
    info!("the publisher leads");
    let (lost, ..) = tokio::try_join!(lease.hold(), events.carry(), analytics.carry())?;
    Ok(lost)
}
