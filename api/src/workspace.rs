//! Workspaces, their invitations by link, and their members' roles.

use crate::{
    App,
    caller::Caller,
    envelope::{Deletion, Eventual, Listed, Read, Written},
    extract::{Json, Path, Query},
    fields::{Fault, body},
    page::Page,
    problem::Problem,
    rule,
    slice::Slice,
};
use axum::extract::State;
use commands::{
    CommandError,
    workspace::{NewInviteLink, NewWorkspace},
};
use domain::{
    Timestamp, UserId, WorkspaceId,
    workspace::{WorkspaceError, WorkspaceRole},
};
use projections::workspace::{self, InviteLinkView, MemberView, WorkspaceView};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub(crate) fn slice() -> Slice<App> {
    Slice::new("workspace", "People who share channels")
        .with(routes!(list, create))
        .with(routes!(get, delete))
        .with(routes!(members))
        .with(routes!(invite_links, create_invite_link))
        .with(routes!(revoke_invite_link))
        .with(routes!(join))
        .with(routes!(change_role))
}

/// The workspaces that one is in.
#[utoipa::path(get, path = "/workspaces", params(Page), responses(
    (status = 200, description = "A page of them", body = Listed<WorkspaceView>),
))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(page): Query<Page>,
) -> Result<Listed<WorkspaceView>, Problem> {
    let found = workspace::list_of(&app.views, caller.user, page.limit().into(), page.offset().into()).await?;
    Ok(Listed::of(found, page))
}

/// A workspace that one is in.
#[utoipa::path(get, path = "/workspaces/{id}", params(("id" = WorkspaceId, Path)), responses(
    (status = 200, description = "The workspace", body = Read<WorkspaceView>),
))]
async fn get(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<WorkspaceId>,
) -> Result<Read<WorkspaceView>, Problem> {
    let found = workspace::get(&app.views, caller.user, id).await?;
    found.map(Read::of).ok_or_else(no_workspace)
}

/// The members of a workspace that one is in.
#[utoipa::path(get, path = "/workspaces/{id}/members", params(("id" = WorkspaceId, Path), Page), responses(
    (status = 200, description = "A page of them, in the order in which they came in", body = Listed<MemberView>),
))]
async fn members(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<WorkspaceId>,
    Query(page): Query<Page>,
) -> Result<Listed<MemberView>, Problem> {
    let found = workspace::members(&app.views, caller.user, id, page.limit().into(), page.offset().into()).await?;
    found.map(|found| Listed::of(found, page)).ok_or_else(no_workspace)
}

fn no_workspace() -> Problem {
    CommandError::from(WorkspaceError::NotFound).into()
}

body! {
    /// A workspace to make.
    pub struct CreateWorkspace {
        #[schema(min_length = 1, max_length = 100)]
        name: String => rule::name,
        #[schema(max_length = 1_000)]
        description: Option<String>,
        avatar_url: Option<String>,
    }
}

/// Makes a workspace.
#[utoipa::path(post, path = "/workspaces", request_body = CreateWorkspace, responses(
    (status = 201, description = "Made, with the caller as its owner", body = Written<Eventual<WorkspaceView>>),
))]
async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<CreateWorkspace>,
) -> Result<Written<Eventual<WorkspaceView>>, Problem> {
    let new = NewWorkspace { name: body.name, description: body.description, avatar_url: body.avatar_url };
    let done = commands::workspace::create(&app.commands, &caller.order(), new).await?;
    answer(&app, &caller, done).await
}

/// Deletes a workspace with all its channels. Its owner may.
#[utoipa::path(delete, path = "/workspaces/{id}", params(("id" = WorkspaceId, Path)), responses(
    (status = 200, description = "Deleted", body = Written<Deletion>),
))]
async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<WorkspaceId>,
) -> Result<Written<Deletion>, Problem> {
    let done = commands::workspace::delete(&app.commands, &caller.order(), id).await?;
    Ok(caller.settle(done.position, false).await.deleted(id))
}

body! {
    /// A link by which people come in.
    pub struct CreateInviteLink {
        /// More than 0, at most 8,760; may be a fraction. For ever where it is not said.
        #[schema(exclusive_minimum = 0.0, maximum = 8760.0)]
        expires_in_hours: Option<f64> => hours,
        #[schema(minimum = 1, maximum = 1_000_000)]
        max_uses: Option<u32>,
        /// What those who come in will be: a member where it is not said.
        role: Option<WorkspaceRole>,
    }
}

/// How one comes in by a link.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Invitation {
    /// Whoever has it may come in. Absent where the key that it was sealed under is gone.
    code: Option<String>,
    url: Option<String>,
    expires_at: Option<Timestamp>,
}

/// A link by which people come in, as those see it who may invite.
#[derive(Serialize, ToSchema)]
pub struct OpenInvitation {
    #[serde(flatten)]
    invitation: Invitation,
    #[serde(flatten)]
    link: InviteLinkView,
}

fn hours(hours: &(impl Copy + Into<Option<f64>>)) -> Result<(), Fault> {
    match (*hours).into() {
        Some(hours) if !(hours > 0.0 && hours <= 8_760.0) => {
            Err(Fault { code: "out_of_range", message: "a number of hours above 0 and at most 8,760 is needed" })
        }
        Some(_) | None => Ok(()),
    }
}

