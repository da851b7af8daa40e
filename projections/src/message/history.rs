//! [`history`]: how a message was worded before.

use super::shape::find;
use crate::{ProjectionError, Views};
use domain::{MessageId, Timestamp, UserId};
use serde::Serialize;
use sqlx::Row;
use utoipa::ToSchema;

/// An earlier wording and when it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MessageVersion)]
pub struct VersionView {
    pub content: String,
    pub edited_at: Timestamp,
}

/// Earlier wordings, the first one first; what the message says now is not among them. None where there is no such
/// message, or the person may not read it; empty where it was never edited, or is deleted.
pub async fn history(views: &Views, user: UserId, id: MessageId) -> Result<Option<Vec<VersionView>>, ProjectionError> {
    let mut tx = views.snapshot().await?;
    if find(&mut tx, user, id).await?.is_none() {
        return Ok(None);
    }
    let query = "SELECT content, edited_at FROM message_version_view WHERE message_id = $1 ORDER BY version";
    let rows = sqlx::query(query).bind(id.0).fetch_all(&mut *tx).await?;
    let sealed = rows.iter().map(|row| row.try_get("content")).collect::<Result<Vec<&str>, _>>()?;
    let opened = views.keyring().open_many(&sealed).await?;
    let mut versions = Vec::with_capacity(rows.len());
    for (row, content) in rows.iter().zip(opened) {
        let edited_at = row.try_get::<chrono::DateTime<chrono::Utc>, _>("edited_at")?.into();
        versions.extend(content.map(|content| VersionView { content, edited_at }));
    }
    Ok(Some(versions))
}
