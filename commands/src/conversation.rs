//! Conversations: opening, changing, and who is in them.

use crate::{
    Caller, CommandError, Commands, Done, claim,
    run::{Decided, Round},
};
use domain::{
    Aggregate, ConversationId, Kind, Refusal, UserId, WorkspaceId,
    conversation::{Conversation, ConversationChanges, ConversationCommand, ConversationEvent, ConversationType, Role},
    user::User,
    workspace::Workspace,
};
use event_store::{Append, Claim, Loaded};

#[derive(Clone, Debug)]
pub struct NewGroup {
    pub name: Option<String>,
    pub description: Option<String>,
    pub avatar_url: Option<String>,
    pub is_private: bool,
    pub max_members: Option<u32>,
    pub participants: Vec<UserId>,
}

#[derive(Clone, Debug)]
pub struct NewChannel {
    pub workspace: WorkspaceId,
    pub name: String,
    pub description: Option<String>,
    pub is_private: bool,
}

/// Opens the direct conversation with someone, or finds the one there is.
pub async fn open_direct(
    commands: &Commands,
    caller: &Caller,
    with: UserId,
) -> Result<Done<ConversationId>, CommandError> {
    let id = ConversationId::direct(caller.user, with);
    commands
        .run(caller, |round| {
            Box::pin(async move {
                let conversation = round.conversation(id).await?;
                if conversation.state.exists() {
                    return Ok(Decided { append: round.append(), value: id, created: false });
                }
                require_registered(round.commands, &[with]).await?;
                decide(round, id, &conversation, ConversationCommand::CreateDirect { with }, true)
            })
        })
        .await
}

pub async fn create_group(
    commands: &Commands,
    caller: &Caller,
    new: NewGroup,
) -> Result<Done<ConversationId>, CommandError> {
    let id: ConversationId = commands.new_id();
    let new = &new;
    commands
        .run(caller, |round| {
            Box::pin(async move {
                require_registered(round.commands, &new.participants).await?;
                let command = ConversationCommand::CreateGroup {
                    name: new.name.clone(),
                    description: new.description.clone(),
                    avatar_url: new.avatar_url.clone(),
                    is_private: new.is_private,
                    max_members: new.max_members.unwrap_or(domain::conversation::MAX_MEMBERS_DEFAULT),
                    participants: new.participants.clone(),
                };
                decide(round, id, &round.conversation(id).await?, command, true)
            })
        })
        .await
}

/// Any member of a workspace but a guest makes channels; a channel's name is unique there.
pub async fn create_channel(
    commands: &Commands,
    caller: &Caller,
    new: NewChannel,
) -> Result<Done<ConversationId>, CommandError> {
    let id: ConversationId = commands.new_id();
    let new = &new;
    commands
        .run(caller, |round| {
            Box::pin(async move {
                let workspace: Loaded<Workspace> = round.load(new.workspace).await?;
                workspace.state.require_channel_maker(caller.user)?;
                let key = claim::channel_name(new.workspace, &new.name);
                if commands.store.claim(claim::CHANNEL_NAME, &key).await?.is_some() {
                    return Err(name_taken());
                }
                let command = ConversationCommand::CreateChannel {
                    workspace: new.workspace,
                    name: new.name.clone(),
                    description: new.description.clone(),
                    is_private: new.is_private,
                };
                let mut decided = decide(round, id, &round.conversation(id).await?, command, true)?;
                decided.append.guard(&workspace).claim(Claim::take(claim::CHANNEL_NAME, key, id.to_string()));
                Ok(decided)
            })
        })
        .await
}

pub async fn update(
    commands: &Commands,
    caller: &Caller,
    id: ConversationId,
    changes: ConversationChanges,
) -> Result<Done<ConversationId>, CommandError> {
    let changes = &changes;
    commands
        .run(caller, |round| {
            Box::pin(async move {
                let conversation = round.conversation(id).await?;
                let command = ConversationCommand::Update(changes.clone());
                let mut decided = decide(round, id, &conversation, command, false)?;
                if !decided.append.is_empty() {
                    rename(round, id, &conversation.state, changes.name.as_deref(), &mut decided.append).await?;
                }
                Ok(decided)
            })
        })
        .await
}

