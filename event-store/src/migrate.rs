//! [`migrate`]: brings the schema up to date, as its owner.

use crate::StoreError;
use sqlx::{Connection, PgConnection, PgPool, error::DatabaseError, migrate::Migrator, postgres::PgDatabaseError};

static MIGRATOR: Migrator = sqlx::migrate!("../migrations");

/// How often a grant is tried again where another database's migration touches the same cluster-wide row.
const GRANT_TRIES: u32 = 20;

/// Applies all migrations as the role of `admin_url`, then lets `app_role` do what the application does.
/// The two may be the same role.
pub async fn migrate(admin_url: &str, app_role: &str) -> Result<(), StoreError> {
    let mut connection = PgConnection::connect(admin_url).await?;
    MIGRATOR.run(&mut connection).await?;
    let mut tries = 0;
    while let Err(error) = grant(&mut connection, app_role).await {
        tries += 1;
        if tries == GRANT_TRIES || !is_concurrent_change(&error) {
            return Err(error.into());
        }
        tokio::time::sleep(std::time::Duration::from_millis(10 * u64::from(tries))).await;
    }
    sqlx::query("GRANT SELECT ON _sqlx_migrations TO hansard_application").execute(&mut connection).await?;
    sqlx::query("SELECT make_partitions_ahead()").execute(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

/// Whether every migration that this build knows has been applied. Newer ones may have been too.
pub async fn schema_is_current(pool: &PgPool) -> Result<bool, StoreError> {
    let applied: Vec<i64> =
        sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success").fetch_all(pool).await?;
    Ok(MIGRATOR.iter().all(|migration| applied.contains(&migration.version)))
}

/// Puts the role into the application's group. Nothing is to be done for the owner, or where there is no group.
async fn grant(connection: &mut PgConnection, app_role: &str) -> Result<(), sqlx::Error> {
    let needed: Option<String> = sqlx::query_scalar(
        "SELECT format('GRANT hansard_application TO %I', $1)
         WHERE $1 <> current_user AND EXISTS (SELECT FROM pg_roles WHERE rolname = 'hansard_application')
           AND NOT EXISTS (SELECT FROM pg_auth_members m
               JOIN pg_roles g ON g.oid = m.roleid AND g.rolname = 'hansard_application'
               JOIN pg_roles r ON r.oid = m.member AND r.rolname = $1)",
    )
    .bind(app_role)
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(grant) = needed {
        sqlx::query(&grant).execute(connection).await?;
    }
    Ok(())
}

/// Roles are shared by all databases of a cluster, so that two migrations can meet there.
fn is_concurrent_change(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    let error: &PgDatabaseError = error.downcast_ref();
    error.code() == "XX000" || error.is_unique_violation()
}
