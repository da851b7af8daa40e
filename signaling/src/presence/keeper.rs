//! [`keep`]: who is connected here is written to a key-value store of all nodes, and what the others write is followed.

use super::Presence;
use crate::server::Signaling;
use async_nats::jetstream::{
    self,
    context::KeyValueErrorKind,
    kv::{Config, Entry, Operation, Store},
    stream::StorageType,
};
use domain::UserId;
use futures::StreamExt;
use std::{collections::HashSet, error::Error, sync::PoisonError, time::Duration};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use uuid::Uuid;

const RETRY: Duration = Duration::from_secs(1);
const RENEW_EVERY: Duration = Duration::from_secs(3);
/// What is not renewed is forgotten by the store itself, should all nodes die.
const AGE_MAX: Duration = Duration::from_mins(10);
const REFRESH_EVERY: Duration = Duration::from_mins(4);
/// While one's own lease doesn't come back, the store can't be heard, and nobody is judged by it.
const ECHO_MAX: Duration = Duration::from_secs(10);
const WRITES_AT_ONCE: usize = 32;

type Failure = Box<dyn Error + Send + Sync>;

/// For as long as the process lives. While NATS is away this node knows of its own sockets only, and goes on believing
/// what it last heard of the others.
pub(super) async fn keep(signaling: &Signaling) {
    let Some(nats) = signaling.nats() else { return };
    let jetstream = jetstream::new(nats.clone());
    let bucket = format!("hansard_presence_{}", signaling.delivery().log_id());
    loop {
        if let Err(error) = follow(signaling.presence(), &jetstream, &bucket).await {
            tracing::warn!(%error, "presence is not shared with other nodes for the moment");
        }
        sleep(RETRY).await;
    }
}

async fn open(jetstream: &jetstream::Context, bucket: &str) -> Result<Store, Failure> {
    match jetstream.get_key_value(bucket).await {
        Ok(store) => return Ok(store),
        Err(error) if error.kind() == KeyValueErrorKind::GetBucket => {}
        Err(error) => return Err(error.into()),
    }
    let config = Config {
        bucket: bucket.to_owned(),
        description: "who is connected to which node".to_owned(),
        history: 1,
        max_age: AGE_MAX,
        storage: StorageType::Memory,
        ..Config::default()
    };
    Ok(jetstream.create_key_value(config).await?)
}

async fn follow(presence: &Presence, jetstream: &jetstream::Context, bucket: &str) -> Result<(), Failure> {
    let store = open(jetstream, bucket).await?;
    let mut entries = store.watch_many_with_history([">"]).await?;
    // What is written there may be gone, or of another time: everything of one's own is written anew.
    soil_all(presence);
    let (mut renew, mut refresh) = (interval(RENEW_EVERY), interval(REFRESH_EVERY));
    renew.set_missed_tick_behavior(MissedTickBehavior::Delay);
    refresh.reset();
    let mut echoed = Instant::now();
    loop {
        tokio::select! {
            entry = entries.next() => {
                let entry = entry.ok_or("the store can't be followed any more")??;
                if heed(presence, &entry) {
                    echoed = Instant::now();
                }
            }
            _ = renew.tick() => {
                store.put(format!("node.{}", presence.node), "".into()).await?;
                if echoed.elapsed() > ECHO_MAX {
                    return Err("what is written to the store doesn't come back".into());
                }
                bury(presence, &store).await?;
            }
            () = presence.soiled.notified() => clean(presence, &store).await?,
            _ = refresh.tick() => soil_all(presence),
        }
    }
}

fn soil_all(presence: &Presence) {
    let here: Vec<UserId> = {
        let book = presence.book();
        book.nodes.get(&presence.node).map(|node| node.users.iter().copied().collect()).unwrap_or_default()
    };
    presence.dirty.lock().unwrap_or_else(PoisonError::into_inner).extend(here);
    presence.soiled.notify_one();
}

/// Writes what has changed here. What can't be written stays noted.
async fn clean(presence: &Presence, store: &Store) -> Result<(), Failure> {
    let dirty = std::mem::take(&mut *presence.dirty.lock().unwrap_or_else(PoisonError::into_inner));
    let written = futures::stream::iter(dirty.iter().copied())
        .map(|user| async move {
            let is_here = presence.book().nodes.get(&presence.node).is_some_and(|node| node.users.contains(&user));
            let key = key(presence.node, user);
            if is_here {
                store.put(key, "".into()).await.map(drop).map_err(Failure::from)
            } else {
                store.purge(key).await.map_err(Failure::from)
            }
        })
        .buffer_unordered(WRITES_AT_ONCE)
        .collect::<Vec<Result<(), Failure>>>()
        .await;
    if let Some(error) = written.into_iter().find_map(Result::err) {
        presence.dirty.lock().unwrap_or_else(PoisonError::into_inner).extend(dirty);
        presence.soiled.notify_one();
        return Err(error);
    }
    Ok(())
}

/// Takes in what the store says. True where it is this node's own lease.
fn heed(presence: &Presence, entry: &Entry) -> bool {
    let Some(named) = parse(&entry.key) else {
        tracing::warn!(key = %entry.key, "presence has a key that nobody knows");
        return false;
    };
    let is_put = match entry.operation {
        Operation::Put => true,
        Operation::Delete | Operation::Purge => false,
    };
    match named {
        Named::Node(node) if node == presence.node => return is_put,
        // The lease itself was written long before, where it is read for the first time.
        Named::Node(node) => {
            if is_put {
                presence.book().renew(node);
            }
        }
        // What happens here is known before it is written.
        Named::User(node, _) if node == presence.node => {}
        Named::User(node, user) => {
            let change = {
                let mut book = presence.book();
                if is_put { book.add(node, user).change } else { book.remove(node, user).change }
            };
            presence.announce(change);
        }
    }
    false
}

/// Whoever was on a node that died has gone. Every node that is left sees to it.
async fn bury(presence: &Presence, store: &Store) -> Result<(), Failure> {
    let buried = presence.book().bury(presence.node);
    for (node, users, changes) in buried {
        tracing::info!(node.id = %node, people = users.len(), "a node has gone");
        for change in changes {
            presence.announce(Some(change));
        }
        let keys: HashSet<String> = users.into_iter().map(|user| key(node, user)).collect();
        for key in keys {
            store.purge(key).await?;
        }
        store.purge(format!("node.{node}")).await?;
    }
    Ok(())
}

fn key(node: Uuid, user: UserId) -> String {
    format!("user.{node}.{user}")
}

#[derive(Debug, PartialEq, Eq)]
enum Named {
    Node(Uuid),
    User(Uuid, UserId),
}

fn parse(key: &str) -> Option<Named> {
    let mut parts = key.split('.');
    match (parts.next()?, parts.next()?.parse().ok()?, parts.next()) {
        ("node", node, None) => Some(Named::Node(node)),
        ("user", node, Some(user)) => Some(Named::User(node, user.parse().ok()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_who_is_on_which_node() {
        let (node, user) = (Uuid::from_u128(1), UserId(Uuid::from_u128(2)));
        assert_eq!(parse(&key(node, user)), Some(Named::User(node, user)));
        assert_eq!(parse(&format!("node.{node}")), Some(Named::Node(node)));
        for strange in ["", "node", "node.x", "user.x.y", "elsewhere.1"] {
            assert_eq!(parse(strange), None, "{strange}");
        }
    }
}
