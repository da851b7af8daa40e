//! Where a client starts, and starts again: everything of its own at one position of the log.

use crate::{App, caller::Caller, envelope::Read, extract::Query, fields::query, problem::Problem, slice::Slice};
use axum::extract::State;
use domain::Position;
use projections::sync::{self, Sync};
use utoipa_axum::routes;

pub(crate) fn slice() -> Slice<App> {
    Slice::new("sync", "Where a client starts").with(routes!(read))
}

query! {
    /// From where on.
    pub struct Since {
        /// The position of an earlier snapshot: then only what has changed since is told.
        since: Option<Position>,
    }
}

/// Everything of one's own, in one consistent snapshot.
///
/// What comes after its `position` comes over the socket. With `since`, only what has changed after that position, and
/// what is gone: 410 `too_old` where that reaches too far back.
#[utoipa::path(get, path = "/sync", params(Since), responses(
    (status = 200, description = "The snapshot, or with `since` the changes", body = Read<Sync>),
))]
async fn read(State(app): State<App>, caller: Caller, Query(ask): Query<Since>) -> Result<Read<Sync>, Problem> {
    let found = match ask.since {
        None => sync::snapshot(&app.views, caller.user).await?,
        Some(since) => sync::changes(&app.views, caller.user, since).await?,
    };
    found.map(Read::of).ok_or_else(|| Problem::not_found("the read models don't know this account yet"))
}
