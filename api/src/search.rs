//! Finding messages and people, with the operators that people know.

mod find;

use crate::{
    App, Caller, Problem,
    envelope::Read,
    extract::Query,
    fields::{Fault, query},
    page::{self, Page},
    rule::Text,
    slice::Slice,
};
use axum::extract::State;
use find::Search;
use projections::{message::MessageView, user::UserView};
use search_index::{query, search};
use serde::{Deserialize, Serialize};
use std::time::Instant;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub(crate) fn slice() -> Slice<App> {
    Slice::new("search", "Finding what was written, and people").with(routes!(find))
}

/// What is searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HitType {
    Messages,
    Files,
    Users,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HitOrder {
    Best,
    Newest,
}

query! {
    pub(crate) struct Asked {
        /// Words, all of which must be there; `"a phrase"`, `-excluded`, `beginning*`, `from:username`, `in:conversation`,
        /// `before:`, `after:` and `on:2026-01-31`, `has:link`, `file`, `reaction` or `pin`.
        #[param(max_length = 1_000)]
        q: String => q,
        /// Searches only these; all of them where it is absent.
        #[param(inline)]
        r#type: Option<HitType>,
        /// The best first, or the newest.
        #[param(inline)]
        order: Option<HitOrder>,
        /// At most so many.
        #[param(minimum = 1, maximum = 100, default = 50)]
        limit: Option<u32> => page::limit,
        /// Leave out so many first.
        #[param(minimum = 0, default = 0)]
        offset: Option<u32>,
        /// Begin after a page of messages, by its `nextCursor`.
        cursor: Option<String> => cursor,
    }
}

/// What was found.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SearchResult {
    /// People first, then messages in the order asked for.
    hits: Vec<Hit>,
    /// All there are, as far as the caller may read them.
    #[schema(minimum = 0)]
    total: u64,
    #[schema(minimum = 0)]
    took_ms: u64,
    /// Where the next page of messages begins, in a search for messages alone; null after the last one.
    next_cursor: Option<String>,
}

#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HitKind {
    Message,
    User,
}

/// One thing that was found, in the field named as its type.
#[derive(Serialize, ToSchema)]
pub(crate) struct Hit {
    r#type: HitKind,
    /// Falls along the hits, in the order of the best.
    score: f32,
    /// HTML in which only `<mark>` is markup.
    highlights: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    message: Option<MessageView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    user: Option<UserView>,
}

/// Finds messages and people.
///
/// Words are found whatever their case and diacritics; Chinese, Japanese and Korean by any part. Only what the caller
/// may read now is found, and counted.
#[utoipa::path(
    get,
    path = "/search",
    params(Asked),
    responses((status = 200, description = "The best hits first", body = Read<SearchResult>)),
)]
async fn find(
    caller: Caller,
    State(app): State<App>,
    Query(asked): Query<Asked>,
) -> Result<Read<SearchResult>, Problem> {
    let started = Instant::now();
    let page = Page::of(asked.limit, asked.offset);
    let query = query::parse(&asked.q).map_err(|error| Problem::invalid_field("q", error.code(), error.message()))?;
    let order = match asked.order {
        Some(HitOrder::Newest) => search::Order::Newest,
        Some(HitOrder::Best) | None => search::Order::Best,
    };
    let after = asked.cursor.as_deref().and_then(find::read_cursor);
    let search = Search { app: &app, user: caller.user, query, order, after };
    let mut result = search.run(asked.r#type, page).await?;
    result.took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Read::of(result))
}

fn q(q: &impl Text) -> Result<(), Fault> {
    query::parse(q.text().unwrap_or_default())
        .map(drop)
        .map_err(|error| Fault { code: error.code(), message: error.message() })
}

fn cursor(cursor: &impl Text) -> Result<(), Fault> {
    match cursor.text() {
        Some(cursor) if find::read_cursor(cursor).is_none() => {
            Err(Fault { code: "malformed", message: "a cursor is what an earlier answer gave as nextCursor" })
        }
        _ => Ok(()),
    }
}
