//! [`Queue`]: what waits for one subscription. It is bounded; past its bound it is dropped, and its owner reads the log.

use super::{SubscriptionId, Transient};
use crate::push::Entry;
use bytes::Bytes;
use domain::{Position, UserId};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

const FRAMES_MAX: usize = 256;
const BYTES_MAX: usize = 1024 * 1024;
/// Of those, what may be not durable.
const TRANSIENTS_MAX: usize = 64;

pub(super) struct Queue {
    pub id: SubscriptionId,
    pub user: UserId,
    state: Mutex<State>,
    filled: Notify,
}

#[derive(Default)]
struct State {
    entries: VecDeque<Arc<Entry>>,
    transients: VecDeque<(&'static str, Bytes)>,
    frames: usize,
    bytes: usize,
    flow: Flow,
}

/// Whether events go into the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Flow {
    /// The owner reads them by itself.
    #[default]
    Closed,
    /// Those after a position.
    After(Position),
    /// Too many came: closed by itself. The first that was lost stands after this position.
    Overflown(Position),
}

/// What was in a queue.
pub(super) struct Taken {
    pub entries: VecDeque<Arc<Entry>>,
    pub transients: VecDeque<(&'static str, Bytes)>,
    /// Events were lost, from after this position on.
    pub lost_after: Option<Position>,
}

impl Queue {
    pub fn new(id: SubscriptionId, user: UserId) -> Self {
        Self { id, user, state: Mutex::default(), filled: Notify::new() }
    }

    /// Of what the owner may see.
    pub fn offer(&self, entry: &Arc<Entry>) {
        let mut state = self.state();
        let Flow::After(after) = state.flow else { return };
        if entry.position <= after {
            return;
        }
        state.frames += entry.pushes.len();
        state.bytes += entry.bytes();
        if state.frames > FRAMES_MAX || state.bytes > BYTES_MAX {
            let first = state.entries.front().map_or(entry.position, |first| first.position);
            *state = State { flow: Flow::Overflown(Position(first.0 - 1)), ..State::default() };
        } else {
            state.entries.push_back(entry.clone());
        }
        drop(state);
        self.filled.notify_one();
    }

    pub fn offer_transient(&self, transient: &Transient) {
        let mut state = self.state();
        if state.transients.len() >= TRANSIENTS_MAX || state.frames + state.transients.len() >= FRAMES_MAX {
            return;
        }
        state.transients.push_back((transient.event, transient.data.clone()));
        drop(state);
        self.filled.notify_one();
    }

    /// Lets the events after a position in. The caller holds the node, so that none slips through.
    pub fn open(&self, after: Position) {
        self.state().flow = Flow::After(after);
    }

    /// Forgets what events there are; the owner reads them by itself.
    pub fn close(&self) {
        let mut state = self.state();
        let transients = std::mem::take(&mut state.transients);
        *state = State { transients, ..State::default() };
    }

    pub fn take(&self) -> Taken {
        let mut state = self.state();
        let flow = state.flow;
        let State { entries, transients, .. } = std::mem::take(&mut *state);
        let (flow, lost_after) = match flow {
            Flow::Closed | Flow::After(_) => (flow, None),
            Flow::Overflown(position) => (Flow::Closed, Some(position)),
        };
        state.flow = flow;
        Taken { entries, transients, lost_after }
    }

    /// Whether an owner that is level has nothing more to hand out.
    pub fn is_drained(&self) -> bool {
        let state = self.state();
        state.entries.is_empty() && matches!(state.flow, Flow::After(_))
    }

    #[cfg(test)]
    pub fn queued(&self) -> usize {
        self.state().entries.len()
    }

    pub async fn filled(&self) {
        self.filled.notified().await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
