//! Data keys in their table: found, or made and committed before anything is sealed with them.

use super::{
    data_key::{DataKey, decrypt, encrypt, random_key, random_name},
    epoch::Epochs,
};
use crate::StoreError;
use domain::KeyScope;
use sqlx::{FromRow, PgPool};
use std::{collections::HashMap, sync::Arc};
use uuid::Uuid;

#[derive(FromRow)]
struct KeyRow {
    key_id: String,
    person: Uuid,
    conversation: Option<Uuid>,
    quarter: Option<String>,
    wrapped: Vec<u8>,
    epoch: String,
}

type Subject = (Uuid, Option<Uuid>, Option<String>);

/// The keys of these scopes, given sorted.
pub(super) async fn find_or_make(
    pool: &PgPool,
    epochs: &Epochs,
    scopes: &[KeyScope],
) -> Result<Vec<(KeyScope, Arc<DataKey>)>, StoreError> {
    let mut found = find(pool, epochs, scopes).await?;
    let missing: Vec<KeyScope> = scopes.iter().filter(|scope| !found.contains_key(&subject(scope))).copied().collect();
    if !missing.is_empty() {
        make(pool, epochs, &missing).await?;
        // Of two that made the same key at once both read the winner's here.
        found.extend(find(pool, epochs, &missing).await?);
    }
    scopes
        .iter()
        .map(|scope| match found.get(&subject(scope)) {
            Some(key) => Ok((*scope, key.clone())),
            None => Err(StoreError::UnknownKey(format!("of {}", scope.person()))),
        })
        .collect()
}

pub(super) async fn by_id(
    pool: &PgPool,
    epochs: &Epochs,
    ids: &[&str],
) -> Result<HashMap<String, Arc<DataKey>>, StoreError> {
    let query = "SELECT key_id, person, conversation, quarter, wrapped, epoch FROM data_keys WHERE key_id = ANY($1)";
    let rows: Vec<KeyRow> = sqlx::query_as(query).bind(ids).fetch_all(pool).await?;
    rows.into_iter().map(|row| unwrap(epochs, &row).map(|key| (row.key_id, key))).collect()
}

async fn find(
    pool: &PgPool,
    epochs: &Epochs,
    scopes: &[KeyScope],
) -> Result<HashMap<Subject, Arc<DataKey>>, StoreError> {
    let (persons, conversations, quarters) = columns(scopes);
    let rows: Vec<KeyRow> = sqlx::query_as(
        "SELECT k.key_id, k.person, k.conversation, k.quarter, k.wrapped, k.epoch
         FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS s (person, conversation, quarter)
         JOIN data_keys k ON k.person = s.person AND k.conversation = s.conversation AND k.quarter = s.quarter
         UNION ALL
         SELECT k.key_id, k.person, k.conversation, k.quarter, k.wrapped, k.epoch
         FROM unnest($1::uuid[], $2::uuid[]) AS s (person, conversation)
         JOIN data_keys k ON k.person = s.person AND k.conversation IS NULL AND k.quarter IS NULL
         WHERE s.conversation IS NULL",
    )
    .bind(&persons)
    .bind(&conversations)
    .bind(&quarters)
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|row| {
            let key = unwrap(epochs, &row)?;
            Ok(((row.person, row.conversation, row.quarter), key))
        })
        .collect()
}

async fn make(pool: &PgPool, epochs: &Epochs, scopes: &[KeyScope]) -> Result<(), StoreError> {
    let (persons, conversations, quarters) = columns(scopes);
    let (epoch, epoch_key) = epochs.current();
    let ids: Vec<String> = fresh_ids(scopes.len());
    let wrapped: Vec<Vec<u8>> = ids.iter().map(|id| encrypt(epoch_key, id.as_bytes(), &random_key())).collect();
    sqlx::query(
        "INSERT INTO data_keys (key_id, person, conversation, quarter, wrapped, epoch)
         SELECT key_id, person, conversation, quarter, wrapped, $6
         FROM unnest($1::text[], $2::uuid[], $3::uuid[], $4::text[], $5::bytea[])
             AS k (key_id, person, conversation, quarter, wrapped)
         ON CONFLICT (person, conversation, quarter) DO NOTHING",
    )
    .bind(&ids)
    .bind(&persons)
    .bind(&conversations)
    .bind(&quarters)
    .bind(&wrapped)
    .bind(&epoch)
    .execute(pool)
    .await?;
    Ok(())
}

/// 128 bits of chance in hexadecimal: a key's name tells nothing of its subject.
fn fresh_ids(count: usize) -> Vec<String> {
    (0..count).map(|_| Uuid::from_bytes(random_name()).simple().to_string()).collect()
}

fn unwrap(epochs: &Epochs, row: &KeyRow) -> Result<Arc<DataKey>, StoreError> {
    let unreadable = |why: &str| StoreError::unreadable(format!("data key {}", row.key_id), why);
    let epoch_key = epochs.key(&row.epoch).ok_or_else(|| unreadable("its epoch key is not in the key directory"))?;
    let key = decrypt(epoch_key, row.key_id.as_bytes(), &row.wrapped)
        .and_then(|key| key.try_into().ok())
        .ok_or_else(|| unreadable("its epoch key does not open it"))?;
    Ok(Arc::new(DataKey { id: row.key_id.clone(), key }))
}

fn subject(scope: &KeyScope) -> Subject {
    match scope {
        KeyScope::Person(person) => (person.0, None, None),
        KeyScope::Conversation { person, conversation, quarter } => {
            (person.0, Some(conversation.0), Some(quarter.to_string()))
        }
    }
}

fn columns(scopes: &[KeyScope]) -> (Vec<Uuid>, Vec<Option<Uuid>>, Vec<Option<String>>) {
    let mut columns = (Vec::new(), Vec::new(), Vec::new());
    for (person, conversation, quarter) in scopes.iter().map(subject) {
        columns.0.push(person);
        columns.1.push(conversation);
        columns.2.push(quarter);
    }
    columns
}
