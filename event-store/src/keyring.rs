//! [`Keyring`]: seals personal fields under their subjects' data keys, and opens them again.
//!
//! A data key is one person's: for what they say of themselves, or for one conversation and quarter. It is wrapped by an
//! epoch key that lies outside PostgreSQL, which MASTER_KEY wraps.

mod data_key;
mod epoch;
mod seal;
mod stored;

pub use epoch::KeyDir;

pub(crate) use data_key::DataKey;

use crate::StoreError;
use domain::{KeyScope, personal::ENC};
use epoch::Epochs;
use hmac::{Hmac, Mac};
use moka::sync::Cache;
use serde_json::Value;
use sha2::Sha256;
use sqlx::PgPool;
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

/// Data keys kept in memory, about 250 bytes each.
const CACHED_KEYS_MAX: u64 = 100_000;

/// Cheap to clone; all clones share what they know.
#[derive(Clone)]
pub struct Keyring(Arc<Inner>);

struct Inner {
    pool: PgPool,
    epochs: Epochs,
    hash_key: [u8; 32],
    // Each with the generation of which it was known before it was read.
    by_scope: Cache<KeyScope, (i64, Arc<DataKey>)>,
    by_id: Cache<String, (i64, Arc<DataKey>)>,
    /// The head's key generation as last seen. Destruction raises it, and an append that knows an older one is refused.
    generation: AtomicI64,
}

impl Keyring {
    /// Opens the epoch keys of the directory, making the first one where there are none yet.
    pub async fn unlock(pool: PgPool, key_dir: KeyDir, master_key: [u8; 32]) -> Result<Self, StoreError> {
        let used: Vec<String> = sqlx::query_scalar("SELECT DISTINCT epoch FROM data_keys").fetch_all(&pool).await?;
        let epochs = tokio::task::spawn_blocking(move || Epochs::open(&key_dir, &master_key, &used))
            .await
            .map_err(|error| StoreError::unreadable("the key directory", error))??;
        let keyring = Self(Arc::new(Inner {
            pool,
            epochs,
            hash_key: keyed(&master_key, b"hansard claims"),
            by_scope: Cache::new(CACHED_KEYS_MAX),
            by_id: Cache::new(CACHED_KEYS_MAX),
            generation: AtomicI64::new(0),
        }));
        keyring.revalidate().await?;
        Ok(keyring)
    }

    /// Seals a text under its subject's key, which is made where there is none yet.
    pub async fn seal(&self, scope: &KeyScope, text: &str) -> Result<String, StoreError> {
        let keys = self.keys_of(&[*scope]).await?;
        let key = keys.get(scope).ok_or_else(|| StoreError::UnknownKey(format!("of {}", scope.person())))?;
        Ok(seal::seal(key, text))
    }

    /// The text. An unknown key is an error; None is for keys that are known to be destroyed.
    pub async fn open(&self, sealed: &str) -> Result<Option<String>, StoreError> {
        Ok(self.open_many(&[sealed]).await?.pop().flatten())
    }

    /// The texts in the order given, their missing keys fetched at once.
    pub async fn open_many(&self, sealed: &[&str]) -> Result<Vec<Option<String>>, StoreError> {
        let ids: Vec<&str> = sealed.iter().map(|text| seal::key_id(text)).collect::<Result<_, _>>()?;
        let keys = self.keys_by_id(&ids).await?;
        sealed
            .iter()
            .zip(ids)
            .map(|(text, id)| {
                let key = keys.get(id).ok_or_else(|| StoreError::UnknownKey(id.to_owned()))?;
                seal::open(key, text).map(Some)
            })
            .collect()
    }

    /// Opens every `{"$enc": …}` anywhere in a payload: it becomes its plain text.
    pub async fn open_payload(&self, payload: &mut Value) -> Result<(), StoreError> {
        let mut sealed = Vec::new();
        collect_sealed(payload, &mut sealed);
        let opened = self.open_many(&sealed.iter().map(String::as_str).collect::<Vec<_>>()).await?;
        replace_sealed(payload, &mut opened.into_iter());
        Ok(())
    }

    /// Makes the keys of many scopes at once, those that aren't there yet.
    pub async fn ensure(&self, scopes: &[KeyScope]) -> Result<(), StoreError> {
        self.keys_of(scopes).await.map(|_| ())
    }

    /// A text's name in claims: the same text has the same one, and who knows it only can't tell the text.
    pub fn keyed_hash(&self, purpose: &str, text: &str) -> String {
        let mut input = Vec::with_capacity(purpose.len() + text.len() + 1);
        input.extend_from_slice(purpose.as_bytes());
        input.push(0);
        input.extend_from_slice(text.as_bytes());
        hex::encode(keyed(&self.0.hash_key, &input))
    }

