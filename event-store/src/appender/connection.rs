//! The appender's own connection, and what it may answer.

use super::{
    Waiting,
    batch::{Arrays, PARAMETERS},
    verdict::Answers,
};
use sqlx::{
    ConnectOptions, Executor, PgConnection, Row,
    postgres::{PgConnectOptions, PgDatabaseError, PgSeverity},
    types::chrono::{DateTime, Utc},
};
use std::{fmt::Write, str::FromStr, sync::LazyLock, time::Duration};

/// A batch that takes longer than this is given up with its connection, and looked for on a new one.
const BATCH_TIMEOUT: Duration = Duration::from_mins(1);

static APPEND: LazyLock<String> = LazyLock::new(|| {
    let mut sql = "SELECT * FROM append_events($1".to_owned();
    for n in 2..=PARAMETERS + 1 {
        write!(sql, ", ${n}").expect("writing to a string can't fail");
    }
    sql + ")"
});

pub(super) struct Connection {
    connection: PgConnection,
    /// Which server process this is, to make sure that it is gone.
    pub session: Session,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Session {
    pub pid: i32,
    pub started: DateTime<Utc>,
}

/// Why a batch has no answer.
pub(super) enum Failure {
    /// PostgreSQL rolled it back.
    Refused(sqlx::Error),
    /// It may have been committed or not.
    Lost(sqlx::Error),
}

impl Connection {
    pub async fn open(url: &str) -> Result<Self, sqlx::Error> {
        let options = PgConnectOptions::from_str(url)?.application_name("hansard appender");
        let mut connection = options.connect().await?;
        let session =
            sqlx::query("SELECT pg_backend_pid(), backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()")
                .fetch_one(&mut connection)
                .await?;
        let session = Session { pid: session.try_get(0)?, started: session.try_get(1)? };
        Ok(Self { connection, session })
    }

    pub async fn append(&mut self, batch: &[Waiting], now: DateTime<Utc>) -> Result<Answers, Failure> {
        let arrays = Arrays::of(batch);
        let query = arrays.bind(sqlx::query(&APPEND).bind(now));
        let row = match tokio::time::timeout(BATCH_TIMEOUT, query.fetch_one(&mut self.connection)).await {
            Ok(Ok(row)) => row,
            Ok(Err(error)) if is_rolled_back(&error) => return Err(Failure::Refused(error)),
            Ok(Err(error)) => return Err(Failure::Lost(error)),
            Err(_) => return Err(Failure::Lost(sqlx::Error::PoolTimedOut)),
        };
        // What can't be read was done nevertheless: it is found on a new connection.
        Answers::read(&row, batch).map_err(Failure::Lost)
    }

    pub async fn head(&mut self) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar("SELECT position FROM head").fetch_one(&mut self.connection).await
    }

    pub async fn make_partitions_ahead(&mut self) -> Result<(), sqlx::Error> {
        self.connection.execute("SELECT make_partitions_ahead()").await.map(|_| ())
    }

    pub fn raw(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

/// An ERROR ends a transaction without a trace. FATAL and PANIC, or no answer at all, can come after the commit.
fn is_rolled_back(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => {
            error.try_downcast_ref::<PgDatabaseError>().is_some_and(|error| error.severity() == PgSeverity::Error)
        }
        _ => false,
    }
}
