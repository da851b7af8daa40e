//! [`Workspace`]: people who share channels, and how they come in.

use crate::{Aggregate, Context, DomainEvent, KeyScope, Kind, Position, Refusal, Timestamp, UserId, limits::is_name};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use utoipa::ToSchema;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum WorkspaceRole {
    /// Sees only the channels they were added to.
    Guest,
    #[default]
    Member,
    Admin,
    Owner,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "payload", rename_all_fields = "camelCase")]
pub enum WorkspaceEvent {
    #[serde(rename = "workspace.created")]
    Created {
        name: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        avatar_url: Option<String>,
        owner_id: UserId,
        created_at: Timestamp,
    },
    #[serde(rename = "workspace.deleted")]
    Deleted { deleted_by: UserId },
    /// The code itself opens the door and so is no event; its hash is.
    #[serde(rename = "workspace.invite_link_created")]
    InviteLinkCreated {
        code_hash: String,
        role: WorkspaceRole,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_uses: Option<u32>,
        created_by: UserId,
    },
    #[serde(rename = "workspace.invite_link_revoked")]
    InviteLinkRevoked { code_hash: String },
    #[serde(rename = "workspace.member_joined")]
    MemberJoined {
        user_id: UserId,
        role: WorkspaceRole,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        invited_by: Option<UserId>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code_hash: Option<String>,
        joined_at: Timestamp,
    },
    #[serde(rename = "workspace.member_role_changed")]
    MemberRoleChanged { user_id: UserId, role: WorkspaceRole },
}
impl DomainEvent for WorkspaceEvent {}

#[derive(Clone, Debug)]
pub enum WorkspaceCommand {
    Create { name: String, description: Option<String>, avatar_url: Option<String> },
    Delete,
    CreateInviteLink { code_hash: String, role: WorkspaceRole, expires_at: Option<Timestamp>, max_uses: Option<u32> },
    RevokeInviteLink { code_hash: String },
    /// By whoever holds the code.
    Join { code_hash: String },
    /// Brought in by an import, without a code.
    Enrol { user: UserId, joined_at: Timestamp },
    ChangeRole { user: UserId, role: WorkspaceRole },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkspaceError {
    NotFound,
    NotAllowed,
    AlreadyExists,
    NameInvalid,
    DescriptionTooLong,
    RoleNotInvitable,
    MaxUsesInvalid,
    ExpiryInvalid,
    LinkNotFound,
    LinkSpent,
    NotAMember,
    OwnerRoleIsTransferred,
}

impl From<WorkspaceError> for Refusal {
    fn from(error: WorkspaceError) -> Self {
        use WorkspaceError as E;
        match error {
            E::NotFound => Self::new(Kind::NotFound, "not_found", "there is no such workspace"),
            E::NotAllowed => Self::new(Kind::Forbidden, "not_allowed", "your role in this workspace does not allow this"),
            E::AlreadyExists => Self::new(Kind::Conflict, "already_exists", "that workspace exists already"),
            E::NameInvalid => Self::invalid("name", "invalid", "a name has 1 to 100 characters"),
            E::DescriptionTooLong => Self::invalid("description", "too_long", "a description has at most 1,000 characters"),
            E::RoleNotInvitable => Self::invalid("role", "invalid", "a link invites an admin, a member or a guest"),
            E::MaxUsesInvalid => Self::invalid("maxUses", "out_of_range", "maxUses is a number from 1 to 1,000,000"),
            E::ExpiryInvalid => {
                Self::invalid("expiresInHours", "out_of_range", "expiresInHours is more than 0 and at most 8,760")
            }
            E::LinkNotFound => Self::new(Kind::NotFound, "not_found", "there is no such invitation"),
            E::LinkSpent => Self::new(Kind::Gone, "invite_expired", "the invitation has expired or is used up; ask for a new one"),
            E::NotAMember => Self::new(Kind::NotFound, "not_found", "that person is not a member of this workspace"),
            E::OwnerRoleIsTransferred => {
                Self::new(Kind::Conflict, "last_owner", "the owner's role passes on by a transfer only")
            }
        }
    }
}

#[derive(Clone, Debug)]
pub struct InviteLink {
    pub role: WorkspaceRole,
    pub expires_at: Option<Timestamp>,
    pub max_uses: Option<u32>,
    pub uses: u32,
    pub created_by: UserId,
}

#[derive(Clone, Debug, Default)]
pub struct Workspace {
    owner: Option<UserId>,
    is_deleted: bool,
    members: HashMap<UserId, WorkspaceRole>,
    links: HashMap<String, InviteLink>,
}

impl Workspace {
    pub fn exists(&self) -> bool {
        self.owner.is_some() && !self.is_deleted
    }
    pub fn role(&self, user: UserId) -> Option<WorkspaceRole> {
        self.members.get(&user).copied()
    }
    /// A member's role, or the refusal that hides a workspace from strangers.
    pub fn require_member(&self, user: UserId) -> Result<WorkspaceRole, WorkspaceError> {
        if !self.exists() {
            return Err(WorkspaceError::NotFound);
        }
        self.role(user).ok_or(WorkspaceError::NotFound)
    }
    /// The refusal of whoever may not make channels: guests.
    pub fn require_channel_maker(&self, user: UserId) -> Result<(), WorkspaceError> {
        if self.require_member(user)? < WorkspaceRole::Member { Err(WorkspaceError::NotAllowed) } else { Ok(()) }
    }
    fn require_admin(&self, user: UserId) -> Result<WorkspaceRole, WorkspaceError> {
        let role = self.require_member(user)?;
        if role < WorkspaceRole::Admin { Err(WorkspaceError::NotAllowed) } else { Ok(role) }
    }

