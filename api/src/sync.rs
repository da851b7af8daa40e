//! Where a client starts, and starts again: everything of its own at one position of the log.

use crate::{
    App,
    caller::Caller,
    envelope::Read,
    extract::Query,
    fields::query,
    problem::Problem,
    slice::Slice,
};
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use domain::Position;
use projections::sync::{self, Changes, Snapshot};
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
    (status = 200, description = "The snapshot, or with `since` the changes", body = Read<Snapshot>),
))]
async fn read(State(app): State<App>, caller: Caller, Query(ask): Query<Since>) -> Result<Response, Problem> {
    let Some(since) = ask.since else {
        let snapshot: Snapshot = sync::snapshot(&app.views, caller.user).await?;
        return Ok(Read::of(snapshot).into_response());
    };
    let changes: Changes = sync::changes(&app.views, caller.user, since).await?;
    Ok(Read::of(changes).into_response())
}
