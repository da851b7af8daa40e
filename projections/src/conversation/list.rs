//! [`list`]: the conversations that a person is in; [`get`]: one that they may see.

use super::{ConversationView, participants::first_participants, visible};
use crate::{
    Listed, ProjectionError, Views,
    inbox::unread_counts,
    message::{self, Place},
    word,
};
use domain::{ConversationId, MessageId, Position, UserId, conversation::ConversationType};
use event_store::Keyring;
use sqlx::{PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

type Time = chrono::DateTime<chrono::Utc>;

/// What a list is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub r#type: Option<ConversationType>,
    /// Part of the name, without case; of a direct conversation, of the other person's name.
    pub search: Option<String>,
    /// Whether archived ones are listed too.
    pub archived: bool,
}

/// The own conversations in the order of lists: pinned first, then by the last message that is shown of them, and
/// where there is none, by when one came in. What has to be counted for each is counted after they were chosen.
macro_rules! chosen {
    ($and:literal) => {
        concat!(
            "WITH chosen AS (SELECT p.conversation_id AS id, row_number() OVER (ORDER BY p.is_pinned DESC, \
               coalesce(CASE WHEN c.history = 'shared' OR c.last_sequence > p.joined_sequence THEN c.last_message_at END, \
                 p.joined_at) DESC, c.id DESC) AS nth \
             FROM participant_view p JOIN conversation_view c ON c.id = p.conversation_id \
             WHERE p.user_id = $1 AND c.deleted_at IS NULL",
            $and,
            ")",
            shown!()
        )
    };
}

/// Whatever of those chosen the person may see, with their own side of it.
macro_rules! shown {
    () => {
        concat!(
            " SELECT c.*, p.role, coalesce(p.is_muted, false) AS is_muted, coalesce(p.is_pinned, false) AS is_pinned, \
               v.floor, u.unread_count, u.mention_count \
             FROM chosen JOIN (",
            visible!(),
            ") ON c.id = chosen.id",
            unread_counts!(),
            " ORDER BY chosen.nth"
        )
    };
}

const LISTED: &str = chosen!(
    " AND ($2 OR NOT c.is_archived) AND ($3::text IS NULL OR c.type = $3) \
      AND ($4::text IS NULL OR strpos(lower(c.name), lower($4)) > 0 OR (c.type = 'direct' AND EXISTS ( \
        SELECT FROM participant_view o JOIN user_view ou ON ou.id = o.user_id \
        WHERE o.conversation_id = c.id AND o.user_id <> $1 \
          AND (strpos(lower(ou.first_name || ' ' || ou.last_name), lower($4)) > 0 OR strpos(ou.username, lower($4)) > 0)))) \
      ORDER BY nth LIMIT $5 OFFSET $6"
);
const ALL: &str = chosen!("");
/// One's own side and the messages change a conversation too; others' marks don't.
const CHANGED: &str = chosen!(" AND greatest(c.changed_position, p.changed_position) > $2");
const ONE: &str = concat!("WITH chosen AS (SELECT $2::uuid AS id, 1 AS nth)", shown!());

