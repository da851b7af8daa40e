//! Sessions: signing in, staying signed in, signing out. [`login`] opens one, [`refresh()`] renews it, [`logout`] and
//! [`end`] end it; [`authenticate`] tells whose a token is.
//!
//! Sessions and tokens are rows, not events; that someone signed in, failed to, or was signed out is an event. A row
//! opens before its event and ends before its event, so that no crash leaves a session alive that the log says is over.

mod active;
mod refresh;
mod row;
mod sweep;

pub use active::Sessions;
pub use refresh::refresh;
pub use sweep::{Swept, sweep};

use crate::{
    Caller, Claims, CommandError, Commands, Done, Origin, Password, RefreshToken, TokenError, credential,
    run::{Decided, Round},
    token::Holder,
    user,
};
use domain::{
    Aggregate, KeyScope, Personal, SessionId, Timestamp, UserId,
    user::{RevocationReason, User, UserCommand, UserError},
};
use event_store::Loaded;
use sqlx::PgConnection;
use std::{fmt, time::Duration};
use uuid::Uuid;

/// What is kept of a User-Agent, in characters.
const DEVICE_CHARS_MAX: usize = 200;

/// Someone who is not signed in, and from where they come.
#[derive(Clone)]
pub struct Visitor {
    origin: Origin,
    correlation_id: String,
    traceparent: Option<String>,
    device: Option<String>,
    address: Option<String>,
}

impl Visitor {
    pub fn new(origin: Origin, correlation_id: String, traceparent: Option<String>) -> Self {
        Self { origin, correlation_id, traceparent, device: None, address: None }
    }
    /// What they come with, such as the User-Agent; the first 200 characters are kept, control characters are not.
    #[must_use]
    pub fn with_device(mut self, name: &str) -> Self {
        let kept: String = name.chars().filter(|c| !c.is_control()).take(DEVICE_CHARS_MAX).collect();
        self.device = Some(kept.trim().to_owned()).filter(|name| !name.is_empty());
        self
    }
    /// The network address they come from.
    #[must_use]
    pub fn at_address(mut self, address: impl fmt::Display) -> Self {
        self.address = Some(address.to_string());
        self
    }
    pub(crate) fn becoming(&self, user: UserId, session: Option<SessionId>) -> Caller {
        Caller {
            user,
            session,
            roles: Vec::new(),
            origin: self.origin,
            correlation_id: self.correlation_id.clone(),
            traceparent: self.traceparent.clone(),
            idempotency: None,
        }
    }
    pub(crate) fn login_command(&self, session: SessionId) -> UserCommand {
        UserCommand::LogIn { session, device: self.device.clone(), address: self.address.clone() }
    }
}

impl fmt::Debug for Visitor {
    // Device and address are personal: what is debugged ends up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visitor").field("correlation_id", &self.correlation_id).finish_non_exhaustive()
    }
}

