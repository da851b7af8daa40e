//! Reads the rows that a batch touches into a [`Fold`], and writes what it makes of them.

use super::fold::{Fold, MessageRow, Pin, Touched};
use crate::{ProjectionError, copy::NewRows, word};
use domain::{ConversationId, MessageId, Position, Timestamp, UserId};
use sqlx::{PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

type Time = chrono::DateTime<chrono::Utc>;

pub(crate) async fn load(tx: &mut PgConnection, touched: &Touched) -> Result<Fold, ProjectionError> {
    let mut fold = Fold::default();
    if !touched.messages.is_empty() {
        let older = "SELECT m.*, (SELECT count(*)::integer FROM message_version_view v WHERE v.message_id = m.id) AS versions \
                     FROM message_view m WHERE m.id = ANY($1)";
        let ids: Vec<Uuid> = touched.messages.iter().map(|id| id.0).collect();
        for row in &sqlx::query(older).bind(ids).fetch_all(&mut *tx).await? {
            fold.older.insert(MessageId(row.try_get("id")?), message(row)?);
        }
    }
    if !touched.senders.is_empty() {
        let ranks = "SELECT k.conversation_id, k.sender_id, m.sender_rank \
                     FROM unnest($1::uuid[], $2::uuid[]) AS k (conversation_id, sender_id) CROSS JOIN LATERAL ( \
                       SELECT sender_rank FROM message_view m WHERE m.conversation_id = k.conversation_id \
                         AND m.sender_id = k.sender_id ORDER BY m.sequence DESC LIMIT 1) m";
        let (conversations, senders): (Vec<Uuid>, Vec<Uuid>) = touched.senders.iter().map(|(c, s)| (c.0, s.0)).unzip();
        for row in &sqlx::query(ranks).bind(conversations).bind(senders).fetch_all(tx).await? {
            let sender = (ConversationId(row.try_get("conversation_id")?), UserId(row.try_get("sender_id")?));
            fold.ranks.insert(sender, row.try_get("sender_rank")?);
        }
    }
    Ok(fold)
}

fn message(row: &PgRow) -> Result<MessageRow, ProjectionError> {
    const TABLE: &str = "message_view";
    let broadcast: Option<&str> = row.try_get("broadcast")?;
    Ok(MessageRow {
        conversation: ConversationId(row.try_get("conversation_id")?),
        sequence: row.try_get("sequence")?,
        position: Position(row.try_get("position")?),
        sender: UserId(row.try_get("sender_id")?),
        sender_rank: row.try_get("sender_rank")?,
        content: row.try_get("content")?,
        r#type: word::read(TABLE, row.try_get("type")?)?,
        reply_to: row.try_get::<Option<Uuid>, _>("reply_to_id")?.map(Into::into),
        thread_root: row.try_get::<Option<Uuid>, _>("thread_root_id")?.map(Into::into),
        mentions: row.try_get::<Vec<Uuid>, _>("mentions")?.into_iter().map(Into::into).collect(),
        broadcast: broadcast.map(|broadcast| word::read(TABLE, broadcast)).transpose()?,
        is_edited: row.try_get("is_edited")?,
        client_message_id: row.try_get("client_message_id")?,
        created_at: row.try_get::<Time, _>("created_at")?.into(),
        updated_at: row.try_get::<Time, _>("updated_at")?.into(),
        deleted_at: row.try_get::<Option<Time>, _>("deleted_at")?.map(Into::into),
        pin: pin(row)?,
        versions: row.try_get("versions")?,
    })
}

fn pin(row: &PgRow) -> Result<Option<Pin>, ProjectionError> {
    let Some(by) = row.try_get::<Option<Uuid>, _>("pinned_by")? else { return Ok(None) };
    let at = row.try_get::<Time, _>("pinned_at")?.into();
    Ok(Some(Pin { by: UserId(by), at, position: Position(row.try_get("pinned_position")?) }))
}

/// An array within an array of rows has to have the same length in each: it goes as its text instead.
fn array_text(ids: &[UserId]) -> String {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    format!("{{{}}}", ids.join(","))
}

pub(crate) async fn insert_sent(tx: &mut PgConnection, fold: &Fold) -> Result<(), ProjectionError> {
    if fold.sent.is_empty() {
        return Ok(());
    }
    let mut rows = NewRows::of([
        "id",
        "conversation_id",
        "sequence",
        "position",
        "sender_id",
        "sender_rank",
        "content",
        "type",
        "reply_to_id",
        "thread_root_id",
        "thread_count",
        "mentions",
        "broadcast",
        "is_edited",
        "client_message_id",
        "created_at",
        "updated_at",
        "deleted_at",
        "pinned_by",
        "pinned_at",
        "pinned_position",
    ]);
    for (id, row) in &fold.sent {
        rows.row()
            .field(id.0)
            .field(row.conversation.0)
            .field(row.sequence)
            .field(row.position.0)
            .field(row.sender.0)
            .field(row.sender_rank)
            .field(row.content.as_deref())
            .field(word::write(&row.r#type))
            .field(row.reply_to.map(|id| id.0))
            .field(row.thread_root.map(|id| id.0))
            // Counted when all of the batch are there.
            .field(0_i64)
            .field(row.mentions.iter().map(|user| user.0).collect::<Vec<_>>())
            .field(row.broadcast.as_ref().map(word::write))
            .field(row.is_edited)
            .field(row.client_message_id.as_deref())
            .field(row.created_at.to_datetime())
            .field(row.updated_at.to_datetime())
            .field(row.deleted_at.map(Timestamp::to_datetime))
            .field(row.pin.map(|pin| pin.by.0))
            .field(row.pin.map(|pin| pin.at.to_datetime()))
            .field(row.pin.map(|pin| pin.position.0));
    }
    rows.copy_into(tx, "message_view").await
}

pub(crate) async fn insert_mentions(tx: &mut PgConnection, fold: &Fold) -> Result<(), ProjectionError> {
    let rows: Vec<(Uuid, Uuid, i64, Uuid)> = fold
        .sent
        .iter()
        .filter(|(_, row)| row.broadcast.is_none())
        .flat_map(|(id, row)| row.mentions.iter().map(move |user| (*id, row, *user)))
        .filter(|(_, row, user)| *user != row.sender)
        .map(|(id, row, user)| (row.conversation.0, user.0, row.sequence, id.0))
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO mention_view (conversation_id, user_id, sequence, message_id) \
         SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::uuid[]) ON CONFLICT DO NOTHING",
    )
    .bind(rows.iter().map(|row| row.0).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.1).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.2).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.3).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}

