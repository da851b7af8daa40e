//! What handlers take from a request: [`Json`] bodies, [`Query`] strings and [`Path`] ids, each failing as a problem.

use crate::{
    fields::{Fields, Input},
    idempotency::SeenBody,
    layer::admit::Place,
    problem::Problem,
};
use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use futures::StreamExt;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// A JSON body has at most so many bytes.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// A body must have come in within this time.
const BODY_MAX: Duration = Duration::from_secs(20);
/// So much of a body that is too large is still read, so that who sends it gets to read the answer.
const DRAINED_BYTES_MAX: usize = 8 * BODY_BYTES_MAX;
const DRAIN_MAX: Duration = Duration::from_secs(2);

/// A JSON object that was declared with [`body`](crate::fields::body).
pub struct Json<T>(pub T);

impl<S: Send + Sync, T: Input> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let seen = request.extensions().get::<SeenBody>().cloned();
        let (parts, body) = request.into_parts();
        let declared = is_json(&parts.headers);
        let place = parts.extensions.get::<Place>();
        if let Some(place) = place {
            place.leave();
        }
        let bytes = tokio::time::timeout(BODY_MAX, read(&parts.headers, body)).await;
        let bytes = bytes.map_err(|_| Problem::of_status(StatusCode::REQUEST_TIMEOUT))??;
        if let Some(place) = place {
            place.enter()?;
        }
        if !declared && !bytes.is_empty() {
            return Err(Problem::of_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        if let Some(seen) = seen {
            seen.note(&bytes);
        }
        Fields::of_json(&bytes).map_err(|error| malformed(&error))?.into_input().map(Self).map_err(Problem::invalid)
    }
}

fn malformed(error: &serde_json::Error) -> Problem {
    let detail = if error.is_data() { "the body must be a JSON object" } else { "the body is not JSON" };
    Problem::new(StatusCode::BAD_REQUEST, "malformed_body", detail)
}

/// Whether the body says that it is JSON in UTF-8, and not packed.
fn is_json(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if text(header::CONTENT_ENCODING).is_some_and(|coding| !coding.trim().eq_ignore_ascii_case("identity")) {
        return false;
    }
    let Some(kind) = text(header::CONTENT_TYPE) else { return false };
    let mut parts = kind.split(';').map(|part| part.trim().to_ascii_lowercase());
    let is_json = parts.next().is_some_and(|essence| essence == "application/json" || is_json_suffix(&essence));
    let charset =
        parts.find_map(|part| part.strip_prefix("charset=").map(|charset| charset.trim_matches('"').to_owned()));
    is_json && charset.is_none_or(|charset| charset == "utf-8" || charset == "utf8")
}

fn is_json_suffix(essence: &str) -> bool {
    essence.strip_prefix("application/").is_some_and(|subtype| subtype.len() > 5 && subtype.ends_with("+json"))
}

async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    let too_large = || Problem::of_status(StatusCode::PAYLOAD_TOO_LARGE);
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > DRAINED_BYTES_MAX) {
        return Err(too_large());
    }
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::with_capacity(declared.unwrap_or_default().min(BODY_BYTES_MAX));
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| Problem::of_status(StatusCode::BAD_REQUEST))?;
        if bytes.len() + chunk.len() > BODY_BYTES_MAX {
            drain(stream).await;
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.into())
}

/// Reads on and forgets, within bounds: a connection that ends while the other side still writes loses the answer.
async fn drain(mut stream: axum::body::BodyDataStream) {
    let reading = async {
        let mut drained = 0;
        while let Some(Ok(chunk)) = stream.next().await {
            drained += chunk.len();
            if drained > DRAINED_BYTES_MAX {
                break;
            }
        }
    };
    // Whether it came to the end or not, the answer is the same.
    let _ = tokio::time::timeout(DRAIN_MAX, reading).await;
}

/// A query string that was declared with [`query`](crate::fields::query).
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: Input> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Fields::of_query(parts.uri.query().unwrap_or_default()).into_input().map(Self).map_err(Problem::invalid)
    }
}

/// What stands in the path. An id that is none names nothing: 404.
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let absent = || Problem::not_found("there is nothing with this id");
        // A text with U+0000 is no name of anything, and PostgreSQL doesn't take it.
        if parts.uri.path().contains("%00") {
            return Err(absent());
        }
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(_) => Err(absent()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn with_type(kind: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(kind))])
    }

    #[test]
    fn json_in_utf_8_is_taken_whatever_else_its_type_says() {
        for kind in
            ["application/json", "APPLICATION/JSON; charset=UTF-8", "application/merge-patch+json;charset=\"utf-8\""]
        {
            assert!(is_json(&with_type(kind)), "{kind}");
        }
    }

    #[test]
    fn other_types_and_packed_bodies_are_not_json() {
        for kind in ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16", ";;;", ""] {
            assert!(!is_json(&with_type(kind)), "{kind}");
        }
        let mut packed = with_type("application/json");
        packed.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert!(!is_json(&packed));
        assert!(!is_json(&HeaderMap::new()));
    }
}