/// What someone holds who is signed in.
pub struct Tokens {
    pub access: String,
    pub refresh: RefreshToken,
    /// How long the access token is good for.
    pub expires_in: Duration,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub struct SignedIn {
    pub user: UserId,
    pub session: SessionId,
    pub tokens: Tokens,
}

/// One of a person's sessions as they see it.
#[derive(Clone)]
pub struct Session {
    pub id: SessionId,
    pub device: Option<String>,
    pub address: Option<String>,
    pub created_at: Timestamp,
    /// To the minute.
    pub last_used_at: Timestamp,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Whose an access token is, where it is genuine, in its time, and its session lives.
pub async fn authenticate(commands: &Commands, token: &str) -> Result<Claims, CommandError> {
    let claims = commands.access_tokens.verify(token, commands.now()).map_err(|error| {
        CommandError::Unauthenticated(match error {
            TokenError::Expired => "token_expired",
            TokenError::Invalid => "token_invalid",
        })
    })?;
    if commands.sessions.is_active(claims.sid).await? {
        Ok(claims)
    } else {
        Err(CommandError::Unauthenticated("session_ended"))
    }
}

/// Signs someone in. Whether nobody has the address or the password is wrong, the refusal and the work are the same.
pub async fn login(
    commands: &Commands,
    visitor: &Visitor,
    email: &str,
    password: &Password,
) -> Result<Done<SignedIn>, CommandError> {
    let known = user::find_by_email(commands, email).await?;
    let hashed = {
        let mut connection = commands.connection().await?;
        let user = known.unwrap_or(UserId(Uuid::nil()));
        credential::load(&mut connection, user).await.map_err(CommandError::from_database)?
    };
    let fits = commands.passwords.verify(password, hashed).await?;
    let Some(user) = known.filter(|_| fits) else {
        record_failure(commands, visitor, known, email).await?;
        return Err(CommandError::Unauthenticated("invalid_credentials"));
    };
    let opening = Opening::new(commands, visitor, user).await?;
    let mut connection = commands.connection().await?;
    opening.insert(&mut connection, commands.now()).await.map_err(CommandError::from_database)?;
    drop(connection);
    let caller = visitor.becoming(user, Some(opening.session));
    let logged_in = commands
        .run(&caller, |round| {
            Box::pin(async move {
                let person: Loaded<User> = round.cached(user).await?;
                let events = person.state.decide(visitor.login_command(opening.session), &round.context)?;
                let mut append = round.append();
                append.write(&person, events);
                Ok(Decided { append, value: user, created: false })
            })
        })
        .await;
    match logged_in {
        Ok(done) => opening.finish(commands, done).await,
        Err(error) => Err(opening.abandon(commands, error).await),
    }
}

/// Notes a failed login where the person will find it; where nobody has the address, only its keyed hash is kept, on a
/// stream of its own.
async fn record_failure(
    commands: &Commands,
    visitor: &Visitor,
    known: Option<UserId>,
    email: &str,
) -> Result<(), CommandError> {
    let hash = user::email_key(commands, email);
    let (stream, command) = match known {
        Some(user) => (user, UserCommand::FailLogin { email_hash: None, address: visitor.address.clone() }),
        None => (stream_of_nobody(&hash)?, UserCommand::FailLogin { email_hash: Some(hash), address: None }),
    };
    let command = &command;
    commands
        .run(&visitor.becoming(stream, None), |round| {
            Box::pin(async move {
                let person: Loaded<User> = round.cached(stream).await?;
                let events = person.state.decide(command.clone(), &round.context)?;
                let mut append = round.append_as_nobody();
                append.write(&person, events);
                Ok(Decided { append, value: (), created: false })
            })
        })
        .await?;
    Ok(())
}

/// The stream of failed logins for an address that nobody has: a UUIDv8, which no person's id is, made of the hash.
fn stream_of_nobody(email_hash: &str) -> Result<UserId, CommandError> {
    let bits = email_hash.get(..32).and_then(|hex| u128::from_str_radix(hex, 16).ok());
    let bits = bits.ok_or_else(|| CommandError::Internal("a keyed hash has fewer than 32 hex digits".to_owned()))?;
    Ok(UserId(uuid::Builder::from_custom_bytes(bits.to_be_bytes()).into_uuid()))
}

/// Ends the session that the caller speaks in.
pub async fn logout(commands: &Commands, caller: &Caller) -> Result<Done<SessionId>, CommandError> {
    let session = caller.session.ok_or(CommandError::Unauthenticated("unauthenticated"))?;
    // Where a twin was faster, this one finds nothing left to end and answers alike.
    close(commands, caller.user, session, RevocationReason::LoggedOut).await?;
    tell(commands, caller, session, RevocationReason::LoggedOut).await
}

/// Ends one of the caller's sessions. Others' are not there for them.
pub async fn end(commands: &Commands, caller: &Caller, session: SessionId) -> Result<Done<SessionId>, CommandError> {
    if !close(commands, caller.user, session, RevocationReason::Ended).await? {
        return Err(CommandError::not_found("there is no such session"));
    }
    tell(commands, caller, session, RevocationReason::Ended).await
}

/// A person's living sessions, the last used first.
pub async fn list(commands: &Commands, user: UserId, limit: i64, offset: i64) -> Result<Vec<Session>, CommandError> {
    let mut connection = commands.connection().await?;
    let rows =
        row::list(&mut connection, user, commands.now(), limit, offset).await.map_err(CommandError::from_database)?;
    drop(connection);
    let mut sessions = Vec::with_capacity(rows.len());
    for row in rows {
        let device = commands.unseal(row.device).await?;
        let address = commands.unseal(row.address).await?;
        sessions.push(Session {
            id: row.id.into(),
            device,
            address,
            created_at: row.created_at.into(),
            last_used_at: row.last_used_at.into(),
        });
    }
    Ok(sessions)
}

/// Ends a session's row, from now on and at once in this process. False where it is not this person's or is over.
async fn close(
    commands: &Commands,
    user: UserId,
    session: SessionId,
    reason: RevocationReason,
) -> Result<bool, CommandError> {
    let mut connection = commands.connection().await?;
    let was_alive = row::end(&mut connection, user, session, reason, commands.now()).await;
    let was_alive = was_alive.map_err(CommandError::from_database)?;
    if was_alive {
        commands.sessions.forget(session);
    }
    Ok(was_alive)
}

/// Puts the end of one's own session into the log.
async fn tell(
    commands: &Commands,
    caller: &Caller,
    session: SessionId,
    reason: RevocationReason,
) -> Result<Done<SessionId>, CommandError> {
    let done = commands.run(caller, |round| {
        Box::pin(async move { decide_end(round, caller.user, session, reason, round.append()).await })
    });
    let done = done.await?;
    mark_told(commands, session).await?;
    Ok(done)
}

/// Puts an end into the log that nobody signed in has asked for.
async fn tell_unasked(
    commands: &Commands,
    visitor: &Visitor,
    user: UserId,
    session: SessionId,
    reason: RevocationReason,
) -> Result<(), CommandError> {
    let nobody = visitor.becoming(user, None);
    commands
        .run(&nobody, |round| {
            Box::pin(async move { decide_end(round, user, session, reason, round.append_as_nobody()).await })
        })
        .await?;
    mark_told(commands, session).await
}

async fn decide_end(
    round: &Round<'_>,
    user: UserId,
    session: SessionId,
    reason: RevocationReason,
    mut append: event_store::Append,
) -> Result<Decided<SessionId>, CommandError> {
    let person: Loaded<User> = round.cached(user).await?;
    let events = person.state.decide(UserCommand::RevokeSession { session, reason }, &round.context)?;
    append.write(&person, events);
    Ok(Decided { append, value: session, created: false })
}

async fn mark_told(commands: &Commands, session: SessionId) -> Result<(), CommandError> {
    let mut connection = commands.connection().await?;
    row::mark_told(&mut connection, session).await.map_err(CommandError::from_database)
}

/// A session that is about to be: its row, and the token that only its owner gets.
pub(crate) struct Opening {
    pub user: UserId,
    pub session: SessionId,
    refresh: RefreshToken,
    device: Option<String>,
    address: Option<String>,
    lifetime: Duration,
}

impl Opening {
    pub async fn new(commands: &Commands, visitor: &Visitor, user: UserId) -> Result<Self, CommandError> {
        let device = commands.seal(user, visitor.device.as_deref()).await?;
        let address = commands.seal(user, visitor.address.as_deref()).await?;
        let refresh = RefreshToken::from_random(commands.random());
        let lifetime = commands.auth.refresh_token_expiry;
        Ok(Self { user, session: commands.new_id(), refresh, device, address, lifetime })
    }

