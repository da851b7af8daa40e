//! The document and its page: `/api/openapi.json` for programs, `/api/docs` for people, both without a network.

use crate::{App, slice::Slice};
use axum::{
    Json,
    extract::State,
    http::header,
    response::{Html, IntoResponse},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;
use utoipa_axum::routes;

pub(crate) fn slice() -> Slice<App> {
    Slice::new("document", "These pages").with(routes!(openapi)).with(routes!(asyncapi)).with(routes!(docs))
}

const SCRIPT: &str = include_str!("page.js");
const STYLE: &str = include_str!("page.css");

static JSON: LazyLock<Vec<u8>> = LazyLock::new(|| serde_json::to_vec(super::document()).unwrap_or_default());
static PAGE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Hansard API</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style>\
         <main><h1>Hansard API</h1><noscript>This page draws <a href=\"/api/openapi.json\">openapi.json</a> \
         with a script.</noscript></main><script>{SCRIPT}</script></html>"
    )
});
/// Nothing but the page's own script and style runs, and it can ask nobody but this server.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        hash(SCRIPT),
        hash(STYLE)
    )
});

/// This document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value)),
)]
async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "public, max-age=60")], JSON.as_slice())
}

/// The description of the sockets.
#[utoipa::path(
    get,
    path = "/asyncapi.json",
    security(()),
    responses((status = 200, description = "AsyncAPI 3", body = serde_json::Value)),
)]
async fn asyncapi(State(app): State<App>) -> impl IntoResponse {
    ([(header::CACHE_CONTROL, "public, max-age=60")], Json(app.asyncapi))
}

/// This document as a page.
#[utoipa::path(
    get,
    path = "/docs",
    security(()),
    responses((status = 200, description = "A page to browse", body = String, content_type = "text/html")),
)]
async fn docs() -> impl IntoResponse {
    let headers = [(header::CONTENT_SECURITY_POLICY, POLICY.as_str()), (header::CACHE_CONTROL, "public, max-age=60")];
    (headers, Html(PAGE.as_str()))
}
