//! Reading one's own writes: how long a write waits for the read models, and a read for a position.

use crate::{backend::Backend, problem::Problem};
use axum::http::{HeaderMap, Method};
use domain::Position;
use std::time::Duration;

/// Nobody waits longer for a read model.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// Whether the read models have applied a write by the time it is answered. Where all was already as ordered, what
/// made it so may still be on its way: then the head counts.
pub(crate) async fn settle(backend: &dyn Backend, position: Option<Position>, respond_async: bool) -> bool {
    let position = position.unwrap_or_else(|| backend.head());
    if backend.applied() >= position {
        return true;
    }
    !respond_async && reaches(backend, position).await
}

/// Waits before a read that names the least position it wants to see.
pub(crate) async fn await_position(backend: &dyn Backend, method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(value) = headers.get("hansard-min-position").filter(|_| method.is_safe()) else { return Ok(()) };
    let text = value.to_str().unwrap_or_default();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some(position) = text.parse().ok().filter(|_| is_number).map(Position) else {
        return Err(Problem::invalid_field("Hansard-Min-Position", "malformed", "a position is a whole number from 0"));
    };
    require(backend, position).await
}

/// Waits for a position without which there is no answer.
pub(crate) async fn require(backend: &dyn Backend, position: Position) -> Result<(), Problem> {
    if backend.applied() >= position || reaches(backend, position).await {
        return Ok(());
    }
    Err(Problem::unavailable("read_model_behind", "the read models have not reached this position", 1))
}

/// No wait where it is known to be in vain.
async fn reaches(backend: &dyn Backend, position: Position) -> bool {
    !backend.is_known_to_lag() && backend.wait_for(position, WAIT_MAX).await
}

/// `Prefer: respond-async`, alone or among other preferences.
pub(crate) fn prefers_async(headers: &HeaderMap) -> bool {
    let lines = headers.get_all("prefer").iter().filter_map(|line| line.to_str().ok());
    lines
        .flat_map(|line| line.split(','))
        .any(|preference| preference.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("respond-async"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn a_preference_is_found_among_others() {
        let prefers = |line: &'static str| {
            prefers_async(&HeaderMap::from_iter([("prefer".parse().expect("name"), HeaderValue::from_static(line))]))
        };
        assert!(prefers("respond-async"));
        assert!(prefers("wait=10, Respond-Async; x=y"));
        assert!(!prefers("respond-asynchronously"));
    }
}