    pub async fn insert(&self, connection: &mut PgConnection, now: Timestamp) -> Result<(), sqlx::Error> {
        row::insert(connection, self, now).await
    }

    /// Hands out the tokens, once the log has it that the person signed in.
    pub async fn finish(self, commands: &Commands, done: Done<UserId>) -> Result<Done<SignedIn>, CommandError> {
        let Self { user, session, refresh, .. } = self;
        let holder = holder(commands, user, session).await?.ok_or(UserError::NotFound)?;
        let tokens = Tokens { access: commands.issue(holder)?, refresh, expires_in: commands.auth.jwt_expiry };
        Ok(Done { value: SignedIn { user, session, tokens }, created: done.created, position: done.position })
    }

    /// Takes the row back where the log surely has nothing of it.
    pub async fn abandon(self, commands: &Commands, error: CommandError) -> CommandError {
        if error.may_have_been_done() {
            return error;
        }
        let removed = match commands.connection().await {
            Ok(mut connection) => row::remove(&mut connection, self.session).await.map_err(CommandError::from_database),
            Err(error) => Err(error),
        };
        if let Err(error) = removed {
            tracing::warn!(session.id = %self.session, %error, "a session that nobody got was not removed");
        }
        error
    }
}

/// Who a session's access token is for, by the log as it is now; none where the person is not there.
async fn holder(commands: &Commands, user: UserId, session: SessionId) -> Result<Option<Holder>, CommandError> {
    let person: Loaded<User> = commands.store.refresh_cached(user).await?;
    let Some(username) = person.state.username() else { return Ok(None) };
    let username = match username {
        Personal::Plain(text) => text.clone(),
        Personal::Sealed(sealed) => match commands.store.keyring().open(sealed).await? {
            Some(text) => text,
            None => return Ok(None),
        },
    };
    Ok(Some(Holder { user, username, session, roles: person.state.roles().iter().copied().collect() }))
}

impl Commands {
    fn issue(&self, holder: Holder) -> Result<String, CommandError> {
        let token = self.access_tokens.issue(holder, self.now());
        token.map_err(|error| CommandError::Internal(format!("an access token could not be signed: {error}")))
    }
    async fn seal(&self, user: UserId, text: Option<&str>) -> Result<Option<String>, CommandError> {
        let Some(text) = text else { return Ok(None) };
        Ok(Some(self.store.keyring().seal(&KeyScope::Person(user), text).await?))
    }
    async fn unseal(&self, sealed: Option<String>) -> Result<Option<String>, CommandError> {
        let Some(sealed) = sealed else { return Ok(None) };
        Ok(self.store.keyring().open(&sealed).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_kept_short_and_clean() {
        let visitor = Visitor::new(Origin::Rest, "c".to_owned(), None);
        let named = visitor.clone().with_device(&format!("  Fire\u{7}fox {}", "é".repeat(300)));
        let device = named.device.expect("kept");
        assert!(device.starts_with("Firefox é") && device.chars().count() <= 200, "{device}");
        assert_eq!(visitor.with_device(" \t ").device, None);
    }

    #[test]
    fn the_stream_of_an_unknown_address_is_no_id_that_a_person_can_have() {
        let id = stream_of_nobody(&"a3".repeat(32)).expect("hex").0;
        assert_eq!((id.get_version_num(), id.get_variant()), (8, uuid::Variant::RFC4122));
        assert_eq!(stream_of_nobody(&"a3".repeat(32)).expect("hex").0, id);
        assert!(stream_of_nobody("short").is_err());
    }

    #[test]
    fn where_someone_comes_from_is_not_shown_by_debug() {
        let visitor = Visitor::new(Origin::Rest, "c".to_owned(), None).with_device("Firefox").at_address("192.0.2.7");
        let shown = format!("{visitor:?}");
        assert!(!shown.contains("Firefox") && !shown.contains("192.0.2.7"), "{shown}");
    }
}
