//! [`Window`]: the log's rows as they are read for publishing. Two streams that are in step read them once.

use crate::{EventStore, StoreError, event::EventRow};
use domain::Position;
use std::sync::Arc;
use tokio::sync::Mutex;

const READ_MAX: usize = 500;

pub(super) struct Window {
    pub store: EventStore,
    /// What was read last, and after which position.
    last: Mutex<(i64, Arc<[EventRow]>)>,
}

impl Window {
    pub fn new(store: EventStore) -> Self {
        Self { store, last: Mutex::new((0, Arc::new([]))) }
    }

    /// The rows after a position: none only where there is none, else perhaps fewer than there are.
    pub async fn after(&self, position: i64) -> Result<Arc<[EventRow]>, StoreError> {
        // Held while reading: who asks for the same meanwhile finds it.
        let mut last = self.last.lock().await;
        if last.0 != position || last.1.is_empty() {
            *last = (position, self.store.log_rows(Position(position), READ_MAX).await?.into());
        }
        Ok(last.1.clone())
    }
}