/// A channel's new name is claimed in its workspace, and the old one given up.
async fn rename(
    round: &Round<'_>,
    id: ConversationId,
    conversation: &Conversation,
    name: Option<&str>,
    append: &mut Append,
) -> Result<(), CommandError> {
    let (Some(workspace), Some(old), Some(new)) = (conversation.workspace, &conversation.name, name) else {
        return Ok(());
    };
    let (old, new) = (claim::channel_name(workspace, old), claim::channel_name(workspace, new));
    if old != new {
        if round.commands.store().claim(claim::CHANNEL_NAME, &new).await?.is_some() {
            return Err(name_taken());
        }
        append.claim(Claim::release(claim::CHANNEL_NAME, old)).claim(Claim::take(
            claim::CHANNEL_NAME,
            new,
            id.to_string(),
        ));
    }
    Ok(())
}

pub(crate) fn name_taken() -> CommandError {
    Refusal::new(Kind::Conflict, "name_taken", "a channel of this workspace has that name").into()
}

pub async fn delete(
    commands: &Commands,
    caller: &Caller,
    id: ConversationId,
) -> Result<Done<ConversationId>, CommandError> {
    change(commands, caller, id, ConversationCommand::Delete).await
}

/// Adds people; who is in already stays as they are. One unknown person refuses the whole.
pub async fn add_participants(
    commands: &Commands,
    caller: &Caller,
    id: ConversationId,
    users: Vec<UserId>,
) -> Result<Done<ConversationId>, CommandError> {
    let users = &users;
    commands
        .run(caller, |round| {
            Box::pin(async move {
                let conversation = round.conversation(id).await?;
                conversation.state.require_participant(caller.user)?;
                require_registered(round.commands, users).await?;
                let mut append = round.append();
                if let Some(workspace) = conversation.state.workspace {
                    // Whoever is in a channel is in its workspace.
                    let workspace: Loaded<Workspace> = round.load(workspace).await?;
                    if users.iter().any(|user| workspace.state.role(*user).is_none()) {
                        return Err(CommandError::not_found("that person is not a member of the channel's workspace"));
                    }
                    append.guard(&workspace);
                }
                let events = conversation
                    .state
                    .decide(ConversationCommand::AddParticipants { users: users.clone() }, &round.context)?;
                let created = !events.is_empty();
                write(&mut append, id, &conversation, events);
                Ok(Decided { append, value: id, created })
            })
        })
        .await
}

/// Takes someone out; oneself is leaving.
pub async fn remove_participant(
    commands: &Commands,
    caller: &Caller,
    id: ConversationId,
    user: UserId,
) -> Result<Done<ConversationId>, CommandError> {
    change(commands, caller, id, ConversationCommand::RemoveParticipant { user }).await
}

pub async fn change_role(
    commands: &Commands,
    caller: &Caller,
    id: ConversationId,
    user: UserId,
    role: Role,
) -> Result<Done<ConversationId>, CommandError> {
    change(commands, caller, id, ConversationCommand::ChangeRole { user, role }).await
}

/// A member of the workspace, no guest, joins one of its public channels.
pub async fn subscribe(
    commands: &Commands,
    caller: &Caller,
    id: ConversationId,
) -> Result<Done<ConversationId>, CommandError> {
    commands
        .run(caller, |round| {
            Box::pin(async move {
                let conversation = round.conversation(id).await?;
                let is_in = conversation.state.participant(caller.user).is_some();
                let Some(workspace) = conversation.state.workspace else {
                    return Err(CommandError::not_found("there is no such channel"));
                };
                let workspace: Loaded<Workspace> = round.load(workspace).await?;
                if !is_in {
                    // To a guest, a channel that they were not added to is not there.
                    workspace
                        .state
                        .require_channel_maker(caller.user)
                        .map_err(|_| CommandError::not_found("there is no such channel"))?;
                }
                let mut decided = decide(round, id, &conversation, ConversationCommand::Subscribe, true)?;
                if !decided.append.is_empty() {
                    decided.append.guard(&workspace);
                }
                Ok(decided)
            })
        })
        .await
}

