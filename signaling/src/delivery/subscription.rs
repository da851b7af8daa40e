//! [`Subscription`]: what one connection is told, in order, none twice and none left out.

use super::{
    Delivery, SubscriptionId,
    catch_up::{Behind, Step},
    queue::{Queue, Taken},
};
use crate::push::Entry;
use bytes::Bytes;
use domain::{Position, UserId};
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;
use tracing::warn;

const RETRY: Duration = Duration::from_millis(200);

/// Where a client wants to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// The last one it has seen. None: from now on.
    pub position: Option<u64>,
    /// The log that the position is of. None: this one.
    pub log_id: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    Push {
        position: Position,
        /// Of the push before it that this subscription was given, or that it began after.
        prev: Position,
        /// Another of the same event follows.
        more: bool,
        event: &'static str,
        /// The text of a JSON object; the same for all who get it.
        data: Bytes,
    },
    Transient {
        event: &'static str,
        data: Bytes,
    },
    ResumeDone {
        position: Position,
    },
    ResumeReset {
        log_id: String,
        position: Position,
    },
}

/// Ends when it is dropped.
pub struct Subscription {
    delivery: Delivery,
    queue: Arc<Queue>,
    state: State,
    /// All that is visible up to here has been handed out.
    position: Position,
    /// Of the last push that was handed out.
    last: Position,
}

pub(super) enum State {
    /// What comes is in the queue.
    Level,
    /// To be looked at first.
    Starting(Start),
    /// Reads the ring or the log until it is level.
    Behind(Behind),
}

impl Subscription {
    /// The caller holds the node, which is at `head`.
    pub(super) fn new(delivery: Delivery, queue: Arc<Queue>, head: Position, start: Start) -> Self {
        let mut subscription = Self { delivery, queue, state: State::Level, position: head, last: head };
        if start.position.is_some() {
            subscription.resume(start);
        } else {
            subscription.queue.open(head);
        }
        subscription
    }

    pub fn id(&self) -> SubscriptionId {
        self.queue.id
    }

    #[cfg(test)]
    pub(super) fn queued(&self) -> usize {
        self.queue.queued()
    }

    pub fn user(&self) -> UserId {
        self.queue.user
    }

    /// Everything that its person may see up to here has been handed out.
    pub fn position(&self) -> Position {
        match &self.state {
            State::Level => {
                // Whoever deals out holds the node: what isn't in the queue now comes after its head.
                let node = self.delivery.node();
                if self.queue.is_drained() { node.head().max(self.position) } else { self.position }
            }
            State::Starting(_) => self.position,
            State::Behind(behind) => behind.cursor(),
        }
    }

    /// Starts again from a position. Without one, from now on.
    pub fn resume(&mut self, start: Start) {
        self.queue.close();
        let wanted = start.position.and_then(|position| i64::try_from(position).ok()).map(Position);
        // Until it is looked at, the most that may be said.
        self.position = wanted.map_or(self.position, |wanted| wanted.min(self.delivery.head()));
        self.last = self.position;
        self.state = State::Starting(start);
    }

    /// What there is, at least one; all that is queued, so that it can be written at once. May be cancelled: nothing is
    /// lost by it.
    pub async fn recv(&mut self) -> Vec<Outgoing> {
        loop {
            let Taken { entries, transients, lost_after } = self.queue.take();
            let mut outgoing: Vec<Outgoing> =
                transients.into_iter().map(|(event, data)| Outgoing::Transient { event, data }).collect();
            if let Some(position) = lost_after {
                self.position = self.position.max(position);
                self.state = State::Behind(Behind::after(self.position));
            }
            for entry in &entries {
                self.hand_out(entry, &mut outgoing);
            }
            if !outgoing.is_empty() {
                return outgoing;
            }
            if matches!(self.state, State::Level) {
                self.queue.filled().await;
            } else {
                let step = self.step().await;
                self.take(step, &mut outgoing);
                if !outgoing.is_empty() {
                    return outgoing;
                }
            }
        }
    }

    /// The next step to being level. Changes nothing that would be missed if it were cancelled.
    async fn step(&mut self) -> Step {
        let user = self.queue.user;
        loop {
            let step = match &mut self.state {
                State::Level => return Step::Entries(vec![], self.position),
                State::Starting(start) => self.delivery.start(user, start).await,
                State::Behind(behind) => self.delivery.catch_up(&self.queue, behind).await,
            };
            match step {
                Ok(step) => return step,
                Err(error) => {
                    warn!(user.id = %user, %error, "a client can't be brought up to date; trying again");
                    sleep(RETRY).await;
                }
            }
        }
    }

    fn take(&mut self, step: Step, outgoing: &mut Vec<Outgoing>) {
        match step {
            Step::From(behind) => {
                self.position = behind.cursor();
                self.last = self.position;
                self.state = State::Behind(behind);
            }
            Step::Entries(entries, position) => {
                for entry in &entries {
                    self.hand_out(entry, outgoing);
                }
                self.position = self.position.max(position);
            }
            Step::Level { head, is_resuming } => {
                self.state = State::Level;
                self.position = self.position.max(head);
                if is_resuming {
                    outgoing.push(Outgoing::ResumeDone { position: self.position });
                }
            }
            Step::Reset => {
                let node = self.delivery.node();
                let head = node.head();
                self.queue.open(head);
                drop(node);
                (self.state, self.position, self.last) = (State::Level, head, head);
                let log_id = self.delivery.log_id().to_owned();
                outgoing.push(Outgoing::ResumeReset { log_id, position: head });
            }
            Step::Fresh => {
                let node = self.delivery.node();
                let head = node.head();
                self.queue.open(head);
                drop(node);
                (self.state, self.position, self.last) = (State::Level, head, head);
            }
        }
    }

    fn hand_out(&mut self, entry: &Entry, outgoing: &mut Vec<Outgoing>) {
        self.position = self.position.max(entry.position);
        let Some(last) = entry.pushes.len().checked_sub(1) else { return };
        for (n, push) in entry.pushes.iter().enumerate() {
            outgoing.push(Outgoing::Push {
                position: entry.position,
                prev: self.last,
                more: n < last,
                event: push.event,
                data: push.data.clone(),
            });
        }
        self.last = entry.position;
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.delivery.unsubscribe(&self.queue);
    }
}
