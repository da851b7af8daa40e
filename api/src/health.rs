//! `/health`: this process lives. `/ready`: it can serve. Both at the root, public, without envelope.

use crate::{
    backend::{Condition, Lag},
    front::Front,
    problem::Problem,
    slice::Slice,
};
use axum::{
    Json,
    extract::{FromRef, State},
};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use utoipa_axum::routes;

/// A read model that is behind for longer makes the process degraded.
const LAG_SECONDS_MAX: f64 = 5.0;

/// Its routes stand at the root, not under `/api`.
pub(crate) fn slice<S>() -> Slice<S>
where
    S: Clone + Send + Sync + 'static,
    Front: FromRef<S>,
{
    Slice::new("health", "For balancers and operators").with(routes!(health)).with(routes!(ready))
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Health {
    /// Always `ok`: a process that isn't doesn't answer.
    #[schema(example = "ok")]
    status: &'static str,
    version: &'static str,
    /// Seconds since the start.
    uptime: u64,
    /// Connections that are open on this process's public ports.
    open_connections: usize,
}

/// Whether the process lives.
#[utoipa::path(get, path = "/health", security(()), responses((status = 200, description = "It lives", body = Health)))]
pub(crate) async fn health(State(front): State<Front>) -> Json<Health> {
    Json(Health {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
        uptime: front.uptime().as_secs(),
        open_connections: front.connections.open(),
    })
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Ready {
    status: Readiness,
    postgres: bool,
    nats: bool,
    lag: BTreeMap<String, Lag>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Readiness {
    Ready,
    /// It serves, but NATS is away or a read model is more than 5 s behind: no reason to send nobody here.
    Degraded,
}

/// Whether the process can serve.
#[utoipa::path(get, path = "/ready", security(()), responses((status = 200, description = "It can serve", body = Ready)))]
pub(crate) async fn ready(State(front): State<Front>) -> Result<Json<Ready>, Problem> {
    let condition = front.backend.condition().await;
    if !condition.postgres || !condition.schema_is_current {
        let detail = if condition.postgres { "the schema is not current" } else { "PostgreSQL doesn't answer" };
        let problem = Problem::unavailable("not_ready", detail, 1);
        return Err(problem.with("postgres", condition.postgres).with("nats", condition.nats));
    }
    Ok(Json(Ready { status: readiness(&condition), postgres: true, nats: condition.nats, lag: condition.lag }))
}

fn readiness(condition: &Condition) -> Readiness {
    let is_behind = condition.lag.values().any(|lag| lag.seconds > LAG_SECONDS_MAX);
    if is_behind || !condition.nats { Readiness::Degraded } else { Readiness::Ready }
}
