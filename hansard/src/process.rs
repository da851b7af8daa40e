//! [`Process`]: the layers of a process on its stores, from the event store up.

use crate::{cli::Failure, stack::APP_ROLE};
use async_nats::{Client, ConnectOptions, connection::State};
use commands::{AuthSettings, Commands};
use event_store::{EventStore, KeyDir, Keyring, StoreConfig, StreamNames};
use projections::{Progress, Views};
use runtime::{
    clock::{Clock, SystemClock},
    id::{Ids, SystemIds},
    settings::Settings,
};
use sqlx::{Connection, PgConnection, PgPool, postgres::PgPoolOptions};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// Appends that may wait for the log at once; past it callers are told 503.
const QUEUE_LIMIT: usize = 4_096;
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How long a process that ends waits until what it told others over NATS is on its way.
const FLUSH_MAX: Duration = Duration::from_secs(1);

pub struct Process {
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    pub pool: PgPool,
    /// Connected, or trying to be.
    pub nats: Client,
    pub store: EventStore,
    pub commands: Commands,
    pub views: Views,
    pub progress: Progress,
}

impl Process {
    /// By settings whose addresses and secrets are in effect; the schema must be there.
    pub async fn open(settings: &Settings) -> Result<Self, Failure> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let ids: Arc<dyn Ids> = Arc::new(SystemIds);
        let database_url = database_url(settings)?;
        let connections = settings.stores.database_max_connections.0;
        let pool = PgPoolOptions::new().max_connections(connections).acquire_timeout(CONNECT_MAX);
        let pool = match pool.connect(database_url).await {
            Ok(pool) => pool,
            Err(error) => {
                return Err(unreachable("DATABASE_URL", settings, &cause(database_url, error).await));
            }
        };
        let nats = connect_nats(settings).await?;
        let store = open_store(settings, &pool, &nats, &clock, &ids).await?;
        let commands = Commands::new(store.clone(), clock.clone(), ids.clone(), auth(settings)?);
        let views = Views::open(database_url, connections, store.clone(), clock.clone()).await?;
        let progress = Progress::open(views.clone()).await?;
        Ok(Self { clock, ids, pool, nats, store, commands, views, progress })
    }

    /// Ends what a command opened, once others have been told what it did.
    pub async fn close(self) {
        if self.nats.connection_state() == State::Connected
            && let Ok(Err(error)) = tokio::time::timeout(FLUSH_MAX, self.nats.flush()).await
        {
            // Who isn't told polls.
            tracing::debug!(%error, "what was told over NATS may not have arrived");
        }
    }
}

/// Why a pool could not connect. It goes on trying until its time is over, and then says only that; one more try says
/// what is wrong.
async fn cause(database_url: &str, error: sqlx::Error) -> sqlx::Error {
    if !matches!(error, sqlx::Error::PoolTimedOut) {
        return error;
    }
    match tokio::time::timeout(CONNECT_MAX, PgConnection::connect(database_url)).await {
        Ok(Err(cause)) => cause,
        Ok(Ok(_)) | Err(_) => error,
    }
}

async fn open_store(
    settings: &Settings,
    pool: &PgPool,
    nats: &Client,
    clock: &Arc<dyn Clock>,
    ids: &Arc<dyn Ids>,
) -> Result<EventStore, Failure> {
    let master_key = settings.stores.master_key.as_ref().ok_or("MASTER_KEY is not set")?;
    let keyring = Keyring::unlock(pool.clone(), key_dir(settings), *master_key.0.reveal()).await?;
    let config = StoreConfig {
        pool: pool.clone(),
        database_url: database_url(settings)?.to_owned(),
        nats: Some(nats.clone()),
        keyring,
        clock: clock.clone(),
        ids: ids.clone(),
        queue_limit: QUEUE_LIMIT,
        names: StreamNames::default(),
    };
    Ok(EventStore::open(config).await?)
}

fn key_dir(settings: &Settings) -> KeyDir {
    let set = settings.stores.key_dir.as_ref().map(PathBuf::from);
    KeyDir::Directory(set.unwrap_or_else(|| settings.stack.data_dir.join("keys")))
}

fn auth(settings: &Settings) -> Result<AuthSettings, Failure> {
    let secret = settings.auth.jwt_secret.as_ref().ok_or("JWT_SECRET is not set")?;
    Ok(AuthSettings {
        jwt_secret: secret.reveal().clone(),
        jwt_expiry: settings.auth.jwt_expiry.0,
        refresh_token_expiry: settings.auth.refresh_token_expiry.0,
    })
}

fn database_url(settings: &Settings) -> Result<&str, Failure> {
    let url = settings.stores.database_url.as_ref().ok_or("DATABASE_URL is not set")?;
    Ok(url.reveal())
}

/// A client that goes on trying: what needs NATS waits for it, everything else goes on without.
async fn connect_nats(settings: &Settings) -> Result<Client, Failure> {
    let url = settings.stores.nats_url.as_ref().ok_or("NATS_URL is not set")?;
    let mut options = ConnectOptions::new().name("hansard").retry_on_initial_connect();
    // The client leaves a login that stands in the address alone.
    let first = url.reveal().split(',').next().unwrap_or_default();
    if let Some((user, password)) = url::Url::parse(first).ok().and_then(|url| login(&url)) {
        options = options.user_and_password(user, password);
    }
    if let Some(file) = &settings.stores.nats_creds {
        options = options.credentials_file(file).await?;
    }
    Ok(options.connect(url.reveal()).await?)
}

fn login(url: &url::Url) -> Option<(String, String)> {
    let plain = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().ok().map(Into::into);
    Some((plain(url.username()).filter(|user: &String| !user.is_empty())?, plain(url.password().unwrap_or_default())?))
}

/// Brings the schema up to date, as its owner.
pub async fn migrate(settings: &Settings) -> Result<(), Failure> {
    let app_url = database_url(settings)?;
    let admin_url = settings.stores.database_admin_url.as_ref().map_or(app_url, |url| url.reveal());
    let app_role = url::Url::parse(app_url).ok().map(|url| url.username().to_owned()).filter(|name| !name.is_empty());
    let app_role = app_role.unwrap_or_else(|| APP_ROLE.to_owned());
    event_store::migrate(admin_url, &app_role)
        .await
        .map_err(|error| unreachable("DATABASE_ADMIN_URL", settings, &error))
}

/// Names the setting and the place, never the login.
fn unreachable(name: &str, settings: &Settings, error: &impl ToString) -> Failure {
    let place =
        settings.stores.database_url.as_ref().map_or_else(String::new, |url| runtime::settings::masked(url.reveal()));
    format!("the database at {place} ({name}) can't be used: {}", error.to_string()).into()
}
