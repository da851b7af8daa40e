//! [`User`]: a person with an account. What is secret of them (passwords, tokens) is no event and lives elsewhere.

use crate::{
    Aggregate, Context, DomainEvent, KeyScope, Kind, Personal, Position, Refusal, SessionId, Timestamp, UserId, limits::is_name,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use utoipa::ToSchema;

/// What a person tells others of being there. Offline can be chosen too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Online,
    Away,
    Busy,
    #[default]
    Offline,
}

/// A role of the whole installation, given by an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SystemRole {
    Admin,
    Auditor,
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RevocationReason {
    LoggedOut,
    /// Ended from another session of the same person.
    Ended,
    /// A refresh token was used again after its successor had been used.
    TokenReused,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "payload", rename_all_fields = "camelCase")]
pub enum UserEvent {
    #[serde(rename = "user.registered")]
    Registered {
        email: Personal,
        username: Personal,
        first_name: Personal,
        last_name: Personal,
        /// The original time, where a person was imported.
        created_at: Timestamp,
    },
    #[serde(rename = "user.profile_updated")]
    ProfileUpdated {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        first_name: Option<Personal>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last_name: Option<Personal>,
        /// An empty one clears.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        avatar_url: Option<String>,
    },
    #[serde(rename = "user.status_changed")]
    StatusChanged {
        status: Status,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status_text: Option<Personal>,
    },
    #[serde(rename = "user.logged_in")]
    LoggedIn {
        session_id: SessionId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        device: Option<Personal>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<Personal>,
    },
    /// On the person's own stream; or, where nobody has the address, on one that is named after its keyed hash.
    #[serde(rename = "user.login_failed")]
    LoginFailed {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        email_hash: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<Personal>,
    },
    #[serde(rename = "user.session_revoked")]
    SessionRevoked { session_id: SessionId, reason: RevocationReason },
    #[serde(rename = "user.role_granted")]
    RoleGranted { role: SystemRole },
    #[serde(rename = "user.role_revoked")]
    RoleRevoked { role: SystemRole },
}
impl DomainEvent for UserEvent {}

