//! [`Stack`]: a private PostgreSQL and a private nats-server, as children of this process, in the data directory.
//!
//! One process at a time owns a data directory; others attach to its servers ([`Attached`]). What a process that was
//! killed left behind, its next start clears away: running servers, a stale pid file, a half-made cluster.

mod account;
mod data_dir;
mod keeper;
mod log;
mod nats;
mod orphan;
mod port;
mod postgres;
mod secrets;
mod servers;
mod state;

pub use data_dir::DataDir;
pub use postgres::APP as APP_ROLE;
pub use secrets::{generate_secrets, supply_secrets};

use keeper::Keeper;
use runtime::settings::{Reading, Source};
use serde::{Deserialize, Serialize};
use servers::Servers;
use state::State;
use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// Told what is being done, for people who wait.
pub type Say<'a> = &'a (dyn Fn(&str) + Sync);

/// Which servers are to be embedded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    pub postgres: bool,
    pub nats: bool,
}

impl Wanted {
    /// The servers whose addresses are not set.
    pub fn of(reading: &Reading) -> Self {
        Self { postgres: !reading.is_set("DATABASE_URL"), nats: !reading.is_set("NATS_URL") }
    }

    pub fn is_nothing(self) -> bool {
        !self.postgres && !self.nats
    }
}

/// The addresses of the embedded servers, logins included.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// As the application's role.
    pub database_url: String,
    /// As the owner, who is the private cluster's superuser.
    pub database_admin_url: String,
    pub nats_url: String,
    /// As those who only read events without personal fields.
    pub nats_analytics_url: String,
}

impl Endpoints {
    /// Of a data directory whose stack has run before, running or not.
    pub fn known_in(data_dir: &Path) -> Option<Self> {
        State::read(&DataDir::at(data_dir)).ok().flatten().map(|state| state.endpoints())
    }