pub(crate) async fn update_changed(tx: &mut PgConnection, fold: &Fold) -> Result<(), ProjectionError> {
    let rows: Vec<(&MessageId, &MessageRow)> = fold.older.iter().filter(|(id, _)| fold.changed.contains(id)).collect();
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE message_view m SET content = new.content, mentions = new.mentions::uuid[], broadcast = new.broadcast, \
           is_edited = new.is_edited, updated_at = new.updated_at, deleted_at = new.deleted_at, \
           pinned_by = new.pinned_by, pinned_at = new.pinned_at, pinned_position = new.pinned_position \
         FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bool[], $6::timestamptz[], $7::timestamptz[], \
           $8::uuid[], $9::timestamptz[], $10::bigint[]) AS new (id, content, mentions, broadcast, is_edited, \
           updated_at, deleted_at, pinned_by, pinned_at, pinned_position) \
         WHERE m.id = new.id",
    )
    .bind(rows.iter().map(|(id, _)| id.0).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, row)| row.content.as_deref()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, row)| array_text(&row.mentions)).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, row)| row.broadcast.as_ref().map(word::write)).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, row)| row.is_edited).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, row)| row.updated_at.to_datetime()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, row)| row.deleted_at.map(Timestamp::to_datetime)).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, row)| row.pin.map(|pin| pin.by.0)).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, row)| row.pin.map(|pin| pin.at.to_datetime())).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, row)| row.pin.map(|pin| pin.position.0)).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}