    /// The keys of these scopes, made and committed where there were none.
    pub(crate) async fn keys_of(&self, scopes: &[KeyScope]) -> Result<HashMap<KeyScope, Arc<DataKey>>, StoreError> {
        let generation = self.generation();
        let mut keys = HashMap::with_capacity(scopes.len());
        let mut missing = HashSet::new();
        for scope in scopes {
            match self.0.by_scope.get(scope) {
                Some((known, key)) if known == generation => _ = keys.insert(*scope, key),
                Some(_) | None => _ = missing.insert(*scope),
            }
        }
        if !missing.is_empty() {
            // Sorted, so that two that make the same keys never wait for each other crosswise.
            let mut missing: Vec<KeyScope> = missing.into_iter().collect();
            missing.sort_unstable();
            for (scope, key) in stored::find_or_make(&self.0.pool, &self.0.epochs, &missing).await? {
                self.remember(generation, Some(scope), &key);
                keys.insert(scope, key);
            }
        }
        Ok(keys)
    }

    /// Those keys of these that there are.
    pub(crate) async fn keys_by_id<'a>(&self, ids: &[&'a str]) -> Result<HashMap<&'a str, Arc<DataKey>>, StoreError> {
        let generation = self.generation();
        let mut keys = HashMap::with_capacity(ids.len());
        let mut missing = HashSet::new();
        for id in ids {
            match self.0.by_id.get(*id) {
                Some((known, key)) if known == generation => _ = keys.insert(*id, key),
                Some(_) | None => _ = missing.insert(*id),
            }
        }
        if !missing.is_empty() {
            let missing: Vec<&str> = missing.into_iter().collect();
            let mut found = stored::by_id(&self.0.pool, &self.0.epochs, &missing).await?;
            for id in missing {
                if let Some(key) = found.remove(id) {
                    self.remember(generation, None, &key);
                    keys.insert(id, key);
                }
            }
        }
        Ok(keys)
    }

    pub(crate) fn generation(&self) -> i64 {
        self.0.generation.load(Ordering::Acquire)
    }

    /// Learns the present generation: what was cached under an older one is looked up again.
    pub(crate) async fn revalidate(&self) -> Result<(), StoreError> {
        let generation = sqlx::query_scalar("SELECT key_generation FROM head").fetch_one(&self.0.pool).await?;
        self.0.generation.fetch_max(generation, Ordering::AcqRel);
        Ok(())
    }

    fn remember(&self, generation: i64, scope: Option<KeyScope>, key: &Arc<DataKey>) {
        self.0.by_id.insert(key.id.clone(), (generation, key.clone()));
        if let Some(scope) = scope {
            self.0.by_scope.insert(scope, (generation, key.clone()));
        }
    }
}

/// HMAC-SHA256, which stands for both "a key made from a key" and "a hash that needs a key".
fn keyed(key: &[u8; 32], input: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(input);
    mac.finalize().into_bytes().into()
}

/// The ciphertext, where a value is a sealed field.
pub(crate) fn as_sealed(value: &Value) -> Option<&str> {
    marked(value, ENC)
}

/// The text of `{marker: text}`.
pub(crate) fn marked<'a>(value: &'a Value, marker: &str) -> Option<&'a str> {
    value.as_object().filter(|object| object.len() == 1)?.get(marker)?.as_str()
}

pub(crate) fn key_id(sealed: &str) -> Result<&str, StoreError> {
    seal::key_id(sealed)
}

pub(crate) fn seal_with(key: &DataKey, text: &str) -> String {
    seal::seal(key, text)
}

fn collect_sealed(value: &Value, found: &mut Vec<String>) {
    if let Some(sealed) = as_sealed(value) {
        found.push(sealed.to_owned());
        return;
    }
    match value {
        Value::Object(fields) => fields.values().for_each(|field| collect_sealed(field, found)),
        Value::Array(items) => items.iter().for_each(|item| collect_sealed(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Puts the opened texts where [`collect_sealed`] found them, in the same order.
fn replace_sealed(value: &mut Value, opened: &mut impl Iterator<Item = Option<String>>) {
    if as_sealed(value).is_some() {
        *value = opened.next().flatten().map_or(Value::Null, Value::String);
        return;
    }
    match value {
        Value::Object(fields) => fields.values_mut().for_each(|field| replace_sealed(field, opened)),
        Value::Array(items) => items.iter_mut().for_each(|item| replace_sealed(item, opened)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
