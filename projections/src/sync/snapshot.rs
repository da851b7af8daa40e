//! [`snapshot`]: everything that a person sees, at one position.

use super::{Notifications, Sync};
use crate::{
    ProjectionError, Views, conversation,
    user::{self, UserView},
    workspace::{self, WorkspaceView},
    writer,
};
use domain::{Position, UserId};
use sqlx::{PgConnection, Row};

/// None until the views have heard of the person.
pub async fn snapshot(views: &Views, user: UserId) -> Result<Option<Sync>, ProjectionError> {
    let mut tx = views.snapshot().await?;
    let position = writer::position(&mut tx).await?;
    let Some(me) = me(&mut tx, views, user).await? else { return Ok(None) };
    Ok(Some(Sync {
        log_id: views.store().log_id(),
        position,
        me,
        workspaces: workspaces(&mut tx, user, Position(0)).await?,
        conversations: conversation::list_all(&mut tx, views.keyring(), user).await?,
        removed: None,
        presence: [],
        notifications: Notifications::default(),
        active_calls: [],
    }))
}

/// The person as they see themselves, on this connection.
pub(super) async fn me(
    connection: &mut PgConnection,
    views: &Views,
    id: UserId,
) -> Result<Option<UserView>, ProjectionError> {
    let query = format!("SELECT {}, email FROM user_view WHERE id = $1", user::COLUMNS);
    let Some(row) = sqlx::query(&query).bind(id.0).fetch_optional(connection).await? else { return Ok(None) };
    let me = user::read_sealed(&row)?;
    let email: &str = row.try_get("email")?;
    let sealed: Vec<&str> = [email].into_iter().chain(me.status_text.as_deref()).collect();
    let mut opened = views.keyring().open_many(&sealed).await?.into_iter();
    let (email, status_text) = (opened.next().flatten(), opened.next().flatten());
    Ok(Some(UserView { email, status_text, ..me }))
}

/// The person's workspaces that have changed since a position, in the order in which they came in.
pub(super) async fn workspaces(
    connection: &mut PgConnection,
    user: UserId,
    since: Position,
) -> Result<Vec<WorkspaceView>, ProjectionError> {
    let query = "SELECT w.id, w.name, w.description, w.avatar_url, w.owner_id, w.member_count, w.created_at, m.role \
         FROM workspace_member_view m JOIN workspace_view w ON w.id = m.workspace_id AND w.deleted_position IS NULL \
         WHERE m.user_id = $1 AND greatest(w.changed_position, m.changed_position) > $2 \
         ORDER BY m.joined_position, w.id";
    let rows = sqlx::query(query).bind(user.0).bind(since.0).fetch_all(connection).await?;
    rows.iter().map(workspace::read).collect()
}
