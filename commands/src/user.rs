//! People: registering, what they say of themselves, and the roles that operators give them.

use crate::{
    Caller, CommandError, Commands, Done, Password, claim, credential,
    run::{Decided, Round},
    session::{Opening, SignedIn, Visitor},
};
use domain::{
    Aggregate, Kind, Position, Refusal, UserId,
    limits::is_name,
    user::{Status, SystemRole, User, UserCommand, UserError, UserEvent, is_email, is_nobodys_email, is_username},
};
use event_store::{Claim, Loaded};

/// Who wants an account.
#[derive(Clone)]
pub struct NewUser {
    pub email: String,
    pub password: Password,
    pub username: String,
    pub first_name: String,
    pub last_name: String,
}

/// What a person changes of themselves; what is not named stays, and an empty address or status text clears.
#[derive(Clone, Default)]
pub struct ProfileChanges {
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub avatar_url: Option<String>,
    pub status: Option<Status>,
    pub status_text: Option<String>,
}

/// Makes an account and signs its owner in: both facts are one append.
///
/// The password's hash and the session are there before the append: without it they belong to nobody, while an
/// account without them could never be used.
pub async fn register(commands: &Commands, visitor: &Visitor, new: NewUser) -> Result<Done<SignedIn>, CommandError> {
    check(&new)?;
    let keys = Keys::of(commands, &new);
    // Before the costly hash; what counts is the claims in the append.
    keys.refuse_taken(commands).await?;
    let id: UserId = commands.new_id();
    let hashed = commands.passwords.hash(&new.password, commands.random()).await?;
    let opening = Opening::new(commands, visitor, id).await?;
    prepare(commands, &opening, &hashed).await.map_err(CommandError::from_database)?;
    let caller = visitor.becoming(id, Some(opening.session));
    let new = &new;
    let keys = &keys;
    let registered = commands
        .run(&caller, |round| {
            Box::pin(async move {
                keys.refuse_taken(commands).await?;
                let person: Loaded<User> = Loaded::fresh(id);
                let events = decide_register(&person.state, new, visitor.login_command(opening.session), round)?;
                let mut append = round.append();
                append.write(&person, events);
                append.claim(Claim::take(claim::EMAIL, keys.email.clone(), id.to_string()));
                append.claim(Claim::take(claim::USERNAME, keys.username.clone(), id.to_string()));
                Ok(Decided { append, value: id, created: true })
            })
        })
        .await;
    match registered {
        Ok(done) => opening.finish(commands, done).await,
        Err(error) => {
            forget_credential(commands, id, &error).await;
            Err(opening.abandon(commands, error).await)
        }
    }
}

/// Changes one's own profile and status, in one append.
pub async fn update_profile(
    commands: &Commands,
    caller: &Caller,
    id: UserId,
    changes: ProfileChanges,
) -> Result<Done<UserId>, CommandError> {
    let changes = &changes;
    commands
        .run(caller, |round| {
            Box::pin(async move {
                let person: Loaded<User> = round.load(id).await?;
                let events = decide_profile(&person.state, changes, round)?;
                let mut append = round.append();
                append.write(&person, events);
                Ok(Decided { append, value: id, created: false })
            })
        })
        .await
}

/// Gives a role of the whole installation to whoever has the address. It stands in their next access token.
pub async fn grant_role(commands: &Commands, email: &str, role: SystemRole) -> Result<Done<UserId>, CommandError> {
    change_roles(commands, email, UserCommand::GrantRole { role }).await
}

pub async fn revoke_role(commands: &Commands, email: &str, role: SystemRole) -> Result<Done<UserId>, CommandError> {
    change_roles(commands, email, UserCommand::RevokeRole { role }).await
}

/// Who has an address, in whatever case.
pub async fn find_by_email(commands: &Commands, email: &str) -> Result<Option<UserId>, CommandError> {
    let Some(found) = commands.store.claim(claim::EMAIL, &email_key(commands, email)).await? else { return Ok(None) };
    let user = found.value.parse().map_err(|_| CommandError::Internal("a claim names no person".to_owned()))?;
    Ok(Some(user))
}

/// Who has an address; where nobody has, the refusal names it, for this is for operators.
pub async fn expect_by_email(commands: &Commands, email: &str) -> Result<UserId, CommandError> {
    let found = find_by_email(commands, email).await?;
    let detail = || format!("nobody has the address {email}").into();
    Ok(found.ok_or_else(|| Refusal { kind: Kind::NotFound, code: "not_found", detail: detail(), field: None })?)
}

pub(crate) fn email_key(commands: &Commands, email: &str) -> String {
    commands.store.keyring().keyed_hash(claim::EMAIL, &email.to_lowercase())
}

