//! [`page`]: a stretch of a conversation's timeline, newest first.

use super::{MessageView, Place, load};
use crate::{
    ProjectionError, Views,
    conversation::{Access, access},
};
use domain::{ConversationId, MessageId, UserId};
use sqlx::PgConnection;
use std::ops::RangeInclusive;
use thiserror::Error;
use uuid::Uuid;

/// Where a page lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// So many from the newest.
    Offset(i64),
    /// Just before a message.
    Before(MessageId),
    /// Just after a message.
    After(MessageId),
    /// A message with its neighbours on both sides.
    Around(MessageId),
}

/// Newest first. `has_more` tells of messages further in the direction of the cursor: later ones for
/// [`Cursor::After`], else earlier ones.
#[derive(Clone, Debug)]
pub struct Page {
    pub messages: Vec<MessageView>,
    pub has_more: bool,
}

#[derive(Debug, Error)]
pub enum PageError {
    /// The conversation or message is absent, or not the person's to see.
    #[error("there is nothing of this id to be seen")]
    NotFound,
    /// There is no such message in this conversation, or the person may not read it.
    #[error("the cursor is no message of this conversation")]
    UnknownCursor,
    #[error(transparent)]
    Projection(#[from] ProjectionError),
}

impl From<sqlx::Error> for PageError {
    fn from(error: sqlx::Error) -> Self {
        Self::Projection(error.into())
    }
}

/// A page of at most `limit` messages (1 to 100).
pub async fn page(
    views: &Views,
    user: UserId,
    conversation: ConversationId,
    cursor: Cursor,
    limit: i64,
) -> Result<Page, PageError> {
    let mut tx = views.snapshot().await?;
    let access = access(&mut tx, user, conversation).await?.ok_or(PageError::NotFound)?;
    let (numbers, has_more) = match cursor {
        Cursor::Offset(offset) => newest(access, offset, limit),
        Cursor::Before(id) => before(access, sequence(&mut tx, conversation, access, id).await?, limit),
        Cursor::After(id) => after(access, sequence(&mut tx, conversation, access, id).await?, limit),
        Cursor::Around(id) => around(access, sequence(&mut tx, conversation, access, id).await?, limit),
    };
    let places: Vec<Place> =
        ids(&mut tx, conversation, numbers).await?.into_iter().map(|id| Place { id, floor: access.floor }).collect();
    let mut loaded = load(&mut tx, views.keyring(), user, &places).await?;
    Ok(Page { messages: places.iter().filter_map(|place| loaded.remove(&place.id)).collect(), has_more })
}

async fn sequence(
    connection: &mut PgConnection,
    conversation: ConversationId,
    access: Access,
    id: MessageId,
) -> Result<i64, PageError> {
    let query = "SELECT sequence FROM message_view WHERE id = $1 AND conversation_id = $2 AND sequence > $3";
    let found = sqlx::query_scalar(query).bind(id.0).bind(conversation.0).bind(access.floor);
    found.fetch_optional(connection).await?.ok_or(PageError::UnknownCursor)
}

async fn ids(
    connection: &mut PgConnection,
    conversation: ConversationId,
    numbers: RangeInclusive<i64>,
) -> Result<Vec<MessageId>, ProjectionError> {
    if numbers.is_empty() {
        return Ok(vec![]);
    }
    let query =
        "SELECT id FROM message_view WHERE conversation_id = $1 AND sequence BETWEEN $2 AND $3 ORDER BY sequence DESC";
    let ids = sqlx::query_scalar::<_, Uuid>(query).bind(conversation.0).bind(numbers.start()).bind(numbers.end());
    Ok(ids.fetch_all(connection).await?.into_iter().map(MessageId).collect())
}

/// A page's numbers and whether there is more. Since numbers have no gaps, where a page lies is arithmetic: the
/// hundred-thousandth page costs what the first does.
type Stretch = (RangeInclusive<i64>, bool);

fn newest(access: Access, offset: i64, limit: i64) -> Stretch {
    down_from(access, access.last_sequence.saturating_sub(offset), limit)
}

fn before(access: Access, cursor: i64, limit: i64) -> Stretch {
    down_from(access, cursor - 1, limit)
}

fn down_from(access: Access, end: i64, limit: i64) -> Stretch {
    let start = (access.floor + 1).max(end.saturating_sub(limit - 1));
    (start..=end, start > access.floor + 1 && start <= end)
}

fn after(access: Access, cursor: i64, limit: i64) -> Stretch {
    let end = access.last_sequence.min(cursor + limit);
    (cursor + 1..=end, end < access.last_sequence)
}

/// As many on both sides as there are; where one side is short, the other makes up for it.
fn around(access: Access, cursor: i64, limit: i64) -> Stretch {
    let end = access.last_sequence.min(cursor + limit / 2).max((access.floor + limit).min(access.last_sequence));
    down_from(access, end, limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: Access = Access { floor: 0, last_sequence: 25 };

    #[test]
    fn the_newest_page_ends_at_the_last_message() {
        assert_eq!(newest(ALL, 0, 10), (16..=25, true));
        assert_eq!(newest(ALL, 10, 10), (6..=15, true));
        assert_eq!(newest(ALL, 20, 10), (1..=5, false));
        assert!(newest(ALL, 25, 10).0.is_empty());
        assert!(newest(ALL, i64::MAX, 100).0.is_empty());
    }

    #[test]
    fn a_page_before_ends_just_before_its_cursor() {
        assert_eq!(before(ALL, 21, 5), (16..=20, true));
        assert_eq!(before(ALL, 3, 5), (1..=2, false));
        let (first, has_more) = before(ALL, 1, 5);
        assert!(first.is_empty() && !has_more);
    }

    #[test]
    fn a_page_after_begins_just_after_its_cursor() {
        assert_eq!(after(ALL, 20, 10), (21..=25, false));
        assert_eq!(after(ALL, 1, 7), (2..=8, true));
        let (last, has_more) = after(ALL, 25, 5);
        assert!(last.is_empty() && !has_more);
    }

    #[test]
    fn nothing_below_the_floor_is_on_any_page() {
        let late = Access { floor: 20, last_sequence: 25 };
        assert_eq!(newest(late, 0, 10), (21..=25, false));
        assert_eq!(before(late, 23, 10), (21..=22, false));
        assert_eq!(around(late, 21, 4), (21..=24, false));
        let none = Access { floor: 25, last_sequence: 25 };
        assert!(newest(none, 0, 10).0.is_empty());
    }

    proptest! {
        #[test]
        fn a_page_around_a_message_holds_it_and_is_full_where_it_can_be(
            floor in 0i64..50, more in 1i64..50, at in 0i64..50, limit in 1i64..=100,
        ) {
            let access = Access { floor, last_sequence: floor + more };
            let cursor = floor + 1 + at % more;
            let (numbers, has_more) = around(access, cursor, limit);
            prop_assert!(numbers.contains(&cursor));
            prop_assert!(*numbers.start() > floor && *numbers.end() <= access.last_sequence);
            prop_assert_eq!(numbers.end() - numbers.start() + 1, limit.min(more));
            prop_assert_eq!(has_more, *numbers.start() > floor + 1);
            if limit >= 3 {
                prop_assert!(numbers.contains(&(cursor - 1)) || cursor == floor + 1);
                prop_assert!(numbers.contains(&(cursor + 1)) || cursor == access.last_sequence);
            }
        }
    }
}
