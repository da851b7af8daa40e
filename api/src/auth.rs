//! Signing up, in and out, and the sessions that follow from it.

use crate::{
    App, Caller, Problem,
    envelope::{Deletion, Eventual, Listed, Read, Written},
    extract::{Json, Path, Query},
    fields::{Fault, body},
    guest::Guest,
    page::Page,
    problem::ProblemBody,
    rule::{self, Text},
    slice::Slice,
};
use axum::extract::State;
use commands::{Done, Password, RefreshToken, session, user::NewUser};
use domain::{SessionId, Timestamp};
use projections::user::UserView;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub(crate) fn slice() -> Slice<App> {
    Slice::new("auth", "Signing up, in and out, and the sessions that follow from it")
        .with(routes!(register))
        .with(routes!(login))
        .with(routes!(refresh))
        .with(routes!(logout))
        .with(routes!(sessions))
        .with(routes!(end_session))
}

body! {
    /// Who wants an account.
    pub(crate) struct Register {
        /// Unique without case.
        #[schema(format = Email, max_length = 254)]
        email: String => rule::email,
        /// Not a common one.
        #[schema(format = Password, min_length = 8, max_length = 128)]
        password: String => password,
        /// 3 to 32 of `a-z 0-9 . _ -`; unique.
        #[schema(pattern = "^[a-z0-9._-]{3,32}$")]
        username: String => rule::username,
        #[schema(min_length = 1, max_length = 100)]
        first_name: String => rule::name,
        #[schema(min_length = 1, max_length = 100)]
        last_name: String => rule::name,
    }
}

body! {
    pub(crate) struct Login {
        email: String,
        #[schema(format = Password)]
        password: String,
    }
}

body! {
    pub(crate) struct Refresh {
        refresh_token: String,
    }
}

body! {
    pub(crate) struct Logout {
        /// Read and not needed: the session is the access token's.
        #[expect(dead_code, reason = "the contract names it")]
        refresh_token: Option<String>,
    }
}

/// Someone signed in.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SignedIn {
    user: Eventual<UserView>,
    #[serde(flatten)]
    tokens: Tokens,
}

/// What keeps someone signed in.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tokens {
    /// A JWT for `Authorization: Bearer`.
    access_token: String,
    /// Good for one refresh.
    refresh_token: String,
    /// Seconds for which the access token is good.
    #[schema(minimum = 1)]
    expires_in: u64,
}

/// A device where one is signed in.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Session {
    id: SessionId,
    /// What it called itself when it signed in.
    device: Option<String>,
    /// From where it signed in.
    address: Option<String>,
    created_at: Timestamp,
    /// To the minute.
    last_used_at: Timestamp,
    /// Whether it is the one that asks.
    current: bool,
}

/// The session that has ended.
#[derive(Serialize, ToSchema)]
pub(crate) struct LoggedOut {
    id: SessionId,
}

/// Makes an account and signs its owner in.
#[utoipa::path(
    post,
    path = "/auth/register",
    security(()),
    request_body = Register,
    responses(
        (status = 201, description = "The account", body = Written<SignedIn>),
        (status = 409, description = "`email_taken` or `username_taken`", body = ProblemBody,
         content_type = "application/problem+json"),
    ),
)]
async fn register(
    State(app): State<App>,
    guest: Guest,
    Json(new): Json<Register>,
) -> Result<Written<SignedIn>, Problem> {
    let Register { email, password, username, first_name, last_name } = new;
    let new = NewUser { email, password: Password::new(&password), username, first_name, last_name };
    let done = commands::user::register(&app.commands, &guest.visitor(), new).await?;
    signed_in(&app, &guest, done).await
}

/// Signs someone in. An unknown address and a wrong password are answered alike.
#[utoipa::path(
    post,
    path = "/auth/login",
    security(()),
    request_body = Login,
    responses(
        (status = 200, description = "A new session", body = Written<SignedIn>),
        (status = 401, description = "`invalid_credentials`", body = ProblemBody,
         content_type = "application/problem+json"),
    ),
)]
async fn login(State(app): State<App>, guest: Guest, Json(body): Json<Login>) -> Result<Written<SignedIn>, Problem> {
    let password = Password::new(&body.password);
    let done = session::login(&app.commands, &guest.visitor(), &body.email, &password).await?;
    signed_in(&app, &guest, done).await
}

