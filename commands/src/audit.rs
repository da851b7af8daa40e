//! Reading the record: every reading is itself an event.

use crate::{Caller, CommandError, Commands, run::Decided};
use domain::{
    Aggregate, ConversationId, Kind, Position, Refusal,
    audit::{Access, AuditCommand, Resource},
    user::{SystemRole, User},
};
use event_store::Loaded;
use uuid::Uuid;

/// Notes that someone reads the record. What they get ends before the position that this answers.
pub async fn access(
    commands: &Commands,
    caller: &Caller,
    resource: Resource,
    conversation: Option<ConversationId>,
    after: Option<Position>,
) -> Result<Position, CommandError> {
    let id: Uuid = commands.new_id();
    let done = commands
        .run(caller, |round| {
            Box::pin(async move {
                // The token's word is as old as the token: who has lost the role reads nothing more.
                let reader: Loaded<User> = round.commands.store.refresh_cached(caller.user).await?;
                if !reader.state.roles().iter().any(|role| matches!(role, SystemRole::Admin | SystemRole::Auditor)) {
                    let detail = "this is for auditors and administrators".into();
                    return Err(Refusal { kind: Kind::Forbidden, code: "not_allowed", detail, field: None }.into());
                }
                let reading: Loaded<Access> = Loaded::fresh(id);
                let events =
                    reading.state.decide(AuditCommand::Access { resource, conversation, after }, &round.context)?;
                let mut append = round.append();
                append.write_in(&reading, events, conversation, None);
                Ok(Decided { append, value: id, created: true })
            })
        })
        .await?;
    done.position.ok_or_else(|| CommandError::Internal("a reading was not recorded".to_owned()))
}
