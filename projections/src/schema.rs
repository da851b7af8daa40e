//! The schema that holds the views: [`ensure`] makes it, a rebuild makes another beside it and [`swap`]s.

use crate::{ProjectionError, batch};
use domain::Position;
use sqlx::{Connection, Executor, PgConnection, Postgres, Transaction, postgres::PgConnectOptions};
use std::time::Duration;

/// The one projection: all views that are served together.
pub const NAME: &str = "core";
/// The schema in use. Its number rises with every change to the tables or to what is written into them: a process that
/// knows only the older number goes on with the older schema.
pub(crate) const LIVE: &str = "core_v2";
/// Where a rebuild puts the tables until they are swapped in.
pub(crate) const NEXT: &str = "core_v2_next";
/// Where a diff puts its tables to compare with.
pub(crate) const SCRATCH: &str = "core_v2_diff";
/// What a swap has replaced, until nobody reads it any more.
const OLD: &str = "core_v2_old";
pub(crate) const DDL: &str = include_str!("../schema/core.sql");
/// In a slice's file, what comes after this line is of use to readers only: a rebuild makes it when the rows are there.
const FOR_READERS: &str = "-- For readers alone.\n";

/// Serialises the making of schemas: two processes may start at once.
const MAKING: &str = "hansard.projections.schema";
/// Held by a rebuild or a diff from beginning to end.
const MAINTENANCE: &str = "hansard.projections.maintenance";
/// Held by the process that applies the log.
pub(crate) const LEADING: &str = "hansard.projections.core";

/// Shorter than PostgreSQL's deadlock timeout (1 s): of a reader and a swap or drop that wait for each other, it is
/// the latter that gives way, and tries again.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '400ms'";
const LOCK_TRIES: u32 = 100;
pub(crate) const LOCK_PAUSE: Duration = Duration::from_millis(200);

/// Connection options by which table names mean the tables of this schema; the log's own stay in reach.
pub(crate) fn reaching(options: &PgConnectOptions, schema: &str) -> PgConnectOptions {
    options.clone().options([("search_path", format!("{schema},public"))])
}

/// A connection that writes views. Its plans always go by index and by the values at hand: a plan that was cached
/// while a table was empty would read it from end to end for ever.
pub(crate) async fn connect_writer(options: &PgConnectOptions, schema: &str) -> Result<PgConnection, ProjectionError> {
    let options = reaching(options, schema).options([
        ("plan_cache_mode", "force_custom_plan"),
        ("enable_seqscan", "off"),
        ("jit", "off"),
        // The checkpoint is lost with the rows, so that after a crash of PostgreSQL the same events are applied again.
        ("synchronous_commit", "off"),
    ]);
    Ok(PgConnection::connect_with(&options).await?)
}

/// A connection that writes views which are made anew.
pub(crate) async fn connect_builder(options: &PgConnectOptions, schema: &str) -> Result<PgConnection, ProjectionError> {
    let mut connection = connect_writer(options, schema).await?;
    // Indexes are made over all rows at once; the default sorts them on disk.
    connection.execute("SET maintenance_work_mem = '128MB'").await?;
    Ok(connection)
}

/// Makes the live schema with empty tables, where there is none yet.
pub async fn ensure(connection: &mut PgConnection) -> Result<(), ProjectionError> {
    if exists(connection, LIVE).await? {
        return Ok(());
    }
    let mut tx = connection.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))").bind(MAKING).execute(&mut *tx).await?;
    if !exists(&mut tx, LIVE).await? {
        create(&mut tx, LIVE).await?;
        for indexes in for_readers() {
            tx.execute(indexes).await?;
        }
    }
    tx.commit().await?;
    Ok(())
}

async fn exists(connection: &mut PgConnection, schema: &str) -> Result<bool, ProjectionError> {
    let found = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)");
    Ok(found.bind(schema).fetch_one(connection).await?)
}

/// Makes a schema with empty tables in the caller's transaction, as far as writers need it.
async fn create(tx: &mut PgConnection, schema: &str) -> Result<(), ProjectionError> {
    tx.execute(format!("CREATE SCHEMA {schema}; SET LOCAL search_path = {schema}").as_str()).await?;
    for ddl in batch::DDL {
        tx.execute(ddl.split_once(FOR_READERS).map_or(*ddl, |(tables, _)| tables)).await?;
    }
    Ok(())
}

