//! Workspaces: making and deleting them, invitations by link, roles.

use crate::{
    Caller, CommandError, Commands, Done, claim,
    run::{Decided, Round},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{
    Aggregate, ConversationId, KeyScope, Timestamp, UserId, WorkspaceId,
    conversation::ConversationCommand,
    workspace::{Workspace, WorkspaceCommand, WorkspaceError, WorkspaceEvent, WorkspaceRole},
};
use event_store::{Claim, Loaded};
use serde::{Deserialize, Serialize};

/// Channels that go with their workspace in one append.
const CHANNELS_MAX: i64 = 10_000;

#[derive(Clone, Debug)]
pub struct NewWorkspace {
    pub name: String,
    pub description: Option<String>,
    pub avatar_url: Option<String>,
}

#[derive(Clone, Debug)]
pub struct NewInviteLink {
    pub role: WorkspaceRole,
    /// For ever where there is none.
    pub lifetime_ms: Option<i64>,
    pub max_uses: Option<u32>,
}

/// A link's name in the log. Its code is shown to those who may invite, and kept sealed beside the log.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InviteLinkId {
    pub code_hash: String,
    pub expires_at: Option<Timestamp>,
}

/// What a claim on a code says: whose door it opens, and the code itself, sealed.
#[derive(Serialize, Deserialize)]
struct Code {
    workspace: WorkspaceId,
    sealed: String,
}

pub async fn create(
    commands: &Commands,
    caller: &Caller,
    new: NewWorkspace,
) -> Result<Done<WorkspaceId>, CommandError> {
    let id: WorkspaceId = commands.new_id();
    let new = &new;
    commands
        .run(caller, |round| {
            Box::pin(async move {
                let command = WorkspaceCommand::Create {
                    name: new.name.clone(),
                    description: new.description.clone(),
                    avatar_url: new.avatar_url.clone(),
                };
                decide(round, id, command, true).await
            })
        })
        .await
}

/// Deletes a workspace and all its channels in one append.
pub async fn delete(commands: &Commands, caller: &Caller, id: WorkspaceId) -> Result<Done<WorkspaceId>, CommandError> {
    commands
        .run(caller, |round| {
            Box::pin(async move {
                let mut decided = decide(round, id, WorkspaceCommand::Delete, false).await?;
                let prefix = format!("{id}:");
                for (_, channel) in
                    commands.store.claims_with_prefix(claim::CHANNEL_NAME, &prefix, CHANNELS_MAX).await?
                {
                    let Ok(channel) = channel.parse::<ConversationId>() else { continue };
                    let conversation = round.conversation(channel).await?;
                    let events = conversation.state.decide(ConversationCommand::DeleteWithWorkspace, &round.context)?;
                    crate::conversation::write(&mut decided.append, channel, &conversation, events);
                }
                Ok(decided)
            })
        })
        .await
}

/// Makes a link by which people come in. Its code is told by [`invite_code`].
pub async fn create_invite_link(
    commands: &Commands,
    caller: &Caller,
    id: WorkspaceId,
    new: NewInviteLink,
) -> Result<Done<InviteLinkId>, CommandError> {
    let code = URL_SAFE_NO_PAD.encode(commands.ids.random_bytes::<18>());
    let code_hash = commands.hash_invite_code(&code);
    let code = &code;
    let code_hash = &code_hash;
    commands
        .run(caller, |round| {
            Box::pin(async move {
                let expires_at = new.lifetime_ms.map(|millis| round.now().plus_millis(millis));
                let command = WorkspaceCommand::CreateInviteLink {
                    code_hash: code_hash.clone(),
                    role: new.role,
                    expires_at,
                    max_uses: new.max_uses,
                };
                let Decided { mut append, .. } = decide(round, id, command, true).await?;
                let sealed = commands.store.keyring().seal(&KeyScope::Person(caller.user), code).await?;
                append.claim(Claim::take(
                    claim::INVITE_CODE,
                    code_hash.clone(),
                    to_json(&Code { workspace: id, sealed })?,
                ));
                Ok(Decided { append, value: InviteLinkId { code_hash: code_hash.clone(), expires_at }, created: true })
            })
        })
        .await
}

/// The code of a link, for those who may invite: the caller has read the link from a view that is theirs to see.
pub async fn invite_code(commands: &Commands, code_hash: &str) -> Result<Option<String>, CommandError> {
    let Some(code) = commands.code_of(code_hash).await? else { return Ok(None) };
    Ok(commands.store.keyring().open(&code.sealed).await?)
}

/// Closes a link for good: its code opens nothing from then on.
pub async fn revoke_invite_link(
    commands: &Commands,
    caller: &Caller,
    id: WorkspaceId,
    code: &str,
) -> Result<Done<WorkspaceId>, CommandError> {
    let code_hash = commands.hash_invite_code(code);
    let code_hash = &code_hash;
    commands
        .run(caller, |round| {
            Box::pin(async move {
                let command = WorkspaceCommand::RevokeInviteLink { code_hash: code_hash.clone() };
                let mut decided = decide(round, id, command, false).await?;
                decided.append.claim(Claim::release(claim::INVITE_CODE, code_hash.clone()));
                Ok(decided)
            })
        })
        .await
}

/// Comes in by a code. Who is in already stays as they are.
pub async fn join(commands: &Commands, caller: &Caller, code: &str) -> Result<Done<WorkspaceId>, CommandError> {
    let code_hash = commands.hash_invite_code(code);
    let code_hash = &code_hash;
    commands
        .run(caller, |round| {
            Box::pin(async move {
                let code = commands.code_of(code_hash).await?.ok_or(WorkspaceError::LinkNotFound)?;
                decide(round, code.workspace, WorkspaceCommand::Join { code_hash: code_hash.clone() }, false).await
            })
        })
        .await
}

pub async fn change_role(
    commands: &Commands,
    caller: &Caller,
    id: WorkspaceId,
    user: UserId,
    role: WorkspaceRole,
) -> Result<Done<WorkspaceId>, CommandError> {
    let command = WorkspaceCommand::ChangeRole { user, role };
    let command = &command;
    commands.run(caller, |round| Box::pin(async move { decide(round, id, command.clone(), false).await })).await
}

async fn decide(
    round: &Round<'_>,
    id: WorkspaceId,
    command: WorkspaceCommand,
    created: bool,
) -> Result<Decided<WorkspaceId>, CommandError> {
    let workspace: Loaded<Workspace> = round.load(id).await?;
    let events: Vec<WorkspaceEvent> = workspace.state.decide(command, &round.context)?;
    let mut append = round.append();
    append.write_in(&workspace, events, None, Some(id));
    Ok(Decided { append, value: id, created })
}

impl Commands {
    fn hash_invite_code(&self, code: &str) -> String {
        self.store.keyring().keyed_hash(claim::INVITE_CODE, code)
    }
    async fn code_of(&self, code_hash: &str) -> Result<Option<Code>, CommandError> {
        let Some(found) = self.store.claim(claim::INVITE_CODE, code_hash).await? else { return Ok(None) };
        let code = serde_json::from_str(&found.value)
            .map_err(|e| CommandError::Internal(format!("a claim can't be read: {e}")))?;
        Ok(Some(code))
    }
}

fn to_json(code: &Code) -> Result<String, CommandError> {
    serde_json::to_string(code).map_err(|e| CommandError::Internal(format!("a claim can't be written: {e}")))
}
