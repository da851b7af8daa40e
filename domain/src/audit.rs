//! [`Access`]: one reading of the record by an auditor. Reading is a fact too, and each reading a stream of its own, so
//! that auditors never wait for one another.

use crate::{Aggregate, Context, ConversationId, DomainEvent, KeyScope, Position, Refusal, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;

/// What of the record was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Resource {
    Events,
    Conversation,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "payload", rename_all_fields = "camelCase")]
pub enum AuditEvent {
    #[serde(rename = "audit.accessed")]
    Accessed {
        accessed_by: UserId,
        resource: Resource,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        conversation_id: Option<ConversationId>,
        /// From the event after this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Position>,
    },
}
impl DomainEvent for AuditEvent {}

#[derive(Clone, Copy, Debug)]
pub enum AuditCommand {
    Access { resource: Resource, conversation: Option<ConversationId>, after: Option<Position> },
}

/// Nothing forbids it here: who may audit is a role, which the way in checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditError(Infallible);

impl From<AuditError> for Refusal {
    fn from(error: AuditError) -> Self {
        match error.0 {}
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Access;

impl Aggregate for Access {
    const TYPE: &'static str = "audit";
    type Command = AuditCommand;
    type Event = AuditEvent;
    type Error = AuditError;

    fn decide(&self, command: AuditCommand, ctx: &Context) -> Result<Vec<AuditEvent>, AuditError> {
        let AuditCommand::Access { resource, conversation, after } = command;
        Ok(vec![AuditEvent::Accessed { accessed_by: ctx.actor, resource, conversation_id: conversation, after }])
    }

    fn apply(&mut self, event: &AuditEvent, _: Position) {
        match event {
            AuditEvent::Accessed { .. } => {}
        }
    }

    fn key_scope(&self) -> Option<KeyScope> {
        None
    }
}
