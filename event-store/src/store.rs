//! [`EventStore`]: the log, as the layers above know it.

use crate::{
    Append, AppendError, Appended, Keyring, StoreError,
    appender::{Appender, Outcome},
    cache::AggregateCache,
    snapshot,
};
use domain::Position;
use futures::StreamExt;
use runtime::{clock::Clock, id::Ids};
use sqlx::PgPool;
use std::sync::{Arc, Weak};
use tokio::sync::{Semaphore, watch};
use tracing::warn;
use uuid::Uuid;

/// Every appender tells on `hansard.head.<logId>` the position it has come to.
const HEAD_SUBJECT: &str = "hansard.head";

/// How often an append is sealed anew because keys were destroyed meanwhile.
const KEY_ROUNDS: u32 = 8;

pub struct StoreConfig {
    /// As the application's role.
    pub pool: PgPool,
    /// For the appender's own connection, as the same role.
    pub database_url: String,
    /// None: nobody elsewhere is told of appends, and nothing of theirs is heard.
    pub nats: Option<async_nats::Client>,
    pub keyring: Keyring,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    /// Appends that may wait; beyond, they are told to come back.
    pub queue_limit: usize,
    pub names: StreamNames,
}

/// What the log is called on JetStream. Tests that share a server have names of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamNames {
    pub stream: String,
    /// What subjects begin with, without a dot at the end.
    pub subjects: String,
    /// The same for the stream without personal fields.
    pub analytics_stream: String,
    pub analytics_subjects: String,
}

impl Default for StreamNames {
    fn default() -> Self {
        Self {
            stream: "HANSARD_EVENTS".to_owned(),
            subjects: "hansard.events".to_owned(),
            analytics_stream: "HANSARD_ANALYTICS".to_owned(),
            analytics_subjects: "hansard.analytics".to_owned(),
        }
    }
}

/// Cheap to clone. The appender's task ends when the last clone is gone.
#[derive(Clone)]
pub struct EventStore(Arc<Inner>);

struct Inner {
    pool: PgPool,
    keyring: Keyring,
    ids: Arc<dyn Ids>,
    cache: AggregateCache,
    snapshot_turns: Arc<Semaphore>,
    log_id: Uuid,
    appender: Appender,
    names: StreamNames,
    head: watch::Sender<Position>,
}

impl EventStore {
    pub async fn open(config: StoreConfig) -> Result<Self, StoreError> {
        let (log_id, position): (Uuid, i64) =
            sqlx::query_as("SELECT log_id, position FROM head").fetch_one(&config.pool).await?;
        let head = watch::Sender::new(Position(position));
        let head_subject = format!("{HEAD_SUBJECT}.{log_id}");
        let announce = config.nats.clone().map(|nats| (nats, head_subject.clone()));
        let appender =
            Appender::start(config.database_url, announce, config.clock, config.queue_limit, head.clone()).await?;
        let inner = Inner {
            pool: config.pool,
            keyring: config.keyring,
            ids: config.ids,
            cache: AggregateCache::new(),
            snapshot_turns: Arc::new(Semaphore::new(snapshot::WRITERS)),
            log_id,
            appender,
            names: config.names,
            head,
        };
        let store = Self(Arc::new(inner));
        if let Some(nats) = config.nats {
            tokio::spawn(hear_others(nats, head_subject, Arc::downgrade(&store.0)));
        }
        Ok(store)
    }

    /// Adds to the log, at once or not at all. Answers after the commit is safe on disk.
    pub async fn append(&self, mut append: Append) -> Result<Appended, AppendError> {
        append.take_problem()?;
        for _ in 0..KEY_ROUNDS {
            let prepared = append.prepare(&self.0.keyring, self.0.ids.as_ref()).await?;
            match self.0.appender.submit(prepared).await? {
                Outcome::Done(appended) => return Ok(appended),
                Outcome::Keys => self.0.keyring.revalidate().await?,
            }
        }
        Err(AppendError::KeyGone)
    }

    /// Which log this is: a position means nothing in another.
    pub fn log_id(&self) -> Uuid {
        self.0.log_id
    }

    /// The last position that this process knows of, and every later one. May be behind where NATS is away.
    pub fn head_watch(&self) -> watch::Receiver<Position> {
        self.0.head.subscribe()
    }

    pub fn keyring(&self) -> &Keyring {
        &self.0.keyring
    }

    pub fn pool(&self) -> &PgPool {
        &self.0.pool
    }

    pub(crate) fn names(&self) -> &StreamNames {
        &self.0.names
    }

    pub(crate) fn snapshot_turns(&self) -> &Arc<Semaphore> {
        &self.0.snapshot_turns
    }

    pub(crate) fn cache(&self) -> &AggregateCache {
        &self.0.cache
    }

    /// Tells who waits that the log has come this far.
    pub(crate) fn advance_head(&self, position: Position) {
        advance(&self.0.head, position);
    }
}

pub(crate) fn advance(head: &watch::Sender<Position>, position: Position) {
    head.send_if_modified(|known| {
        let is_new = position > *known;
        *known = position.max(*known);
        is_new
    });
}

/// What other processes append is told by NATS, for as long as the store lives.
async fn hear_others(nats: async_nats::Client, subject: String, store: Weak<Inner>) {
    let mut pings = match nats.subscribe(subject).await {
        Ok(pings) => pings,
        Err(error) => {
            // Who reads the log polls too.
            warn!(%error, "appends of other processes will not be heard of");
            return;
        }
    };
    while let Some(ping) = pings.next().await {
        let Some(store) = store.upgrade() else { return };
        if let Some(position) = std::str::from_utf8(&ping.payload).ok().and_then(|text| text.parse().ok()) {
            advance(&store.head, Position(position));
        }
    }
}
