//! [`TestDatabase`]: a database of its own for each test, on the server of HANSARD_TEST_DATABASE_URL.

use crate::{EventStore, KeyDir, Keyring, StoreConfig, StreamNames, migrate};
use runtime::{
    clock::{Clock, SystemClock},
    id::SystemIds,
};
use sqlx::{
    ConnectOptions, Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{
    path::PathBuf,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

/// The application's role on test servers: a login without rights of its own.
pub const APP_ROLE: &str = "hansard_test_app";
/// Wraps the epoch keys of tests.
pub const MASTER_KEY: [u8; 32] = [7; 32];
const QUEUE_LIMIT: usize = 10_000;

static MADE: AtomicU32 = AtomicU32::new(0);

/// A migrated, empty log, dropped with this value.
pub struct TestDatabase {
    name: String,
    server: PgConnectOptions,
    /// As the owner, who may change anything that triggers let him.
    pub admin_url: String,
    /// As the application's role.
    pub app_url: String,
    pub admin: PgPool,
    pub app: PgPool,
    pub key_dir: PathBuf,
}

impl TestDatabase {
    pub async fn create() -> Self {
        let server = server_url();
        let options = PgConnectOptions::from_str(&server).expect("HANSARD_TEST_DATABASE_URL is an address");
        let mut connection = options.connect().await.expect("the test server answers");
        make_app_role(&mut connection).await;
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("hansard_test_{}_{number}_{}", std::process::id(), SystemClock.now().timestamp_micros());
        sqlx::query(&format!("CREATE DATABASE {name}")).execute(&mut connection).await.expect("a database is made");
        connection.close().await.expect("the connection ends");

        let options = options.database(&name);
        let admin_url = options.to_url_lossy().to_string();
        let app_options = options.clone().username(APP_ROLE).password(APP_ROLE);
        let app_url = app_options.to_url_lossy().to_string();
        migrate(&admin_url, APP_ROLE).await.expect("the migrations run");
        let pool = |options| PgPoolOptions::new().max_connections(8).connect_lazy_with(options);
        let key_dir = std::env::temp_dir().join(&name);
        Self {
            server: options.clone(),
            admin: pool(options),
            app: pool(app_options),
            name,
            admin_url,
            app_url,
            key_dir,
        }
    }

    pub async fn keyring(&self) -> Keyring {
        let key_dir = KeyDir::Directory(self.key_dir.clone());
        Keyring::unlock(self.app.clone(), key_dir, MASTER_KEY).await.expect("the keyring opens")
    }

    /// A store on this database, by the machine's clock and without NATS.
    pub async fn store(&self) -> EventStore {
        EventStore::open(self.config().await).await.expect("the store opens")
    }

    /// Names on JetStream that no other test uses.
    pub fn names(&self) -> StreamNames {
        let stream = self.name.to_uppercase();
        StreamNames {
            analytics_stream: format!("{stream}_ANALYTICS"),
            stream,
            subjects: format!("{}.events", self.name),
            analytics_subjects: format!("{}.analytics", self.name),
        }
    }

    /// What [`TestDatabase::store`] opens, to be changed first.
    pub async fn config(&self) -> StoreConfig {
        StoreConfig {
            pool: self.app.clone(),
            database_url: self.app_url.clone(),
            nats: None,
            keyring: self.keyring().await,
            clock: Arc::new(SystemClock),
            ids: Arc::new(SystemIds),
            queue_limit: QUEUE_LIMIT,
            names: self.names(),
        }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        // Directories of keys are small and may be used still by a store of this test; what can't be removed stays.
        let _ = std::fs::remove_dir_all(&self.key_dir);
        let (server, name) = (self.server.clone().database("postgres"), self.name.clone());
        // A thread with a runtime of its own: a test's runtime may be on its way out.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            runtime.block_on(async {
                let mut connection = server.connect().await.ok()?;
                sqlx::query(&format!("DROP DATABASE {name} WITH (FORCE)")).execute(&mut connection).await.ok()
            })
        });
        // A database that is left over costs disk on a throwaway server, and nothing else.
        let _ = dropped.join();
    }
}

/// An empty connection to the NATS server of HANSARD_TEST_NATS_URL, which tests share: subjects and streams must differ.
pub fn nats_url() -> String {
    std::env::var("HANSARD_TEST_NATS_URL").expect("HANSARD_TEST_NATS_URL names a server: run scripts/test-servers")
}

fn server_url() -> String {
    std::env::var("HANSARD_TEST_DATABASE_URL")
        .expect("HANSARD_TEST_DATABASE_URL names a server: run scripts/test-servers")
}

async fn make_app_role(connection: &mut PgConnection) {
    // Tests of many processes make it at once: all but one find it there.
    let sql = format!(
        "DO $$ BEGIN
             IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{APP_ROLE}') THEN
                 CREATE ROLE {APP_ROLE} LOGIN PASSWORD '{APP_ROLE}';
             END IF;
         EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
         END $$"
    );
    sqlx::raw_sql(&sql).execute(connection).await.expect("the application's role is made");
}