/// What readers need beside the tables, slice by slice.
pub(crate) fn for_readers() -> impl DoubleEndedIterator<Item = &'static str> {
    batch::DDL.iter().filter_map(|ddl| ddl.split_once(FOR_READERS)).map(|(_, indexes)| indexes)
}

/// Drops a schema where there is one, once nobody reads it.
pub(crate) async fn drop(connection: &mut PgConnection, schema: &str) -> Result<(), ProjectionError> {
    for _ in 0..LOCK_TRIES {
        let mut tx = connection.begin().await?;
        tx.execute(LOCK_TIMEOUT).await?;
        match tx.execute(format!("DROP SCHEMA IF EXISTS {schema} CASCADE").as_str()).await {
            Ok(_) => return Ok(tx.commit().await?),
            Err(error) if is_lock_timeout(&error) => tx.rollback().await?,
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(LOCK_PAUSE).await;
    }
    Err(ProjectionError::Busy)
}

/// Begins the transaction of a swap: nobody reads or moves the live checkpoint until it ends.
///
/// Whoever reads more than one table in one snapshot has locked the checkpoint before (`Views::snapshot`), and the
/// runner moves it before it writes: so none of them ever sees tables of both schemas.
pub(crate) async fn begin_swap(connection: &mut PgConnection) -> Result<Transaction<'_, Postgres>, ProjectionError> {
    let mut tx = connection.begin().await?;
    tx.execute(LOCK_TIMEOUT).await?;
    tx.execute(format!("LOCK TABLE {LIVE}.checkpoint IN ACCESS EXCLUSIVE MODE").as_str()).await?;
    Ok(tx)
}

/// Puts the rebuilt schema in the live one's place, in a transaction of [`begin_swap`].
pub(crate) async fn swap(tx: &mut PgConnection) -> Result<(), ProjectionError> {
    let renames = format!("ALTER SCHEMA {LIVE} RENAME TO {OLD}; ALTER SCHEMA {NEXT} RENAME TO {LIVE}");
    tx.execute(renames.as_str()).await?;
    Ok(())
}

/// Makes the connection the only one that rebuilds or compares, for as long as it lives, and clears away what an
/// earlier one left when it was killed.
pub(crate) async fn begin_maintenance(connection: &mut PgConnection, scratch: &str) -> Result<(), ProjectionError> {
    for _ in 0..LOCK_TRIES {
        if try_lock(connection, MAINTENANCE).await? {
            drop(connection, OLD).await?;
            drop(connection, scratch).await?;
            let mut tx = connection.begin().await?;
            create(&mut tx, scratch).await?;
            return Ok(tx.commit().await?);
        }
        tokio::time::sleep(LOCK_PAUSE).await;
    }
    Err(ProjectionError::Busy)
}

/// Drops what a swap replaced.
pub(crate) async fn drop_old(connection: &mut PgConnection) -> Result<(), ProjectionError> {
    drop(connection, OLD).await
}

/// Takes a lock that is held until the connection ends, if nobody has it.
pub(crate) async fn try_lock(connection: &mut PgConnection, lock: &str) -> Result<bool, ProjectionError> {
    let taken = sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtextextended($1, 0))");
    Ok(taken.bind(lock).fetch_one(connection).await?)
}

pub(crate) fn is_lock_timeout(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| code == "55P03")
}

/// Up to where the live views have followed the log, seen from a connection whose table names mean others.
pub(crate) async fn live_position(tx: &mut PgConnection) -> Result<Position, ProjectionError> {
    let sql = format!("SELECT position FROM {LIVE}.checkpoint WHERE name = $1");
    Ok(Position(sqlx::query_scalar(&sql).bind(NAME).fetch_one(tx).await?))
}

pub(crate) async fn tables(connection: &mut PgConnection, schema: &str) -> Result<Vec<String>, ProjectionError> {
    let tables = sqlx::query_scalar("SELECT tablename::text FROM pg_tables WHERE schemaname = $1 ORDER BY 1");
    Ok(tables.bind(schema).fetch_all(connection).await?)
}

/// A table's columns, ready to stand in a query.
pub(crate) async fn columns(
    connection: &mut PgConnection,
    schema: &str,
    table: &str,
) -> Result<String, ProjectionError> {
    let columns = sqlx::query_scalar(
        "SELECT string_agg(quote_ident(column_name), ', ' ORDER BY ordinal_position)
           FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2",
    );
    Ok(columns.bind(schema).bind(table).fetch_one(connection).await?)
}
