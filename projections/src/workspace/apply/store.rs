//! Reads and writes whole rows, all of a kind in one statement.

use super::{LinkRow, MemberRow, Rows, WorkspaceRow};
use crate::{ProjectionError, word};
use chrono::{DateTime, Utc};
use domain::{Position, Timestamp};
use sqlx::{PgConnection, Row};
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

pub(super) async fn workspaces(
    tx: &mut PgConnection,
    ids: HashSet<Uuid>,
) -> Result<HashMap<Uuid, WorkspaceRow>, ProjectionError> {
    let ids: Vec<Uuid> = ids.into_iter().collect();
    let rows = sqlx::query("SELECT * FROM workspace_view WHERE id = ANY($1)").bind(ids).fetch_all(tx).await?;
    let read = |row: &sqlx::postgres::PgRow| {
        let workspace = WorkspaceRow {
            name: row.try_get("name")?,
            description: row.try_get("description")?,
            avatar_url: row.try_get("avatar_url")?,
            owner_id: row.try_get("owner_id")?,
            member_count: row.try_get("member_count")?,
            created_at: row.try_get::<DateTime<Utc>, _>("created_at")?.into(),
            changed_position: Position(row.try_get("changed_position")?),
            deleted_position: row.try_get::<Option<i64>, _>("deleted_position")?.map(Position),
        };
        Ok((row.try_get("id")?, workspace))
    };
    rows.iter().map(read).collect()
}

pub(super) async fn members(
    tx: &mut PgConnection,
    keys: HashSet<(Uuid, Uuid)>,
) -> Result<HashMap<(Uuid, Uuid), MemberRow>, ProjectionError> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let (workspaces, users): (Vec<Uuid>, Vec<Uuid>) = keys.into_iter().unzip();
    let rows = sqlx::query(
        "SELECT m.* FROM workspace_member_view m
           JOIN UNNEST($1::uuid[], $2::uuid[]) AS k(workspace_id, user_id) USING (workspace_id, user_id)",
    )
    .bind(workspaces)
    .bind(users)
    .fetch_all(tx)
    .await?;
    let read = |row: &sqlx::postgres::PgRow| {
        let member = MemberRow {
            role: word::read("workspace_member_view", row.try_get("role")?)?,
            invited_by: row.try_get("invited_by")?,
            joined_at: row.try_get::<DateTime<Utc>, _>("joined_at")?.into(),
            joined_position: Position(row.try_get("joined_position")?),
            changed_position: Position(row.try_get("changed_position")?),
        };
        Ok(((row.try_get("workspace_id")?, row.try_get("user_id")?), member))
    };
    rows.iter().map(read).collect()
}

pub(super) async fn links(
    tx: &mut PgConnection,
    hashes: HashSet<String>,
) -> Result<HashMap<String, Option<LinkRow>>, ProjectionError> {
    if hashes.is_empty() {
        return Ok(HashMap::new());
    }
    let hashes: Vec<String> = hashes.into_iter().collect();
    let rows =
        sqlx::query("SELECT * FROM invite_link_view WHERE code_hash = ANY($1)").bind(hashes).fetch_all(tx).await?;
    let read = |row: &sqlx::postgres::PgRow| {
        let link = LinkRow {
            workspace_id: row.try_get("workspace_id")?,
            role: word::read("invite_link_view", row.try_get("role")?)?,
            expires_at: row.try_get::<Option<DateTime<Utc>>, _>("expires_at")?.map(Timestamp::from),
            max_uses: row.try_get("max_uses")?,
            uses: row.try_get("uses")?,
            created_by: row.try_get("created_by")?,
            created_at: row.try_get::<DateTime<Utc>, _>("created_at")?.into(),
            created_position: Position(row.try_get("created_position")?),
        };
        Ok((row.try_get("code_hash")?, Some(link)))
    };
    rows.iter().map(read).collect()
}

impl Rows {
    pub(super) async fn store(self, tx: &mut PgConnection) -> Result<(), ProjectionError> {
        store_workspaces(tx, self.workspaces).await?;
        store_members(tx, self.members).await?;
        store_links(tx, self.links).await
    }
}

