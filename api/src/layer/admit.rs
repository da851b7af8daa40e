//! Bounds what is carried out at once and for how long, so that a flood is refused and not queued; catches panics.

use crate::{front::Front, problem::Problem};
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::any::Any;

pub(crate) async fn admit(State(front): State<Front>, request: Request, next: Next) -> Result<Response, Problem> {
    let Ok(_permit) = front.admission.try_acquire() else {
        metrics::counter!("hansard_http_requests_refused_total").increment(1);
        return Err(Problem::unavailable("overloaded", "too many requests are being carried out", 1));
    };
    tokio::time::timeout(front.request_max, next.run(request))
        .await
        .map_err(|_| Problem::unavailable("timed_out", "the request took too long", 1))
}

/// The answer to a request whose handler panicked. The panic's words are for the log alone.
#[expect(clippy::needless_pass_by_value, reason = "the layer gives it away")]
pub(crate) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let words = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    tracing::error!(panic.message = words.unwrap_or("unknown"), "a handler panicked");
    Problem::internal().into_response()
}
