//! [`Fact`]: an event of the log, decoded once for all slices. [`apply`] hands a batch of them to each slice in turn.

use crate::{ProjectionError, conversation, delivery, inbox, message, schema, sync, user, workspace};
use domain::{
    Aggregate, Position, Timestamp,
    conversation::{Conversation, ConversationEvent},
    inbox::{Inbox, InboxEvent},
    message::{Message, MessageEvent},
    user::{User, UserEvent},
    workspace::{Workspace, WorkspaceEvent},
};
use event_store::{Keyring, RecordedEvent};
use sqlx::PgConnection;

/// An event as the slices see it.
#[derive(Clone, Debug)]
pub(crate) struct Fact {
    pub position: Position,
    pub aggregate_id: String,
    pub recorded_at: Timestamp,
    /// Of a `message.sent`: its number in its conversation.
    pub message_sequence: Option<i64>,
    pub event: Event,
}

#[derive(Clone, Debug)]
pub(crate) enum Event {
    User(UserEvent),
    Workspace(WorkspaceEvent),
    Conversation(ConversationEvent),
    Inbox(InboxEvent),
    Message(MessageEvent),
    /// Of an aggregate that no view here is about, or a founding that comes a second time.
    Other,
}

impl Fact {
    pub(crate) fn decode(recorded: RecordedEvent) -> Result<Self, ProjectionError> {
        let event = decode(&recorded)
            .map_err(|source| ProjectionError::Undecodable { position: recorded.position, source: Box::new(source) })?;
        Ok(Self {
            position: recorded.position,
            aggregate_id: recorded.aggregate_id,
            recorded_at: recorded.recorded_at,
            message_sequence: recorded.message_sequence,
            event,
        })
    }
}

fn decode(recorded: &RecordedEvent) -> Result<Event, event_store::StoreError> {
    if is_repeated_founding(recorded) {
        return Ok(Event::Other);
    }
    Ok(match recorded.aggregate_type.as_str() {
        User::TYPE => Event::User(recorded.decode()?),
        Workspace::TYPE => Event::Workspace(recorded.decode()?),
        Conversation::TYPE => Event::Conversation(recorded.decode()?),
        Inbox::TYPE => Event::Inbox(recorded.decode()?),
        Message::TYPE => Event::Message(recorded.decode()?),
        _ => Event::Other,
    })
}

/// A stream begins once. Should it say so again, the first stays: the log can't be mended, and one event of it must not
/// keep the views from all that follows.
fn is_repeated_founding(recorded: &RecordedEvent) -> bool {
    recorded.sequence.0 > 1 && matches!(recorded.event_type.as_str(), "message.sent" | "user.registered")
}

/// Decodes a batch, or says which event of it can't be.
pub(crate) fn decode_all(recorded: Vec<RecordedEvent>) -> Result<Vec<Fact>, ProjectionError> {
    recorded.into_iter().map(Fact::decode).collect()
}

/// Applies a batch to the tables of the schema that the connection's `search_path` names, in the caller's transaction.
///
/// The order of slices is fixed: each may rely on the rows of those before it, as of the end of the batch.
pub(crate) async fn apply(tx: &mut PgConnection, batch: &[Fact], keyring: &Keyring) -> Result<(), ProjectionError> {
    user::apply(tx, batch, keyring).await?;
    workspace::apply(tx, batch, keyring).await?;
    conversation::apply(tx, batch, keyring).await?;
    message::apply(tx, batch, keyring).await?;
    inbox::apply(tx, batch, keyring).await?;
    sync::apply(tx, batch, keyring).await?;
    Ok(())
}

/// The tables of all slices, in the same order.
pub(crate) const DDL: &[&str] =
    &[schema::DDL, user::DDL, workspace::DDL, conversation::DDL, message::DDL, inbox::DDL, sync::DDL, delivery::DDL];

#[cfg(test)]
mod tests;