async fn store_workspaces(tx: &mut PgConnection, rows: HashMap<Uuid, WorkspaceRow>) -> Result<(), ProjectionError> {
    let (ids, rows): (Vec<Uuid>, Vec<WorkspaceRow>) = rows.into_iter().unzip();
    sqlx::query(
        "INSERT INTO workspace_view (id, name, description, avatar_url, owner_id, member_count, created_at,
                                     changed_position, deleted_position)
         SELECT * FROM UNNEST($1::uuid[], $2::text[], $3::text[], $4::text[], $5::uuid[], $6::integer[],
                              $7::timestamptz[], $8::bigint[], $9::bigint[])
         ON CONFLICT (id) DO UPDATE SET
             name = excluded.name, description = excluded.description, avatar_url = excluded.avatar_url,
             owner_id = excluded.owner_id, member_count = excluded.member_count, created_at = excluded.created_at,
             changed_position = excluded.changed_position, deleted_position = excluded.deleted_position",
    )
    .bind(ids)
    .bind(rows.iter().map(|row| row.name.clone()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.description.clone()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.avatar_url.clone()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.owner_id).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.member_count).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.created_at.to_datetime()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.changed_position.0).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.deleted_position.map(|position| position.0)).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}

async fn store_members(tx: &mut PgConnection, rows: HashMap<(Uuid, Uuid), MemberRow>) -> Result<(), ProjectionError> {
    if rows.is_empty() {
        return Ok(());
    }
    let (keys, rows): (Vec<(Uuid, Uuid)>, Vec<MemberRow>) = rows.into_iter().unzip();
    let (workspaces, users): (Vec<Uuid>, Vec<Uuid>) = keys.into_iter().unzip();
    sqlx::query(
        "INSERT INTO workspace_member_view (workspace_id, user_id, role, invited_by, joined_at, joined_position,
                                            changed_position)
         SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::timestamptz[], $6::bigint[],
                              $7::bigint[])
         ON CONFLICT (workspace_id, user_id) DO UPDATE SET
             role = excluded.role, invited_by = excluded.invited_by, joined_at = excluded.joined_at,
             joined_position = excluded.joined_position, changed_position = excluded.changed_position",
    )
    .bind(workspaces)
    .bind(users)
    .bind(rows.iter().map(|row| word::write(&row.role)).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.invited_by).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.joined_at.to_datetime()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.joined_position.0).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.changed_position.0).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}

async fn store_links(tx: &mut PgConnection, rows: HashMap<String, Option<LinkRow>>) -> Result<(), ProjectionError> {
    if rows.is_empty() {
        return Ok(());
    }
    let revoked: Vec<String> = rows.iter().filter(|(_, row)| row.is_none()).map(|(hash, _)| hash.clone()).collect();
    sqlx::query("DELETE FROM invite_link_view WHERE code_hash = ANY($1)").bind(revoked).execute(&mut *tx).await?;
    let (hashes, rows): (Vec<String>, Vec<LinkRow>) =
        rows.into_iter().filter_map(|(hash, row)| row.map(|row| (hash, row))).unzip();
    sqlx::query(
        "INSERT INTO invite_link_view (code_hash, workspace_id, role, expires_at, max_uses, uses, created_by,
                                       created_at, created_position)
         SELECT * FROM UNNEST($1::text[], $2::uuid[], $3::text[], $4::timestamptz[], $5::bigint[], $6::bigint[],
                              $7::uuid[], $8::timestamptz[], $9::bigint[])
         ON CONFLICT (code_hash) DO UPDATE SET
             workspace_id = excluded.workspace_id, role = excluded.role, expires_at = excluded.expires_at,
             max_uses = excluded.max_uses, uses = excluded.uses, created_by = excluded.created_by,
             created_at = excluded.created_at, created_position = excluded.created_position",
    )
    .bind(hashes)
    .bind(rows.iter().map(|row| row.workspace_id).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| word::write(&row.role)).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.expires_at.map(Timestamp::to_datetime)).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.max_uses).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.uses).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.created_by).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.created_at.to_datetime()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.created_position.0).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}
