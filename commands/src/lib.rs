//! Who may change what. [`Commands`] holds what every command needs; each slice's verbs are functions of its module:
//! `commands::message::send(&commands, &caller, …)`.
//!
//! Architecture invariant: a decision is never taken from a read model, only from streams and claims; what a decision
//! relied on is named in the append and holds at the position that the append gets.

pub mod audit;
mod caller;
mod claim;
pub mod conversation;
mod credential;
mod error;
pub mod import;
pub mod inbox;
pub mod message;
mod problem;
mod run;
pub mod session;
mod token;
pub mod user;
pub mod workspace;

pub use caller::{Caller, Idempotency, Origin};
pub use credential::{Password, Weakness};
pub use error::CommandError;
pub use problem::{Problem, WrongField};
pub use run::Done;
pub use token::{AccessTokens, AuthSettings, Claims, RefreshToken, TokenError};

use domain::Timestamp;
use event_store::EventStore;
use runtime::{clock::Clock, id::Ids};
use session::Sessions;
use sqlx::{Postgres, pool::PoolConnection};
use std::sync::Arc;

/// The way to change anything. Cheap to clone.
#[derive(Clone)]
pub struct Commands {
    store: EventStore,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    auth: AuthSettings,
    passwords: credential::Passwords,
    access_tokens: AccessTokens,
    sessions: Sessions,
}

impl Commands {
    pub fn new(store: EventStore, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>, auth: AuthSettings) -> Self {
        let sessions = Sessions::new(store.pool().clone(), clock.clone());
        let (passwords, access_tokens) = (credential::Passwords::new(), AccessTokens::new(&auth));
        Self { store, clock, ids, auth, passwords, access_tokens, sessions }
    }
    pub fn store(&self) -> &EventStore {
        &self.store
    }
    /// Tells whether sessions live.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }
    /// Checks access tokens.
    pub fn access_tokens(&self) -> &AccessTokens {
        &self.access_tokens
    }
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now().into()
    }
    pub(crate) fn new_id<T: From<uuid::Uuid>>(&self) -> T {
        self.ids.uuid().into()
    }
    pub(crate) fn random<const N: usize>(&self) -> [u8; N] {
        self.ids.random_bytes()
    }
    pub(crate) async fn connection(&self) -> Result<PoolConnection<Postgres>, CommandError> {
        self.store.pool().acquire().await.map_err(CommandError::from_database)
    }
}
