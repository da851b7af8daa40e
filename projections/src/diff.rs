//! [`diff`]: the live tables compared, row by row, with tables made from the log alone.

use crate::{
    ProjectionError, Step, Views, rebuild,
    schema::{self, LIVE, SCRATCH},
    status,
};
use domain::Position;
use serde::Serialize;
use sqlx::{Connection, Executor, PgConnection, Row};
use utoipa::ToSchema;

/// Rows shown of each kind of difference.
const SAMPLES: i64 = 5;

/// What differs in one table; nothing where both counts are 0.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TableDiff {
    pub table: String,
    /// Rows that follow from the log and are not there.
    pub missing: i64,
    /// Rows that are there and don't follow from the log.
    pub extra: i64,
    /// The first few of both.
    pub missing_rows: Vec<serde_json::Value>,
    pub extra_rows: Vec<serde_json::Value>,
}

impl TableDiff {
    pub fn is_clean(&self) -> bool {
        self.missing == 0 && self.extra == 0
    }
}

/// Compares the tables of a projection (`core`, or `all`) as they stand at their checkpoint. Nothing is changed.
pub async fn diff(views: &Views, name: &str, mut on_step: impl FnMut(Step)) -> Result<Vec<TableDiff>, ProjectionError> {
    status::check_name(name)?;
    let mut connection = rebuild::begin(views, SCRATCH).await?;
    let target = views.position().await?;
    let position = rebuild::catch_up(views, &mut connection, Position(0), target, &mut on_step).await?;
    let compared = compare(views, &mut connection, position).await;
    schema::drop(&mut connection, SCRATCH).await?;
    connection.close().await?;
    compared
}

/// Brings the scratch tables to the live ones' position, within the transaction that sees the live ones there: what it
/// writes it sees, and nobody else ever will.
async fn compare(
    views: &Views,
    connection: &mut PgConnection,
    from: Position,
) -> Result<Vec<TableDiff>, ProjectionError> {
    let mut tx = connection.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ").await?;
    tx.execute(format!("LOCK TABLE {LIVE}.checkpoint IN ACCESS SHARE MODE").as_str()).await?;
    let target = schema::live_position(&mut tx).await?;
    rebuild::catch_up_within(views, &mut tx, from, target).await?;
    // Tables are read whole here, not by index as writers do.
    tx.execute("SET LOCAL enable_seqscan = on; SET LOCAL work_mem = '64MB'").await?;
    let mut diffs = Vec::new();
    for table in schema::tables(&mut tx, SCRATCH).await? {
        if table != "checkpoint" {
            diffs.push(compare_table(&mut tx, table).await?);
        }
    }
    tx.rollback().await?;
    Ok(diffs)
}

async fn compare_table(tx: &mut PgConnection, table: String) -> Result<TableDiff, ProjectionError> {
    let columns = schema::columns(tx, SCRATCH, &table).await?;
    let (missing, missing_rows) = only_in(tx, SCRATCH, LIVE, &table, &columns).await?;
    let (extra, extra_rows) = only_in(tx, LIVE, SCRATCH, &table, &columns).await?;
    Ok(TableDiff { table, missing, extra, missing_rows, extra_rows })
}

async fn only_in(
    tx: &mut PgConnection,
    one: &str,
    other: &str,
    table: &str,
    columns: &str,
) -> Result<(i64, Vec<serde_json::Value>), ProjectionError> {
    let sql = format!(
        "WITH lone AS MATERIALIZED
             (SELECT {columns} FROM {one}.{table} EXCEPT ALL SELECT {columns} FROM {other}.{table}),
         shown AS (SELECT * FROM lone LIMIT {SAMPLES})
         SELECT (SELECT count(*) FROM lone), (SELECT coalesce(jsonb_agg(to_jsonb(shown)), '[]') FROM shown)"
    );
    let row = sqlx::query(&sql).fetch_one(tx).await?;
    let serde_json::Value::Array(rows) = row.try_get(1)? else { return Ok((row.try_get(0)?, vec![])) };
    Ok((row.try_get(0)?, rows))
}
