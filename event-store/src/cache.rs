//! What a process remembers of aggregates, so that sending into a conversation doesn't fold its whole stream each time.
//! It may be behind: whoever relies on it guards the stream, and on a conflict asks for [`EventStore::refresh_cached`].

use crate::{EventStore, Loaded, StoreError};
use domain::Aggregate;
use moka::sync::Cache;
use std::{any::Any, sync::Arc};

/// Folded events kept, at some 100 bytes each.
const EVENTS_MAX: u64 = 400_000;
/// The most that one aggregate counts for: else the largest conversation would never be kept.
const EVENTS_EACH_MAX: u32 = 100_000;

type Name = (&'static str, String);

/// Each aggregate with the weight of what was folded.
pub(crate) struct AggregateCache(Cache<Name, (u32, Arc<dyn Any + Send + Sync>)>);

impl AggregateCache {
    pub fn new() -> Self {
        Self(Cache::builder().max_capacity(EVENTS_MAX).weigher(|_, (weight, _)| *weight).build())
    }

    fn get<A: Aggregate>(&self, id: &str) -> Option<Loaded<A>> {
        let (_, found) = self.0.get(&(A::TYPE, id.to_owned()))?;
        found.downcast_ref::<Loaded<A>>().cloned()
    }

    fn put<A: Aggregate>(&self, loaded: &Loaded<A>) {
        let weight = u32::try_from(loaded.sequence.0 + 1).unwrap_or(EVENTS_EACH_MAX).min(EVENTS_EACH_MAX);
        self.0.insert((A::TYPE, loaded.id.clone()), (weight, Arc::new(loaded.clone())));
    }
}

impl EventStore {
    /// The aggregate as this process last saw it, or loaded where it hasn't seen it.
    pub async fn load_cached<A: Aggregate>(&self, id: impl ToString) -> Result<Loaded<A>, StoreError> {
        let id = id.to_string();
        match self.cache().get(&id) {
            Some(loaded) => Ok(loaded),
            None => self.load_and_keep(Loaded::fresh(id)).await,
        }
    }

    /// The aggregate as it is now, from where this process last saw it on.
    pub async fn refresh_cached<A: Aggregate>(&self, id: impl ToString) -> Result<Loaded<A>, StoreError> {
        let id = id.to_string();
        let known = self.cache().get(&id).unwrap_or_else(|| Loaded::fresh(id));
        self.load_and_keep(known).await
    }

    async fn load_and_keep<A: Aggregate>(&self, mut loaded: Loaded<A>) -> Result<Loaded<A>, StoreError> {
        let known = loaded.sequence;
        self.refresh(&mut loaded).await?;
        // What isn't there yet is not kept: anybody can ask for any id.
        if loaded.sequence > known {
            self.cache().put(&loaded);
        }
        Ok(loaded)
    }
}
