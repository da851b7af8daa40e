//! [`MessageView`]: a message as one person sees it. [`page`] reads a timeline, `apply` writes it.

mod apply;
mod fold;
mod history;
mod page;
mod reads;
mod shape;
mod store;
mod thread;

pub(crate) use apply::apply;
pub use history::{VersionView, history};
pub use page::{Cursor, Page, PageError, page};
pub use reads::{ReadView, reads};
pub(crate) use shape::{Place, load};
pub use shape::{get, pins};
pub use thread::thread;

use crate::user::UserSummary;
use domain::{
    ConversationId, MessageId, Position, ReactionId, Sequence, Timestamp, UserId,
    message::{Broadcast, MessageType},
};
use serde::Serialize;
use utoipa::ToSchema;

pub(crate) const DDL: &str = include_str!("../schema/message.sql");

#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Message)]
pub struct MessageView {
    pub id: MessageId,
    pub conversation_id: ConversationId,
    /// Its number in its conversation, without gaps, from 1.
    pub sequence: Sequence,
    pub position: Position,
    pub sender_id: UserId,
    pub sender: Option<UserSummary>,
    /// Null once deleted.
    pub content: Option<String>,
    pub r#type: MessageType,
    pub reply_to_id: Option<MessageId>,
    pub reply_to: Option<QuotedView>,
    /// Answers in the thread that begins here, deleted ones not counted.
    pub thread_count: i64,
    /// Always empty until there are files.
    #[schema(value_type = Vec<Object>)]
    pub attachments: [(); 0],
    pub mentions: Vec<UserId>,
    pub broadcast: Option<Broadcast>,
    pub reactions: Vec<ReactionView>,
    pub is_edited: bool,
    pub is_pinned: bool,
    /// How many others have read it.
    pub read_by: i64,
    pub client_message_id: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub deleted_at: Option<Timestamp>,
}

/// A message that was pinned in its conversation.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Pin)]
pub struct PinView {
    pub message: MessageView,
    pub pinned_by: UserId,
    pub pinned_at: Timestamp,
}

/// The message that another answers, where one may read it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = QuotedMessage)]
pub struct QuotedView {
    pub id: MessageId,
    pub sender_id: UserId,
    pub sender: Option<UserSummary>,
    /// Null once deleted.
    pub content: Option<String>,
    pub created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
}

/// One emoji on a message.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Reaction)]
pub struct ReactionView {
    pub emoji: String,
    pub count: i64,
    /// The first 20 who gave it.
    pub users: Vec<UserId>,
    /// One's own, by which it is taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reaction_id: Option<ReactionId>,
}

#[cfg(test)]
mod tests;
