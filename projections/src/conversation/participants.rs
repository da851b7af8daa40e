//! [`participants`]: who is in a conversation, in the order in which they joined.

use super::{ParticipantView, access};
use crate::{
    Listed, ProjectionError, Views,
    user::{UserSummary, summary},
    word,
};
use domain::{ConversationId, UserId};
use sqlx::{PgConnection, Row, postgres::PgRow};
use std::collections::{BTreeSet, HashMap};
use uuid::Uuid;

type Time = chrono::DateTime<chrono::Utc>;

/// As many participants stand in a conversation itself.
pub const FIRST_PARTICIPANTS: i64 = 20;

const COLUMNS: &str = "p.conversation_id, p.user_id, p.role, p.joined_at, p.last_read_at, p.added_by";

/// A page of them. None where the conversation is not the person's to see.
pub async fn participants(
    views: &Views,
    user: UserId,
    conversation: ConversationId,
    limit: i64,
    offset: i64,
) -> Result<Option<Listed<ParticipantView>>, ProjectionError> {
    let mut tx = views.snapshot().await?;
    if access(&mut tx, user, conversation).await?.is_none() {
        return Ok(None);
    }
    // Rows are fetched for the page only, and not for what lies before it.
    let query = format!(
        "SELECT {COLUMNS} FROM (SELECT user_id FROM participant_view WHERE conversation_id = $1 \
           ORDER BY joined_position, joined_rank LIMIT $2 OFFSET $3) page \
         JOIN participant_view p ON p.conversation_id = $1 AND p.user_id = page.user_id \
         ORDER BY p.joined_position, p.joined_rank"
    );
    let rows =
        sqlx::query(&query).bind(conversation.0).bind(limit.saturating_add(1)).bind(offset).fetch_all(&mut *tx).await?;
    let total = total(&mut tx, conversation).await?;
    let mut listed = Listed::of(rows.iter().map(read).collect::<Result<Vec<_>, _>>()?, limit);
    name(&mut tx, &mut listed.items).await?;
    Ok(Some(Listed { total: Some(total), ..listed }))
}

async fn total(connection: &mut PgConnection, conversation: ConversationId) -> Result<i64, ProjectionError> {
    let count = sqlx::query_scalar("SELECT participant_count FROM conversation_view WHERE id = $1");
    Ok(count.bind(conversation.0).fetch_one(connection).await?)
}

/// The first participants of each of these conversations.
pub(super) async fn first_participants(
    connection: &mut PgConnection,
    conversations: &[Uuid],
) -> Result<HashMap<ConversationId, Vec<ParticipantView>>, ProjectionError> {
    let query = format!(
        "SELECT {COLUMNS} FROM unnest($1::uuid[]) AS c (id) CROSS JOIN LATERAL ( \
           SELECT * FROM participant_view WHERE conversation_id = c.id ORDER BY joined_position, joined_rank LIMIT $2) p \
         ORDER BY p.joined_position, p.joined_rank"
    );
    let rows = sqlx::query(&query).bind(conversations).bind(FIRST_PARTICIPANTS).fetch_all(&mut *connection).await?;
    let mut people = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    name(connection, &mut people).await?;
    let mut found: HashMap<ConversationId, Vec<ParticipantView>> = HashMap::new();
    for (row, participant) in rows.iter().zip(people) {
        found.entry(ConversationId(row.try_get("conversation_id")?)).or_default().push(participant);
    }
    Ok(found)
}

/// Puts the people to their seats. Each is looked up once, in however many conversations they are.
async fn name(connection: &mut PgConnection, participants: &mut [ParticipantView]) -> Result<(), ProjectionError> {
    let ids: BTreeSet<Uuid> = participants.iter().map(|participant| participant.user_id.0).collect();
    let query = "SELECT id, username, first_name, last_name, avatar_url FROM user_view WHERE id = ANY($1)";
    let rows = sqlx::query(query).bind(ids.into_iter().collect::<Vec<_>>()).fetch_all(connection).await?;
    let people = rows.iter().map(|row| summary(row, "id").map(|user| (user.id, user)));
    let people = people.collect::<Result<HashMap<UserId, UserSummary>, _>>()?;
    for participant in participants {
        participant.user = people.get(&participant.user_id).cloned();
    }
    Ok(())
}

fn read(row: &PgRow) -> Result<ParticipantView, ProjectionError> {
    Ok(ParticipantView {
        user_id: UserId(row.try_get("user_id")?),
        user: None,
        role: word::read("participant_view", row.try_get("role")?)?,
        joined_at: row.try_get::<Time, _>("joined_at")?.into(),
        last_read_at: row.try_get::<Option<Time>, _>("last_read_at")?.map(Into::into),
        added_by: UserId(row.try_get("added_by")?),
    })
}
