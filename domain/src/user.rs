//! [`User`]: a person with an account. What is secret of them (passwords, tokens) is no event and lives elsewhere.

use crate::{
    Aggregate, Context, DomainEvent, KeyScope, Kind, Personal, Position, Refusal, SessionId, Snapshots, Timestamp,
    UserId,
    limits::{is_name, is_web_url, tidy},
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
    StatusTextInvalid,
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
            E::StatusTextInvalid => {
                Self::invalid("statusText", "invalid", "a status text is one line of at most 100 characters")
            }
            E::NotOneself => Self::new(Kind::Forbidden, "not_allowed", "only oneself may change this"),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The stream's own name: its personal fields are sealed under this person's key.
    id: Option<UserId>,
    is_registered: bool,
    username: Option<Personal>,
    roles: BTreeSet<SystemRole>,
    status: Status,
    ended_sessions: BTreeSet<SessionId>,
}

impl User {
    pub fn is_registered(&self) -> bool {
        self.is_registered
    }
    /// As it was registered: sealed, where the event came from the log.
    pub fn username(&self) -> Option<&Personal> {
        self.username.as_ref()
    }
    pub fn roles(&self) -> &BTreeSet<SystemRole> {
        &self.roles
    }
    pub fn status(&self) -> Status {
        self.status
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

const SNAPSHOTS: &Snapshots<User> = &Snapshots::of(include_bytes!("user.rs"));

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
                    first_name: Personal::Plain(tidy(&first_name)),
                    last_name: Personal::Plain(tidy(&last_name)),
                    created_at,
                }])
            }
            UserCommand::UpdateProfile { first_name, last_name, avatar_url } => {
                self.oneself(ctx.actor)?;
                check_profile(first_name.as_deref(), last_name.as_deref(), avatar_url.as_deref())?;
                if first_name.is_none() && last_name.is_none() && avatar_url.is_none() {
                    return Ok(vec![]);
                }
                let personal = |name: Option<String>| name.map(|name| Personal::Plain(tidy(&name)));
                Ok(vec![UserEvent::ProfileUpdated {
                    first_name: personal(first_name),
                    last_name: personal(last_name),
                    avatar_url,
                }])
            }
            UserCommand::ChangeStatus { status, status_text } => {
                self.oneself(ctx.actor)?;
                if !status_text.as_deref().is_none_or(is_status_text) {
                    return Err(UserError::StatusTextInvalid);
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
            UserEvent::Registered { username, .. } => {
                self.is_registered = true;
                self.username = Some(username.clone());
            }
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

    fn snapshots() -> Option<&'static Snapshots<Self>> {
        Some(SNAPSHOTS)
    }
}

/// Whether a text can be a username: 3 to 32 of `a-z 0-9 . _ -`.
pub fn is_username(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
    (3..=32).contains(&text.len()) && text.chars().all(legal)
}

/// Whether a username is nobody's to choose: words that mention everyone, and names that would pass for the house's own.
/// Who brings one along from elsewhere keeps it.
pub fn is_reserved(username: &str) -> bool {
    RESERVED.contains(&username)
}

const RESERVED: [&str; 8] = ["admin", "administrator", "all", "channel", "everyone", "hansard", "here", "system"];

/// Whether a text can stand beside a status: one line of at most 100 characters; an empty one clears it.
pub fn is_status_text(text: &str) -> bool {
    text.chars().count() <= 100 && !text.chars().any(char::is_control)
}

/// Whether a text can be an address: one `@`, something before it, a dotted or single host after it, no spaces.
pub fn is_email(text: &str) -> bool {
    let Some((local, host)) = text.rsplit_once('@') else { return false };
    let legal =
        |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '<' | '>' | '"' | ',' | ';' | '(' | ')' | '\\');
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