/// What hangs on older messages that were deleted goes with them.
pub(crate) async fn erase_deleted(tx: &mut PgConnection, fold: &Fold) -> Result<(), ProjectionError> {
    if fold.deleted.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = fold.deleted.iter().map(|(id, ..)| id.0).collect();
    for table in ["message_version_view", "reaction_view"] {
        sqlx::query(&format!("DELETE FROM {table} WHERE message_id = ANY($1)")).bind(&ids).execute(&mut *tx).await?;
    }
    let mentions: Vec<(Uuid, Uuid, i64)> = fold
        .deleted
        .iter()
        .flat_map(|(_, conversation, sequence, users)| users.iter().map(|user| (conversation.0, user.0, *sequence)))
        .collect();
    sqlx::query(
        "DELETE FROM mention_view n USING unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS gone (conversation_id, user_id, sequence) \
         WHERE n.conversation_id = gone.conversation_id AND n.user_id = gone.user_id AND n.sequence = gone.sequence",
    )
    .bind(mentions.iter().map(|row| row.0).collect::<Vec<_>>())
    .bind(mentions.iter().map(|row| row.1).collect::<Vec<_>>())
    .bind(mentions.iter().map(|row| row.2).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}

pub(crate) async fn insert_versions(tx: &mut PgConnection, fold: &Fold) -> Result<(), ProjectionError> {
    if fold.versions.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO message_version_view (message_id, version, content, edited_at) \
         SELECT * FROM unnest($1::uuid[], $2::integer[], $3::text[], $4::timestamptz[])",
    )
    .bind(fold.versions.iter().map(|row| row.message.0).collect::<Vec<_>>())
    .bind(fold.versions.iter().map(|row| row.version).collect::<Vec<_>>())
    .bind(fold.versions.iter().map(|row| row.content.as_str()).collect::<Vec<_>>())
    .bind(fold.versions.iter().map(|row| row.edited_at.to_datetime()).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}

pub(crate) async fn save_reactions(tx: &mut PgConnection, fold: &Fold) -> Result<(), ProjectionError> {
    if fold.reactions.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "DELETE FROM reaction_view r USING unnest($1::uuid[], $2::text[], $3::uuid[]) AS gone (message_id, emoji, user_id) \
         WHERE r.message_id = gone.message_id AND r.emoji = gone.emoji COLLATE \"C\" AND r.user_id = gone.user_id",
    )
    .bind(fold.reactions.keys().map(|key| key.0.0).collect::<Vec<_>>())
    .bind(fold.reactions.keys().map(|key| key.1.as_str()).collect::<Vec<_>>())
    .bind(fold.reactions.keys().map(|key| key.2.0).collect::<Vec<_>>())
    .execute(&mut *tx)
    .await?;
    let there: Vec<_> = fold.reactions.iter().filter_map(|(key, reaction)| Some((key, reaction.as_ref()?))).collect();
    sqlx::query(
        "INSERT INTO reaction_view (message_id, emoji, user_id, reaction_id, position) \
         SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::bigint[])",
    )
    .bind(there.iter().map(|(key, _)| key.0.0).collect::<Vec<_>>())
    .bind(there.iter().map(|(key, _)| key.1.as_str()).collect::<Vec<_>>())
    .bind(there.iter().map(|(key, _)| key.2.0).collect::<Vec<_>>())
    .bind(there.iter().map(|(_, reaction)| reaction.0).collect::<Vec<_>>())
    .bind(there.iter().map(|(_, reaction)| reaction.1.0).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}

pub(crate) async fn count_answers(tx: &mut PgConnection, fold: &Fold) -> Result<(), ProjectionError> {
    let answers: Vec<_> = fold.answers.iter().filter(|(_, more)| **more != 0).collect();
    if answers.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE message_view m SET thread_count = thread_count + new.more \
         FROM unnest($1::uuid[], $2::bigint[]) AS new (id, more) WHERE m.id = new.id",
    )
    .bind(answers.iter().map(|(id, _)| id.0).collect::<Vec<_>>())
    .bind(answers.iter().map(|(_, more)| **more).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}

pub(crate) async fn tell_conversations(tx: &mut PgConnection, fold: &Fold) -> Result<(), ProjectionError> {
    let news = fold.news.values();
    sqlx::query(
        "UPDATE conversation_view c SET last_sequence = coalesce(new.sequence, c.last_sequence), \
           last_message_id = coalesce(new.id, c.last_message_id), last_message_at = coalesce(new.at, c.last_message_at), \
           changed_position = greatest(c.changed_position, new.position) \
         FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::timestamptz[], $5::bigint[]) \
           AS new (conversation_id, sequence, id, at, position) \
         WHERE c.id = new.conversation_id",
    )
    .bind(fold.news.keys().map(|id| id.0).collect::<Vec<_>>())
    .bind(news.clone().map(|news| news.last.map(|last| last.0)).collect::<Vec<_>>())
    .bind(news.clone().map(|news| news.last.map(|last| last.1.0)).collect::<Vec<_>>())
    .bind(news.clone().map(|news| news.last.map(|last| last.2.to_datetime())).collect::<Vec<_>>())
    .bind(news.map(|news| news.changed_position.0).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}
