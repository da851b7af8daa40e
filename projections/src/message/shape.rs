//! [`load`]: messages in their whole shape, for one person, whatever they were found by.

use super::{MessageView, PinView, QuotedView, ReactionView};
use crate::{
    Listed, ProjectionError, Views,
    conversation::{access, visible},
    inbox::readers,
    user::UserSummary,
    word,
};
use domain::{ConversationId, MessageId, Position, ReactionId, Sequence, Timestamp, UserId};
use event_store::Keyring;
use sqlx::{PgConnection, Row, postgres::PgRow};
use std::collections::HashMap;
use uuid::Uuid;

type Time = chrono::DateTime<chrono::Utc>;

/// A message that the person may read, and the last number in its conversation that they may not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub id: MessageId,
    pub floor: i64,
}

/// A quoted message is looked for in the same conversation and above the floor, so that quoting shows nothing hidden.
const MESSAGES: &str = concat!(
    "SELECT m.*, u.username, u.first_name, u.last_name, u.avatar_url, ",
    readers!(),
    " AS read_by, q.id AS quoted_id, q.sender_id AS quoted_sender_id, q.content AS quoted_content, \
       q.created_at AS quoted_created_at, q.deleted_at AS quoted_deleted_at, qu.username AS quoted_username, \
       qu.first_name AS quoted_first_name, qu.last_name AS quoted_last_name, qu.avatar_url AS quoted_avatar_url \
     FROM unnest($1::uuid[], $2::bigint[]) AS place (id, floor) \
     JOIN message_view m ON m.id = place.id \
     JOIN conversation_view m_c ON m_c.id = m.conversation_id \
     LEFT JOIN user_view u ON u.id = m.sender_id \
     LEFT JOIN message_view q ON q.id = m.reply_to_id AND q.conversation_id = m.conversation_id AND q.sequence > place.floor \
     LEFT JOIN user_view qu ON qu.id = q.sender_id"
);

/// In the order of the emoji's first use; of the people, the first 20.
const REACTIONS: &str = "SELECT message_id, emoji, count(*) AS count, \
       (array_agg(user_id ORDER BY position))[1:20] AS users, \
       (array_agg(reaction_id) FILTER (WHERE user_id = $2))[1] AS own \
     FROM reaction_view WHERE message_id = ANY($1) GROUP BY message_id, emoji ORDER BY message_id, min(position)";

/// In no particular order. Opens all texts at once.
pub(crate) async fn load(
    connection: &mut PgConnection,
    keyring: &Keyring,
    user: UserId,
    places: &[Place],
) -> Result<HashMap<MessageId, MessageView>, ProjectionError> {
    if places.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<Uuid> = places.iter().map(|place| place.id.0).collect();
    let floors: Vec<i64> = places.iter().map(|place| place.floor).collect();
    let rows = sqlx::query(MESSAGES).bind(&ids).bind(floors).fetch_all(&mut *connection).await?;
    let mut messages = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    for row in sqlx::query(REACTIONS).bind(&ids).bind(user.0).fetch_all(connection).await? {
        let id: Uuid = row.try_get("message_id")?;
        if let Some(message) = messages.iter_mut().find(|message| message.id.0 == id) {
            message.reactions.push(reaction(&row)?);
        }
    }
    open(keyring, &mut messages).await?;
    Ok(messages.into_iter().map(|message| (message.id, message)).collect())
}

/// None where there is no such message, or the person may not read it.
pub async fn get(views: &Views, user: UserId, id: MessageId) -> Result<Option<MessageView>, ProjectionError> {
    let mut tx = views.snapshot().await?;
    let Some(place) = find(&mut tx, user, id).await? else { return Ok(None) };
    Ok(load(&mut tx, views.keyring(), user, &[place]).await?.remove(&id))
}

