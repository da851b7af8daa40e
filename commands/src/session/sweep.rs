//! [`sweep`]: what crashes and time leave behind in the rows of sessions is put right.

use super::{Visitor, row, tell_unasked};
use crate::{CommandError, Commands, Origin};

/// A request that ends a session tells the log within this time, or has died.
const TELLING_MILLIS_MAX: i64 = 60_000;
/// How long an expired session's row is kept.
const KEEP_MILLIS: i64 = 30 * 24 * 3_600_000;
const BATCH: i64 = 1_000;
/// Longer than clocks differ.
const CLAIM_KEEP_MILLIS: i64 = 3_600_000;
const CLAIMS_BATCH: i64 = 20_000;

/// What one sweep did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swept {
    /// Ends that the log had not got.
    pub told: u64,
    /// Sessions long expired whose rows are gone.
    pub removed: u64,
    /// Expired claims, such as answers to repeatable requests, that are gone.
    pub forgotten: u64,
}

/// Tells the log of ends that a crash has kept from it, and forgets sessions that expired 30 days ago and claims that
/// expired an hour ago. To be called
/// every minute or so, by any number of processes.
pub async fn sweep(commands: &Commands) -> Result<Swept, CommandError> {
    let now = commands.now();
    let mut connection = commands.connection().await?;
    let before = now.plus_millis(-TELLING_MILLIS_MAX);
    let untold = row::untold(&mut connection, before, BATCH).await.map_err(CommandError::from_database)?;
    let before = now.plus_millis(-KEEP_MILLIS);
    let removed = row::remove_expired(&mut connection, before).await.map_err(CommandError::from_database)?;
    drop(connection);
    let before = now.plus_millis(-CLAIM_KEEP_MILLIS);
    let forgotten = commands.store.forget_expired_claims(before, CLAIMS_BATCH).await?;
    let mut told = 0;
    for row::Untold { session, user, reason } in untold {
        let visitor = Visitor::new(Origin::Worker, commands.new_id::<uuid::Uuid>().to_string(), None);
        match tell_unasked(commands, &visitor, user, session, reason).await {
            Ok(()) => told += 1,
            // It stays noted for the next sweep, and keeps no other end from being told.
            Err(error) => tracing::warn!(session.id = %session, %error, "the end of a session was not recorded yet"),
        }
    }
    Ok(Swept { told, removed, forgotten })
}
