//! The JSON Schemas of the events, for whoever reads the streams: `ce-dataschema` leads here.

use crate::{App, extract::Path, problem::Problem, slice::Slice};
use axum::{Json, http::header, response::IntoResponse};
use serde_json::Value;
use std::{collections::BTreeMap, sync::LazyLock};
use utoipa_axum::routes;

static SCHEMAS: LazyLock<BTreeMap<(String, u32), Value>> = LazyLock::new(domain::schema::event_schemas);

pub(crate) fn slice() -> Slice<App> {
    Slice::new("schema", "What events look like").with(routes!(read))
}

/// The schema of an event type in one version.
///
/// JSON Schema 2020-12 of the payload as it is stored, without the envelope of other answers, so that a schema
/// library can be pointed at the address.
#[utoipa::path(
    get,
    path = "/schemas/{type}/{version}",
    security(()),
    params(
        ("type" = String, Path, description = "Such as `message.sent`"),
        ("version" = u32, Path, description = "From 1", minimum = 1),
    ),
    responses((status = 200, description = "The schema", body = Value, content_type = "application/schema+json")),
)]
async fn read(Path(key): Path<(String, u32)>) -> Result<impl IntoResponse, Problem> {
    let schema = SCHEMAS.get(&key).ok_or_else(|| Problem::not_found("no event has this type and version"))?;
    let headers = [(header::CONTENT_TYPE, "application/schema+json"), (header::CACHE_CONTROL, "public, max-age=3600")];
    Ok((headers, Json(schema)))
}
