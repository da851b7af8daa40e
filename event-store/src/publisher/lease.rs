//! [`Lease`]: the right to publish, held by a session of PostgreSQL and gone with it.

use crate::StoreError;
use sqlx::{PgConnection, PgPool};
use std::{convert::Infallible, time::Duration};

const RETRY: Duration = Duration::from_millis(500);
const CHECK_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Lease {
    connection: PgConnection,
}

impl Lease {
    /// Waits until nobody else has it.
    pub async fn take(pool: &PgPool) -> Result<Self, StoreError> {
        loop {
            let mut connection = pool.acquire().await?;
            let is_mine: bool =
                sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtextextended('hansard.publisher', 0))")
                    .fetch_one(&mut *connection)
                    .await?;
            if is_mine {
                // Out of the pool: nobody else may use this session, and its end ends the lease.
                return Ok(Self { connection: connection.detach() });
            }
            drop(connection);
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Fails once the session is gone, and the lease with it.
    pub async fn hold(&mut self) -> Result<Infallible, StoreError> {
        loop {
            tokio::time::sleep(CHECK_EVERY).await;
            sqlx::query("SELECT 1").execute(&mut self.connection).await?;
        }
    }
}
