//! [`keep_indexed`]: full partitions of the log get the indexes that the record is asked by.

use crate::{EventStore, StoreError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

const EVERY: Duration = Duration::from_mins(10);

/// Looks after it until shutdown. Any number of processes may; one at a time does.
pub async fn keep_indexed(store: EventStore, shutdown: CancellationToken) {
    let looking_after = async {
        loop {
            match index_full_partitions(&store).await {
                Ok(0) => tokio::time::sleep(EVERY).await,
                Ok(_) => info!("a full partition of the log was indexed"),
                Err(error) => {
                    warn!(%error, "full partitions of the log were not indexed");
                    tokio::time::sleep(EVERY).await;
                }
            }
        }
    };
    tokio::select! { () = shutdown.cancelled() => {}, () = looking_after => {} }
}

/// Indexes one partition that is not indexed yet. How many it were.
pub async fn index_full_partitions(store: &EventStore) -> Result<i32, StoreError> {
    Ok(sqlx::query_scalar("SELECT index_full_partitions()").fetch_one(store.pool()).await?)
}