/// Leaves a channel.
pub async fn unsubscribe(
    commands: &Commands,
    caller: &Caller,
    id: ConversationId,
) -> Result<Done<ConversationId>, CommandError> {
    commands
        .run(caller, |round| {
            Box::pin(async move {
                let conversation = round.conversation(id).await?;
                if conversation.state.r#type != ConversationType::Channel {
                    return Err(CommandError::not_found("there is no such channel"));
                }
                decide(round, id, &conversation, ConversationCommand::RemoveParticipant { user: caller.user }, false)
            })
        })
        .await
}

async fn change(
    commands: &Commands,
    caller: &Caller,
    id: ConversationId,
    command: ConversationCommand,
) -> Result<Done<ConversationId>, CommandError> {
    let command = &command;
    commands
        .run(caller, |round| {
            Box::pin(async move { decide(round, id, &round.conversation(id).await?, command.clone(), false) })
        })
        .await
}

fn decide(
    round: &Round<'_>,
    id: ConversationId,
    conversation: &Loaded<Conversation>,
    command: ConversationCommand,
    created: bool,
) -> Result<Decided<ConversationId>, CommandError> {
    let events = conversation.state.decide(command, &round.context)?;
    let mut append = round.append();
    let created = created && !events.is_empty();
    write(&mut append, id, conversation, events);
    Ok(Decided { append, value: id, created })
}

/// Writes a conversation's events and the claims that follow from them.
pub(crate) fn write(
    append: &mut Append,
    id: ConversationId,
    conversation: &Loaded<Conversation>,
    events: Vec<ConversationEvent>,
) {
    let mut workspace = conversation.state.workspace;
    for event in &events {
        match event {
            ConversationEvent::Created { participants, workspace_id, .. } => {
                workspace = *workspace_id;
                for founder in participants {
                    append.claim(Claim::take(
                        claim::MEMBER,
                        claim::member(founder.user_id, id),
                        claim::scope(workspace),
                    ));
                }
            }
            ConversationEvent::ParticipantAdded { user_id, .. } => {
                append.claim(Claim::take(claim::MEMBER, claim::member(*user_id, id), claim::scope(workspace)));
            }
            ConversationEvent::ParticipantRemoved { user_id, .. } => {
                append.claim(Claim::release(claim::MEMBER, claim::member(*user_id, id)));
            }
            ConversationEvent::Deleted { .. } => release_all(append, id, &conversation.state),
            ConversationEvent::Updated(_) | ConversationEvent::ParticipantRoleChanged { .. } => {}
        }
    }
    append.write_in(conversation, events, Some(id), workspace);
}

fn release_all(append: &mut Append, id: ConversationId, conversation: &Conversation) {
    for (user, _) in conversation.participants() {
        append.claim(Claim::release(claim::MEMBER, claim::member(user, id)));
    }
    if let (Some(workspace), Some(name)) = (conversation.workspace, &conversation.name) {
        append.claim(Claim::release(claim::CHANNEL_NAME, claim::channel_name(workspace, name)));
    }
}

/// Everyone named has an account; else the whole is refused.
async fn require_registered(commands: &Commands, users: &[UserId]) -> Result<(), CommandError> {
    for user in users {
        let user: Loaded<User> = commands.store.load(user).await?;
        if !user.state.is_registered() {
            return Err(CommandError::not_found("there is no such person"));
        }
    }
    Ok(())
}