/// The conversations that a person is in: pinned ones first, then the newest message first.
pub async fn list(
    views: &Views,
    user: UserId,
    filter: &Filter,
    limit: i64,
    offset: i64,
) -> Result<Listed<ConversationView>, ProjectionError> {
    let mut tx = views.snapshot().await?;
    let rows = sqlx::query(LISTED)
        .bind(user.0)
        .bind(filter.archived)
        .bind(filter.r#type.as_ref().map(word::write))
        .bind(filter.search.as_deref())
        .bind(limit.saturating_add(1))
        .bind(offset)
        .fetch_all(&mut *tx)
        .await?;
    let Listed { items, has_more, total } = Listed::of(rows, limit);
    Ok(Listed { items: shape(&mut tx, views.keyring(), user, &items).await?, has_more, total })
}

/// None where there is none, or it is not the person's to see.
pub async fn get(views: &Views, user: UserId, id: ConversationId) -> Result<Option<ConversationView>, ProjectionError> {
    let mut tx = views.snapshot().await?;
    let rows = sqlx::query(ONE).bind(user.0).bind(id.0).fetch_all(&mut *tx).await?;
    Ok(shape(&mut tx, views.keyring(), user, &rows).await?.pop())
}

/// All conversations that a person is in.
pub(crate) async fn list_all(
    connection: &mut PgConnection,
    keyring: &Keyring,
    user: UserId,
) -> Result<Vec<ConversationView>, ProjectionError> {
    let rows = sqlx::query(ALL).bind(user.0).fetch_all(&mut *connection).await?;
    shape(connection, keyring, user, &rows).await
}

/// Those of them that look different to the person than at a position.
pub(crate) async fn changed_since(
    connection: &mut PgConnection,
    keyring: &Keyring,
    user: UserId,
    since: Position,
) -> Result<Vec<ConversationView>, ProjectionError> {
    let rows = sqlx::query(CHANGED).bind(user.0).bind(since.0).fetch_all(&mut *connection).await?;
    shape(connection, keyring, user, &rows).await
}

/// Adds the last messages and the first participants of all rows at once.
async fn shape(
    connection: &mut PgConnection,
    keyring: &Keyring,
    user: UserId,
    rows: &[PgRow],
) -> Result<Vec<ConversationView>, ProjectionError> {
    let last = rows.iter().map(last_place).collect::<Result<Vec<_>, _>>()?;
    let places: Vec<Place> = last.iter().copied().flatten().collect();
    let mut messages = message::load(connection, keyring, user, &places).await?;
    let ids = rows.iter().map(|row| row.try_get("id")).collect::<Result<Vec<Uuid>, _>>()?;
    let mut participants = first_participants(connection, &ids).await?;
    let mut conversations = Vec::with_capacity(rows.len());
    for (row, last) in rows.iter().zip(last) {
        let mut conversation = read(row, last.is_some())?;
        conversation.last_message = last.and_then(|place| messages.remove(&place.id));
        conversation.participants = participants.remove(&conversation.id).unwrap_or_default();
        conversations.push(conversation);
    }
    Ok(conversations)
}

/// Where the last message stands, if the person may read it.
fn last_place(row: &PgRow) -> Result<Option<Place>, ProjectionError> {
    let floor: i64 = row.try_get("floor")?;
    if row.try_get::<i64, _>("last_sequence")? <= floor {
        return Ok(None);
    }
    let id: Option<Uuid> = row.try_get("last_message_id")?;
    Ok(id.map(|id| Place { id: MessageId(id), floor }))
}

fn read(row: &PgRow, has_last: bool) -> Result<ConversationView, ProjectionError> {
    const TABLE: &str = "conversation_view";
    let role: Option<&str> = row.try_get("role")?;
    let last_message_at: Option<Time> = row.try_get("last_message_at")?;
    let max_members: i64 = row.try_get("max_members")?;
    Ok(ConversationView {
        id: ConversationId(row.try_get("id")?),
        r#type: word::read(TABLE, row.try_get("type")?)?,
        history: word::read(TABLE, row.try_get("history")?)?,
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        topic: row.try_get("topic")?,
        avatar_url: row.try_get("avatar_url")?,
        is_private: row.try_get("is_private")?,
        is_archived: row.try_get("is_archived")?,
        max_members: Some(max_members).filter(|max| *max < i64::from(u32::MAX)),
        workspace_id: row.try_get::<Option<Uuid>, _>("workspace_id")?.map(Into::into),
        created_by: UserId(row.try_get("created_by")?),
        last_message: None,
        last_message_at: last_message_at.filter(|_| has_last).map(Into::into),
        unread_count: row.try_get("unread_count")?,
        mention_count: row.try_get("mention_count")?,
        participants: vec![],
        participant_count: row.try_get("participant_count")?,
        is_muted: row.try_get("is_muted")?,
        is_pinned: row.try_get("is_pinned")?,
        role: role.map(|role| word::read(TABLE, role)).transpose()?,
        created_at: row.try_get::<Time, _>("created_at")?.into(),
        updated_at: row.try_get::<Time, _>("updated_at")?.into(),
    })
}
