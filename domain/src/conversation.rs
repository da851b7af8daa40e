//! [`Conversation`]: who talks together, where, and by which rules. Direct, group and channel are types of it.

use crate::{
    Aggregate, Context, DomainEvent, KeyScope, Kind, Position, Refusal, Timestamp, UserId, WorkspaceId,
    limits::is_name,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use utoipa::ToSchema;

/// Members of a group where its maker names no number, the owner counted.
pub const MAX_MEMBERS_DEFAULT: u32 = 1_000;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ConversationType {
    Direct,
    #[default]
    Group,
    Channel,
}

/// What a person added later may read of the time before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum History {
    /// All of it.
    Shared,
    /// Nothing of it.
    #[default]
    Joined,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Member,
    Admin,
    Owner,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Founder {
    pub user_id: UserId,
    pub role: Role,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "payload", rename_all_fields = "camelCase")]
pub enum ConversationEvent {
    #[serde(rename = "conversation.created")]
    Created {
        r#type: ConversationType,
        history: History,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        avatar_url: Option<String>,
        is_private: bool,
        max_members: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        workspace_id: Option<WorkspaceId>,
        created_by: UserId,
        participants: Vec<Founder>,
        created_at: Timestamp,
    },
    #[serde(rename = "conversation.updated")]
    Updated(ConversationChanges),
    #[serde(rename = "conversation.deleted")]
    Deleted { deleted_by: UserId },
    #[serde(rename = "conversation.participant_added")]
    ParticipantAdded { user_id: UserId, role: Role, added_by: UserId, joined_at: Timestamp },
    #[serde(rename = "conversation.participant_removed")]
    ParticipantRemoved { user_id: UserId, removed_by: UserId },
    #[serde(rename = "conversation.participant_role_changed")]
    ParticipantRoleChanged { user_id: UserId, role: Role },
}
impl DomainEvent for ConversationEvent {}

/// What an update sets; what is absent stays as it was, an empty text clears.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConversationChanges {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<History>,
}

