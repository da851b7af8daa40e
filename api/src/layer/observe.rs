//! Names a request, follows its trace, and logs and counts it once, at its end.

use crate::front::Front;
use axum::{
    extract::{ConnectInfo, MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};
use std::{net::SocketAddr, time::Instant};
use tracing::Instrument;

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_CHARS_MAX: usize = 128;

/// A request's extension: its names in logs, events and answers.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    pub request_id: String,
    /// W3C trace context: the caller's trace, or one made here, with this request's span.
    pub traceparent: String,
}

pub(crate) async fn observe(State(front): State<Front>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let observed = Observed {
        request_id: request_id(request.headers(), &front),
        traceparent: traceparent(request.headers(), &front),
    };
    // The route, not the path: a path can hold what is secret, such as the code of an invitation.
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let span = tracing::info_span!(
        "http.request",
        http.method = %method,
        http.route = %route,
        request.id = %observed.request_id,
        trace.id = observed.traceparent.get(3..35).unwrap_or_default(),
    );
    if let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>() {
        let address = front.proxies.client(peer.ip(), request.headers());
        request.extensions_mut().insert(address);
    }
    let id = HeaderValue::from_str(&observed.request_id).ok();
    request.extensions_mut().insert(observed);
    let mut response = next.run(request).instrument(span.clone()).await;
    if let Some(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    let (status, elapsed) = (response.status(), started.elapsed());
    span.in_scope(|| {
        let (status, ms) = (status.as_u16(), elapsed.as_secs_f64() * 1e3);
        if status >= 500 {
            tracing::warn!(http.status = status, http.ms = ms, "request failed");
        } else {
            tracing::info!(http.status = status, http.ms = ms, "request answered");
        }
    });
    count(method.as_str(), route, status.as_u16(), elapsed.as_secs_f64());
    response
}

fn count(method: &str, route: String, status: u16, seconds: f64) {
    // Methods can be made up, and each label costs memory for ever.
    let method = match method {
        "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" => method.to_owned(),
        _ => "other".to_owned(),
    };
    let labels = [("method", method), ("route", route), ("status", status.to_string())];
    metrics::counter!("hansard_http_requests_total", &labels).increment(1);
    metrics::histogram!("hansard_http_request_seconds", &labels[..2]).record(seconds);
}

/// The caller's own name for the request where it is short and printable, else a new one.
fn request_id(headers: &HeaderMap, front: &Front) -> String {
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).map(str::trim);
    let is_right =
        |id: &&str| (1..=REQUEST_ID_CHARS_MAX).contains(&id.len()) && id.bytes().all(|b| (b' '..=b'~').contains(&b));
    given.filter(is_right).map_or_else(|| front.ids.uuid().to_string(), str::to_owned)
}

fn traceparent(headers: &HeaderMap, front: &Front) -> String {
    let span = &front.ids.uuid().simple().to_string()[16..];
    let given = headers.get("traceparent").and_then(|value| value.to_str().ok()).and_then(parse_traceparent);
    match given {
        Some((trace, flags)) => format!("00-{trace}-{span}-{flags}"),
        None => format!("00-{}-{span}-01", front.ids.uuid().simple()),
    }
}

/// Trace id and flags of a W3C traceparent (Trace Context, section 3.2). Later versions may add parts at the end.
fn parse_traceparent(text: &str) -> Option<(&str, &str)> {
    let mut parts = text.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex =
        |part: &str, len| part.len() == len && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let is_named = |part: &str| part.bytes().any(|byte| byte != b'0');
    let fits = is_hex(version, 2) && is_hex(trace, 32) && is_hex(parent, 16) && is_hex(flags, 2);
    let has_right_end = version != "00" || parts.next().is_none();
    (fits && version != "ff" && is_named(trace) && is_named(parent) && has_right_end).then_some((trace, flags))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn a_right_traceparent_is_followed() {
        assert_eq!(parse_traceparent(&format!("00-{TRACE}-00f067aa0ba902b7-01")), Some((TRACE, "01")));
        assert_eq!(parse_traceparent(&format!("01-{TRACE}-00f067aa0ba902b7-00-more")), Some((TRACE, "00")));
    }

    #[test]
    fn a_wrong_traceparent_is_not() {
        for wrong in [
            String::new(),
            "00-zz-zz-zz".to_owned(),
            format!("ff-{TRACE}-00f067aa0ba902b7-01"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{TRACE}-00f067aa0ba902b7-01-more"),
            format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()),
        ] {
            assert_eq!(parse_traceparent(&wrong), None, "{wrong}");
        }
    }
}