/// Exchanges a refresh token for a new pair, once. A used one that comes again ends the session where its successor
/// has been used too.
#[utoipa::path(
    post,
    path = "/auth/refresh",
    security(()),
    request_body = Refresh,
    responses(
        (status = 200, description = "A new pair", body = Read<Tokens>),
        (status = 401, description = "`invalid_refresh_token`", body = ProblemBody,
         content_type = "application/problem+json"),
    ),
)]
async fn refresh(State(app): State<App>, guest: Guest, Json(body): Json<Refresh>) -> Result<Read<Tokens>, Problem> {
    let presented = RefreshToken::presented(body.refresh_token);
    let tokens = session::refresh(&app.commands, &guest.visitor(), &presented).await?;
    Ok(Read::of(tokens.into()))
}

/// Ends the session that asks: its access tokens and its refresh token end at once.
#[utoipa::path(
    post,
    path = "/auth/logout",
    request_body = Logout,
    responses((status = 200, description = "The session has ended", body = Written<LoggedOut>)),
)]
async fn logout(
    caller: Caller,
    State(app): State<App>,
    Json(_unneeded): Json<Logout>,
) -> Result<Written<LoggedOut>, Problem> {
    let done = session::logout(&app.commands, &caller.order()).await?;
    let wrote = caller.settle(done.position, done.created).await;
    Ok(wrote.answer(LoggedOut { id: done.value }))
}

/// One's own living sessions, the last used first.
#[utoipa::path(
    get,
    path = "/auth/sessions",
    params(Page),
    responses((status = 200, description = "Sessions", body = Listed<Session>)),
)]
async fn sessions(
    caller: Caller,
    State(app): State<App>,
    Query(page): Query<Page>,
) -> Result<Listed<Session>, Problem> {
    let (limit, offset) = (i64::from(page.limit()) + 1, i64::from(page.offset()));
    let found = session::list(&app.commands, caller.user, limit, offset).await?;
    let found = found.into_iter().map(|session| Session {
        id: session.id,
        device: session.device,
        address: session.address,
        created_at: session.created_at,
        last_used_at: session.last_used_at,
        current: session.id == caller.session,
    });
    Ok(Listed::one_more(found.collect(), page))
}

/// Ends one of one's own sessions: its access tokens and its refresh token end at once.
#[utoipa::path(
    delete,
    path = "/auth/sessions/{id}",
    params(("id" = SessionId, Path, description = "A session's id, the `sid` of its tokens")),
    responses((status = 200, description = "The session has ended", body = Written<Deletion>)),
)]
async fn end_session(
    caller: Caller,
    State(app): State<App>,
    Path(id): Path<SessionId>,
) -> Result<Written<Deletion>, Problem> {
    let done = session::end(&app.commands, &caller.order(), id).await?;
    let wrote = caller.settle(done.position, done.created).await;
    Ok(wrote.deleted(id))
}

async fn signed_in(app: &App, guest: &Guest, done: Done<session::SignedIn>) -> Result<Written<SignedIn>, Problem> {
    let session::SignedIn { user, tokens, .. } = done.value;
    let wrote = guest.settle(done.position, done.created).await;
    let view = projections::user::own(&app.views, user).await?;
    let user = view.map_or_else(|| Eventual::Later { id: user.to_string() }, Eventual::Now);
    Ok(wrote.answer(SignedIn { user, tokens: tokens.into() }))
}

impl From<session::Tokens> for Tokens {
    fn from(tokens: session::Tokens) -> Self {
        Self {
            access_token: tokens.access,
            refresh_token: tokens.refresh.reveal().to_owned(),
            expires_in: tokens.expires_in.as_secs(),
        }
    }
}

fn password(field: &impl Text) -> Result<(), Fault> {
    let weakness = field.text().and_then(|text| Password::new(text).weakness());
    weakness.map_or(Ok(()), |weakness| Err(Fault { code: weakness.code(), message: weakness.message() }))
}
