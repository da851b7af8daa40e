//! [`Delivery::run`]: follows the log and deals it out.

use super::{Delivery, DeliveryError, as_of::AsOf, node::Registering};
use crate::push::Entry;
use domain::{Aggregate, Position, user::User};
use event_store::{RecordedEvent, subscription::Live};
use metrics::{counter, gauge};
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// Events that are rendered together.
const BATCH_MAX: usize = 256;
/// Events of before the start that are put into the ring: after a restart everybody comes back at once.
const WARM: i64 = 1_000;
const RETRY: Duration = Duration::from_millis(200);

/// Where a ring that is to stand at a position begins.
pub(super) fn before(target: Position) -> Position {
    Position((target.0 - WARM).max(0))
}

impl Delivery {
    /// Until the shutdown. What fails is tried again: nothing is left out.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut as_of = AsOf::default();
        while !shutdown.is_cancelled() {
            let followed = tokio::select! {
                () = shutdown.cancelled() => return,
                followed = self.follow(&mut as_of) => followed,
            };
            if let Err(error) = followed {
                warn!(%error, position = %self.head(), "live delivery stands still; trying again");
            }
            // What it knew may be of an event that was not dealt out.
            as_of = AsOf::default();
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = sleep(RETRY) => {}
            }
        }
    }

    async fn follow(&self, as_of: &mut AsOf) -> Result<(), DeliveryError> {
        let mut live = Live::open(self.0.views.store().clone(), self.0.nats.clone(), self.head()).await?;
        loop {
            let batch = live.next_batch(BATCH_MAX).await?;
            deal(self, as_of, batch).await?;
        }
    }
}

/// Reads the log up to a position.
pub(super) async fn reach(delivery: &Delivery, target: Position) -> Result<(), DeliveryError> {
    let mut as_of = AsOf::default();
    while delivery.head() < target {
        let batch = delivery.0.views.store().read_log(delivery.head(), BATCH_MAX).await?;
        if batch.is_empty() {
            break;
        }
        deal(delivery, &mut as_of, batch).await?;
    }
    Ok(())
}

async fn deal(delivery: &Delivery, as_of: &mut AsOf, batch: Vec<RecordedEvent>) -> Result<(), DeliveryError> {
    if batch.is_empty() {
        return Ok(());
    }
    delivery.0.renderer.note_names(&batch).await?;
    let entries = render(delivery, as_of, &batch).await?;
    let (events, pushes) = (entries.len(), entries.iter().map(|entry| entry.pushes.len()).sum::<usize>());
    {
        let mut node = delivery.node();
        node.settle(delivery.0.progress.position());
        for entry in entries {
            node.deal(entry);
        }
        delivery.0.head.send_replace(node.head());
    }
    counter!("hansard_delivery_events").increment(events as u64);
    counter!("hansard_delivery_pushes").increment(pushes as u64);
    #[expect(clippy::cast_precision_loss, reason = "positions are far below 2^52")]
    gauge!("hansard_delivery_position").set(delivery.head().0 as f64);
    for recorded in batch.into_iter().filter(|recorded| recorded.aggregate_type == User::TYPE) {
        // Nobody may be following.
        let _ = delivery.0.facts.send(Arc::new(recorded));
    }
    Ok(())
}

/// Entries that say by themselves whom they are for.
pub(super) async fn render(
    delivery: &Delivery,
    as_of: &mut AsOf,
    batch: &[RecordedEvent],
) -> Result<Vec<Entry>, DeliveryError> {
    let mut entries = delivery.0.renderer.render(batch).await?;
    for entry in &mut entries {
        as_of.settle(delivery.0.views.store(), entry).await?;
    }
    Ok(entries)
}

/// Takes in where somebody went, from a position that the ring doesn't reach back to.
pub(super) async fn bring_up(
    delivery: &Delivery,
    registering: &mut Registering,
    after: Position,
) -> Result<(), DeliveryError> {
    let batch = delivery.0.views.store().read_log(after, BATCH_MAX).await?;
    for entry in render(delivery, &mut AsOf::default(), &batch).await? {
        registering.follow(&entry);
    }
    Ok(())
}
