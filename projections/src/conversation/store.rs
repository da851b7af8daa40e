//! Reads the rows that a batch touches into a [`Fold`], and writes them back.

use super::fold::{ConversationRow, Fold, FormerRow, ParticipantRow, Preferences, Seat, Touched};
use crate::{ProjectionError, word};
use domain::{ConversationId, Position, UserId};
use sqlx::{PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

pub(crate) async fn load(tx: &mut PgConnection, touched: &Touched) -> Result<Fold, ProjectionError> {
    let mut fold = Fold::default();
    let ids: Vec<Uuid> = touched.conversations.iter().map(|id| id.0).collect();
    let rows = sqlx::query("SELECT * FROM conversation_view WHERE id = ANY($1)").bind(&ids).fetch_all(&mut *tx).await?;
    for row in &rows {
        let id = ConversationId(row.try_get("id")?);
        fold.sequences.insert(id, row.try_get("last_sequence")?);
        fold.conversations.insert(id, conversation(row)?);
    }
    let (conversations, users) = columns(&touched.seats);
    let seated = "SELECT p.* FROM unnest($1::uuid[], $2::uuid[]) AS seat (conversation_id, user_id) \
                  JOIN participant_view p USING (conversation_id, user_id)";
    let mut rows = sqlx::query(seated).bind(&conversations).bind(&users).fetch_all(&mut *tx).await?;
    let whole: Vec<Uuid> = touched.whole.iter().map(|id| id.0).collect();
    if !whole.is_empty() {
        let all = sqlx::query("SELECT * FROM participant_view WHERE conversation_id = ANY($1)").bind(&whole);
        rows.extend(all.fetch_all(&mut *tx).await?);
    }
    for row in &rows {
        fold.participants.insert(seat(row)?, participant_row(row)?);
    }
    let former = "SELECT f.* FROM unnest($1::uuid[], $2::uuid[]) AS seat (conversation_id, user_id) \
                  JOIN former_participant_view f USING (conversation_id, user_id)";
    for row in &sqlx::query(former).bind(&conversations).bind(&users).fetch_all(&mut *tx).await? {
        fold.former.insert(seat(row)?, FormerRow::read(row)?);
    }
    fold.had_left = fold.former.keys().copied().collect();
    Ok(fold)
}

fn columns<'a>(seats: impl IntoIterator<Item = &'a Seat>) -> (Vec<Uuid>, Vec<Uuid>) {
    seats.into_iter().map(|(conversation, user)| (conversation.0, user.0)).unzip()
}

pub(crate) fn seat(row: &PgRow) -> Result<Seat, ProjectionError> {
    Ok((ConversationId(row.try_get("conversation_id")?), UserId(row.try_get("user_id")?)))
}

fn preferences(row: &PgRow) -> Result<Preferences, ProjectionError> {
    Ok(Preferences { is_muted: row.try_get("is_muted")?, is_pinned: row.try_get("is_pinned")? })
}

fn time(row: &PgRow, column: &str) -> Result<Option<domain::Timestamp>, ProjectionError> {
    Ok(row.try_get::<Option<chrono::DateTime<chrono::Utc>>, _>(column)?.map(Into::into))
}

fn conversation(row: &PgRow) -> Result<ConversationRow, ProjectionError> {
    const TABLE: &str = "conversation_view";
    Ok(ConversationRow {
        r#type: word::read(TABLE, row.try_get("type")?)?,
        history: word::read(TABLE, row.try_get("history")?)?,
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        topic: row.try_get("topic")?,
        avatar_url: row.try_get("avatar_url")?,
        is_private: row.try_get("is_private")?,
        max_members: row.try_get("max_members")?,
        workspace_id: row.try_get("workspace_id")?,
        created_by: UserId(row.try_get("created_by")?),
        participant_count: row.try_get("participant_count")?,
        created_at: time(row, "created_at")?.unwrap_or_default(),
        updated_at: time(row, "updated_at")?.unwrap_or_default(),
        deleted_at: time(row, "deleted_at")?,
        changed_position: Position(row.try_get("changed_position")?),
    })
}

