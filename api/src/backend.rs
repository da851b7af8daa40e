//! [`Backend`]: what the conventions ask of the layers below, so that they can be tried without a store.

use crate::problem::Problem;
use domain::{Position, SessionId, UserId, user::SystemRole};
use futures::future::BoxFuture;
use std::{collections::BTreeMap, time::Duration};

pub trait Backend: Send + Sync + 'static {
    /// Whose an access token is, where it is genuine, in its time, and its session has not been ended.
    fn authenticate<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Bearer, Problem>>;
    /// The log's last position, as far as this process knows.
    fn head(&self) -> Position;
    /// What the read models have applied, as far as this process knows.
    fn applied(&self) -> Position;
    /// Whether the read models are known to be behind by more than anyone waits.
    fn is_known_to_lag(&self) -> bool;
    /// Waits until the read models have applied a position; false where they haven't in time.
    fn wait_for(&self, position: Position, at_most: Duration) -> BoxFuture<'_, bool>;
    /// How the stores are.
    fn condition(&self) -> BoxFuture<'_, Condition>;
}

/// Whose an access token is.
#[derive(Clone, Debug)]
pub struct Bearer {
    pub user: UserId,
    pub username: String,
    pub session: SessionId,
    pub roles: Vec<SystemRole>,
}

/// How the stores are, as `/ready` tells it.
#[derive(Clone, Debug)]
pub struct Condition {
    /// PostgreSQL answers.
    pub postgres: bool,
    /// Every migration that this build knows has been run.
    pub schema_is_current: bool,
    /// NATS answers.
    pub nats: bool,
    pub lag: BTreeMap<String, Lag>,
}

/// How far a read model is behind the log.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, utoipa::ToSchema)]
pub struct Lag {
    /// So many events are not applied yet.
    #[schema(minimum = 0)]
    pub events: u64,
    /// For so long the oldest of them has been waiting.
    #[schema(minimum = 0)]
    pub seconds: f64,
}
