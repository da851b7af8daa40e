//! What becomes of a stream's durable consumers when it is made anew: they are there again, where they had acked.
//!
//! Their configurations go through here as the server tells them, so that none of its options is lost.

use super::edition::Edition;
use crate::{EventStore, StoreError};
use async_nats::jetstream::{Context, ErrorCode, response::Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tracing::{info, warn};

#[derive(Deserialize)]
struct Page {
    total: usize,
    consumers: Vec<Consumer>,
}

#[derive(Deserialize)]
struct Consumer {
    name: String,
    config: Map<String, Value>,
    ack_floor: Place,
    delivered: Place,
}

#[derive(Deserialize)]
struct Made {}

#[derive(Deserialize)]
struct Place {
    stream_seq: i64,
}

impl Consumer {
    fn is_durable(&self) -> bool {
        self.config.get("durable_name").is_some_and(Value::is_string)
    }

    /// Up to where nothing is to come again.
    fn acked(&self) -> i64 {
        let acks = self.config.get("ack_policy").and_then(Value::as_str);
        if acks == Some("none") { self.delivered.stream_seq } else { self.ack_floor.stream_seq }
    }
}

/// Notes them, before the stream is deleted.
pub(super) async fn note(jetstream: &Context, store: &EventStore, edition: &Edition) -> Result<(), StoreError> {
    for consumer in all(jetstream, &edition.stream).await?.iter().filter(|consumer| consumer.is_durable()) {
        sqlx::query(
            "INSERT INTO stream_consumers (stream, name, acked, config) VALUES ($1, $2, $3, $4)
             ON CONFLICT (stream, name) DO UPDATE SET acked = excluded.acked, config = excluded.config",
        )
        .bind(&edition.stream)
        .bind(&consumer.name)
        .bind(consumer.acked())
        .bind(Value::Object(consumer.config.clone()).to_string())
        .execute(store.pool())
        .await?;
    }
    Ok(())
}

async fn all(jetstream: &Context, stream: &str) -> Result<Vec<Consumer>, StoreError> {
    let mut consumers = Vec::new();
    loop {
        let ask = json!({"offset": consumers.len()});
        let answer = jetstream.request(format!("CONSUMER.LIST.{stream}"), &ask).await.map_err(StoreError::nats)?;
        let page: Page = match answer {
            Response::Ok(page) => page,
            Response::Err { error } => return Err(StoreError::nats(error)),
        };
        let is_last = page.consumers.is_empty();
        consumers.extend(page.consumers);
        if is_last || consumers.len() >= page.total {
            return Ok(consumers);
        }
    }
}

/// Makes those that were noted, in the stream as it is now.
pub(super) async fn bring_back(jetstream: &Context, store: &EventStore, edition: &Edition) -> Result<(), StoreError> {
    let noted: Vec<(String, i64, String)> =
        sqlx::query_as("SELECT name, acked, config FROM stream_consumers WHERE stream = $1")
            .bind(&edition.stream)
            .fetch_all(store.pool())
            .await?;
    for (name, acked, config) in noted {
        make(jetstream, &edition.stream, &name, acked, &config).await?;
        sqlx::query("DELETE FROM stream_consumers WHERE stream = $1 AND name = $2")
            .bind(&edition.stream)
            .bind(&name)
            .execute(store.pool())
            .await?;
    }
    Ok(())
}

async fn make(jetstream: &Context, stream: &str, name: &str, acked: i64, config: &str) -> Result<(), StoreError> {
    let mut config: Map<String, Value> =
        serde_json::from_str(config).map_err(|error| StoreError::unreadable("a consumer's configuration", error))?;
    config.remove("opt_start_time");
    config.insert("deliver_policy".to_owned(), json!("by_start_sequence"));
    config.insert("opt_start_seq".to_owned(), json!(acked + 1));
    let ask = json!({"stream_name": stream, "config": config, "action": "create"});
    let answer = jetstream.request(format!("CONSUMER.DURABLE.CREATE.{stream}.{name}"), &ask);
    match answer.await.map_err(StoreError::nats)? {
        Response::Ok(Made {}) => {
            info!(stream, consumer = name, acked, "a durable consumer was made again where it had acked");
        }
        Response::Err { error } if error.error_code() == ErrorCode::CONSUMER_ALREADY_EXISTS => {
            info!(stream, consumer = name, "its owner has made a durable consumer again already");
        }
        // Said once and not tried for ever: the others wait for theirs.
        Response::Err { error } => {
            warn!(%error, stream, consumer = name, acked, "a durable consumer was not made again");
        }
    }
    Ok(())
}