/// What is pinned in a conversation, the newest pin first. None where there is no such conversation, or the person may
/// not read it.
pub async fn pins(
    views: &Views,
    user: UserId,
    conversation: ConversationId,
    limit: i64,
    offset: i64,
) -> Result<Option<Listed<PinView>>, ProjectionError> {
    let mut tx = views.snapshot().await?;
    let Some(access) = access(&mut tx, user, conversation).await? else { return Ok(None) };
    let query = "SELECT id, pinned_by, pinned_at FROM message_view \
                 WHERE conversation_id = $1 AND pinned_position IS NOT NULL AND sequence > $2 \
                 ORDER BY pinned_position DESC LIMIT $3 OFFSET $4";
    let query = sqlx::query(query).bind(conversation.0).bind(access.floor).bind(limit.saturating_add(1)).bind(offset);
    let rows = query.fetch_all(&mut *tx).await?;
    let place = |row: &PgRow| Ok(Place { id: MessageId(row.try_get("id")?), floor: access.floor });
    let places = rows.iter().map(place).collect::<Result<Vec<_>, sqlx::Error>>()?;
    let mut loaded = load(&mut tx, views.keyring(), user, &places).await?;
    let mut pins = Vec::with_capacity(rows.len());
    for (row, place) in rows.iter().zip(&places) {
        let Some(message) = loaded.remove(&place.id) else { continue };
        let pinned_at = row.try_get::<Time, _>("pinned_at")?.into();
        pins.push(PinView { message, pinned_by: UserId(row.try_get("pinned_by")?), pinned_at });
    }
    Ok(Some(Listed::of(pins, limit)))
}

/// Where a message stands for a person who may read it.
pub(crate) async fn find(
    connection: &mut PgConnection,
    user: UserId,
    id: MessageId,
) -> Result<Option<Place>, ProjectionError> {
    let query = concat!(
        "SELECT v.floor FROM message_view m JOIN (",
        visible!(),
        ") ON c.id = m.conversation_id WHERE m.id = $2 AND m.sequence > v.floor"
    );
    let floor: Option<i64> = sqlx::query_scalar(query).bind(user.0).bind(id.0).fetch_optional(connection).await?;
    Ok(floor.map(|floor| Place { id, floor }))
}

fn read(row: &PgRow) -> Result<MessageView, ProjectionError> {
    const TABLE: &str = "message_view";
    let broadcast: Option<&str> = row.try_get("broadcast")?;
    let sender_id = UserId(row.try_get("sender_id")?);
    Ok(MessageView {
        id: MessageId(row.try_get("id")?),
        conversation_id: ConversationId(row.try_get("conversation_id")?),
        sequence: Sequence(row.try_get("sequence")?),
        position: Position(row.try_get("position")?),
        sender_id,
        sender: person(row, sender_id, "")?,
        content: row.try_get("content")?,
        r#type: word::read(TABLE, row.try_get("type")?)?,
        reply_to_id: row.try_get::<Option<Uuid>, _>("reply_to_id")?.map(Into::into),
        reply_to: quoted(row)?,
        thread_count: row.try_get("thread_count")?,
        attachments: [],
        mentions: row.try_get::<Vec<Uuid>, _>("mentions")?.into_iter().map(Into::into).collect(),
        broadcast: broadcast.map(|broadcast| word::read(TABLE, broadcast)).transpose()?,
        reactions: vec![],
        is_edited: row.try_get("is_edited")?,
        is_pinned: row.try_get::<Option<Uuid>, _>("pinned_by")?.is_some(),
        read_by: row.try_get("read_by")?,
        client_message_id: row.try_get("client_message_id")?,
        created_at: row.try_get::<Time, _>("created_at")?.into(),
        updated_at: row.try_get::<Time, _>("updated_at")?.into(),
        deleted_at: row.try_get::<Option<Time>, _>("deleted_at")?.map(Into::into),
    })
}

fn quoted(row: &PgRow) -> Result<Option<QuotedView>, ProjectionError> {
    let Some(id) = row.try_get::<Option<Uuid>, _>("quoted_id")? else { return Ok(None) };
    let sender_id = UserId(row.try_get("quoted_sender_id")?);
    Ok(Some(QuotedView {
        id: MessageId(id),
        sender_id,
        sender: person(row, sender_id, "quoted_")?,
        content: row.try_get("quoted_content")?,
        created_at: row.try_get::<Time, _>("quoted_created_at")?.into(),
        deleted_at: row.try_get::<Option<Time>, _>("quoted_deleted_at")?.map(Timestamp::from),
    }))
}

/// None where nobody of this id has ever registered.
fn person(row: &PgRow, id: UserId, prefix: &str) -> Result<Option<UserSummary>, ProjectionError> {
    let column = |name: &str| format!("{prefix}{name}");
    let Some(username) = row.try_get::<Option<String>, _>(column("username").as_str())? else { return Ok(None) };
    Ok(Some(UserSummary {
        id,
        username,
        first_name: row.try_get(column("first_name").as_str())?,
        last_name: row.try_get(column("last_name").as_str())?,
        avatar_url: row.try_get(column("avatar_url").as_str())?,
    }))
}

