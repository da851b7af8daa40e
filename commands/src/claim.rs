//! The kinds of claims: what must be unique, or found, across streams. Their rows change in the append that changes
//! what they speak of.

use domain::{ConversationId, UserId, WorkspaceId};

/// Keyed hash of an e-mail address in lower case → person.
pub const EMAIL: &str = "email";
/// Keyed hash of a username in lower case → person.
pub const USERNAME: &str = "username";
/// `<person>:<conversation>` → the conversation's workspace, or `_`: all that someone is in, by its prefix.
pub const MEMBER: &str = "member";
/// `<workspace>:<name in lower case>` → channel.
pub const CHANNEL_NAME: &str = "channel_name";
/// Hash of an invitation's code → workspace.
pub const INVITE_CODE: &str = "invite_code";
/// `<person>:<clientMessageId>` → message, for ever.
pub const CLIENT_MESSAGE: &str = "client_message";
/// `<person>:<method, path and key, hashed>` → what was answered, for 24 hours.
pub const IDEMPOTENCY: &str = "idempotency";

/// An import's name → how far it has come.
pub const IMPORT: &str = "import";

pub fn member(user: UserId, conversation: ConversationId) -> String {
    format!("{user}:{conversation}")
}
pub fn channel_name(workspace: WorkspaceId, name: &str) -> String {
    format!("{workspace}:{}", name.trim().to_lowercase())
}
pub fn scope(workspace: Option<WorkspaceId>) -> String {
    workspace.map_or_else(|| "_".to_owned(), |id| id.to_string())
}
