//! [`apply`]: notes for whom the events of a batch are, sends aside: those are known by their messages.

use crate::{
    ProjectionError,
    batch::{Event, Fact},
    conversation::inapplicable,
    delivery,
};
use domain::{conversation::ConversationEvent, inbox::InboxEvent, message::News, workspace::WorkspaceEvent};
use event_store::Keyring;
use sqlx::PgConnection;
use uuid::Uuid;

/// Whom an event is for.
enum Scope {
    /// The members of a workspace or conversation, or one person.
    Of(Uuid),
    /// The participants of the conversation that this message is in.
    ConversationOf(Uuid),
    /// Nobody, as far as counting goes.
    Uncounted,
}

pub(crate) async fn apply(tx: &mut PgConnection, batch: &[Fact], _: &Keyring) -> Result<(), ProjectionError> {
    let (mut scopes, mut positions): (Vec<Uuid>, Vec<i64>) = (vec![], vec![]);
    let (mut messages, mut message_positions): (Vec<Uuid>, Vec<i64>) = (vec![], vec![]);
    let shown_to_all = delivery::shown_to_all(tx, batch).await?;
    for fact in batch {
        match scope(fact, shown_to_all.contains(&fact.position))? {
            Scope::Of(scope) => {
                scopes.push(scope);
                positions.push(fact.position.0);
            }
            Scope::ConversationOf(message) => {
                messages.push(message);
                message_positions.push(fact.position.0);
            }
            Scope::Uncounted => {}
        }
    }
    if !scopes.is_empty() {
        sqlx::query("INSERT INTO activity_view (scope, position) SELECT * FROM unnest($1::uuid[], $2::bigint[])")
            .bind(scopes)
            .bind(positions)
            .execute(&mut *tx)
            .await?;
    }
    if !messages.is_empty() {
        sqlx::query(
            "INSERT INTO activity_view (scope, position) SELECT m.conversation_id, event.position \
             FROM unnest($1::uuid[], $2::bigint[]) AS event (message_id, position) JOIN message_view m ON m.id = event.message_id",
        )
        .bind(messages)
        .bind(message_positions)
        .execute(tx)
        .await?;
    }
    Ok(())
}

/// `to_all`: of a read mark, that it concerns all who are in the conversation.
fn scope(fact: &Fact, to_all: bool) -> Result<Scope, ProjectionError> {
    let stream = || fact.aggregate_id.parse().map_err(|_| inapplicable(fact, "its stream is not named by an id"));
    Ok(match &fact.event {
        Event::Conversation(
            ConversationEvent::Created { .. }
            | ConversationEvent::Updated(_)
            | ConversationEvent::Deleted { .. }
            | ConversationEvent::ParticipantAdded { .. }
            | ConversationEvent::ParticipantRemoved { .. }
            | ConversationEvent::ParticipantRoleChanged { .. },
        )
        | Event::Workspace(
            WorkspaceEvent::Created { .. }
            | WorkspaceEvent::Deleted { .. }
            | WorkspaceEvent::MemberJoined { .. }
            | WorkspaceEvent::MemberRoleChanged { .. },
        ) => Scope::Of(stream()?),
        Event::Message(event) => match event.news() {
            News::Changed => Scope::ConversationOf(stream()?),
            News::Sent { .. } => Scope::Uncounted,
        },
        Event::Inbox(InboxEvent::ReadMarked { conversation_id, .. }) if to_all => Scope::Of(conversation_id.0),
        Event::Inbox(InboxEvent::ReadMarked { user_id, .. } | InboxEvent::PreferenceChanged { user_id, .. }) => {
            Scope::Of(user_id.0)
        }
        Event::Workspace(WorkspaceEvent::InviteLinkCreated { .. } | WorkspaceEvent::InviteLinkRevoked { .. })
        | Event::User(_)
        | Event::Other => Scope::Uncounted,
    })
}
