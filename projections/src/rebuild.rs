//! [`rebuild`]: the views made anew from position 0, beside the ones in use, and put in their place.

use crate::{
    ProjectionError, Views,
    batch::{self, Fact},
    schema::{self, LOCK_PAUSE},
    status, writer,
};
use domain::Position;
use event_store::EventStore;
use sqlx::{Connection, Executor, PgConnection};
use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};
use tokio::sync::mpsc;

/// Events of one transaction. Larger ones are hardly faster, and take more memory.
const BATCH: usize = 8_000;
/// Batches that are read and decoded ahead of the one being applied.
const AHEAD: usize = 2;
/// Events that may be left to apply while readers wait for the swap.
const SWAP_MAX: i64 = 2_000;

/// How far a rebuild or a diff is; the head goes on moving meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub position: Position,
    pub target: Position,
}

/// Makes the tables of a projection (`core`, or `all`) anew and swaps them in. The live ones are read and kept up
/// meanwhile; what was left by a rebuild that was killed is cleared away.
pub async fn rebuild(views: &Views, name: &str, mut on_step: impl FnMut(Step)) -> Result<Position, ProjectionError> {
    status::check_name(name)?;
    let mut connection = begin(views, schema::NEXT).await?;
    let target = views.position().await?;
    let mut position = catch_up(views, &mut connection, Position(0), target, &mut on_step).await?;
    prepare_for_readers(views, &mut connection).await?;
    loop {
        let target = views.position().await?;
        position = catch_up(views, &mut connection, position, target, &mut on_step).await?;
        match swap(views, &mut connection, position).await {
            Ok(Some(position)) => {
                on_step(Step { position, target: position });
                schema::drop_old(&mut connection).await?;
                connection.close().await?;
                return Ok(position);
            }
            Ok(None) => {}
            Err(ProjectionError::Database(error)) if schema::is_lock_timeout(&error) => {
                tokio::time::sleep(LOCK_PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// A connection on which table names mean empty tables in a schema beside the live one.
pub(crate) async fn begin(views: &Views, scratch: &str) -> Result<PgConnection, ProjectionError> {
    let mut connection = schema::connect_builder(views.options(), scratch).await?;
    schema::ensure(&mut connection).await?;
    schema::begin_maintenance(&mut connection, scratch).await?;
    Ok(connection)
}

/// Applies the log from `from` to `target`, a batch a transaction.
pub(crate) async fn catch_up(
    views: &Views,
    connection: &mut PgConnection,
    from: Position,
    target: Position,
    on_step: &mut impl FnMut(Step),
) -> Result<Position, ProjectionError> {
    let mut batches = read_ahead(views.store().clone(), from, target);
    let mut position = from;
    while let Some(batch) = batches.recv().await {
        position = writer::commit(connection, position, &batch?, views.keyring()).await?;
        on_step(Step { position, target });
    }
    Ok(position)
}

/// As [`catch_up`], in the caller's transaction and without a word.
pub(crate) async fn catch_up_within(
    views: &Views,
    tx: &mut PgConnection,
    from: Position,
    target: Position,
) -> Result<Position, ProjectionError> {
    let mut batches = read_ahead(views.store().clone(), from, target);
    let mut position = from;
    while let Some(batch) = batches.recv().await {
        position = writer::apply(tx, position, &batch?, views.keyring()).await?;
    }
    Ok(position)
}

/// Reads and decodes in a task of its own, so that PostgreSQL has the next batch to work on when one is done.
fn read_ahead(
    store: EventStore,
    from: Position,
    target: Position,
) -> mpsc::Receiver<Result<Vec<Fact>, ProjectionError>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    tokio::spawn(async move {
        let mut after = from;
        while after < target {
            let batch = read(&store, after, target).await;
            let last = batch.as_ref().ok().and_then(|facts| facts.last()).map(|fact| fact.position);
            // Nobody listens any more once an error has been told.
            if sender.send(batch).await.is_err() {
                return;
            }
            let Some(last) = last else { return };
            after = last;
        }
    });
    receiver
}

async fn read(store: &EventStore, after: Position, target: Position) -> Result<Vec<Fact>, ProjectionError> {
    let left = usize::try_from(target.0 - after.0).unwrap_or(0);
    batch::decode_all(store.read_log(after, left.min(BATCH)).await?)
}

/// Applies what the live views have and the new ones have not, and swaps, in one transaction. None where there is too
/// much of it: readers would wait too long.
async fn swap(
    views: &Views,
    connection: &mut PgConnection,
    from: Position,
) -> Result<Option<Position>, ProjectionError> {
    let mut tx = schema::begin_swap(connection).await?;
    let target = schema::live_position(&mut tx).await?;
    if target.0 - from.0 > SWAP_MAX {
        tx.rollback().await?;
        return Ok(None);
    }
    let position = catch_up_within(views, &mut tx, from, target).await?;
    if position != target {
        return Err(ProjectionError::Overtaken { expected: target });
    }
    schema::swap(&mut tx).await?;
    // Unlike the views' other transactions this one is not made again after a crash.
    tx.execute("SET LOCAL synchronous_commit = on").await?;
    tx.commit().await?;
    Ok(Some(position))
}

/// Their indexes, and statistics of all tables, so that the first queries are planned well. Two connections share the
/// work: what is killed half way is cleared away with the tables.
async fn prepare_for_readers(views: &Views, connection: &mut PgConnection) -> Result<(), ProjectionError> {
    let tables = schema::tables(connection, schema::NEXT).await?;
    let statistics = tables.iter().map(|table| format!("ANALYZE {}.{table}", schema::NEXT));
    // The slices with the most rows come last and take longest.
    let work = schema::for_readers().rev().map(str::to_owned).chain(statistics);
    let work = Mutex::new(work.collect::<VecDeque<_>>());
    let mut helper = schema::connect_builder(views.options(), schema::NEXT).await?;
    tokio::try_join!(work_off(connection, &work), work_off(&mut helper, &work))?;
    helper.close().await?;
    Ok(())
}

async fn work_off(connection: &mut PgConnection, work: &Mutex<VecDeque<String>>) -> Result<(), ProjectionError> {
    loop {
        let next = work.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(statements) = next else { return Ok(()) };
        connection.execute(statements.as_str()).await?;
    }
}

#[cfg(test)]
mod tests;
