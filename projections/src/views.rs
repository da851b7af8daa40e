//! [`Views`]: what every query needs, and [`Listed`]: what a query for many answers.

use crate::{ProjectionError, schema};
use domain::Position;
use event_store::{EventStore, Keyring};
use runtime::clock::Clock;
use sqlx::{
    Executor, PgPool, Postgres, Transaction,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::sync::Arc;

/// The read models, with the queries of each slice on them. Cheap to clone.
#[derive(Clone)]
pub struct Views {
    pool: PgPool,
    /// By which writers connect on their own; without a `search_path`.
    options: Arc<PgConnectOptions>,
    store: EventStore,
    clock: Arc<dyn Clock>,
}

impl Views {
    /// Connects as the application's role, and makes the tables where there are none yet.
    pub async fn open(
        database_url: &str,
        connections_max: u32,
        store: EventStore,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ProjectionError> {
        let options: PgConnectOptions = database_url.parse()?;
        let pool = PgPoolOptions::new()
            .max_connections(connections_max)
            .connect_with(schema::reaching(&options, schema::LIVE))
            .await?;
        schema::ensure(&mut *pool.acquire().await?).await?;
        Ok(Self { pool, options: Arc::new(options), store, clock })
    }

    /// Connections on which table names mean the live views.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }
    pub fn store(&self) -> &EventStore {
        &self.store
    }
    pub fn keyring(&self) -> &Keyring {
        self.store.keyring()
    }
    pub(crate) fn options(&self) -> &PgConnectOptions {
        &self.options
    }
    pub(crate) fn now(&self) -> domain::Timestamp {
        self.clock.now().into()
    }

    /// Up to where the views have followed the log.
    pub async fn position(&self) -> Result<Position, ProjectionError> {
        let position = sqlx::query_scalar("SELECT position FROM checkpoint WHERE name = $1");
        Ok(Position(position.bind(schema::NAME).fetch_one(&self.pool).await?))
    }

    /// A transaction whose every query sees the views at one position.
    ///
    /// The lock comes before the snapshot is taken: a rebuild is swapped in before both, or after the transaction.
    pub async fn snapshot(&self) -> Result<Transaction<'static, Postgres>, ProjectionError> {
        let mut tx = self.pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        tx.execute("LOCK TABLE checkpoint IN ACCESS SHARE MODE").await?;
        Ok(tx)
    }
}

/// A page of a list.
#[derive(Clone, Debug)]
pub struct Listed<T> {
    pub items: Vec<T>,
    pub has_more: bool,
    /// All there are, where that is known without counting.
    pub total: Option<i64>,
}

impl<T> Listed<T> {
    /// Of rows that were asked for with `LIMIT limit + 1`.
    pub(crate) fn of(mut items: Vec<T>, limit: i64) -> Self {
        let limit = usize::try_from(limit).unwrap_or(0);
        let has_more = items.len() > limit;
        items.truncate(limit);
        Self { items, has_more, total: None }
    }
}
