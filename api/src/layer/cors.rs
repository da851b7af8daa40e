//! Lets pages of the configured origins read the answers, errors included.

use crate::front::Front;
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use runtime::settings::Origins;

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
const HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, idempotency-key, hansard-min-position, prefer, x-request-id, traceparent, tracestate",
);
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "hansard-position, x-request-id, retry-after, preference-applied, ratelimit-limit, ratelimit-remaining, ratelimit-reset",
);
/// A preflight's answer holds for so many seconds.
const MAX_AGE_S: HeaderValue = HeaderValue::from_static("600");

pub(crate) async fn cors(State(front): State<Front>, request: Request, next: Next) -> Response {
    let allowed = allowed_origin(&front.cors_origins, request.headers());
    let is_preflight = *request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ORIGIN)
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if is_preflight { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    let Some(origin) = allowed else { return response };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    if is_preflight {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE_S);
    } else {
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
    response
}

/// The origin that asks, where it is one of the configured; without a token in a cookie no credentials are shared.
fn allowed_origin(origins: &Origins, headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    let is_allowed = match origins {
        Origins::Any => true,
        Origins::These(origins) => origins.iter().any(|one| one.as_bytes() == origin.as_bytes()),
    };
    is_allowed.then(|| origin.clone())
}