#[derive(Clone, Debug)]
pub enum UserCommand {
    Register { email: String, username: String, first_name: String, last_name: String, created_at: Timestamp },
    UpdateProfile { first_name: Option<String>, last_name: Option<String>, avatar_url: Option<String> },
    ChangeStatus { status: Status, status_text: Option<String> },
    LogIn { session: SessionId, device: Option<String>, address: Option<String> },
    FailLogin { email_hash: Option<String>, address: Option<String> },
    RevokeSession { session: SessionId, reason: RevocationReason },
    GrantRole { role: SystemRole },
    RevokeRole { role: SystemRole },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserError {
    NotFound,
    AlreadyRegistered,
    EmailInvalid,
    UsernameInvalid,
    FirstNameInvalid,
    LastNameInvalid,
    AvatarUrlInvalid,
    StatusTextTooLong,
    NotOneself,
}

impl From<UserError> for Refusal {
    fn from(error: UserError) -> Self {
        use UserError as E;
        match error {
            E::NotFound => Self::new(Kind::NotFound, "not_found", "there is no such person"),
            E::AlreadyRegistered => Self::new(Kind::Conflict, "already_exists", "this person is registered already"),
            E::EmailInvalid => Self::invalid("email", "invalid", "an e-mail address such as ada@example.org is needed"),
            E::UsernameInvalid => Self::invalid("username", "invalid", "a username has 3 to 32 of a-z 0-9 . _ -"),
            E::FirstNameInvalid => Self::invalid("firstName", "invalid", "a first name has 1 to 100 characters"),
            E::LastNameInvalid => Self::invalid("lastName", "invalid", "a last name has 1 to 100 characters"),
            E::AvatarUrlInvalid => {
                Self::invalid("avatarUrl", "invalid", "an http or https address of at most 2,000 characters is needed")
            }
            E::StatusTextTooLong => Self::invalid("statusText", "too_long", "a status text has at most 100 characters"),
            E::NotOneself => Self::new(Kind::Forbidden, "not_allowed", "only oneself may change this"),
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct User {
    /// The stream's own name: its personal fields are sealed under this person's key.
    id: Option<UserId>,
    is_registered: bool,
    roles: BTreeSet<SystemRole>,
    status: Status,
    ended_sessions: BTreeSet<SessionId>,
}

impl User {
    pub fn is_registered(&self) -> bool {
        self.is_registered
    }
    pub fn roles(&self) -> &BTreeSet<SystemRole> {
        &self.roles
    }

    fn registered(&self) -> Result<(), UserError> {
        if self.is_registered { Ok(()) } else { Err(UserError::NotFound) }
    }

    /// Profile and status are one's own to change.
    fn oneself(&self, actor: UserId) -> Result<(), UserError> {
        self.registered()?;
        if self.id == Some(actor) { Ok(()) } else { Err(UserError::NotOneself) }
    }
}

impl Aggregate for User {
    const TYPE: &'static str = "user";
    type Command = UserCommand;
    type Event = UserEvent;
    type Error = UserError;

    fn new(id: &str) -> Self {
        Self { id: id.parse().ok(), ..Self::default() }
    }

    fn decide(&self, command: UserCommand, ctx: &Context) -> Result<Vec<UserEvent>, UserError> {
        match command {
            UserCommand::Register { email, username, first_name, last_name, created_at } => {
                if self.is_registered {
                    return Err(UserError::AlreadyRegistered);
                }
                check_registration(&email, &username, &first_name, &last_name)?;
                Ok(vec![UserEvent::Registered {
                    email: Personal::Plain(email),
                    username: Personal::Plain(username),
                    first_name: Personal::Plain(first_name),
                    last_name: Personal::Plain(last_name),
                    created_at,
                }])
            }
            UserCommand::UpdateProfile { first_name, last_name, avatar_url } => {
                self.oneself(ctx.actor)?;
                check_profile(first_name.as_deref(), last_name.as_deref(), avatar_url.as_deref())?;
                if first_name.is_none() && last_name.is_none() && avatar_url.is_none() {
                    return Ok(vec![]);
                }
                let personal = |text: Option<String>| text.map(Personal::Plain);
                Ok(vec![UserEvent::ProfileUpdated {
                    first_name: personal(first_name),
                    last_name: personal(last_name),
                    avatar_url,
                }])
            }
            UserCommand::ChangeStatus { status, status_text } => {
                self.oneself(ctx.actor)?;
                if status_text.as_ref().is_some_and(|text| text.chars().count() > 100) {
                    return Err(UserError::StatusTextTooLong);
                }
                if status == self.status && status_text.is_none() {
                    return Ok(vec![]);
                }
                Ok(vec![UserEvent::StatusChanged { status, status_text: status_text.map(Personal::Plain) }])
            }
            UserCommand::LogIn { session, device, address } => {
                self.registered()?;
                Ok(vec![UserEvent::LoggedIn {
                    session_id: session,
                    device: device.map(Personal::Plain),
                    address: address.map(Personal::Plain),
                }])
            }
            UserCommand::FailLogin { email_hash, address } => {
                Ok(vec![UserEvent::LoginFailed { email_hash, address: address.map(Personal::Plain) }])
            }
            UserCommand::RevokeSession { session, reason } => {
                self.registered()?;
                if self.ended_sessions.contains(&session) {
                    return Ok(vec![]);
                }
                Ok(vec![UserEvent::SessionRevoked { session_id: session, reason }])
            }
            UserCommand::GrantRole { role } => {
                self.registered()?;
                Ok((!self.roles.contains(&role)).then_some(UserEvent::RoleGranted { role }).into_iter().collect())
            }
            UserCommand::RevokeRole { role } => {
                self.registered()?;
                Ok(self.roles.contains(&role).then_some(UserEvent::RoleRevoked { role }).into_iter().collect())
            }
        }
    }

    fn apply(&mut self, event: &UserEvent, _: Position) {
        match event {
            UserEvent::Registered { .. } => self.is_registered = true,
            UserEvent::ProfileUpdated { .. } | UserEvent::LoggedIn { .. } | UserEvent::LoginFailed { .. } => {}
            UserEvent::StatusChanged { status, .. } => self.status = *status,
            UserEvent::SessionRevoked { session_id, .. } => {
                self.ended_sessions.insert(*session_id);
            }
            UserEvent::RoleGranted { role } => {
                self.roles.insert(*role);
            }
            UserEvent::RoleRevoked { role } => {
                self.roles.remove(role);
            }
        }
    }

    fn key_scope(&self) -> Option<KeyScope> {
        // Of a failed login for an address that nobody has, nothing personal is kept, and no key is made.
        self.id.filter(|_| self.is_registered).map(KeyScope::Person)
    }
}

/// Whether a text can be a username: 3 to 32 of `a-z 0-9 . _ -`.
pub fn is_username(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
    (3..=32).contains(&text.len()) && text.chars().all(legal)
}

/// Whether a text can be an address: one `@`, something before it, a dotted or single host after it, no spaces.
pub fn is_email(text: &str) -> bool {
    let Some((local, host)) = text.rsplit_once('@') else { return false };
    let legal = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '<' | '>' | '"' | ',' | ';' | '(' | ')' | '\\');
    let is_host = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    text.chars().count() <= 254
        && (1..=64).contains(&local.chars().count())
        && !local.contains('@')
        && local.chars().all(legal)
        && host.contains('.')
        && host.split('.').all(is_host)
}

fn check_registration(email: &str, username: &str, first_name: &str, last_name: &str) -> Result<(), UserError> {
    if !is_email(email) {
        return Err(UserError::EmailInvalid);
    }
    if !is_username(username) {
        return Err(UserError::UsernameInvalid);
    }
    check_profile(Some(first_name), Some(last_name), None)
}

fn check_profile(first_name: Option<&str>, last_name: Option<&str>, avatar_url: Option<&str>) -> Result<(), UserError> {
    if first_name.is_some_and(|name| !is_name(name)) {
        return Err(UserError::FirstNameInvalid);
    }
    if last_name.is_some_and(|name| !is_name(name)) {
        return Err(UserError::LastNameInvalid);
    }
    let is_web = |url: &str| url.starts_with("https://") || url.starts_with("http://");
    if avatar_url.is_some_and(|url| !url.is_empty() && (!is_web(url) || url.chars().count() > 2_000)) {
        return Err(UserError::AvatarUrlInvalid);
    }
    Ok(())
}