#[derive(Clone, Debug)]
pub enum ConversationCommand {
    /// The pair of a direct conversation is the actor and `with`.
    CreateDirect { with: UserId },
    CreateGroup {
        name: String,
        description: Option<String>,
        avatar_url: Option<String>,
        is_private: bool,
        max_members: u32,
        participants: Vec<UserId>,
    },
    CreateChannel { workspace: WorkspaceId, name: String, description: Option<String>, is_private: bool },
    Update(ConversationChanges),
    Delete,
    AddParticipants { users: Vec<UserId> },
    /// A member of the workspace joins a public channel by themselves.
    Subscribe,
    RemoveParticipant { user: UserId },
    ChangeRole { user: UserId, role: Role },
    /// The workspace is gone, and its channels with it.
    DeleteWithWorkspace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConversationError {
    NotFound,
    NotAllowed,
    NotADirectMatter,
    AloneInDirect,
    NameMissing,
    NameTooLong,
    DescriptionTooLong,
    TopicTooLong,
    MaxMembersOutOfRange,
    GroupFull,
    LastOwner,
    NotAParticipant,
    AlreadyExists,
}

impl From<ConversationError> for Refusal {
    fn from(error: ConversationError) -> Self {
        use ConversationError as E;
        match error {
            E::NotFound => Self::new(Kind::NotFound, "not_found", "there is no such conversation"),
            E::NotAllowed => Self::new(Kind::Forbidden, "not_allowed", "your role in this conversation does not allow this"),
            E::NotADirectMatter => {
                Self::new(Kind::Forbidden, "not_allowed", "a direct conversation is neither changed, joined, left nor deleted")
            }
            E::AloneInDirect => Self::invalid("participantIds", "invalid", "a direct conversation takes exactly one other person"),
            E::NameMissing => Self::invalid("name", "required", "a name of 1 to 100 characters is needed"),
            E::NameTooLong => Self::invalid("name", "too_long", "a name has at most 100 characters"),
            E::DescriptionTooLong => Self::invalid("description", "too_long", "a description has at most 1,000 characters"),
            E::TopicTooLong => Self::invalid("topic", "too_long", "a topic has at most 1,000 characters"),
            E::MaxMembersOutOfRange => {
                Self::invalid("maxMembers", "out_of_range", "maxMembers is a number from 1 to 100,000")
            }
            E::GroupFull => Self::new(Kind::Conflict, "group_full", "the group has as many members as it may have"),
            E::LastOwner => {
                Self::new(Kind::Conflict, "last_owner", "make someone else an owner first: the last owner can't leave or be demoted while others remain")
            }
            E::NotAParticipant => Self::new(Kind::NotFound, "not_found", "that person is not in this conversation"),
            E::AlreadyExists => Self::new(Kind::Conflict, "already_exists", "that conversation exists already"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Participant {
    pub role: Role,
    /// Where in the log they joined: with [`History::Joined`] nothing before it is theirs to read.
    pub joined_at: Position,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Status {
    #[default]
    Absent,
    Active,
    Deleted,
}

#[derive(Clone, Debug, Default)]
pub struct Conversation {
    status: Status,
    pub r#type: ConversationType,
    pub history: History,
    pub name: Option<String>,
    pub workspace: Option<WorkspaceId>,
    pub is_private: bool,
    max_members: u32,
    participants: HashMap<UserId, Participant>,
}

impl Conversation {
    pub fn exists(&self) -> bool {
        self.status == Status::Active
    }
    pub fn participant(&self, user: UserId) -> Option<&Participant> {
        self.participants.get(&user)
    }
    pub fn participants(&self) -> impl Iterator<Item = (UserId, &Participant)> {
        self.participants.iter().map(|(user, participant)| (*user, participant))
    }
    pub fn participant_count(&self) -> usize {
        self.participants.len()
    }
    /// Whether someone runs this conversation: deletes others' messages, removes people.
    pub fn is_moderator(&self, user: UserId) -> bool {
        self.participant(user).is_some_and(|p| p.role >= Role::Admin)
    }
    /// Whether a participant may read what stands at a position. Those who only may browse a public channel are
    /// for the caller to know: it takes their workspace.
    pub fn may_read(&self, user: UserId, at: Position) -> bool {
        self.participant(user).is_some_and(|p| self.history == History::Shared || at > p.joined_at)
    }
    /// A participant's part, or the refusal that hides a conversation from strangers.
    pub fn require_participant(&self, user: UserId) -> Result<&Participant, ConversationError> {
        if !self.exists() {
            return Err(ConversationError::NotFound);
        }
        self.participant(user).ok_or(ConversationError::NotFound)
    }

    fn create(&self, event: ConversationEvent) -> Result<Vec<ConversationEvent>, ConversationError> {
        match self.status {
            Status::Absent => Ok(vec![event]),
            Status::Active | Status::Deleted => Err(ConversationError::AlreadyExists),
        }
    }

    fn create_group(&self, new: ConversationCommand, ctx: &Context) -> Result<Vec<ConversationEvent>, ConversationError> {
        let ConversationCommand::CreateGroup { name, description, avatar_url, is_private, max_members, participants } = new
        else {
            return Err(ConversationError::NotAllowed);
        };
        check_texts(Some(&name), description.as_deref(), None)?;
        if !(1..=100_000).contains(&max_members) {
            return Err(ConversationError::MaxMembersOutOfRange);
        }
        let founders = founders(ctx.actor, participants);
        if founders.len() > max_members as usize {
            return Err(ConversationError::GroupFull);
        }
        self.create(ConversationEvent::Created {
            r#type: ConversationType::Group,
            history: History::Joined,
            name: Some(name),
            description,
            avatar_url,
            is_private,
            max_members,
            workspace_id: None,
            created_by: ctx.actor,
            participants: founders,
            created_at: ctx.now,
        })
    }

    fn update(&self, changes: ConversationChanges, actor: UserId) -> Result<Vec<ConversationEvent>, ConversationError> {
        let me = self.require_participant(actor)?;
        if self.r#type == ConversationType::Direct {
            return Err(ConversationError::NotADirectMatter);
        }
        if changes.history.is_some_and(|history| history != self.history) && me.role != Role::Owner {
            return Err(ConversationError::NotAllowed);
        }
        check_texts(changes.name.as_deref(), changes.description.as_deref(), changes.topic.as_deref())?;
        if changes == ConversationChanges::default() {
            return Ok(vec![]);
        }
        Ok(vec![ConversationEvent::Updated(changes)])
    }

    fn delete(&self, actor: UserId) -> Result<Vec<ConversationEvent>, ConversationError> {
        let me = self.require_participant(actor)?;
        match self.r#type {
            ConversationType::Direct => Err(ConversationError::NotADirectMatter),
            ConversationType::Group | ConversationType::Channel if me.role < Role::Admin => Err(ConversationError::NotAllowed),
            ConversationType::Group | ConversationType::Channel => {
                Ok(vec![ConversationEvent::Deleted { deleted_by: actor }])
            }
        }
    }

    fn add(&self, users: Vec<UserId>, ctx: &Context) -> Result<Vec<ConversationEvent>, ConversationError> {
        self.require_participant(ctx.actor)?;
        if self.r#type == ConversationType::Direct {
            return Err(ConversationError::NotADirectMatter);
        }
        let mut fresh: Vec<UserId> = Vec::new();
        for user in users {
            if !self.participants.contains_key(&user) && !fresh.contains(&user) {
                fresh.push(user);
            }
        }
        if self.participants.len() + fresh.len() > self.max_members as usize {
            return Err(ConversationError::GroupFull);
        }
        Ok(fresh.into_iter().map(|user_id| joined(user_id, ctx)).collect())
    }

    fn remove(&self, user: UserId, actor: UserId) -> Result<Vec<ConversationEvent>, ConversationError> {
        let me = self.require_participant(actor)?;
        if self.r#type == ConversationType::Direct {
            return Err(ConversationError::NotADirectMatter);
        }
        let them = self.participant(user).ok_or(ConversationError::NotAParticipant)?;
        if user == actor {
            if self.is_last_owner(user) && self.participants.len() > 1 {
                return Err(ConversationError::LastOwner);
            }
        } else if me.role < Role::Admin || (them.role == Role::Owner && me.role != Role::Owner) {
            return Err(ConversationError::NotAllowed);
        }
        Ok(vec![ConversationEvent::ParticipantRemoved { user_id: user, removed_by: actor }])
    }

    fn change_role(&self, user: UserId, role: Role, actor: UserId) -> Result<Vec<ConversationEvent>, ConversationError> {
        let me = self.require_participant(actor)?;
        if self.r#type == ConversationType::Direct {
            return Err(ConversationError::NotADirectMatter);
        }
        let them = self.participant(user).ok_or(ConversationError::NotAParticipant)?;
        let touches_owner = role == Role::Owner || them.role == Role::Owner;
        if me.role < Role::Admin || (touches_owner && me.role != Role::Owner) {
            return Err(ConversationError::NotAllowed);
        }
        if them.role == role {
            return Ok(vec![]);
        }
        if self.is_last_owner(user) && self.participants.len() > 1 {
            return Err(ConversationError::LastOwner);
        }
        Ok(vec![ConversationEvent::ParticipantRoleChanged { user_id: user, role }])
    }

