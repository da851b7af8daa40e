//! From an [`Append`] to what the appender sends: personal fields sealed, all JSON in its canonical form. Done in the
//! caller's task, so that many appends are prepared at once.

use super::{Append, Draft, Stream, canonical, counted_conversation, has_plain};
use crate::{
    AppendError, Claim, Keyring, StoreError,
    keyring::{DataKey, as_sealed, key_id, marked, seal_with},
};
use domain::{
    KeyScope,
    personal::{ENC, PLAIN},
};
use runtime::id::Ids;
use serde_json::{Map, Value};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};
use uuid::Uuid;

/// Events sealed between two offers to let other tasks run.
const YIELD_EVERY: usize = 64;

#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    pub streams: Vec<Stream>,
    pub claims: Vec<Claim>,
    pub events: Vec<PreparedEvent>,
    /// The key generation it was sealed under; none where it uses no keys.
    pub generation: Option<i64>,
}

#[derive(Clone, Debug)]
pub(crate) struct PreparedEvent {
    pub id: Uuid,
    /// Its place in `streams`.
    pub stream: usize,
    pub sequence: i64,
    pub event_type: String,
    pub version: u32,
    pub payload: String,
    pub metadata: Arc<str>,
    /// The conversation whose messages it counts among.
    pub conversation: Option<String>,
}

impl Append {
    /// May be done again, with newer keys.
    pub(crate) async fn prepare(&self, keyring: &Keyring, ids: &dyn Ids) -> Result<Prepared, AppendError> {
        // Read before the keys are: they are at least as new as this says.
        let generation = keyring.generation();
        let keys = keyring.keys_of(&self.key_scopes()?).await?;
        let copied = self.require_copied_keys(keyring).await?;
        let metadata = self.metadata_texts()?;
        let mut events = Vec::with_capacity(self.events.len());
        for (n, draft) in self.events.iter().enumerate() {
            if n % YIELD_EVERY == YIELD_EVERY - 1 {
                tokio::task::yield_now().await;
            }
            events.push(PreparedEvent {
                id: ids.uuid(),
                stream: draft.stream,
                sequence: draft.sequence,
                event_type: draft.event_type.clone(),
                version: draft.version,
                payload: draft.sealed(&keys)?,
                metadata: metadata[draft.scope].clone(),
                conversation: counted_conversation(&draft.event_type, &draft.payload).map(str::to_owned),
            });
        }
        Ok(Prepared {
            streams: self.streams.clone(),
            claims: self.claims.clone(),
            events,
            generation: (copied || !keys.is_empty()).then_some(generation),
        })
    }

    /// What went wrong while it was put together.
    pub(crate) fn take_problem(&mut self) -> Result<(), AppendError> {
        match self.problem.take() {
            Some(problem) => Err(problem),
            None if self.events.is_empty() => Err(StoreError::EmptyAppend.into()),
            None => Ok(()),
        }
    }

    fn key_scopes(&self) -> Result<Vec<KeyScope>, StoreError> {
        let mut scopes = HashSet::new();
        for draft in self.events.iter().filter(|draft| has_plain(&draft.payload)) {
            scopes.insert(draft.key.ok_or_else(|| StoreError::NoKeyScope(draft.event_type.clone()))?);
        }
        Ok(scopes.into_iter().collect())
    }

    /// Text that is copied as it stands needs its key to be there still. Whether there is any such text.
    async fn require_copied_keys(&self, keyring: &Keyring) -> Result<bool, AppendError> {
        let mut ids = HashSet::new();
        for draft in &self.events {
            copied_keys(&draft.payload, &mut ids)?;
        }
        let ids: Vec<&str> = ids.into_iter().collect();
        if keyring.keys_by_id(&ids).await?.len() < ids.len() {
            return Err(AppendError::KeyGone);
        }
        Ok(!ids.is_empty())
    }
}

impl Draft {
    /// The payload as it is stored.
    fn sealed(&self, keys: &HashMap<KeyScope, Arc<DataKey>>) -> Result<String, StoreError> {
        match self.key.as_ref().and_then(|scope| keys.get(scope)) {
            Some(key) => canonical(&seal_all(&self.payload, key)),
            None => canonical(&self.payload),
        }
    }
}

/// The payload with every `{"$plain": …}` in it made `{"$enc": …}`.
fn seal_all(value: &Value, key: &DataKey) -> Value {
    if let Some(text) = marked(value, PLAIN) {
        return Value::Object(Map::from_iter([(ENC.to_owned(), Value::String(seal_with(key, text)))]));
    }
    match value {
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(name, field)| (name.clone(), seal_all(field, key))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(|item| seal_all(item, key)).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn copied_keys<'a>(value: &'a Value, ids: &mut HashSet<&'a str>) -> Result<(), StoreError> {
    if let Some(sealed) = as_sealed(value) {
        ids.insert(key_id(sealed)?);
        return Ok(());
    }
    match value {
        Value::Object(fields) => fields.values().try_for_each(|field| copied_keys(field, ids)),
        Value::Array(items) => items.iter().try_for_each(|item| copied_keys(item, ids)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}