/// Whether an address can be nobody's, being under `.invalid` (RFC 2606): imported people without one of their own have
/// such an address, and nobody may take it before them.
pub fn is_nobodys_email(text: &str) -> bool {
    text.to_lowercase().ends_with(".invalid")
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
    if avatar_url.is_some_and(|url| !url.is_empty() && !is_web_url(url)) {
        return Err(UserError::AvatarUrlInvalid);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ALICE, BOB, Given, NOW, by, given};

    const SESSION: SessionId = SessionId(uuid::Uuid::from_u128(0x51));

    fn registered() -> UserEvent {
        UserEvent::Registered {
            email: Personal::plain("alice@example.org"),
            username: Personal::plain("alice"),
            first_name: Personal::plain("Alice"),
            last_name: Personal::plain("Liddell"),
            created_at: NOW,
        }
    }
    fn nobody() -> Given<User> {
        given(ALICE, [])
    }
    fn alice() -> Given<User> {
        given(ALICE, [registered()])
    }
    /// Alice's registration, with one thing otherwise.
    fn register(field: &str, value: &str) -> UserCommand {
        let text = |name: &str, usual: &str| if name == field { value } else { usual }.to_owned();
        UserCommand::Register {
            email: text("email", "alice@example.org"),
            username: text("username", "alice"),
            first_name: text("firstName", "Alice"),
            last_name: text("lastName", "Liddell"),
            created_at: NOW,
        }
    }
    /// An update of one field of the profile.
    fn update(field: &str, value: &str) -> UserCommand {
        let text = |name: &str| (name == field).then(|| value.to_owned());
        UserCommand::UpdateProfile {
            first_name: text("firstName"),
            last_name: text("lastName"),
            avatar_url: text("avatarUrl"),
        }
    }
    fn status(status: Status, text: Option<&str>) -> UserCommand {
        UserCommand::ChangeStatus { status, status_text: text.map(str::to_owned) }
    }
    fn revoke(reason: RevocationReason) -> UserCommand {
        UserCommand::RevokeSession { session: SESSION, reason }
    }

    #[test]
    fn someone_registers() {
        nobody().when(register("", ""), by(ALICE)).then([registered()]);
    }

    #[test]
    fn nobody_registers_twice() {
        alice().when(register("", ""), by(ALICE)).then_refused(UserError::AlreadyRegistered);
    }

    #[test]
    fn the_original_time_of_an_imported_person_is_kept() {
        let UserCommand::Register { email, username, first_name, last_name, .. } = register("", "") else {
            unreachable!()
        };
        let created_at = NOW.plus_millis(-1);
        let command = UserCommand::Register { email, username, first_name, last_name, created_at };
        let UserEvent::Registered { email, username, first_name, last_name, .. } = registered() else { unreachable!() };
        let event = UserEvent::Registered { email, username, first_name, last_name, created_at };
        nobody().when(command, by(ALICE)).then([event]);
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for email in
            ["nope", "a@", "@b.example", "a b@example.test", "", "a@b", "a@@b.example", "a@b..example", "a@-b.example"]
        {
            nobody().when(register("email", email), by(ALICE)).then_refused(UserError::EmailInvalid);
        }
    }

    #[test]
    fn addresses_of_all_lawful_shapes_are_taken() {
        for email in ["a+tag@example.org", "o'hara@sub.example.co.uk", "grüße@bücher.example"] {
            assert!(is_email(email), "{email}");
        }
        assert!(!is_email(&format!("{}@example.org", "a".repeat(65))));
        assert!(!is_email(&format!("a@{}.org", "b".repeat(250))));
    }

    #[test]
    fn a_username_outside_its_rule_is_refused() {
        let too_long = "a".repeat(33);
        for username in ["ab", &too_long, "with space", "with@sign", "with/slash", "rené-x", "", "Alice"] {
            nobody().when(register("username", username), by(ALICE)).then_refused(UserError::UsernameInvalid);
        }
    }

    #[test]
    fn usernames_of_three_and_of_thirty_two_characters_are_taken() {
        assert!(is_username("a.1") && is_username("_-_") && is_username(&"z".repeat(32)));
    }

    #[test]
    fn a_first_name_without_letters_or_too_long_is_refused() {
        for name in ["", "  ", &"x".repeat(101), "A\0"] {
            nobody().when(register("firstName", name), by(ALICE)).then_refused(UserError::FirstNameInvalid);
            alice().when(update("firstName", name), by(ALICE)).then_refused(UserError::FirstNameInvalid);
        }
    }

    #[test]
    fn a_last_name_without_letters_or_too_long_is_refused() {
        for name in ["", "  ", &"x".repeat(101), "L\nL"] {
            nobody().when(register("lastName", name), by(ALICE)).then_refused(UserError::LastNameInvalid);
            alice().when(update("lastName", name), by(ALICE)).then_refused(UserError::LastNameInvalid);
        }
    }

    #[test]
    fn the_blanks_around_a_name_are_not_kept() {
        nobody().when(register("firstName", "  Alice "), by(ALICE)).then([registered()]);
        let event = UserEvent::ProfileUpdated {
            first_name: None,
            last_name: Some(Personal::plain("Höpper 🚀")),
            avatar_url: None,
        };
        alice().when(update("lastName", "Höpper 🚀\n"), by(ALICE)).then([event]);
    }

    #[test]
    fn an_update_holds_only_what_it_names() {
        let avatar_url = Some("https://example.org/a.png".to_owned());
        let event = UserEvent::ProfileUpdated { first_name: None, last_name: None, avatar_url };
        alice().when(update("avatarUrl", "https://example.org/a.png"), by(ALICE)).then([event]);
    }

    #[test]
    fn an_update_of_nothing_is_no_fact() {
        alice().when(update("", ""), by(ALICE)).then_nothing();
    }

    #[test]
    fn an_empty_avatar_clears_it() {
        let event = UserEvent::ProfileUpdated { first_name: None, last_name: None, avatar_url: Some(String::new()) };
        alice().when(update("avatarUrl", ""), by(ALICE)).then([event]);
    }

    #[test]
    fn an_avatar_that_is_no_web_address_is_refused() {
        for url in ["javascript:alert(1)", "a.png", "https://a b"] {
            alice().when(update("avatarUrl", url), by(ALICE)).then_refused(UserError::AvatarUrlInvalid);
        }
    }

    #[test]
    fn a_profile_is_changed_by_oneself_only() {
        alice().when(update("firstName", "Mallory"), by(BOB)).then_refused(UserError::NotOneself);
    }

    #[test]
    fn a_profile_that_nobody_has_is_not_found() {
        nobody().when(update("firstName", "Alice"), by(ALICE)).then_refused(UserError::NotFound);
    }

    #[test]
    fn a_status_is_changed_with_its_text() {
        let event = UserEvent::StatusChanged { status: Status::Busy, status_text: Some(Personal::plain("at sea")) };
        alice().when(status(Status::Busy, Some("at sea")), by(ALICE)).then([event]);
    }

    #[test]
    fn the_same_status_again_is_no_fact() {
        let past = [registered(), UserEvent::StatusChanged { status: Status::Away, status_text: None }];
        given::<User>(ALICE, past).when(status(Status::Away, None), by(ALICE)).then_nothing();
    }

    #[test]
    fn a_status_text_can_be_cleared_under_the_same_status() {
        let event = UserEvent::StatusChanged { status: Status::Offline, status_text: Some(Personal::plain("")) };
        alice().when(status(Status::Offline, Some("")), by(ALICE)).then([event]);
    }

    #[test]
    fn a_status_text_of_over_a_hundred_characters_or_two_lines_is_refused() {
        for text in [&*"x".repeat(101), "a\nb", "a\0"] {
            alice().when(status(Status::Away, Some(text)), by(ALICE)).then_refused(UserError::StatusTextInvalid);
        }
        let text = "ü".repeat(100);
        let event = UserEvent::StatusChanged { status: Status::Away, status_text: Some(Personal::plain(&text)) };
        alice().when(status(Status::Away, Some(&text)), by(ALICE)).then([event]);
    }

    #[test]
    fn a_status_is_changed_by_oneself_only() {
        alice().when(status(Status::Away, None), by(BOB)).then_refused(UserError::NotOneself);
    }

    #[test]
    fn a_login_keeps_device_and_address_as_personal() {
        let command = UserCommand::LogIn {
            session: SESSION,
            device: Some("Firefox".to_owned()),
            address: Some("192.0.2.7".to_owned()),
        };
        alice().when(command, by(ALICE)).then([UserEvent::LoggedIn {
            session_id: SESSION,
            device: Some(Personal::plain("Firefox")),
            address: Some(Personal::plain("192.0.2.7")),
        }]);
    }

    #[test]
    fn nobody_logs_in_unregistered() {
        let command = UserCommand::LogIn { session: SESSION, device: None, address: None };
        nobody().when(command, by(ALICE)).then_refused(UserError::NotFound);
    }

    #[test]
    fn a_failed_login_is_a_fact_even_where_nobody_has_the_address() {
        let command = UserCommand::FailLogin { email_hash: Some("9f86".to_owned()), address: None };
        let event = UserEvent::LoginFailed { email_hash: Some("9f86".to_owned()), address: None };
        given::<User>("9f86", []).when(command, by(ALICE)).then([event]);
    }

    #[test]
    fn a_session_is_ended_once_whatever_the_reason() {
        let ended = UserEvent::SessionRevoked { session_id: SESSION, reason: RevocationReason::LoggedOut };
        alice().when(revoke(RevocationReason::LoggedOut), by(ALICE)).then([ended.clone()]);
        given::<User>(ALICE, [registered(), ended])
            .when(revoke(RevocationReason::TokenReused), by(ALICE))
            .then_nothing();
    }

    #[test]
    fn a_session_of_nobody_is_not_ended() {
        nobody().when(revoke(RevocationReason::Ended), by(ALICE)).then_refused(UserError::NotFound);
    }

    #[test]
    fn a_role_is_granted_once() {
        let granted = UserEvent::RoleGranted { role: SystemRole::Auditor };
        let grant = UserCommand::GrantRole { role: SystemRole::Auditor };
        alice().when(grant.clone(), by(BOB)).then([granted.clone()]);
        given::<User>(ALICE, [registered(), granted]).when(grant, by(BOB)).then_nothing();
    }

    #[test]
    fn a_role_that_someone_has_is_revoked() {
        let (granted, revoked) =
            (UserEvent::RoleGranted { role: SystemRole::Admin }, UserEvent::RoleRevoked { role: SystemRole::Admin });
        let revoke = UserCommand::RevokeRole { role: SystemRole::Admin };
        given::<User>(ALICE, [registered(), granted.clone()]).when(revoke.clone(), by(BOB)).then([revoked.clone()]);
        given::<User>(ALICE, [registered(), granted, revoked]).when(revoke, by(BOB)).then_nothing();
    }

    #[test]
    fn roles_are_for_the_registered() {
        nobody().when(UserCommand::GrantRole { role: SystemRole::Admin }, by(BOB)).then_refused(UserError::NotFound);
        nobody().when(UserCommand::RevokeRole { role: SystemRole::Admin }, by(BOB)).then_refused(UserError::NotFound);
    }

    #[test]
    fn what_a_person_says_of_themselves_is_sealed_under_their_own_key() {
        assert_eq!(alice().state.key_scope(), Some(KeyScope::Person(ALICE)));
        assert_eq!(nobody().state.key_scope(), None);
        assert_eq!(given::<User>("9f86", [registered()]).state.key_scope(), None);
    }
}
