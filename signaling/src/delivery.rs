//! [`Delivery`]: one for a process. Follows the log and hands each [`Subscription`] the pushes that its person may see.
//!
//! Each event is rendered once, put into a ring of recent ones, and offered to the queues of those who are connected
//! here. Who falls behind, or comes back with a position, reads the ring or the log at its own pace until it is level.
//!
//! Architecture invariant: what somebody is told is decided by where they were at that very event, whichever way it goes.

mod as_of;
mod catch_up;
mod follow;
mod node;
mod queue;
mod ring;
mod subscription;

pub use subscription::{Outgoing, Start, Subscription};

use crate::push::{self, Renderer};
use bytes::Bytes;
use domain::{ConversationId, Position, UserId};
use event_store::{RecordedEvent, StoreError};
use node::{Node, Registering};
use projections::{
    Progress, ProjectionError, Views,
    delivery::{self as views_of_delivery, Scope},
};
use queue::Queue;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use thiserror::Error;
use tokio::sync::{broadcast, watch};

/// User events that may wait for who follows them.
const FACTS_MAX: usize = 1_024;
/// What an ack waits for the event of its write to come back by the log.
const ECHO_MAX: Duration = Duration::from_millis(200);

#[derive(Debug, Error)]
pub enum DeliveryError {
    #[error(transparent)]
    Projection(#[from] ProjectionError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Of this process only; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(u64);

/// A frame that is not durable: it has no position, and is dropped first.
#[derive(Clone, Debug)]
pub struct Transient {
    pub audience: TransientAudience,
    pub event: &'static str,
    /// The text of a JSON object.
    pub data: Bytes,
}

#[derive(Clone, Debug)]
pub enum TransientAudience {
    /// Whoever is in it now.
    Conversation(ConversationId),
    Users(Vec<UserId>),
    Subscriptions(Vec<SubscriptionId>),
}

/// Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Delivery(Arc<Shared>);

struct Shared {
    views: Views,
    progress: Progress,
    nats: Option<async_nats::Client>,
    renderer: Renderer,
    log_id: String,
    node: Mutex<Node>,
    /// The last position that was dealt out.
    head: watch::Sender<Position>,
    facts: broadcast::Sender<Arc<RecordedEvent>>,
}

impl Delivery {
    /// Stands at the end of the log, with what was recorded last in its ring. [`Delivery::run`] goes on from there.
    pub async fn open(
        views: Views,
        progress: Progress,
        nats: Option<async_nats::Client>,
    ) -> Result<Self, DeliveryError> {
        let target = views.store().head().await?;
        let from = follow::before(target);
        let delivery = Self(Arc::new(Shared {
            log_id: views.store().log_id().to_string(),
            renderer: Renderer::new(views.clone()),
            views,
            progress,
            nats,
            node: Mutex::new(Node::at(from)),
            head: watch::Sender::new(from),
            facts: broadcast::Sender::new(FACTS_MAX),
        }));
        follow::reach(&delivery, target).await?;
        Ok(delivery)
    }

    /// How far this process has dealt the log out.
    pub fn head(&self) -> Position {
        *self.0.head.borrow()
    }

    pub fn log_id(&self) -> &str {
        &self.0.log_id
    }

    /// Every event of a user's stream, in order and without holes, from now on.
    pub fn facts(&self) -> broadcast::Receiver<Arc<RecordedEvent>> {
        self.0.facts.subscribe()
    }

    /// Pushes from a position on; or without one, of all that comes after [`Subscription::position`].
    pub async fn subscribe(&self, user: UserId, start: Start) -> Result<Subscription, DeliveryError> {
        let floor = {
            let mut node = self.node();
            if node.knows(user) {
                let queue = node.subscribe(user);
                return Ok(Subscription::new(self.clone(), queue, node.head(), start));
            }
            Position(node.ring.start().0 - 1)
        };
        let stays = views_of_delivery::stays(&self.0.views, user, floor).await?;
        let mut registering = Registering::new(user, stays);
        loop {
            // The views may have heard of more than this node.
            self.reach(registering.position).await;
            let after = {
                let mut node = self.node();
                if let Some(queue) = node.register(&mut registering) {
                    return Ok(Subscription::new(self.clone(), queue, node.head(), start));
                }
                registering.position
            };
            // They are behind what the ring holds.
            follow::bring_up(self, &mut registering, after).await?;
        }
    }

    /// The `Message` that was sent at a position, as `message:new` has it: of the same encoding where it is on its way.
    pub async fn message(&self, position: Position) -> Option<Bytes> {
        let heard = tokio::time::timeout(ECHO_MAX, self.reach(position)).await;
        let entry = heard.ok().and_then(|()| self.node().ring.get(position));
        if let Some(entry) = entry {
            return entry.pushes.first().and_then(push::bare);
        }
        let recorded = self.0.views.store().event_at(position).await.ok()??;
        let entries = self.0.renderer.render(&[recorded]).await.ok()?;
        entries.first()?.pushes.first().and_then(push::bare)
    }

    /// Those of a conversation who are connected here.
    pub fn members_connected(&self, conversation: ConversationId) -> Vec<UserId> {
        self.node().connected(Scope::Conversation(conversation))
    }

    /// How many are in a conversation, connected or not. None where nobody is connected here who is in it.
    pub fn participant_count(&self, conversation: ConversationId) -> Option<i64> {
        self.node().participants(conversation)
    }

    /// Where a person is who is connected here.
    pub fn conversations_of(&self, user: UserId) -> Vec<ConversationId> {
        self.node().conversations_of(user)
    }

    /// Hands on what is not durable. Never waits; where a queue is full it is dropped.
    pub fn send_transient(&self, transient: &Transient, except: Option<SubscriptionId>) {
        self.node().offer_transient(transient, except);
    }

    /// Waits until this process has dealt out a position.
    async fn reach(&self, position: Position) {
        // The sender lives as long as this.
        let _ = self.0.head.subscribe().wait_for(|head| *head >= position).await;
    }

    fn node(&self) -> MutexGuard<'_, Node> {
        self.0.node.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unsubscribe(&self, queue: &Arc<Queue>) {
        self.node().unsubscribe(queue);
    }
}

#[cfg(test)]
mod tests;
