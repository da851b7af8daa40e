//! [`thread`]: the answers to a message.

use super::{Page, PageError, Place, load, shape::find};
use crate::Views;
use domain::{MessageId, UserId};
use sqlx::Row;
use uuid::Uuid;

/// The answers in the thread that a message begins or belongs to, from its beginning or just after one of them; newest
/// first within the page, like every page. `has_more` tells of later ones.
pub async fn thread(
    views: &Views,
    user: UserId,
    id: MessageId,
    limit: i64,
    after: Option<MessageId>,
) -> Result<Page, PageError> {
    let mut tx = views.snapshot().await?;
    let place = find(&mut tx, user, id).await?.ok_or(PageError::NotFound)?;
    let root = "SELECT coalesce(thread_root_id, id) FROM message_view WHERE id = $1";
    let root: Uuid = sqlx::query_scalar(root).bind(id.0).fetch_one(&mut *tx).await?;
    let start = match after {
        None => place.floor,
        Some(after) => {
            let query = "SELECT sequence FROM message_view WHERE id = $1 AND (thread_root_id = $2 OR id = $2) AND sequence > $3";
            let found = sqlx::query_scalar(query).bind(after.0).bind(root).bind(place.floor);
            found.fetch_optional(&mut *tx).await?.ok_or(PageError::UnknownCursor)?
        }
    };
    let answers = "SELECT id FROM message_view WHERE thread_root_id = $1 AND sequence > $2 ORDER BY sequence LIMIT $3";
    let rows = sqlx::query(answers).bind(root).bind(start).bind(limit.saturating_add(1)).fetch_all(&mut *tx).await?;
    let limit = usize::try_from(limit).unwrap_or_default();
    let has_more = rows.len() > limit;
    let mut places = Vec::with_capacity(limit);
    for row in rows.iter().take(limit).rev() {
        places.push(Place { id: MessageId(row.try_get("id")?), floor: place.floor });
    }
    let mut loaded = load(&mut tx, views.keyring(), user, &places).await?;
    Ok(Page { messages: places.iter().filter_map(|place| loaded.remove(&place.id)).collect(), has_more })
}
