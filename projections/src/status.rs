//! [`status`]: where each projection stands, for operators and for `/ready`.

use crate::{ProjectionError, Views, schema};
use domain::Position;
use serde::Serialize;
use utoipa::ToSchema;

/// A projection, how far it is, and how far that is from the head.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectionState {
    pub name: &'static str,
    pub schema: &'static str,
    pub position: Position,
    pub head: Position,
    pub lag: Lag,
    /// The tables it keeps.
    pub tables: Vec<String>,
}

#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Lag {
    pub events: i64,
    /// Since the first event that is not applied yet was recorded.
    pub seconds: f64,
}

/// All projections. There is one.
pub async fn status(views: &Views) -> Result<Vec<ProjectionState>, ProjectionError> {
    let position = views.position().await?;
    // The head may be a moment old, and the position newer.
    let head = views.store().head().await?.max(position);
    let tables = sqlx::query_scalar("SELECT tablename::text FROM pg_tables WHERE schemaname = $1 ORDER BY 1")
        .bind(schema::LIVE)
        .fetch_all(views.pool())
        .await?;
    let lag = Lag { events: head.0 - position.0, seconds: seconds_behind(views, position, head).await? };
    Ok(vec![ProjectionState { name: schema::NAME, schema: schema::LIVE, position, head, lag, tables }])
}

async fn seconds_behind(views: &Views, position: Position, head: Position) -> Result<f64, ProjectionError> {
    if head <= position {
        return Ok(0.0);
    }
    let next = views.store().read_log(position, 1).await?;
    Ok(next.first().map_or(0.0, |event| seconds(views.now().0 - event.recorded_at.0)))
}

#[expect(clippy::cast_precision_loss, reason = "a lag in milliseconds is far below 2^52")]
pub(crate) fn seconds(millis: i64) -> f64 {
    millis.max(0) as f64 / 1_000.0
}

/// The names that an operator may give for "which projection".
pub(crate) fn check_name(name: &str) -> Result<(), ProjectionError> {
    if name == schema::NAME || name == "all" { Ok(()) } else { Err(ProjectionError::Unknown(name.to_owned())) }
}
