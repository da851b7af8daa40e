//! The stream beside the log: message by message, the same.

use async_nats::{
    ConnectOptions,
    jetstream::{self, consumer::pull::OrderedConfig, stream::Stream},
};
use futures::StreamExt;
use hansard::stack::Endpoints;
use sqlx::{PgPool, Row};
use std::time::Duration;

const STREAM: &str = "HANSARD_EVENTS";
const PATIENCE: Duration = Duration::from_secs(20);

/// The log and its stream, from outside.
pub struct Record {
    pool: PgPool,
    stream: Stream,
}

impl Record {
    pub async fn open(at: &Endpoints) -> Result<Self, String> {
        let pool = PgPool::connect(&at.database_admin_url).await.map_err(|error| error.to_string())?;
        let url = url::Url::parse(&at.nats_url).map_err(|error| error.to_string())?;
        let login = ConnectOptions::with_user_and_password(
            url.username().to_owned(),
            url.password().unwrap_or_default().to_owned(),
        );
        let client = login.connect(&at.nats_url).await.map_err(|error| error.to_string())?;
        let stream = jetstream::new(client).get_stream(STREAM).await.map_err(|error| error.to_string())?;
        Ok(Self { pool, stream })
    }

    /// Where the log ends.
    pub async fn head(&self) -> Result<u64, String> {
        let head = sqlx::query_scalar::<_, i64>("SELECT position FROM head").fetch_one(&self.pool).await;
        head.map(i64::unsigned_abs).map_err(|error| error.to_string())
    }

    /// Where the stream ends.
    pub async fn last_sequence(&mut self) -> Result<u64, String> {
        self.stream.info().await.map(|info| info.state.last_sequence).map_err(|error| error.to_string())
    }

    /// The first difference between what the stream and the log hold.
    pub async fn difference(&self) -> Result<Option<String>, String> {
        let failed = |error: &dyn ToString| format!("the stream can't be read: {}", error.to_string());
        let consumer = self.stream.create_consumer(OrderedConfig::default()).await.map_err(|error| failed(&error))?;
        let mut messages = consumer.messages().await.map_err(|error| failed(&error))?;
        let mut rows = sqlx::query(
            "SELECT position, event_id::text AS id, event_type, payload::text AS payload FROM events ORDER BY position",
        )
        .fetch(&self.pool);
        while let Some(row) = rows.next().await {
            let row = row.map_err(|error| error.to_string())?;
            let next = tokio::time::timeout(PATIENCE, messages.next()).await;
            let message = match next {
                Ok(Some(Ok(message))) => message,
                Ok(Some(Err(error))) => return Err(failed(&error)),
                Ok(None) | Err(_) => {
                    return Ok(Some(format!("the stream ends before {}", row.get::<i64, _>("position"))));
                }
            };
            let sequence = message.info().map_err(|error| failed(&error))?.stream_sequence;
            let header = |name: &str| message.headers.as_ref()?.get(name).map(|value| value.as_str().to_owned());
            let position: i64 = row.get("position");
            let is_same = sequence == position.unsigned_abs()
                && header("Hansard-Position") == Some(position.to_string())
                && header("ce-id").as_deref() == Some(row.get("id"))
                && header("ce-type").as_deref() == Some(row.get("event_type"))
                && message.payload == row.get::<&str, _>("payload").as_bytes();
            if !is_same {
                return Ok(Some(format!("sequence {sequence} of the stream is not the event at position {position}")));
            }
        }
        Ok(None)
    }
}
