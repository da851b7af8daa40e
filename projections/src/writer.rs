//! [`commit`]: a batch and its checkpoint, in one transaction.

use crate::{
    ProjectionError,
    batch::{self, Fact},
    schema,
};
use domain::Position;
use event_store::Keyring;
use sqlx::{Connection, PgConnection};

/// Applies the facts that follow `from` and moves the checkpoint to the last of them, or does nothing at all.
pub(crate) async fn commit(
    connection: &mut PgConnection,
    from: Position,
    facts: &[Fact],
    keyring: &Keyring,
) -> Result<Position, ProjectionError> {
    let mut tx = connection.begin().await?;
    let position = apply(&mut tx, from, facts, keyring).await?;
    tx.commit().await?;
    Ok(position)
}

/// As [`commit`], in the caller's transaction.
pub(crate) async fn apply(
    tx: &mut PgConnection,
    from: Position,
    facts: &[Fact],
    keyring: &Keyring,
) -> Result<Position, ProjectionError> {
    let Some(last) = facts.last() else { return Ok(from) };
    check_gapless(from, facts)?;
    // First of all: it keeps a swap and another worker out until the transaction ends.
    let moved = sqlx::query("UPDATE checkpoint SET position = $3, updated_at = $4 WHERE name = $1 AND position = $2")
        .bind(schema::NAME)
        .bind(from.0)
        .bind(last.position.0)
        .bind(last.recorded_at.to_datetime())
        .execute(&mut *tx)
        .await?;
    if moved.rows_affected() != 1 {
        return Err(ProjectionError::Overtaken { expected: from });
    }
    batch::apply(tx, facts, keyring).await?;
    Ok(last.position)
}

/// Up to where the tables in the connection's reach have followed the log.
pub(crate) async fn position(connection: &mut PgConnection) -> Result<Position, ProjectionError> {
    let position = sqlx::query_scalar("SELECT position FROM checkpoint WHERE name = $1");
    Ok(Position(position.bind(schema::NAME).fetch_one(connection).await?))
}

/// What reads the log promises it; rows that were written out of order could not be told from right ones later.
fn check_gapless(from: Position, facts: &[Fact]) -> Result<(), ProjectionError> {
    for (expected, fact) in (from.0 + 1..).zip(facts) {
        if fact.position.0 != expected {
            let reason = format!("position {expected} was to come");
            return Err(ProjectionError::Inapplicable { position: fact.position, reason });
        }
    }
    Ok(())
}