    fn subscribe(&self, ctx: &Context) -> Result<Vec<ConversationEvent>, ConversationError> {
        if !self.exists() || self.r#type != ConversationType::Channel {
            return Err(ConversationError::NotFound);
        }
        if self.participants.contains_key(&ctx.actor) {
            return Ok(vec![]);
        }
        if self.is_private {
            return Err(ConversationError::NotFound);
        }
        Ok(vec![joined(ctx.actor, ctx)])
    }

    fn is_last_owner(&self, user: UserId) -> bool {
        let is_owner = |id: UserId| self.participant(id).is_some_and(|p| p.role == Role::Owner);
        is_owner(user) && !self.participants.keys().any(|id| *id != user && is_owner(*id))
    }
}

impl Aggregate for Conversation {
    const TYPE: &'static str = "conversation";
    type Command = ConversationCommand;
    type Event = ConversationEvent;
    type Error = ConversationError;

    fn decide(&self, command: ConversationCommand, ctx: &Context) -> Result<Vec<ConversationEvent>, ConversationError> {
        match command {
            ConversationCommand::CreateDirect { with } => {
                if with == ctx.actor {
                    return Err(ConversationError::AloneInDirect);
                }
                self.create(ConversationEvent::Created {
                    r#type: ConversationType::Direct,
                    history: History::Shared,
                    name: None,
                    description: None,
                    avatar_url: None,
                    is_private: true,
                    max_members: 2,
                    workspace_id: None,
                    created_by: ctx.actor,
                    participants: [ctx.actor, with].map(|user_id| Founder { user_id, role: Role::Member }).to_vec(),
                    created_at: ctx.now,
                })
            }
            group @ ConversationCommand::CreateGroup { .. } => self.create_group(group, ctx),
            ConversationCommand::CreateChannel { workspace, name, description, is_private } => {
                check_texts(Some(&name), description.as_deref(), None)?;
                self.create(ConversationEvent::Created {
                    r#type: ConversationType::Channel,
                    history: History::Shared,
                    name: Some(name),
                    description,
                    avatar_url: None,
                    is_private,
                    max_members: u32::MAX,
                    workspace_id: Some(workspace),
                    created_by: ctx.actor,
                    participants: founders(ctx.actor, vec![]),
                    created_at: ctx.now,
                })
            }
            ConversationCommand::Update(changes) => self.update(changes, ctx.actor),
            ConversationCommand::Delete => self.delete(ctx.actor),
            ConversationCommand::AddParticipants { users } => self.add(users, ctx),
            ConversationCommand::Subscribe => self.subscribe(ctx),
            ConversationCommand::RemoveParticipant { user } => self.remove(user, ctx.actor),
            ConversationCommand::ChangeRole { user, role } => self.change_role(user, role, ctx.actor),
            ConversationCommand::DeleteWithWorkspace => match self.status {
                Status::Active => Ok(vec![ConversationEvent::Deleted { deleted_by: ctx.actor }]),
                Status::Absent | Status::Deleted => Ok(vec![]),
            },
        }
    }