async fn change_roles(commands: &Commands, email: &str, command: UserCommand) -> Result<Done<UserId>, CommandError> {
    let id = expect_by_email(commands, email).await?;
    let caller = Caller::operator(id, commands.new_id::<uuid::Uuid>().to_string());
    let command = &command;
    commands
        .run(&caller, |round| {
            Box::pin(async move {
                let person: Loaded<User> = round.load(id).await?;
                let events = person.state.decide(command.clone(), &round.context)?;
                let mut append = round.append();
                append.write(&person, events);
                Ok(Decided { append, value: id, created: false })
            })
        })
        .await
}

/// What a registration claims for ever.
struct Keys {
    email: String,
    username: String,
}

impl Keys {
    fn of(commands: &Commands, new: &NewUser) -> Self {
        let username = commands.store.keyring().keyed_hash(claim::USERNAME, &new.username.to_lowercase());
        Self { email: email_key(commands, &new.email), username }
    }
    async fn refuse_taken(&self, commands: &Commands) -> Result<(), CommandError> {
        if commands.store.claim(claim::EMAIL, &self.email).await?.is_some() {
            return Err(
                Refusal::new(Kind::Conflict, "email_taken", "this e-mail address has an account already").into()
            );
        }
        if commands.store.claim(claim::USERNAME, &self.username).await?.is_some() {
            return Err(Refusal::new(Kind::Conflict, "username_taken", "this username is somebody's already").into());
        }
        Ok(())
    }
}

/// Names every field at fault, not only the first.
fn check(new: &NewUser) -> Result<(), CommandError> {
    let rules = [
        (is_email(&new.email) && !is_nobodys_email(&new.email), UserError::EmailInvalid),
        (is_username(&new.username), UserError::UsernameInvalid),
        (is_name(&new.first_name), UserError::FirstNameInvalid),
        (is_name(&new.last_name), UserError::LastNameInvalid),
    ];
    let broken = rules.into_iter().filter(|(kept, _)| !kept).map(|(_, error)| Refusal::from(error));
    let wrong: Vec<Refusal> = broken.chain(new.password.check("password").err()).collect();
    if wrong.is_empty() { Ok(()) } else { Err(CommandError::Invalid(wrong)) }
}

fn decide_register(
    person: &User,
    new: &NewUser,
    login: UserCommand,
    round: &Round<'_>,
) -> Result<Vec<UserEvent>, CommandError> {
    let command = UserCommand::Register {
        email: new.email.clone(),
        username: new.username.clone(),
        first_name: new.first_name.clone(),
        last_name: new.last_name.clone(),
        created_at: round.now(),
    };
    let mut events = person.decide(command, &round.context)?;
    let mut registered = person.clone();
    for event in &events {
        registered.apply(event, Position::default());
    }
    events.extend(registered.decide(login, &round.context)?);
    Ok(events)
}

/// Judges each field by itself, so that all that are wrong are named, then decides on the whole.
fn decide_profile(person: &User, changes: &ProfileChanges, round: &Round<'_>) -> Result<Vec<UserEvent>, CommandError> {
    let ProfileChanges { first_name, last_name, avatar_url, status, status_text } = changes.clone();
    let profile = |first_name, last_name, avatar_url| UserCommand::UpdateProfile { first_name, last_name, avatar_url };
    let mut wrong = Vec::new();
    let mut judge = |command| match person.decide(command, &round.context) {
        Ok(events) => Ok(events),
        Err(error) => match Refusal::from(error) {
            refusal if refusal.kind == Kind::Invalid => {
                wrong.push(refusal);
                Ok(Vec::new())
            }
            refusal => Err(CommandError::Refused(refusal)),
        },
    };
    judge(profile(first_name.clone(), None, None))?;
    judge(profile(None, last_name.clone(), None))?;
    judge(profile(None, None, avatar_url.clone()))?;
    let mut status_events = Vec::new();
    if status.is_some() || status_text.is_some() {
        status_events = judge(UserCommand::ChangeStatus { status: status.unwrap_or(person.status()), status_text })?;
    }
    if !wrong.is_empty() {
        return Err(CommandError::Invalid(wrong));
    }
    let mut events = person.decide(profile(first_name, last_name, avatar_url), &round.context)?;
    events.extend(status_events);
    Ok(events)
}

async fn prepare(commands: &Commands, opening: &Opening, hashed: &credential::Hashed) -> Result<(), sqlx::Error> {
    let now = commands.now();
    let mut transaction = commands.store.pool().begin().await?;
    credential::store(&mut transaction, opening.user, hashed, now).await?;
    opening.insert(&mut transaction, now).await?;
    transaction.commit().await
}

/// Takes the hash back where the log surely has no such person.
async fn forget_credential(commands: &Commands, user: UserId, error: &CommandError) {
    if error.may_have_been_done() {
        return;
    }
    let removed = match commands.connection().await {
        Ok(mut connection) => credential::remove(&mut connection, user).await.map_err(CommandError::from_database),
        Err(error) => Err(error),
    };
    if let Err(error) = removed {
        tracing::warn!(user.id = %user, %error, "the password of nobody was not removed");
    }
}
