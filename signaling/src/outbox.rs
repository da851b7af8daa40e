//! [`Outbox`]: what a socket's writer is to do besides the pushes: acks, and changes of its own state.

use crate::{delivery::Start, frame::AckId};
use commands::Problem;
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::sync::Notify;

/// A client that sends faster than it reads its acks is read from no further beyond so many.
const WAITING_MAX: usize = 64;

pub(crate) enum Item {
    /// The data's JSON text, or the problem with the frame's own id.
    Ack(AckId, Result<bytes::Bytes, (Problem, String)>),
    /// The pushes start again from here.
    Resume(Start),
    /// The deadline of the token has moved.
    Renewed,
}

#[derive(Default)]
pub(crate) struct Outbox {
    queue: Mutex<VecDeque<Item>>,
    filled: Notify,
    /// Acks that are queued, or still to come from what was ordered.
    waiting: AtomicUsize,
    drained: Notify,
}

/// An ack to come. Dropped without an answer it is forgotten.
pub(crate) struct Promise {
    outbox: Arc<Outbox>,
    is_kept: bool,
}

impl Outbox {
    pub fn push(&self, item: Item) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(item);
        self.filled.notify_one();
    }

    /// All that is queued, at least one. Cancel safe.
    pub async fn take(&self) -> VecDeque<Item> {
        loop {
            let taken = std::mem::take(&mut *self.queue.lock().unwrap_or_else(PoisonError::into_inner));
            if !taken.is_empty() {
                return taken;
            }
            self.filled.notified().await;
        }
    }

    /// Waits until few enough acks are waiting that another frame may be read.
    pub async fn room(&self) {
        while self.waiting.load(Ordering::Acquire) >= WAITING_MAX {
            self.drained.notified().await;
        }
    }

    /// Counts an ack that is to come, until it was written.
    pub fn promise(self: &Arc<Self>) -> Promise {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        Promise { outbox: self.clone(), is_kept: false }
    }

    /// Acks were written.
    pub fn written(&self, acks: usize) {
        if acks > 0 {
            self.waiting.fetch_sub(acks, Ordering::AcqRel);
            self.drained.notify_one();
        }
    }
}

impl Promise {
    pub fn keep(mut self, id: AckId, outcome: Result<bytes::Bytes, (Problem, String)>) {
        self.outbox.push(Item::Ack(id, outcome));
        self.is_kept = true;
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        // One that is kept counts until it was written.
        if !self.is_kept {
            self.outbox.written(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn who_sends_faster_than_acks_are_written_is_read_from_no_further() {
        let outbox = Arc::new(Outbox::default());
        for _ in 0..WAITING_MAX {
            outbox.promise().keep(AckId::NONE, Ok("{}".into()));
        }
        assert!(outbox.room().now_or_never().is_none());
        assert_eq!(outbox.take().now_or_never().map(|items| items.len()), Some(WAITING_MAX));
        assert!(outbox.room().now_or_never().is_none(), "taken, not yet written");
        outbox.written(WAITING_MAX);
        assert!(outbox.room().now_or_never().is_some());
    }

    #[test]
    fn an_ack_that_never_comes_holds_no_place() {
        let outbox = Arc::new(Outbox::default());
        drop(outbox.promise());
        assert_eq!(outbox.waiting.load(Ordering::Relaxed), 0);
    }
}
