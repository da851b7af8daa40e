//! [`Workspace`]: people who share channels, and how they come in.

use crate::{
    Aggregate, Context, DomainEvent, KeyScope, Kind, Position, Refusal, Snapshots, Timestamp, UserId,
    limits::{DESCRIPTION_CHARS_MAX, is_name, is_printable, is_web_url, tidy},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use utoipa::ToSchema;

#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum WorkspaceRole {
    /// Sees only the channels they were added to.
    Guest,
    #[default]
    Member,
    Admin,
    Owner,
}

impl WorkspaceRole {
    pub fn may_invite(self) -> bool {
        self >= Self::Admin
    }
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
    Create {
        name: String,
        description: Option<String>,
        avatar_url: Option<String>,
    },
    Delete,
    CreateInviteLink {
        code_hash: String,
        role: WorkspaceRole,
        expires_at: Option<Timestamp>,
        max_uses: Option<u32>,
    },
    RevokeInviteLink {
        code_hash: String,
    },
    /// By whoever holds the code.
    Join {
        code_hash: String,
    },
    /// Brought in by an import, without a code.
    Enrol {
        user: UserId,
        joined_at: Timestamp,
    },
    ChangeRole {
        user: UserId,
        role: WorkspaceRole,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkspaceError {
    NotFound,
    NotAllowed,
    AlreadyExists,
    NameInvalid,
    DescriptionInvalid,
    AvatarUrlInvalid,
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
            E::NotAllowed => {
                Self::new(Kind::Forbidden, "not_allowed", "your role in this workspace does not allow this")
            }
            E::AlreadyExists => Self::new(Kind::Conflict, "already_exists", "that workspace exists already"),
            E::NameInvalid => Self::invalid("name", "invalid", "a name has 1 to 100 characters"),
            E::DescriptionInvalid => {
                Self::invalid("description", "invalid", "a description has at most 1,000 printable characters")
            }
            E::AvatarUrlInvalid => {
                Self::invalid("avatarUrl", "invalid", "an http or https address of at most 2,000 characters is needed")
            }
            E::RoleNotInvitable => Self::invalid("role", "invalid", "a link invites an admin, a member or a guest"),
            E::MaxUsesInvalid => Self::invalid("maxUses", "out_of_range", "maxUses is a number from 1 to 1,000,000"),
            E::ExpiryInvalid => {
                Self::invalid("expiresInHours", "out_of_range", "expiresInHours is more than 0 and at most 8,760")
            }
            E::LinkNotFound => Self::new(Kind::NotFound, "not_found", "there is no such invitation"),
            E::LinkSpent => {
                Self::new(Kind::Gone, "invite_expired", "the invitation has expired or is used up; ask for a new one")
            }
            E::NotAMember => Self::new(Kind::NotFound, "not_found", "that person is not a member of this workspace"),
            E::OwnerRoleIsTransferred => {
                Self::new(Kind::Conflict, "last_owner", "the owner's role passes on by a transfer only")
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteLink {
    pub role: WorkspaceRole,
    pub expires_at: Option<Timestamp>,
    pub max_uses: Option<u32>,
    pub uses: u32,
    pub created_by: UserId,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    pub fn owner(&self) -> Option<UserId> {
        self.owner
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

    fn create(
        &self,
        name: &str,
        description: Option<String>,
        avatar_url: Option<String>,
        ctx: &Context,
    ) -> Result<Vec<WorkspaceEvent>, WorkspaceError> {
        if self.owner.is_some() {
            return Err(WorkspaceError::AlreadyExists);
        }
        if !is_name(name) {
            return Err(WorkspaceError::NameInvalid);
        }
        let is_description = |text: &String| text.chars().count() <= DESCRIPTION_CHARS_MAX && is_printable(text);
        if !description.as_ref().is_none_or(is_description) {
            return Err(WorkspaceError::DescriptionInvalid);
        }
        let avatar_url = avatar_url.filter(|url| !url.is_empty());
        if !avatar_url.as_deref().is_none_or(is_web_url) {
            return Err(WorkspaceError::AvatarUrlInvalid);
        }
        Ok(vec![WorkspaceEvent::Created {
            name: tidy(name),
            description: description.filter(|text| !text.is_empty()),
            avatar_url,
            owner_id: ctx.actor,
            created_at: ctx.now,
        }])
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

    fn change_role(
        &self,
        user: UserId,
        role: WorkspaceRole,
        actor: UserId,
    ) -> Result<Vec<WorkspaceEvent>, WorkspaceError> {
        self.require_admin(actor)?;
        let theirs = self.role(user).ok_or(WorkspaceError::NotAMember)?;
        if role == WorkspaceRole::Owner || theirs == WorkspaceRole::Owner {
            return Err(WorkspaceError::OwnerRoleIsTransferred);
        }
        let event = WorkspaceEvent::MemberRoleChanged { user_id: user, role };
        Ok((theirs != role).then_some(event).into_iter().collect())
    }
}

const SNAPSHOTS: &Snapshots<Workspace> = &Snapshots::of(include_bytes!("workspace.rs"));

impl Aggregate for Workspace {
    const TYPE: &'static str = "workspace";
    type Command = WorkspaceCommand;
    type Event = WorkspaceEvent;
    type Error = WorkspaceError;

    fn decide(&self, command: WorkspaceCommand, ctx: &Context) -> Result<Vec<WorkspaceEvent>, WorkspaceError> {
        match command {
            WorkspaceCommand::Create { name, description, avatar_url } => {
                self.create(&name, description, avatar_url, ctx)
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
                Ok(vec![WorkspaceEvent::InviteLinkCreated {
                    code_hash,
                    role,
                    expires_at,
                    max_uses,
                    created_by: ctx.actor,
                }])
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

    fn snapshots() -> Option<&'static Snapshots<Self>> {
        Some(SNAPSHOTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ALICE, BOB, CAROL, Given, NOW, by, given};

    const HOUR_MS: i64 = 3_600_000;

    fn created() -> WorkspaceEvent {
        WorkspaceEvent::Created {
            name: "Acme".to_owned(),
            description: None,
            avatar_url: None,
            owner_id: ALICE,
            created_at: NOW,
        }
    }
    fn joined(user_id: UserId, role: WorkspaceRole) -> WorkspaceEvent {
        WorkspaceEvent::MemberJoined { user_id, role, invited_by: Some(ALICE), code_hash: None, joined_at: NOW }
    }
    fn linked(expires_at: Option<Timestamp>, max_uses: Option<u32>) -> WorkspaceEvent {
        let (code_hash, role) = ("hash".to_owned(), WorkspaceRole::Guest);
        WorkspaceEvent::InviteLinkCreated { code_hash, role, expires_at, max_uses, created_by: ALICE }
    }
    fn joined_by_link(user_id: UserId) -> WorkspaceEvent {
        WorkspaceEvent::MemberJoined {
            user_id,
            role: WorkspaceRole::Guest,
            invited_by: Some(ALICE),
            code_hash: Some("hash".to_owned()),
            joined_at: NOW,
        }
    }
    /// Alice's workspace, and what came after.
    fn acme(past: impl IntoIterator<Item = WorkspaceEvent>) -> Given<Workspace> {
        given("acme", std::iter::once(created()).chain(past))
    }
    fn nowhere() -> Given<Workspace> {
        given("acme", [])
    }
    fn create(name: &str, description: Option<&str>, avatar_url: Option<&str>) -> WorkspaceCommand {
        let text = |text: Option<&str>| text.map(str::to_owned);
        WorkspaceCommand::Create { name: name.to_owned(), description: text(description), avatar_url: text(avatar_url) }
    }
    fn link(role: WorkspaceRole, expires_at: Option<Timestamp>, max_uses: Option<u32>) -> WorkspaceCommand {
        WorkspaceCommand::CreateInviteLink { code_hash: "hash".to_owned(), role, expires_at, max_uses }
    }
    fn revoke() -> WorkspaceCommand {
        WorkspaceCommand::RevokeInviteLink { code_hash: "hash".to_owned() }
    }
    fn join() -> WorkspaceCommand {
        WorkspaceCommand::Join { code_hash: "hash".to_owned() }
    }
    fn change_role(user: UserId, role: WorkspaceRole) -> WorkspaceCommand {
        WorkspaceCommand::ChangeRole { user, role }
    }

    #[test]
    fn a_workspace_is_made_with_its_maker_as_owner() {
        nowhere().when(create("Acme", None, None), by(ALICE)).then([created()]);
        assert_eq!(acme([]).state.role(ALICE), Some(WorkspaceRole::Owner));
    }

    #[test]
    fn a_workspace_is_made_once_even_after_it_was_deleted() {
        acme([]).when(create("Acme", None, None), by(BOB)).then_refused(WorkspaceError::AlreadyExists);
        let deleted = acme([WorkspaceEvent::Deleted { deleted_by: ALICE }]);
        deleted.when(create("Acme", None, None), by(ALICE)).then_refused(WorkspaceError::AlreadyExists);
    }

    #[test]
    fn a_name_that_is_blank_or_too_long_is_refused() {
        for name in ["", " ", &"x".repeat(101), "Ac\0me"] {
            nowhere().when(create(name, None, None), by(ALICE)).then_refused(WorkspaceError::NameInvalid);
        }
    }

    #[test]
    fn the_blanks_around_a_name_and_empty_texts_are_not_kept() {
        nowhere().when(create(" Acme\n", Some(""), Some("")), by(ALICE)).then([created()]);
    }

    #[test]
    fn a_description_of_over_a_thousand_characters_or_with_a_nul_is_refused() {
        for text in [&*"x".repeat(1_001), "a\0"] {
            let command = create("Acme", Some(text), None);
            nowhere().when(command, by(ALICE)).then_refused(WorkspaceError::DescriptionInvalid);
        }
    }

    #[test]
    fn a_description_of_a_thousand_characters_on_many_lines_is_kept() {
        let text = format!("{}\nü", "x".repeat(998));
        nowhere().when(create("Acme", Some(&text), None), by(ALICE)).then([WorkspaceEvent::Created {
            name: "Acme".to_owned(),
            description: Some(text),
            avatar_url: None,
            owner_id: ALICE,
            created_at: NOW,
        }]);
    }

    #[test]
    fn an_avatar_that_is_no_web_address_is_refused() {
        let command = create("Acme", None, Some("javascript:alert(1)"));
        nowhere().when(command, by(ALICE)).then_refused(WorkspaceError::AvatarUrlInvalid);
    }

    #[test]
    fn the_owner_deletes_a_workspace() {
        acme([]).when(WorkspaceCommand::Delete, by(ALICE)).then([WorkspaceEvent::Deleted { deleted_by: ALICE }]);
    }

    #[test]
    fn an_admin_does_not_delete_a_workspace() {
        let acme = acme([joined(BOB, WorkspaceRole::Admin)]);
        acme.when(WorkspaceCommand::Delete, by(BOB)).then_refused(WorkspaceError::NotAllowed);
    }

    #[test]
    fn to_a_stranger_a_workspace_is_not_there() {
        for command in [WorkspaceCommand::Delete, link(WorkspaceRole::Member, None, None), revoke()] {
            acme([]).when(command, by(CAROL)).then_refused(WorkspaceError::NotFound);
        }
        acme([]).when(change_role(ALICE, WorkspaceRole::Guest), by(CAROL)).then_refused(WorkspaceError::NotFound);
    }

    #[test]
    fn a_deleted_workspace_is_not_there_even_for_its_owner() {
        let deleted = acme([WorkspaceEvent::Deleted { deleted_by: ALICE }]);
        deleted.when(WorkspaceCommand::Delete, by(ALICE)).then_refused(WorkspaceError::NotFound);
    }

    #[test]
    fn an_admin_makes_an_invite_link() {
        let expires_at = Some(NOW.plus_millis(HOUR_MS));
        let event = WorkspaceEvent::InviteLinkCreated {
            code_hash: "hash".to_owned(),
            role: WorkspaceRole::Admin,
            expires_at,
            max_uses: Some(3),
            created_by: BOB,
        };
        let acme = acme([joined(BOB, WorkspaceRole::Admin)]);
        acme.when(link(WorkspaceRole::Admin, expires_at, Some(3)), by(BOB)).then([event]);
    }

    #[test]
    fn a_member_makes_and_revokes_no_invite_link() {
        for command in [link(WorkspaceRole::Guest, None, None), revoke()] {
            let acme = acme([linked(None, None), joined(BOB, WorkspaceRole::Member)]);
            acme.when(command, by(BOB)).then_refused(WorkspaceError::NotAllowed);
        }
    }

    #[test]
    fn no_link_makes_owners() {
        let command = link(WorkspaceRole::Owner, None, None);
        acme([]).when(command, by(ALICE)).then_refused(WorkspaceError::RoleNotInvitable);
    }

    #[test]
    fn a_link_for_nobody_or_for_over_a_million_is_refused() {
        for max_uses in [0, 1_000_001] {
            let command = link(WorkspaceRole::Member, None, Some(max_uses));
            acme([]).when(command, by(ALICE)).then_refused(WorkspaceError::MaxUsesInvalid);
        }
    }

    #[test]
    fn a_link_that_has_expired_or_lasts_over_a_year_is_refused() {
        for millis in [0, -1, 8_760 * HOUR_MS + 1] {
            let command = link(WorkspaceRole::Member, Some(NOW.plus_millis(millis)), None);
            acme([]).when(command, by(ALICE)).then_refused(WorkspaceError::ExpiryInvalid);
        }
    }

    #[test]
    fn a_link_may_last_a_millisecond_or_a_year() {
        for millis in [1, 8_760 * HOUR_MS] {
            let (expires_at, role) = (Some(NOW.plus_millis(millis)), WorkspaceRole::Guest);
            acme([]).when(link(role, expires_at, None), by(ALICE)).then([linked(expires_at, None)]);
        }
    }

    #[test]
    fn whoever_holds_a_code_comes_in_with_its_role() {
        acme([linked(None, None)]).when(join(), by(BOB)).then([joined_by_link(BOB)]);
    }

    #[test]
    fn who_is_in_stays_as_they_are_even_by_a_spent_link() {
        let past = [linked(None, Some(1)), joined_by_link(CAROL), joined(BOB, WorkspaceRole::Admin)];
        acme(past).when(join(), by(BOB)).then_nothing();
    }

    #[test]
    fn a_link_that_is_used_up_lets_nobody_in() {
        let acme = acme([linked(None, Some(1)), joined_by_link(BOB)]);
        acme.when(join(), by(CAROL)).then_refused(WorkspaceError::LinkSpent);
    }

    #[test]
    fn a_link_lets_in_as_many_as_it_says() {
        let acme = acme([linked(None, Some(2)), joined_by_link(BOB), joined(ALICE, WorkspaceRole::Owner)]);
        acme.when(join(), by(CAROL)).then([joined_by_link(CAROL)]);
    }

    #[test]
    fn an_expired_link_lets_nobody_in() {
        acme([linked(Some(NOW), None)]).when(join(), by(BOB)).then_refused(WorkspaceError::LinkSpent);
        acme([linked(Some(NOW.plus_millis(1)), None)]).when(join(), by(BOB)).then([joined_by_link(BOB)]);
    }

    #[test]
    fn an_unknown_code_opens_nothing() {
        acme([]).when(join(), by(BOB)).then_refused(WorkspaceError::LinkNotFound);
    }

    #[test]
    fn the_links_of_a_deleted_workspace_open_nothing() {
        let acme = acme([linked(None, None), WorkspaceEvent::Deleted { deleted_by: ALICE }]);
        acme.when(join(), by(BOB)).then_refused(WorkspaceError::LinkNotFound);
    }

    #[test]
    fn a_revoked_link_opens_nothing() {
        let revoked = WorkspaceEvent::InviteLinkRevoked { code_hash: "hash".to_owned() };
        acme([linked(None, None)]).when(revoke(), by(ALICE)).then([revoked.clone()]);
        acme([linked(None, None), revoked]).when(join(), by(BOB)).then_refused(WorkspaceError::LinkNotFound);
    }

    #[test]
    fn a_link_that_is_not_there_is_not_revoked() {
        acme([]).when(revoke(), by(ALICE)).then_refused(WorkspaceError::LinkNotFound);
    }

    #[test]
    fn an_import_brings_in_members_with_their_time() {
        let joined_at = NOW.plus_millis(-HOUR_MS);
        let event = WorkspaceEvent::MemberJoined {
            user_id: BOB,
            role: WorkspaceRole::Member,
            invited_by: Some(ALICE),
            code_hash: None,
            joined_at,
        };
        let enrol = WorkspaceCommand::Enrol { user: BOB, joined_at };
        acme([]).when(enrol.clone(), by(ALICE)).then([event.clone()]);
        acme([event]).when(enrol, by(ALICE)).then_nothing();
    }

    #[test]
    fn a_member_enrols_nobody() {
        let enrol = WorkspaceCommand::Enrol { user: CAROL, joined_at: NOW };
        acme([joined(BOB, WorkspaceRole::Member)]).when(enrol, by(BOB)).then_refused(WorkspaceError::NotAllowed);
    }

    #[test]
    fn an_admin_changes_a_role() {
        let past = [joined(BOB, WorkspaceRole::Admin), joined(CAROL, WorkspaceRole::Member)];
        let event = WorkspaceEvent::MemberRoleChanged { user_id: CAROL, role: WorkspaceRole::Guest };
        acme(past).when(change_role(CAROL, WorkspaceRole::Guest), by(BOB)).then([event]);
    }

    #[test]
    fn the_role_that_someone_has_is_no_change() {
        let acme = acme([joined(BOB, WorkspaceRole::Guest)]);
        acme.when(change_role(BOB, WorkspaceRole::Guest), by(ALICE)).then_nothing();
    }

    #[test]
    fn a_member_and_a_guest_promote_nobody() {
        for role in [WorkspaceRole::Member, WorkspaceRole::Guest] {
            let acme = acme([joined(BOB, role)]);
            acme.when(change_role(BOB, WorkspaceRole::Admin), by(BOB)).then_refused(WorkspaceError::NotAllowed);
        }
    }

    #[test]
    fn the_role_of_someone_who_is_no_member_is_not_found() {
        acme([]).when(change_role(CAROL, WorkspaceRole::Admin), by(ALICE)).then_refused(WorkspaceError::NotAMember);
    }

    #[test]
    fn nobody_is_made_owner_and_no_owner_demoted_by_a_change_of_role() {
        let acme = || acme([joined(BOB, WorkspaceRole::Admin)]);
        let error = WorkspaceError::OwnerRoleIsTransferred;
        acme().when(change_role(BOB, WorkspaceRole::Owner), by(ALICE)).then_refused(error);
        acme().when(change_role(ALICE, WorkspaceRole::Member), by(ALICE)).then_refused(error);
        acme().when(change_role(ALICE, WorkspaceRole::Member), by(BOB)).then_refused(error);
    }

    #[test]
    fn any_member_but_a_guest_makes_channels() {
        let state = acme([joined(BOB, WorkspaceRole::Member), joined(CAROL, WorkspaceRole::Guest)]).state;
        assert_eq!(state.require_channel_maker(BOB), Ok(()));
        assert_eq!(state.require_channel_maker(CAROL), Err(WorkspaceError::NotAllowed));
        assert_eq!(acme([]).state.require_channel_maker(BOB), Err(WorkspaceError::NotFound));
    }

    #[test]
    fn nothing_personal_is_in_a_workspace() {
        assert_eq!(acme([]).state.key_scope(), None);
    }
}
