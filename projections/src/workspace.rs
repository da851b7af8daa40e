//! [`WorkspaceView`]: workspaces as their members see them, with members and invitations by link.

mod apply;

use crate::{
    Listed, ProjectionError, Views,
    user::{UserSummary, summary},
    word,
};
pub(crate) use apply::apply;
use chrono::{DateTime, Utc};
use domain::{Timestamp, UserId, WorkspaceId, workspace::WorkspaceRole};
use serde::Serialize;
use sqlx::{Row, postgres::PgRow};
use utoipa::ToSchema;

pub(crate) const DDL: &str = include_str!("../schema/workspace.sql");

/// A workspace, and what the reader is in it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Workspace)]
pub struct WorkspaceView {
    pub id: WorkspaceId,
    pub name: String,
    pub description: Option<String>,
    pub avatar_url: Option<String>,
    pub owner_id: UserId,
    pub role: WorkspaceRole,
    pub member_count: i32,
    pub created_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WorkspaceMember)]
pub struct MemberView {
    pub user_id: UserId,
    pub user: UserSummary,
    pub role: WorkspaceRole,
    pub joined_at: Timestamp,
    pub invited_by: Option<UserId>,
}

/// An invitation. The code that it is used by is kept elsewhere, under this hash.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = InviteLink)]
pub struct InviteLinkView {
    #[serde(skip)]
    pub code_hash: String,
    pub role: WorkspaceRole,
    #[serde(skip)]
    pub expires_at: Option<Timestamp>,
    pub max_uses: Option<i64>,
    pub uses: i64,
    pub created_by: UserId,
    pub created_at: Timestamp,
}

/// Of a person, joined as `m` with living workspaces as `w`.
const MINE: &str = "
    SELECT w.id, w.name, w.description, w.avatar_url, w.owner_id, w.member_count, w.created_at, m.role
      FROM workspace_member_view m
      JOIN workspace_view w ON w.id = m.workspace_id AND w.deleted_position IS NULL
     WHERE m.user_id = $1";

/// The workspaces that someone is in, in the order in which they came in.
pub async fn list_of(
    views: &Views,
    user: UserId,
    limit: i64,
    offset: i64,
) -> Result<Listed<WorkspaceView>, ProjectionError> {
    let sql = format!("{MINE} ORDER BY m.joined_position, w.id LIMIT $2 OFFSET $3");
    let rows =
        sqlx::query(&sql).bind(user.0).bind(limit.saturating_add(1)).bind(offset).fetch_all(views.pool()).await?;
    Ok(Listed::of(rows.iter().map(read).collect::<Result<_, _>>()?, limit))
}

/// A workspace, for whoever is in it.
pub async fn get(views: &Views, user: UserId, id: WorkspaceId) -> Result<Option<WorkspaceView>, ProjectionError> {
    let row =
        sqlx::query(&format!("{MINE} AND w.id = $2")).bind(user.0).bind(id.0).fetch_optional(views.pool()).await?;
    row.as_ref().map(read).transpose()
}

/// What someone is in a workspace. None where they are not in it, or it is gone.
pub async fn role_of(
    views: &Views,
    workspace: WorkspaceId,
    user: UserId,
) -> Result<Option<WorkspaceRole>, ProjectionError> {
    Ok(get(views, user, workspace).await?.map(|workspace| workspace.role))
}

/// The members, in the order in which they came in. None for whoever is not one of them.
pub async fn members(
    views: &Views,
    user: UserId,
    workspace: WorkspaceId,
    limit: i64,
    offset: i64,
) -> Result<Option<Listed<MemberView>>, ProjectionError> {
    let Some(shown) = get(views, user, workspace).await? else { return Ok(None) };
    let rows = sqlx::query(
        "SELECT m.user_id, m.role, m.joined_at, m.invited_by, u.username, u.first_name, u.last_name, u.avatar_url
           FROM workspace_member_view m
           JOIN user_view u ON u.id = m.user_id
          WHERE m.workspace_id = $1
          ORDER BY m.joined_position, m.user_id
          LIMIT $2 OFFSET $3",
    )
    .bind(workspace.0)
    .bind(limit.saturating_add(1))
    .bind(offset)
    .fetch_all(views.pool())
    .await?;
    let members = rows.iter().map(read_member).collect::<Result<_, _>>()?;
    Ok(Some(Listed { total: Some(shown.member_count.into()), ..Listed::of(members, limit) }))
}

/// The links by which people may still come in, the newest first. For those who may invite: see [`role_of`].
pub async fn invite_links(
    views: &Views,
    workspace: WorkspaceId,
    limit: i64,
    offset: i64,
) -> Result<Listed<InviteLinkView>, ProjectionError> {
    let rows = sqlx::query(
        "SELECT l.* FROM invite_link_view l
           JOIN workspace_view w ON w.id = l.workspace_id AND w.deleted_position IS NULL
          WHERE l.workspace_id = $1
          ORDER BY l.created_position DESC, l.code_hash
          LIMIT $2 OFFSET $3",
    )
    .bind(workspace.0)
    .bind(limit.saturating_add(1))
    .bind(offset)
    .fetch_all(views.pool())
    .await?;
    Ok(Listed::of(rows.iter().map(read_link).collect::<Result<_, _>>()?, limit))
}

pub(crate) fn read(row: &PgRow) -> Result<WorkspaceView, ProjectionError> {
    Ok(WorkspaceView {
        id: WorkspaceId(row.try_get("id")?),
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        avatar_url: row.try_get("avatar_url")?,
        owner_id: UserId(row.try_get("owner_id")?),
        role: word::read("workspace_member_view", row.try_get("role")?)?,
        member_count: row.try_get("member_count")?,
        created_at: row.try_get::<DateTime<Utc>, _>("created_at")?.into(),
    })
}

fn read_member(row: &PgRow) -> Result<MemberView, ProjectionError> {
    Ok(MemberView {
        user_id: UserId(row.try_get("user_id")?),
        user: summary(row, "user_id")?,
        role: word::read("workspace_member_view", row.try_get("role")?)?,
        joined_at: row.try_get::<DateTime<Utc>, _>("joined_at")?.into(),
        invited_by: row.try_get::<Option<uuid::Uuid>, _>("invited_by")?.map(UserId),
    })
}

fn read_link(row: &PgRow) -> Result<InviteLinkView, ProjectionError> {
    Ok(InviteLinkView {
        code_hash: row.try_get("code_hash")?,
        role: word::read("invite_link_view", row.try_get("role")?)?,
        expires_at: row.try_get::<Option<DateTime<Utc>>, _>("expires_at")?.map(Timestamp::from),
        max_uses: row.try_get("max_uses")?,
        uses: row.try_get("uses")?,
        created_by: UserId(row.try_get("created_by")?),
        created_at: row.try_get::<DateTime<Utc>, _>("created_at")?.into(),
    })
}

#[cfg(test)]
mod tests;