    /// Gives the addresses to the settings that have none.
    pub fn supply(&self, reading: &mut Reading) {
        let wanted = Wanted::of(reading);
        if wanted.postgres {
            reading.supply("DATABASE_URL", self.database_url.clone(), Source::Stack);
            reading.supply("DATABASE_ADMIN_URL", self.database_admin_url.clone(), Source::Stack);
        }
        if wanted.nats {
            reading.supply("NATS_URL", self.nats_url.clone(), Source::Stack);
            reading.supply("NATS_ANALYTICS_URL", self.nats_analytics_url.clone(), Source::Stack);
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum StackError {
    #[error("the data directory {} is in use by process {pid}", dir.display())]
    InUse { dir: PathBuf, pid: String },
    #[error("{what} {}: {source}", path.display())]
    File { what: &'static str, path: PathBuf, source: io::Error },
    #[error("{0}")]
    Account(String),
    #[error("the database servers could not be found or installed: {0}")]
    Servers(String),
    #[error("{name} {what}{}", tail(log))]
    Server { name: &'static str, what: String, log: String },
}

fn tail(log: &str) -> String {
    if log.is_empty() { String::new() } else { format!("; its log ends with:\n{log}") }
}

impl StackError {
    fn file<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::File { what, path: path.to_owned(), source }
    }

    fn server(name: &'static str, what: impl Into<String>) -> Self {
        Self::Server { name, what: what.into(), log: String::new() }
    }
}

/// The running servers. Dropping it stops them, too, but without the patience of [`Stack::stop`].
pub struct Stack {
    endpoints: Endpoints,
    // In the order in which they are dropped: the lock goes last.
    nats: Option<Keeper>,
    postgres: Option<Keeper>,
    state: State,
    dir: DataDir,
    _lock: data_dir::Lock,
}

impl Stack {
    /// Starts the wanted servers and returns once they answer. Refuses where another process owns the directory.
    pub async fn start(reading: &Reading, data_dir: &Path, wanted: Wanted, say: Say<'_>) -> Result<Self, StackError> {
        let dir = DataDir::at(data_dir);
        let lock = dir.lock()?;
        Self::start_locked(reading, dir, lock, wanted, say).await
    }

    async fn start_locked(
        reading: &Reading,
        dir: DataDir,
        lock: data_dir::Lock,
        wanted: Wanted,
        say: Say<'_>,
    ) -> Result<Self, StackError> {
        let (mut state, is_new) = State::open(&dir)?;
        if wanted.is_nothing() {
            return Ok(Self { endpoints: state.endpoints(), nats: None, postgres: None, state, dir, _lock: lock });
        }
        let servers = Servers::find(reading).await?;
        // Before ports are chosen: what an earlier run left running still has the ones that are remembered.
        end_orphans(&dir).await?;
        if wanted.postgres {
            postgres::prepare(&dir, &servers, &state, is_new, say).await?;
        }
        state.choose_ports();
        state.write(&dir)?;
        let (postgres, nats) = tokio::try_join!(
            async {
                if wanted.postgres { postgres::start(&dir, &servers, &state, say).await.map(Some) } else { Ok(None) }
            },
            async { if wanted.nats { nats::start(&dir, &servers, &state, say).await.map(Some) } else { Ok(None) } },
        )?;
        state.ready = Some(wanted);
        state.write(&dir)?;
        Ok(Self { endpoints: state.endpoints(), nats, postgres, state, dir, _lock: lock })
    }

    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    pub fn has_nats(&self) -> bool {
        self.nats.is_some()
    }

    /// Ends nats-server where it is embedded, so that it is started again. Nothing is lost that the log doesn't have.
    pub fn restart_nats(&self) {
        if let Some(nats) = &self.nats {
            nats.restart();
        }
    }

    /// Resolves when a server has ended too often to be started again. The error says which.
    pub async fn failed(&self) -> StackError {
        tokio::select! {
            Some(error) = failure_of(postgres::NAME, self.postgres.as_ref()) => error,
            Some(error) = failure_of(nats::NAME, self.nats.as_ref()) => error,
            else => std::future::pending().await,
        }
    }

    /// Stops the servers, the last started first, and gives the directory free.
    pub async fn stop(mut self) {
        self.state.ready = None;
        // Whoever attaches from now on waits for the lock. Where the note can't be written, they find closed ports.
        let _ = self.state.write(&self.dir);
        for keeper in [self.nats.take(), self.postgres.take()].into_iter().flatten() {
            keeper.stop().await;
        }
    }
}

async fn end_orphans(dir: &DataDir) -> Result<(), StackError> {
    let tag = dir.tag()?;
    let ended = tokio::task::spawn_blocking(move || {
        orphan::end(nats::NAME, &tag, nats::STOP)?;
        orphan::end(postgres::NAME, &tag, postgres::STOP)
    });
    ended.await.unwrap_or_else(|error| Err(StackError::server("an earlier run", format!("can't be ended: {error}"))))
}

async fn failure_of(name: &'static str, keeper: Option<&Keeper>) -> Option<StackError> {
    Some(keeper?.failed(name).await)
}

/// The stack that a command works on: another process's, or its own for as long as the command runs.
pub struct Attached {
    endpoints: Endpoints,
    own: Option<Stack>,
}

impl Attached {
    /// How long to wait for the process that owns the directory to have its servers ready.
    const PATIENCE: Duration = Duration::from_mins(1);

    /// Uses the servers of the process that owns the directory, or else starts them.
    pub async fn attach_or_start(
        reading: &Reading,
        data_dir: &Path,
        wanted: Wanted,
        say: Say<'_>,
    ) -> Result<Self, StackError> {
        let dir = DataDir::at(data_dir);
        let deadline = Instant::now() + Self::PATIENCE;
        loop {
            match dir.lock() {
                Ok(lock) => {
                    let stack = Stack::start_locked(reading, dir, lock, wanted, say).await?;
                    return Ok(Self { endpoints: stack.endpoints.clone(), own: Some(stack) });
                }
                Err(StackError::InUse { dir, pid }) if Instant::now() > deadline => {
                    return Err(StackError::InUse { dir, pid });
                }
                Err(StackError::InUse { .. }) => {}
                Err(error) => return Err(error),
            }
            if let Some(state) = State::read(&dir)?.filter(|state| state.has_ready(wanted)) {
                return Ok(Self { endpoints: state.endpoints(), own: None });
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Whether the servers are this command's own, and nobody else's.
    pub fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// Stops the servers where they are this command's own.
    pub async fn detach(self) {
        if let Some(stack) = self.own {
            stack.stop().await;
        }
    }
}
