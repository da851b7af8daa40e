//! [`Sync`]: all that a client starts from, at one position: [`snapshot`]; or what changed since another: [`changes`].

mod apply;
mod changes;
mod snapshot;

pub(crate) use apply::apply;
pub(crate) use changes::is_too_long_ago;
pub use changes::{ChangesError, EVENTS_MAX, changes};
pub use snapshot::snapshot;

use crate::{conversation::ConversationView, user::UserView, workspace::WorkspaceView};
use domain::{ConversationId, Position, WorkspaceId};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

pub(crate) const DDL: &str = include_str!("../schema/sync.sql");

/// What a person sees, as it stands at `position` of the log named `log_id`.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sync {
    pub log_id: Uuid,
    pub position: Position,
    pub me: UserView,
    pub workspaces: Vec<WorkspaceView>,
    pub conversations: Vec<ConversationView>,
    /// What is gone since. Only in an answer that tells of changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removed: Option<Removed>,
    /// Always empty until presence is kept.
    #[schema(value_type = Vec<Object>)]
    pub presence: [(); 0],
    pub notifications: Notifications,
    /// Always empty until there are calls.
    #[schema(value_type = Vec<Object>)]
    pub active_calls: [(); 0],
}

/// What a person is no longer in, or what is no longer.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Removed {
    pub conversations: Vec<ConversationId>,
    pub workspaces: Vec<WorkspaceId>,
}

#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Notifications {
    pub unread_count: i64,
}

#[cfg(test)]
mod tests;