fn reaction(row: &PgRow) -> Result<ReactionView, ProjectionError> {
    Ok(ReactionView {
        emoji: row.try_get("emoji")?,
        count: row.try_get("count")?,
        users: row.try_get::<Vec<Uuid>, _>("users")?.into_iter().map(Into::into).collect(),
        reaction_id: row.try_get::<Option<Uuid>, _>("own")?.map(ReactionId),
    })
}

/// Puts the texts, own and quoted, in the place of what they were sealed into.
async fn open(keyring: &Keyring, messages: &mut [MessageView]) -> Result<(), ProjectionError> {
    let mut texts: Vec<&mut Option<String>> = Vec::new();
    for message in messages {
        texts.push(&mut message.content);
        texts.extend(message.reply_to.as_mut().map(|quoted| &mut quoted.content));
    }
    texts.retain(|text| text.is_some());
    let sealed: Vec<&str> = texts.iter().filter_map(|text| text.as_deref()).collect();
    let opened = keyring.open_many(&sealed).await?;
    for (text, opened) in texts.into_iter().zip(opened) {
        *text = opened;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{get, pins};
    use crate::{
        conversation::tests::{group, join, say},
        testing::{NOON, World},
    };
    use domain::{
        ConversationId, MessageId, UserId,
        message::{Message, MessageEvent},
    };

    fn pinned(pinned_by: UserId) -> MessageEvent {
        MessageEvent::Pinned { pinned_by, pinned_at: NOON }
    }

    async fn listed(world: &World, user: UserId, id: ConversationId) -> Vec<MessageId> {
        let listed = pins(&world.views, user, id, 50, 0).await.unwrap().unwrap();
        listed.items.iter().map(|pin| pin.message.id).collect()
    }

    #[tokio::test]
    async fn pins_are_listed_the_newest_first_whatever_was_sent_first() {
        for batch_size in [1, 100] {
            let world = World::new().await;
            let (alice, bob) = (world.register("alice").await, world.register("bob").await);
            let id = group(&world, "Plans", &[alice, bob]).await;
            let (first, second) = (say(&world, id, alice, "1").await, say(&world, id, alice, "2").await);
            let other = say(&world, id, alice, "3").await;
            world.record::<Message>(second, vec![pinned(alice)]).await;
            world.record::<Message>(first, vec![pinned(bob)]).await;
            world.project(batch_size).await;
            assert_eq!(listed(&world, bob, id).await, [first, second]);
            let page = pins(&world.views, bob, id, 1, 0).await.unwrap().unwrap();
            assert!(page.has_more && page.items.len() == 1);
            assert_eq!((page.items[0].pinned_by, page.items[0].pinned_at), (bob, NOON));
            assert!(page.items[0].message.is_pinned);
            assert!(!get(&world.views, bob, other).await.unwrap().unwrap().is_pinned);
        }
    }

    #[tokio::test]
    async fn what_is_unpinned_or_deleted_is_among_the_pins_no_more() {
        for batch_size in [1, 100] {
            let world = World::new().await;
            let alice = world.register("alice").await;
            let id = group(&world, "Plans", &[alice]).await;
            let (first, second) = (say(&world, id, alice, "1").await, say(&world, id, alice, "2").await);
            let unpinned = MessageEvent::Unpinned { unpinned_by: alice };
            let deleted = MessageEvent::Deleted { deleted_by: alice, deleted_at: NOON };
            world.record::<Message>(first, vec![pinned(alice), unpinned]).await;
            world.record::<Message>(second, vec![pinned(alice), deleted]).await;
            world.project(batch_size).await;
            assert!(listed(&world, alice, id).await.is_empty());
            for message in [first, second] {
                assert!(!get(&world.views, alice, message).await.unwrap().unwrap().is_pinned);
            }
        }
    }

    #[tokio::test]
    async fn pins_from_before_ones_time_are_hidden_and_so_are_those_of_strangers() {
        let world = World::new().await;
        let (alice, bob) = (world.register("alice").await, world.register("bob").await);
        let id = group(&world, "Plans", &[alice]).await;
        let before = say(&world, id, alice, "before").await;
        join(&world, id, bob, alice).await;
        let after = say(&world, id, alice, "after").await;
        world.record::<Message>(before, vec![pinned(alice)]).await;
        world.record::<Message>(after, vec![pinned(alice)]).await;
        world.project(10).await;
        assert_eq!(listed(&world, alice, id).await, [after, before]);
        assert_eq!(listed(&world, bob, id).await, [after]);
        assert!(pins(&world.views, world.id(), id, 50, 0).await.unwrap().is_none());
    }
}
