//! [`Conversation`]: who talks together, where, and by which rules. Direct, group and channel are types of it.

use crate::{
    Aggregate, Context, DomainEvent, KeyScope, Kind, Position, Refusal, Snapshots, Timestamp, UserId, WorkspaceId,
    limits::{DESCRIPTION_CHARS_MAX, is_name, is_printable, is_web_url, tidy},
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
    CreateDirect {
        with: UserId,
    },
    CreateGroup {
        /// A group may be known by its people alone.
        name: Option<String>,
        description: Option<String>,
        avatar_url: Option<String>,
        is_private: bool,
        max_members: u32,
        participants: Vec<UserId>,
    },
    CreateChannel {
        workspace: WorkspaceId,
        name: String,
        description: Option<String>,
        is_private: bool,
    },
    Update(ConversationChanges),
    Delete,
    AddParticipants {
        users: Vec<UserId>,
    },
    /// A member of the workspace joins a public channel by themselves.
    Subscribe,
    RemoveParticipant {
        user: UserId,
    },
    ChangeRole {
        user: UserId,
        role: Role,
    },
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
    NameInvalid,
    DescriptionInvalid,
    TopicInvalid,
    AvatarUrlInvalid,
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
            E::NotAllowed => {
                Self::new(Kind::Forbidden, "not_allowed", "your role in this conversation does not allow this")
            }
            E::NotADirectMatter => Self::new(
                Kind::Forbidden,
                "not_allowed",
                "a direct conversation is neither changed, joined, left nor deleted",
            ),
            E::AloneInDirect => {
                Self::invalid("participantIds", "invalid", "a direct conversation takes exactly one other person")
            }
            E::NameMissing => Self::invalid("name", "required", "a name of 1 to 100 characters is needed"),
            E::NameInvalid => Self::invalid("name", "invalid", "a name is one line of at most 100 characters"),
            E::DescriptionInvalid => {
                Self::invalid("description", "invalid", "a description has at most 1,000 printable characters")
            }
            E::TopicInvalid => Self::invalid("topic", "invalid", "a topic has at most 1,000 printable characters"),
            E::AvatarUrlInvalid => {
                Self::invalid("avatarUrl", "invalid", "an http or https address of at most 2,000 characters is needed")
            }
            E::MaxMembersOutOfRange => {
                Self::invalid("maxMembers", "out_of_range", "maxMembers is a number from 1 to 100,000")
            }
            E::GroupFull => Self::new(Kind::Conflict, "group_full", "the group has as many members as it may have"),
            E::LastOwner => Self::new(
                Kind::Conflict,
                "last_owner",
                "make someone else an owner first: a conversation keeps an owner while anyone is in it",
            ),
            E::NotAParticipant => Self::new(Kind::NotFound, "not_found", "that person is not in this conversation"),
            E::AlreadyExists => Self::new(Kind::Conflict, "already_exists", "that conversation exists already"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participant {
    pub role: Role,
    /// Where in the log they joined: with [`History::Joined`] nothing before it is theirs to read.
    pub joined_at: Position,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Status {
    #[default]
    Absent,
    Active,
    Deleted,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

    fn create_group(
        &self,
        new: ConversationCommand,
        ctx: &Context,
    ) -> Result<Vec<ConversationEvent>, ConversationError> {
        let ConversationCommand::CreateGroup { name, description, avatar_url, is_private, max_members, participants } =
            new
        else {
            return Err(ConversationError::NotAllowed);
        };
        let texts = ConversationChanges { name, description, avatar_url, ..ConversationChanges::default() };
        let ConversationChanges { name, description, avatar_url, .. } = checked(texts)?;
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
            name,
            description: description.filter(|text| !text.is_empty()),
            avatar_url: avatar_url.filter(|url| !url.is_empty()),
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
        let changes = checked(changes)?;
        if changes == ConversationChanges::default() {
            return Ok(vec![]);
        }
        Ok(vec![ConversationEvent::Updated(changes)])
    }

    fn delete(&self, actor: UserId) -> Result<Vec<ConversationEvent>, ConversationError> {
        let me = self.require_participant(actor)?;
        match self.r#type {
            ConversationType::Direct => Err(ConversationError::NotADirectMatter),
            ConversationType::Group | ConversationType::Channel if me.role < Role::Admin => {
                Err(ConversationError::NotAllowed)
            }
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
        Ok(fresh.into_iter().map(|user_id| joined(user_id, Role::Member, ctx)).collect())
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

    fn change_role(
        &self,
        user: UserId,
        role: Role,
        actor: UserId,
    ) -> Result<Vec<ConversationEvent>, ConversationError> {
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
        // Also where nobody else is there yet: they could be added, and then nobody could make an owner any more.
        if self.is_last_owner(user) {
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
        // Its last owner may leave a channel when alone in it; who comes next takes it over.
        let role = if self.participants.is_empty() { Role::Owner } else { Role::Member };
        Ok(vec![joined(ctx.actor, role, ctx)])
    }

    fn is_last_owner(&self, user: UserId) -> bool {
        let is_owner = |id: UserId| self.participant(id).is_some_and(|p| p.role == Role::Owner);
        is_owner(user) && !self.participants.keys().any(|id| *id != user && is_owner(*id))
    }
}

const SNAPSHOTS: &Snapshots<Conversation> = &Snapshots::of(include_bytes!("conversation.rs"));

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
                let texts = ConversationChanges { name: Some(name), description, ..ConversationChanges::default() };
                let ConversationChanges { name, description, .. } = checked(texts)?;
                self.create(ConversationEvent::Created {
                    r#type: ConversationType::Channel,
                    history: History::Shared,
                    name,
                    description: description.filter(|text| !text.is_empty()),
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
            ConversationEvent::Created {
                r#type,
                history,
                name,
                is_private,
                max_members,
                workspace_id,
                participants,
                ..
            } => {
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

    fn snapshots() -> Option<&'static Snapshots<Self>> {
        Some(SNAPSHOTS)
    }
}

fn joined(user_id: UserId, role: Role, ctx: &Context) -> ConversationEvent {
    ConversationEvent::ParticipantAdded { user_id, role, added_by: ctx.actor, joined_at: ctx.now }
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

/// The texts as they are kept, where they may be.
fn checked(mut texts: ConversationChanges) -> Result<ConversationChanges, ConversationError> {
    let is_text = |text: &String| text.chars().count() <= DESCRIPTION_CHARS_MAX && is_printable(text);
    match &texts.name {
        Some(name) if name.trim().is_empty() => return Err(ConversationError::NameMissing),
        Some(name) if !is_name(name) => return Err(ConversationError::NameInvalid),
        Some(_) | None => {}
    }
    if !texts.description.as_ref().is_none_or(is_text) {
        return Err(ConversationError::DescriptionInvalid);
    }
    if !texts.topic.as_ref().is_none_or(is_text) {
        return Err(ConversationError::TopicInvalid);
    }
    if !texts.avatar_url.as_deref().is_none_or(|url| url.is_empty() || is_web_url(url)) {
        return Err(ConversationError::AvatarUrlInvalid);
    }
    texts.name = texts.name.as_deref().map(tidy);
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ALICE, BOB, CAROL, Given, NOW, by, given};
    use ConversationError as Error;
    use uuid::Uuid;

    const WORKSPACE: WorkspaceId = WorkspaceId(Uuid::from_u128(0x11));

    fn created(r#type: ConversationType, participants: &[(UserId, Role)], max_members: u32) -> ConversationEvent {
        let is_channel = r#type == ConversationType::Channel;
        let is_direct = r#type == ConversationType::Direct;
        ConversationEvent::Created {
            r#type,
            history: if r#type == ConversationType::Group { History::Joined } else { History::Shared },
            name: (!is_direct).then(|| "Lunch".to_owned()),
            description: None,
            avatar_url: None,
            is_private: !is_channel,
            max_members,
            workspace_id: is_channel.then_some(WORKSPACE),
            created_by: ALICE,
            participants: participants.iter().map(|&(user_id, role)| Founder { user_id, role }).collect(),
            created_at: NOW,
        }
    }
    fn added(user_id: UserId, role: Role, added_by: UserId) -> ConversationEvent {
        ConversationEvent::ParticipantAdded { user_id, role, added_by, joined_at: NOW }
    }
    fn removed(user_id: UserId, removed_by: UserId) -> ConversationEvent {
        ConversationEvent::ParticipantRemoved { user_id, removed_by }
    }
    fn role_changed(user_id: UserId, role: Role) -> ConversationEvent {
        ConversationEvent::ParticipantRoleChanged { user_id, role }
    }
    fn deleted() -> ConversationEvent {
        ConversationEvent::Deleted { deleted_by: ALICE }
    }

    fn nothing() -> Given<Conversation> {
        given("c", [])
    }
    /// Alice's group of at most three, and what came after.
    fn group(past: impl IntoIterator<Item = ConversationEvent>) -> Given<Conversation> {
        let alone = created(ConversationType::Group, &[(ALICE, Role::Owner)], 3);
        given("c", std::iter::once(alone).chain(past))
    }
    /// Alice's group with Bob in some role and Carol as a member.
    fn trio(bob: Role) -> Given<Conversation> {
        group([added(BOB, bob, ALICE), added(CAROL, Role::Member, ALICE)])
    }
    fn direct() -> Given<Conversation> {
        given("c", [created(ConversationType::Direct, &[(ALICE, Role::Member), (BOB, Role::Member)], 2)])
    }
    /// Alice's public channel, and what came after.
    fn channel(past: impl IntoIterator<Item = ConversationEvent>) -> Given<Conversation> {
        let alone = created(ConversationType::Channel, &[(ALICE, Role::Owner)], u32::MAX);
        given("c", std::iter::once(alone).chain(past))
    }

    fn create_group(name: &str, max_members: u32, participants: &[UserId]) -> ConversationCommand {
        ConversationCommand::CreateGroup {
            name: Some(name.to_owned()),
            description: None,
            avatar_url: None,
            is_private: true,
            max_members,
            participants: participants.to_vec(),
        }
    }
    fn create_channel(name: &str) -> ConversationCommand {
        let (name, description) = (name.to_owned(), None);
        ConversationCommand::CreateChannel { workspace: WORKSPACE, name, description, is_private: false }
    }
    fn changes(field: &str, value: &str) -> ConversationChanges {
        let text = |name: &str| (name == field).then(|| value.to_owned());
        ConversationChanges {
            name: text("name"),
            description: text("description"),
            topic: text("topic"),
            avatar_url: text("avatarUrl"),
            history: None,
        }
    }
    fn update(field: &str, value: &str) -> ConversationCommand {
        ConversationCommand::Update(changes(field, value))
    }
    fn share(history: History) -> ConversationChanges {
        ConversationChanges { history: Some(history), ..ConversationChanges::default() }
    }
    fn add(users: &[UserId]) -> ConversationCommand {
        ConversationCommand::AddParticipants { users: users.to_vec() }
    }
    fn remove(user: UserId) -> ConversationCommand {
        ConversationCommand::RemoveParticipant { user }
    }
    fn change_role(user: UserId, role: Role) -> ConversationCommand {
        ConversationCommand::ChangeRole { user, role }
    }
    fn all_changes() -> [ConversationCommand; 5] {
        [update("name", "x"), ConversationCommand::Delete, add(&[CAROL]), remove(BOB), change_role(BOB, Role::Admin)]
    }

    // Making

    #[test]
    fn a_direct_conversation_has_two_members_and_no_owner() {
        let event = created(ConversationType::Direct, &[(ALICE, Role::Member), (BOB, Role::Member)], 2);
        nothing().when(ConversationCommand::CreateDirect { with: BOB }, by(ALICE)).then([event]);
    }

    #[test]
    fn nobody_talks_to_themselves_alone() {
        nothing().when(ConversationCommand::CreateDirect { with: ALICE }, by(ALICE)).then_refused(Error::AloneInDirect);
    }

    #[test]
    fn a_group_is_made_with_its_maker_as_owner_and_everyone_once() {
        let event =
            created(ConversationType::Group, &[(ALICE, Role::Owner), (BOB, Role::Member), (CAROL, Role::Member)], 3);
        nothing().when(create_group("Lunch", 3, &[BOB, ALICE, CAROL, BOB]), by(ALICE)).then([event]);
    }

    #[test]
    fn a_channel_is_made_in_its_workspace_with_its_maker_as_owner() {
        let event = created(ConversationType::Channel, &[(ALICE, Role::Owner)], u32::MAX);
        nothing().when(create_channel("Lunch"), by(ALICE)).then([event]);
    }

    #[test]
    fn a_conversation_is_made_once() {
        let direct_again = ConversationCommand::CreateDirect { with: BOB };
        for command in [direct_again, create_group("Lunch", 3, &[]), create_channel("Lunch")] {
            group([]).when(command.clone(), by(ALICE)).then_refused(Error::AlreadyExists);
            group([deleted()]).when(command, by(ALICE)).then_refused(Error::AlreadyExists);
        }
    }

    #[test]
    fn a_blank_name_is_no_name() {
        for name in ["", " \n"] {
            nothing().when(create_group(name, 3, &[]), by(ALICE)).then_refused(Error::NameMissing);
            nothing().when(create_channel(name), by(ALICE)).then_refused(Error::NameMissing);
            group([]).when(update("name", name), by(ALICE)).then_refused(Error::NameMissing);
        }
    }

    #[test]
    fn a_name_that_is_too_long_or_no_line_is_refused() {
        for name in [&*"x".repeat(101), "a\0b", "a\nb"] {
            nothing().when(create_group(name, 3, &[]), by(ALICE)).then_refused(Error::NameInvalid);
            nothing().when(create_channel(name), by(ALICE)).then_refused(Error::NameInvalid);
            group([]).when(update("name", name), by(ALICE)).then_refused(Error::NameInvalid);
        }
    }

    #[test]
    fn the_blanks_around_a_name_are_not_kept() {
        let event = created(ConversationType::Group, &[(ALICE, Role::Owner)], 3);
        nothing().when(create_group(" Lunch\t", 3, &[]), by(ALICE)).then([event]);
        let event = created(ConversationType::Channel, &[(ALICE, Role::Owner)], u32::MAX);
        nothing().when(create_channel(" Lunch "), by(ALICE)).then([event]);
        group([]).when(update("name", " Tea "), by(ALICE)).then([ConversationEvent::Updated(changes("name", "Tea"))]);
    }

    #[test]
    fn empty_texts_of_a_new_group_are_not_kept() {
        let command = ConversationCommand::CreateGroup {
            name: Some("Lunch".to_owned()),
            description: Some(String::new()),
            avatar_url: Some(String::new()),
            is_private: true,
            max_members: 3,
            participants: vec![],
        };
        nothing().when(command, by(ALICE)).then([created(ConversationType::Group, &[(ALICE, Role::Owner)], 3)]);
    }

    #[test]
    fn a_group_of_nobody_or_of_over_100_000_is_refused() {
        for max_members in [0, 100_001] {
            let command = create_group("Lunch", max_members, &[]);
            nothing().when(command, by(ALICE)).then_refused(Error::MaxMembersOutOfRange);
        }
    }

    #[test]
    fn a_group_is_not_made_with_more_people_than_it_may_have() {
        nothing().when(create_group("Lunch", 2, &[BOB, CAROL]), by(ALICE)).then_refused(Error::GroupFull);
    }

    // Changing

    #[test]
    fn a_member_renames_a_group() {
        trio(Role::Member)
            .when(update("name", "Tea"), by(BOB))
            .then([ConversationEvent::Updated(changes("name", "Tea"))]);
    }

    #[test]
    fn an_empty_description_topic_or_avatar_clears_it() {
        for field in ["description", "topic", "avatarUrl"] {
            group([]).when(update(field, ""), by(ALICE)).then([ConversationEvent::Updated(changes(field, ""))]);
        }
    }

    #[test]
    fn an_update_of_nothing_is_no_fact() {
        group([]).when(update("", ""), by(ALICE)).then_nothing();
    }

    #[test]
    fn a_description_of_over_a_thousand_characters_or_with_a_nul_is_refused() {
        for text in [&*"x".repeat(1_001), "a\0"] {
            group([]).when(update("description", text), by(ALICE)).then_refused(Error::DescriptionInvalid);
        }
    }

    #[test]
    fn a_topic_of_over_a_thousand_characters_or_with_a_nul_is_refused() {
        for text in [&*"x".repeat(1_001), "a\0"] {
            group([]).when(update("topic", text), by(ALICE)).then_refused(Error::TopicInvalid);
        }
    }

    #[test]
    fn a_description_of_a_thousand_characters_on_lines_is_taken() {
        let text = format!("{}\nü", "x".repeat(998));
        group([])
            .when(update("description", &text), by(ALICE))
            .then([ConversationEvent::Updated(changes("description", &text))]);
    }

    #[test]
    fn an_avatar_that_is_no_web_address_is_refused() {
        group([]).when(update("avatarUrl", "javascript:alert(1)"), by(ALICE)).then_refused(Error::AvatarUrlInvalid);
    }

    #[test]
    fn the_owner_shares_the_history() {
        let command = ConversationCommand::Update(share(History::Shared));
        trio(Role::Admin).when(command, by(ALICE)).then([ConversationEvent::Updated(share(History::Shared))]);
    }

    #[test]
    fn nobody_but_an_owner_changes_what_history_is_shared() {
        for role in [Role::Admin, Role::Member] {
            let command = ConversationCommand::Update(share(History::Shared));
            trio(role).when(command, by(BOB)).then_refused(Error::NotAllowed);
        }
    }

    #[test]
    fn a_direct_conversation_is_neither_changed_joined_left_nor_deleted() {
        for command in all_changes() {
            direct().when(command, by(ALICE)).then_refused(Error::NotADirectMatter);
        }
        direct().when(remove(ALICE), by(ALICE)).then_refused(Error::NotADirectMatter);
    }

    #[test]
    fn to_a_stranger_a_conversation_is_not_there() {
        for command in all_changes() {
            group([added(BOB, Role::Member, ALICE)]).when(command, by(CAROL)).then_refused(Error::NotFound);
        }
    }

    #[test]
    fn a_deleted_conversation_is_not_there_even_for_its_owner() {
        for command in all_changes() {
            group([added(BOB, Role::Member, ALICE), deleted()]).when(command, by(ALICE)).then_refused(Error::NotFound);
        }
    }

    #[test]
    fn an_owner_and_an_admin_delete_a_conversation() {
        trio(Role::Admin).when(ConversationCommand::Delete, by(ALICE)).then([deleted()]);
        let event = ConversationEvent::Deleted { deleted_by: BOB };
        trio(Role::Admin).when(ConversationCommand::Delete, by(BOB)).then([event]);
    }

    #[test]
    fn a_member_does_not_delete_a_conversation() {
        trio(Role::Member).when(ConversationCommand::Delete, by(BOB)).then_refused(Error::NotAllowed);
    }

    #[test]
    fn a_channel_goes_with_its_workspace_whoever_is_in_it() {
        let event = ConversationEvent::Deleted { deleted_by: CAROL };
        channel([]).when(ConversationCommand::DeleteWithWorkspace, by(CAROL)).then([event]);
        channel([deleted()]).when(ConversationCommand::DeleteWithWorkspace, by(CAROL)).then_nothing();
    }

    // People

    #[test]
    fn a_member_adds_people() {
        group([added(BOB, Role::Member, ALICE)]).when(add(&[CAROL]), by(BOB)).then([added(CAROL, Role::Member, BOB)]);
    }

    #[test]
    fn adding_someone_who_is_in_or_named_twice_is_harmless() {
        let group = group([added(BOB, Role::Admin, ALICE)]);
        group.when(add(&[BOB, CAROL, ALICE, CAROL]), by(ALICE)).then([added(CAROL, Role::Member, ALICE)]);
    }

    #[test]
    fn a_full_group_takes_nobody() {
        let dan = UserId(Uuid::from_u128(0xd));
        trio(Role::Member).when(add(&[dan]), by(ALICE)).then_refused(Error::GroupFull);
        group([]).when(add(&[BOB, CAROL, dan]), by(ALICE)).then_refused(Error::GroupFull);
    }

    #[test]
    fn nobody_is_added_again_to_a_full_group_in_which_they_are() {
        trio(Role::Member).when(add(&[CAROL]), by(BOB)).then_nothing();
    }

    #[test]
    fn an_admin_removes_a_member() {
        trio(Role::Admin).when(remove(CAROL), by(BOB)).then([removed(CAROL, BOB)]);
    }

    #[test]
    fn a_member_removes_nobody_else() {
        trio(Role::Member).when(remove(CAROL), by(BOB)).then_refused(Error::NotAllowed);
    }

    #[test]
    fn only_an_owner_removes_an_owner() {
        trio(Role::Admin).when(remove(ALICE), by(BOB)).then_refused(Error::NotAllowed);
        trio(Role::Owner).when(remove(ALICE), by(BOB)).then([removed(ALICE, BOB)]);
    }

    #[test]
    fn someone_who_is_not_in_is_not_removed() {
        group([]).when(remove(CAROL), by(ALICE)).then_refused(Error::NotAParticipant);
    }

    #[test]
    fn a_member_leaves() {
        trio(Role::Member).when(remove(BOB), by(BOB)).then([removed(BOB, BOB)]);
    }

    #[test]
    fn the_last_owner_does_not_leave_while_others_remain() {
        trio(Role::Admin).when(remove(ALICE), by(ALICE)).then_refused(Error::LastOwner);
    }

    #[test]
    fn an_owner_leaves_once_there_is_another() {
        trio(Role::Owner).when(remove(ALICE), by(ALICE)).then([removed(ALICE, ALICE)]);
    }

    #[test]
    fn the_last_owner_leaves_when_alone() {
        group([]).when(remove(ALICE), by(ALICE)).then([removed(ALICE, ALICE)]);
    }

    #[test]
    fn an_admin_makes_admins_and_unmakes_them() {
        trio(Role::Admin).when(change_role(CAROL, Role::Admin), by(BOB)).then([role_changed(CAROL, Role::Admin)]);
        trio(Role::Admin).when(change_role(BOB, Role::Member), by(BOB)).then([role_changed(BOB, Role::Member)]);
    }

    #[test]
    fn a_member_promotes_nobody() {
        trio(Role::Member).when(change_role(BOB, Role::Owner), by(BOB)).then_refused(Error::NotAllowed);
        trio(Role::Member).when(change_role(CAROL, Role::Admin), by(BOB)).then_refused(Error::NotAllowed);
    }

    #[test]
    fn only_an_owner_makes_and_unmakes_owners() {
        trio(Role::Admin).when(change_role(BOB, Role::Owner), by(BOB)).then_refused(Error::NotAllowed);
        trio(Role::Admin).when(change_role(ALICE, Role::Member), by(BOB)).then_refused(Error::NotAllowed);
        trio(Role::Admin).when(change_role(BOB, Role::Owner), by(ALICE)).then([role_changed(BOB, Role::Owner)]);
        trio(Role::Owner).when(change_role(ALICE, Role::Member), by(BOB)).then([role_changed(ALICE, Role::Member)]);
    }

    #[test]
    fn the_last_owner_is_not_demoted() {
        trio(Role::Admin).when(change_role(ALICE, Role::Member), by(ALICE)).then_refused(Error::LastOwner);
    }

    #[test]
    fn the_last_owner_is_not_demoted_even_when_alone() {
        group([]).when(change_role(ALICE, Role::Member), by(ALICE)).then_refused(Error::LastOwner);
    }

    #[test]
    fn the_role_that_someone_has_is_no_change() {
        trio(Role::Admin).when(change_role(BOB, Role::Admin), by(ALICE)).then_nothing();
        group([]).when(change_role(ALICE, Role::Owner), by(ALICE)).then_nothing();
    }

    #[test]
    fn someone_who_is_not_in_has_no_role() {
        group([]).when(change_role(CAROL, Role::Admin), by(ALICE)).then_refused(Error::NotAParticipant);
    }

    #[test]
    fn anyone_subscribes_to_a_public_channel_once() {
        channel([]).when(ConversationCommand::Subscribe, by(BOB)).then([added(BOB, Role::Member, BOB)]);
        channel([added(BOB, Role::Member, BOB)]).when(ConversationCommand::Subscribe, by(BOB)).then_nothing();
    }

    #[test]
    fn who_comes_into_an_empty_channel_takes_it_over() {
        channel([removed(ALICE, ALICE)]).when(ConversationCommand::Subscribe, by(BOB)).then([added(
            BOB,
            Role::Owner,
            BOB,
        )]);
    }

    #[test]
    fn a_private_channel_is_not_there_for_who_would_subscribe() {
        let mut event = created(ConversationType::Channel, &[(ALICE, Role::Owner)], u32::MAX);
        if let ConversationEvent::Created { is_private, .. } = &mut event {
            *is_private = true;
        }
        let private = || given::<Conversation>("c", [event.clone()]);
        private().when(ConversationCommand::Subscribe, by(BOB)).then_refused(Error::NotFound);
        private().when(ConversationCommand::Subscribe, by(ALICE)).then_nothing();
    }

    #[test]
    fn nobody_subscribes_to_what_is_no_channel_or_gone() {
        group([]).when(ConversationCommand::Subscribe, by(BOB)).then_refused(Error::NotFound);
        channel([deleted()]).when(ConversationCommand::Subscribe, by(BOB)).then_refused(Error::NotFound);
        nothing().when(ConversationCommand::Subscribe, by(BOB)).then_refused(Error::NotFound);
    }

    // What others ask of a conversation

    #[test]
    fn who_is_added_later_reads_nothing_of_the_time_before() {
        let state = group([added(BOB, Role::Member, ALICE)]).state;
        assert!(!state.may_read(BOB, Position(2)) && state.may_read(BOB, Position(3)));
        assert!(state.may_read(ALICE, Position(2)) && !state.may_read(CAROL, Position(9)));
    }

    #[test]
    fn who_is_added_later_reads_all_where_the_history_is_shared() {
        let shared = ConversationEvent::Updated(share(History::Shared));
        let state = group([added(BOB, Role::Member, ALICE), shared]).state;
        assert!(state.may_read(BOB, Position(1)));
    }

    #[test]
    fn who_comes_back_reads_nothing_of_the_time_away() {
        let past = [added(BOB, Role::Member, ALICE), removed(BOB, ALICE), added(BOB, Role::Member, ALICE)];
        let state = group(past).state;
        assert!(!state.may_read(BOB, Position(3)) && state.may_read(BOB, Position(5)));
    }

    #[test]
    fn admins_and_owners_moderate() {
        let state = trio(Role::Admin).state;
        assert!(state.is_moderator(ALICE) && state.is_moderator(BOB) && !state.is_moderator(CAROL));
    }

    #[test]
    fn nothing_personal_is_in_a_conversation() {
        assert_eq!(group([]).state.key_scope(), None);
    }
}
