//! People: oneself, others, and finding them.

use crate::{
    App, Caller, Problem,
    envelope::{Eventual, Listed, Read, Written},
    extract::{Json, Path, Query},
    fields::{Fault, body, query},
    page::{self, Page},
    rule::{self, Text},
    slice::Slice,
};
use axum::extract::State;
use commands::user::ProfileChanges;
use domain::{
    UserId, limits,
    user::{Status, is_status_text},
};
use projections::user::{self, UserView};
use utoipa_axum::routes;

pub(crate) fn slice() -> Slice<App> {
    Slice::new("user", "People: oneself, others, and finding them")
        .with(routes!(me))
        .with(routes!(search))
        .with(routes!(read, update))
}

body! {
    /// What changes of oneself; what is not named stays.
    pub(crate) struct Update {
        #[schema(min_length = 1, max_length = 100)]
        first_name: Option<String> => rule::name,
        #[schema(min_length = 1, max_length = 100)]
        last_name: Option<String> => rule::name,
        /// Of http or https; an empty one clears.
        #[schema(max_length = 2_000)]
        avatar_url: Option<String> => avatar_url,
        status: Option<Status>,
        /// One line; an empty one clears.
        #[schema(max_length = 100)]
        status_text: Option<String> => status_text,
    }
}

query! {
    pub(crate) struct Search {
        /// The beginning of a first, last, whole or user name, without case; or a whole e-mail address.
        q: String,
        /// At most so many.
        #[param(minimum = 1, maximum = 100, default = 50)]
        limit: Option<u32> => page::limit,
        /// Leave out so many first.
        #[param(minimum = 0, default = 0)]
        offset: Option<u32>,
    }
}

/// Oneself.
#[utoipa::path(get, path = "/users/me", responses((status = 200, description = "Oneself", body = Read<UserView>)))]
async fn me(caller: Caller, State(app): State<App>) -> Result<Read<UserView>, Problem> {
    // Who holds a token is registered: where the view lacks them, it lags.
    let behind = || Problem::unavailable("read_model_behind", "the read models have not reached this account", 1);
    user::own(&app.views, caller.user).await?.map(Read::of).ok_or_else(behind)
}

/// A person; with the e-mail address where it is oneself.
#[utoipa::path(
    get,
    path = "/users/{id}",
    params(("id" = UserId, Path, description = "A person's id")),
    responses((status = 200, description = "A person", body = Read<UserView>)),
)]
async fn read(caller: Caller, State(app): State<App>, Path(id): Path<UserId>) -> Result<Read<UserView>, Problem> {
    view(&app, &caller, id).await?.map(Read::of).ok_or_else(|| Problem::not_found("there is no such person"))
}

/// Changes oneself.
#[utoipa::path(
    put,
    path = "/users/{id}",
    params(("id" = UserId, Path, description = "One's own id")),
    request_body = Update,
    responses((status = 200, description = "Oneself, as changed", body = Written<Eventual<UserView>>)),
)]
async fn update(
    caller: Caller,
    State(app): State<App>,
    Path(id): Path<UserId>,
    Json(update): Json<Update>,
) -> Result<Written<Eventual<UserView>>, Problem> {
    let Update { first_name, last_name, avatar_url, status, status_text } = update;
    let changes = ProfileChanges { first_name, last_name, avatar_url, status, status_text };
    let done = commands::user::update_profile(&app.commands, &caller.order(), id, changes).await?;
    let wrote = caller.settle(done.position, done.created).await;
    Ok(wrote.eventually(view(&app, &caller, id).await?, id))
}

/// Finds people by the beginnings of their names, or by a whole address.
#[utoipa::path(
    get,
    path = "/users/search",
    params(Search),
    responses((status = 200, description = "Who is called just so first, then by name", body = Listed<UserView>)),
)]
async fn search(_: Caller, State(app): State<App>, Query(asked): Query<Search>) -> Result<Listed<UserView>, Problem> {
    let page = Page::of(asked.limit, asked.offset);
    let (limit, offset) = (i64::from(page.limit()), i64::from(page.offset()));
    let found = user::search(&app.views, &asked.q, limit, offset).await?;
    Ok(Listed::page(found.items, page, found.has_more))
}

async fn view(app: &App, caller: &Caller, id: UserId) -> Result<Option<UserView>, Problem> {
    Ok(if id == caller.user { user::own(&app.views, id).await? } else { user::get(&app.views, id).await? })
}

fn avatar_url(field: &impl Text) -> Result<(), Fault> {
    match field.text() {
        Some(url) if !url.is_empty() && !limits::is_web_url(url) => {
            Err(Fault { code: "invalid", message: "an http or https address of at most 2,000 characters is needed" })
        }
        _ => Ok(()),
    }
}

fn status_text(field: &impl Text) -> Result<(), Fault> {
    match field.text() {
        Some(text) if !is_status_text(text) => {
            Err(Fault { code: "invalid", message: "a status text is one line of at most 100 characters" })
        }
        _ => Ok(()),
    }
}