pub(crate) fn participant_row(row: &PgRow) -> Result<ParticipantRow, ProjectionError> {
    Ok(ParticipantRow {
        role: word::read("participant_view", row.try_get("role")?)?,
        added_by: UserId(row.try_get("added_by")?),
        joined_at: time(row, "joined_at")?.unwrap_or_default(),
        joined_position: Position(row.try_get("joined_position")?),
        joined_rank: row.try_get("joined_rank")?,
        joined_sequence: row.try_get("joined_sequence")?,
        mark_sequence: row.try_get("mark_sequence")?,
        read_sequence: row.try_get("read_sequence")?,
        last_read_at: time(row, "last_read_at")?,
        last_read_message_id: row.try_get("last_read_message_id")?,
        preferences: preferences(row)?,
        changed_position: Position(row.try_get("changed_position")?),
    })
}

impl FormerRow {
    pub(crate) fn read(row: &PgRow) -> Result<Self, ProjectionError> {
        Ok(Self { left_position: Position(row.try_get("left_position")?), preferences: preferences(row)? })
    }
}

/// What the messages say of a conversation is the message slice's to write.
pub(crate) async fn save_conversations(tx: &mut PgConnection, fold: &Fold) -> Result<(), ProjectionError> {
    let rows = &fold.conversations;
    let texts =
        |of: fn(&ConversationRow) -> &Option<String>| rows.values().map(|row| of(row).clone()).collect::<Vec<_>>();
    let numbers = |of: fn(&ConversationRow) -> i64| rows.values().map(of).collect::<Vec<_>>();
    sqlx::query(
        "INSERT INTO conversation_view (id, type, history, name, description, topic, avatar_url, is_private, is_archived, \
           max_members, workspace_id, created_by, participant_count, last_sequence, created_at, updated_at, deleted_at, \
           changed_position) \
         SELECT id, type, history, name, description, topic, avatar_url, is_private, false, \
           max_members, workspace_id, created_by, participant_count, 0, created_at, updated_at, deleted_at, changed_position \
         FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bool[], \
           $9::bigint[], $10::uuid[], $11::uuid[], $12::bigint[], $13::timestamptz[], $14::timestamptz[], \
           $15::timestamptz[], $16::bigint[]) \
           AS new (id, type, history, name, description, topic, avatar_url, is_private, max_members, workspace_id, \
             created_by, participant_count, created_at, updated_at, deleted_at, changed_position) \
         ON CONFLICT (id) DO UPDATE SET history = excluded.history, name = excluded.name, \
           description = excluded.description, topic = excluded.topic, avatar_url = excluded.avatar_url, \
           is_private = excluded.is_private, max_members = excluded.max_members, \
           participant_count = excluded.participant_count, updated_at = excluded.updated_at, \
           deleted_at = excluded.deleted_at, changed_position = excluded.changed_position",
    )
    .bind(rows.keys().map(|id| id.0).collect::<Vec<_>>())
    .bind(rows.values().map(|row| word::write(&row.r#type)).collect::<Vec<_>>())
    .bind(rows.values().map(|row| word::write(&row.history)).collect::<Vec<_>>())
    .bind(texts(|row| &row.name))
    .bind(texts(|row| &row.description))
    .bind(texts(|row| &row.topic))
    .bind(texts(|row| &row.avatar_url))
    .bind(rows.values().map(|row| row.is_private).collect::<Vec<_>>())
    .bind(numbers(|row| row.max_members))
    .bind(rows.values().map(|row| row.workspace_id).collect::<Vec<_>>())
    .bind(rows.values().map(|row| row.created_by.0).collect::<Vec<_>>())
    .bind(numbers(|row| row.participant_count))
    .bind(rows.values().map(|row| row.created_at.to_datetime()).collect::<Vec<_>>())
    .bind(rows.values().map(|row| row.updated_at.to_datetime()).collect::<Vec<_>>())
    .bind(rows.values().map(|row| row.deleted_at.map(domain::Timestamp::to_datetime)).collect::<Vec<_>>())
    .bind(numbers(|row| row.changed_position.0))
    .execute(tx)
    .await?;
    Ok(())
}

pub(crate) async fn remove_participants(tx: &mut PgConnection, seats: &[Seat]) -> Result<(), ProjectionError> {
    if seats.is_empty() {
        return Ok(());
    }
    let (conversations, users) = columns(seats);
    sqlx::query(
        "DELETE FROM participant_view p USING unnest($1::uuid[], $2::uuid[]) AS gone (conversation_id, user_id) \
         WHERE p.conversation_id = gone.conversation_id AND p.user_id = gone.user_id",
    )
    .bind(conversations)
    .bind(users)
    .execute(tx)
    .await?;
    Ok(())
}

pub(crate) async fn save_participants(tx: &mut PgConnection, fold: &Fold) -> Result<(), ProjectionError> {
    let rows = &fold.participants;
    if rows.is_empty() {
        return Ok(());
    }
    let (conversations, users) = columns(rows.keys());
    let numbers = |of: fn(&ParticipantRow) -> i64| rows.values().map(of).collect::<Vec<_>>();
    sqlx::query(
        "INSERT INTO participant_view (conversation_id, user_id, role, added_by, joined_at, joined_position, joined_rank, \
           joined_sequence, mark_sequence, read_sequence, last_read_at, last_read_message_id, is_muted, is_pinned, \
           changed_position) \
         SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::timestamptz[], $6::bigint[], \
           $7::integer[], $8::bigint[], $9::bigint[], $10::bigint[], $11::timestamptz[], $12::uuid[], $13::bool[], \
           $14::bool[], $15::bigint[]) \
         ON CONFLICT (conversation_id, user_id) DO UPDATE SET role = excluded.role, added_by = excluded.added_by, \
           joined_at = excluded.joined_at, joined_position = excluded.joined_position, joined_rank = excluded.joined_rank, \
           joined_sequence = excluded.joined_sequence, mark_sequence = excluded.mark_sequence, \
           read_sequence = excluded.read_sequence, \
           last_read_at = excluded.last_read_at, last_read_message_id = excluded.last_read_message_id, \
           is_muted = excluded.is_muted, is_pinned = excluded.is_pinned, changed_position = excluded.changed_position",
    )
    .bind(conversations)
    .bind(users)
    .bind(rows.values().map(|row| word::write(&row.role)).collect::<Vec<_>>())
    .bind(rows.values().map(|row| row.added_by.0).collect::<Vec<_>>())
    .bind(rows.values().map(|row| row.joined_at.to_datetime()).collect::<Vec<_>>())
    .bind(numbers(|row| row.joined_position.0))
    .bind(rows.values().map(|row| row.joined_rank).collect::<Vec<_>>())
    .bind(numbers(|row| row.joined_sequence))
    .bind(numbers(|row| row.mark_sequence))
    .bind(numbers(|row| row.read_sequence))
    .bind(rows.values().map(|row| row.last_read_at.map(domain::Timestamp::to_datetime)).collect::<Vec<_>>())
    .bind(rows.values().map(|row| row.last_read_message_id).collect::<Vec<_>>())
    .bind(rows.values().map(|row| row.preferences.is_muted).collect::<Vec<_>>())
    .bind(rows.values().map(|row| row.preferences.is_pinned).collect::<Vec<_>>())
    .bind(numbers(|row| row.changed_position.0))
    .execute(tx)
    .await?;
    Ok(())
}

/// Writes who has left, and forgets that those who joined again ever had.
pub(crate) async fn save_former(tx: &mut PgConnection, fold: &Fold) -> Result<(), ProjectionError> {
    let back: Vec<Seat> = fold.had_left.iter().filter(|seat| !fold.former.contains_key(seat)).copied().collect();
    if !back.is_empty() {
        let (conversations, users) = columns(&back);
        sqlx::query(
            "DELETE FROM former_participant_view f USING unnest($1::uuid[], $2::uuid[]) AS back (conversation_id, user_id) \
             WHERE f.conversation_id = back.conversation_id AND f.user_id = back.user_id",
        )
        .bind(conversations)
        .bind(users)
        .execute(&mut *tx)
        .await?;
    }
    if fold.former.is_empty() {
        return Ok(());
    }
    let (conversations, users) = columns(fold.former.keys());
    let rows = fold.former.values();
    sqlx::query(
        "INSERT INTO former_participant_view (conversation_id, user_id, left_position, is_muted, is_pinned) \
         SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bool[], $5::bool[]) \
         ON CONFLICT (conversation_id, user_id) DO UPDATE SET left_position = excluded.left_position, \
           is_muted = excluded.is_muted, is_pinned = excluded.is_pinned",
    )
    .bind(conversations)
    .bind(users)
    .bind(rows.clone().map(|row| row.left_position.0).collect::<Vec<_>>())
    .bind(rows.clone().map(|row| row.preferences.is_muted).collect::<Vec<_>>())
    .bind(rows.map(|row| row.preferences.is_pinned).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}