/// The links by which people come in, with their codes. An admin may ask.
#[utoipa::path(get, path = "/workspaces/{id}/invite-links", params(("id" = WorkspaceId, Path), Page), responses(
    (status = 200, description = "A page of them, the newest first", body = Listed<OpenInvitation>),
))]
async fn invite_links(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<WorkspaceId>,
    Query(page): Query<Page>,
) -> Result<Listed<OpenInvitation>, Problem> {
    let role = workspace::role_of(&app.views, id, caller.user).await?.ok_or_else(no_workspace)?;
    if !role.may_invite() {
        return Err(CommandError::from(WorkspaceError::NotAllowed).into());
    }
    let found = workspace::invite_links(&app.views, id, page.limit().into(), page.offset().into()).await?;
    let mut links = Vec::with_capacity(found.items.len());
    for link in found.items {
        links.push(OpenInvitation { invitation: invitation(&app, &link.code_hash, link.expires_at).await?, link });
    }
    Ok(Listed::of(projections::Listed { items: links, has_more: found.has_more, total: found.total }, page))
}

/// Makes a link by which people come in. An admin may.
#[utoipa::path(post, path = "/workspaces/{id}/invite-links", params(("id" = WorkspaceId, Path)), request_body = CreateInviteLink, responses(
    (status = 201, description = "The link with its code", body = Written<Invitation>),
))]
async fn create_invite_link(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<WorkspaceId>,
    Json(body): Json<CreateInviteLink>,
) -> Result<Written<Invitation>, Problem> {
    let role = body.role.unwrap_or_default();
    let new = NewInviteLink { role, lifetime_ms: body.expires_in_hours.map(to_millis), max_uses: body.max_uses };
    let done = commands::workspace::create_invite_link(&app.commands, &caller.order(), id, new).await?;
    let wrote = caller.settle(done.position, done.created).await;
    invitation(&app, &done.value.code_hash, done.value.expires_at).await.map(|made| wrote.answer(made))
}

#[expect(clippy::cast_possible_truncation, reason = "the rule of the field bounds it to a year")]
fn to_millis(hours: f64) -> i64 {
    (hours * 3_600_000.0).ceil() as i64
}

async fn invitation(app: &App, code_hash: &str, expires_at: Option<Timestamp>) -> Result<Invitation, Problem> {
    let code = commands::workspace::invite_code(&app.commands, code_hash).await?;
    let url = code.as_ref().map(|code| format!("{}/join?code={code}", app.web_url.trim_end_matches('/')));
    Ok(Invitation { code, url, expires_at })
}

/// Closes a link: its code opens nothing any more. An admin may.
#[utoipa::path(delete, path = "/workspaces/{id}/invite-links/{code}", params(
    ("id" = WorkspaceId, Path), ("code" = String, Path),
), responses((status = 200, description = "Closed", body = Written<Deletion>)))]
async fn revoke_invite_link(
    State(app): State<App>,
    caller: Caller,
    Path((id, code)): Path<(WorkspaceId, String)>,
) -> Result<Written<Deletion>, Problem> {
    let done = commands::workspace::revoke_invite_link(&app.commands, &caller.order(), id, &code).await?;
    Ok(caller.settle(done.position, false).await.deleted(code))
}

body! {
    /// The code of an invitation.
    pub struct Join {
        code: String,
    }
}

/// Comes into a workspace by the code of an invitation.
#[utoipa::path(post, path = "/workspaces/join", request_body = Join, responses(
    (status = 200, description = "The workspace, which one is in now", body = Written<Eventual<WorkspaceView>>),
))]
async fn join(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<Join>,
) -> Result<Written<Eventual<WorkspaceView>>, Problem> {
    let done = commands::workspace::join(&app.commands, &caller.order(), &body.code).await?;
    answer(&app, &caller, done).await
}

body! {
    /// A member's new role.
    pub struct ChangeRole {
        /// `admin`, `member` or `guest`; the owner's passes on by a transfer.
        role: WorkspaceRole,
    }
}

/// Changes a member's role. An admin may.
#[utoipa::path(patch, path = "/workspaces/{id}/members/{user_id}/role", params(
    ("id" = WorkspaceId, Path), ("user_id" = UserId, Path),
), request_body = ChangeRole, responses((status = 200, description = "Changed", body = Written<Eventual<WorkspaceView>>)))]
async fn change_role(
    State(app): State<App>,
    caller: Caller,
    Path((id, user_id)): Path<(WorkspaceId, UserId)>,
    Json(body): Json<ChangeRole>,
) -> Result<Written<Eventual<WorkspaceView>>, Problem> {
    let done = commands::workspace::change_role(&app.commands, &caller.order(), id, user_id, body.role).await?;
    answer(&app, &caller, done).await
}

async fn answer(
    app: &App,
    caller: &Caller,
    done: commands::Done<WorkspaceId>,
) -> Result<Written<Eventual<WorkspaceView>>, Problem> {
    let wrote = caller.settle(done.position, done.created).await;
    Ok(wrote.eventually(workspace::get(&app.views, caller.user, done.value).await?, done.value))
}
