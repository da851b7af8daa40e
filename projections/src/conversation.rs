//! [`ConversationView`]: a conversation as one person sees it. [`list`] and [`get`] read it, `apply` writes it.

mod apply;
mod fold;
mod list;
mod participants;
mod store;
mod visible;

pub(crate) use apply::apply;
pub(crate) use fold::{FormerRow, ParticipantRow, Preferences, Seat, inapplicable};
pub use list::{Filter, get, list};
pub(crate) use list::{changed_since, list_all};
pub use participants::{FIRST_PARTICIPANTS, participants};
pub(crate) use store::{participant_row, seat};
pub(crate) use visible::{Access, access, visible};

use crate::{message::MessageView, user::UserSummary};
use domain::{
    ConversationId, Timestamp, UserId, WorkspaceId,
    conversation::{ConversationType, History, Role},
};
use serde::Serialize;
use utoipa::ToSchema;

pub(crate) const DDL: &str = include_str!("../schema/conversation.sql");

#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Conversation)]
#[expect(clippy::struct_excessive_bools, reason = "clients know these fields")]
pub struct ConversationView {
    pub id: ConversationId,
    pub r#type: ConversationType,
    pub history: History,
    pub name: Option<String>,
    pub description: Option<String>,
    pub topic: Option<String>,
    pub avatar_url: Option<String>,
    pub is_private: bool,
    pub is_archived: bool,
    /// Null where there is no bound.
    pub max_members: Option<i64>,
    pub workspace_id: Option<WorkspaceId>,
    pub created_by: UserId,
    /// The newest message, as far as one may read it.
    pub last_message: Option<MessageView>,
    pub last_message_at: Option<Timestamp>,
    pub unread_count: i64,
    pub mention_count: i64,
    /// The first 20, in the order in which they joined.
    pub participants: Vec<ParticipantView>,
    pub participant_count: i64,
    pub is_muted: bool,
    pub is_pinned: bool,
    /// One's own; null for whoever only looks into a public channel.
    pub role: Option<Role>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Participant)]
pub struct ParticipantView {
    pub user_id: UserId,
    pub user: Option<UserSummary>,
    pub role: Role,
    pub joined_at: Timestamp,
    pub last_read_at: Option<Timestamp>,
    pub added_by: UserId,
}

#[cfg(test)]
pub(crate) mod tests;
