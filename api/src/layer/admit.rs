//! Bounds what is carried out at once and for how long, so that a flood is refused and not queued; catches panics.

use crate::{front::Front, problem::Problem};
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::{
    any::Any,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Carries a request out to its end, whether or not anyone still waits for the answer: a caller that hangs up must not
/// cut a command in two. Who waits is told when it takes too long.
pub(crate) async fn admit(State(front): State<Front>, mut request: Request, next: Next) -> Result<Response, Problem> {
    let place = Place { all: front.admission.clone(), permit: Arc::default() };
    place.enter()?;
    request.extensions_mut().insert(place.clone());
    let carried_out = tokio::spawn(async move {
        let response = next.run(request).await;
        place.leave();
        response
    });
    match tokio::time::timeout(front.request_max, carried_out).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => {
            tracing::error!(error = %error, "a request was not carried out to its end");
            Err(Problem::internal())
        }
        Err(_) => Err(Problem::unavailable("timed_out", "the request took too long", 1)),
    }
}

/// A request's place among those that are carried out. It is left while a body comes in, so that callers who never
/// send theirs keep nobody out.
#[derive(Clone)]
pub(crate) struct Place {
    all: Arc<Semaphore>,
    permit: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
}

impl Place {
    pub(crate) fn enter(&self) -> Result<(), Problem> {
        let Ok(permit) = self.all.clone().try_acquire_owned() else {
            metrics::counter!("hansard_http_requests_refused_total").increment(1);
            return Err(Problem::unavailable("overloaded", "too many requests are being carried out", 1));
        };
        *self.permit.lock().unwrap_or_else(PoisonError::into_inner) = Some(permit);
        Ok(())
    }
    pub(crate) fn leave(&self) {
        self.permit.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// The answer to a request whose handler panicked. The panic's words are for the log alone.
#[expect(clippy::needless_pass_by_value, reason = "the layer gives it away")]
pub(crate) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let words = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    tracing::error!(panic.message = words.unwrap_or("unknown"), "a handler panicked");
    Problem::internal().into_response()
}