    fn apply(&mut self, event: &ConversationEvent, at: Position) {
        match event {
            ConversationEvent::Created { r#type, history, name, is_private, max_members, workspace_id, participants, .. } => {
                self.status = Status::Active;
                self.r#type = *r#type;
                self.history = *history;
                self.name.clone_from(name);
                self.is_private = *is_private;
                self.max_members = *max_members;
                self.workspace = *workspace_id;
                self.participants =
                    participants.iter().map(|p| (p.user_id, Participant { role: p.role, joined_at: at })).collect();
            }
            ConversationEvent::Updated(changes) => {
                if let Some(name) = &changes.name {
                    self.name = Some(name.clone());
                }
                self.history = changes.history.unwrap_or(self.history);
            }
            ConversationEvent::Deleted { .. } => {
                self.status = Status::Deleted;
                self.participants.clear();
            }
            ConversationEvent::ParticipantAdded { user_id, role, .. } => {
                self.participants.insert(*user_id, Participant { role: *role, joined_at: at });
            }
            ConversationEvent::ParticipantRemoved { user_id, .. } => {
                self.participants.remove(user_id);
            }
            ConversationEvent::ParticipantRoleChanged { user_id, role } => {
                if let Some(participant) = self.participants.get_mut(user_id) {
                    participant.role = *role;
                }
            }
        }
    }

    fn key_scope(&self) -> Option<KeyScope> {
        None
    }
}

fn joined(user_id: UserId, ctx: &Context) -> ConversationEvent {
    ConversationEvent::ParticipantAdded { user_id, role: Role::Member, added_by: ctx.actor, joined_at: ctx.now }
}

/// The maker as owner, and the others as members, each once.
fn founders(maker: UserId, others: Vec<UserId>) -> Vec<Founder> {
    let mut founders = vec![Founder { user_id: maker, role: Role::Owner }];
    for user_id in others {
        if founders.iter().all(|founder| founder.user_id != user_id) {
            founders.push(Founder { user_id, role: Role::Member });
        }
    }
    founders
}

fn check_texts(name: Option<&str>, description: Option<&str>, topic: Option<&str>) -> Result<(), ConversationError> {
    match name {
        Some(name) if name.trim().is_empty() => return Err(ConversationError::NameMissing),
        Some(name) if !is_name(name) => return Err(ConversationError::NameTooLong),
        Some(_) | None => {}
    }
    let too_long = |text: Option<&str>| text.is_some_and(|text| text.chars().count() > 1_000);
    if too_long(description) {
        return Err(ConversationError::DescriptionTooLong);
    }
    if too_long(topic) {
        return Err(ConversationError::TopicTooLong);
    }
    Ok(())
}