    fn join(&self, code_hash: String, ctx: &Context) -> Result<Vec<WorkspaceEvent>, WorkspaceError> {
        if !self.exists() {
            return Err(WorkspaceError::LinkNotFound);
        }
        let link = self.links.get(&code_hash).ok_or(WorkspaceError::LinkNotFound)?;
        if self.members.contains_key(&ctx.actor) {
            return Ok(vec![]);
        }
        let is_expired = link.expires_at.is_some_and(|at| at <= ctx.now);
        if is_expired || link.max_uses.is_some_and(|max| link.uses >= max) {
            return Err(WorkspaceError::LinkSpent);
        }
        Ok(vec![WorkspaceEvent::MemberJoined {
            user_id: ctx.actor,
            role: link.role,
            invited_by: Some(link.created_by),
            code_hash: Some(code_hash),
            joined_at: ctx.now,
        }])
    }

    fn change_role(&self, user: UserId, role: WorkspaceRole, actor: UserId) -> Result<Vec<WorkspaceEvent>, WorkspaceError> {
        self.require_admin(actor)?;
        let theirs = self.role(user).ok_or(WorkspaceError::NotAMember)?;
        if role == WorkspaceRole::Owner || theirs == WorkspaceRole::Owner {
            return Err(WorkspaceError::OwnerRoleIsTransferred);
        }
        let event = WorkspaceEvent::MemberRoleChanged { user_id: user, role };
        Ok((theirs != role).then_some(event).into_iter().collect())
    }
}

impl Aggregate for Workspace {
    const TYPE: &'static str = "workspace";
    type Command = WorkspaceCommand;
    type Event = WorkspaceEvent;
    type Error = WorkspaceError;

    fn decide(&self, command: WorkspaceCommand, ctx: &Context) -> Result<Vec<WorkspaceEvent>, WorkspaceError> {
        match command {
            WorkspaceCommand::Create { name, description, avatar_url } => {
                if self.owner.is_some() {
                    return Err(WorkspaceError::AlreadyExists);
                }
                if !is_name(&name) {
                    return Err(WorkspaceError::NameInvalid);
                }
                if description.as_ref().is_some_and(|text| text.chars().count() > 1_000) {
                    return Err(WorkspaceError::DescriptionTooLong);
                }
                Ok(vec![WorkspaceEvent::Created { name, description, avatar_url, owner_id: ctx.actor, created_at: ctx.now }])
            }
            WorkspaceCommand::Delete => {
                if self.require_member(ctx.actor)? != WorkspaceRole::Owner {
                    return Err(WorkspaceError::NotAllowed);
                }
                Ok(vec![WorkspaceEvent::Deleted { deleted_by: ctx.actor }])
            }
            WorkspaceCommand::CreateInviteLink { code_hash, role, expires_at, max_uses } => {
                self.require_admin(ctx.actor)?;
                if role == WorkspaceRole::Owner {
                    return Err(WorkspaceError::RoleNotInvitable);
                }
                if max_uses.is_some_and(|uses| !(1..=1_000_000).contains(&uses)) {
                    return Err(WorkspaceError::MaxUsesInvalid);
                }
                if expires_at.is_some_and(|at| at <= ctx.now || at > ctx.now.plus_millis(8_760 * 3_600_000)) {
                    return Err(WorkspaceError::ExpiryInvalid);
                }
                Ok(vec![WorkspaceEvent::InviteLinkCreated { code_hash, role, expires_at, max_uses, created_by: ctx.actor }])
            }
            WorkspaceCommand::RevokeInviteLink { code_hash } => {
                self.require_admin(ctx.actor)?;
                if !self.links.contains_key(&code_hash) {
                    return Err(WorkspaceError::LinkNotFound);
                }
                Ok(vec![WorkspaceEvent::InviteLinkRevoked { code_hash }])
            }
            WorkspaceCommand::Join { code_hash } => self.join(code_hash, ctx),
            WorkspaceCommand::Enrol { user, joined_at } => {
                self.require_admin(ctx.actor)?;
                if self.members.contains_key(&user) {
                    return Ok(vec![]);
                }
                Ok(vec![WorkspaceEvent::MemberJoined {
                    user_id: user,
                    role: WorkspaceRole::Member,
                    invited_by: Some(ctx.actor),
                    code_hash: None,
                    joined_at,
                }])
            }
            WorkspaceCommand::ChangeRole { user, role } => self.change_role(user, role, ctx.actor),
        }
    }

    fn apply(&mut self, event: &WorkspaceEvent, _: Position) {
        match event {
            WorkspaceEvent::Created { owner_id, .. } => {
                self.owner = Some(*owner_id);
                self.members.insert(*owner_id, WorkspaceRole::Owner);
            }
            WorkspaceEvent::Deleted { .. } => self.is_deleted = true,
            WorkspaceEvent::InviteLinkCreated { code_hash, role, expires_at, max_uses, created_by } => {
                let link = InviteLink {
                    role: *role,
                    expires_at: *expires_at,
                    max_uses: *max_uses,
                    uses: 0,
                    created_by: *created_by,
                };
                self.links.insert(code_hash.clone(), link);
            }
            WorkspaceEvent::InviteLinkRevoked { code_hash } => {
                self.links.remove(code_hash);
            }
            WorkspaceEvent::MemberJoined { user_id, role, code_hash, .. } => {
                self.members.insert(*user_id, *role);
                if let Some(link) = code_hash.as_ref().and_then(|code_hash| self.links.get_mut(code_hash)) {
                    link.uses += 1;
                }
            }
            WorkspaceEvent::MemberRoleChanged { user_id, role } => {
                self.members.insert(*user_id, *role);
            }
        }
    }

    fn key_scope(&self) -> Option<KeyScope> {
        None
    }
}
