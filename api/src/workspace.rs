//! Workspaces, their invitations by link, and their members' roles.

use crate::{
    App,
    caller::Caller,
    envelope::{Deletion, Eventual, Listed, Written},
    extract::{Json, Path, Query},
    fields::{Fault, body},
    page::Page,
    problem::Problem,
    rule,
    slice::Slice,
};
use axum::extract::State;
use commands::workspace::{InviteLinkId, NewInviteLink, NewWorkspace};
use domain::{Timestamp, UserId, WorkspaceId, workspace::WorkspaceRole};
use projections::workspace::{self, WorkspaceView};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub(crate) fn slice() -> Slice<App> {
    Slice::new("workspace", "People who share channels")
        .with(routes!(list, create))
        .with(routes!(delete))
        .with(routes!(create_invite_link))
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

/// An invitation that was made.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Invitation {
    /// Whoever has it may come in.
    code: Option<String>,
    url: Option<String>,
    expires_at: Option<Timestamp>,
    max_uses: Option<u32>,
    role: WorkspaceRole,
}

fn hours(hours: &(impl Copy + Into<Option<f64>>)) -> Result<(), Fault> {
    match (*hours).into() {
        Some(hours) if !(hours > 0.0 && hours <= 8_760.0) => {
            Err(Fault { code: "out_of_range", message: "a number of hours above 0 and at most 8,760 is needed" })
        }
        Some(_) | None => Ok(()),
    }
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
    invitation(&app, done.value, role, body.max_uses).await.map(|link| wrote.answer(link))
}

#[expect(clippy::cast_possible_truncation, reason = "the rule of the field bounds it to a year")]
fn to_millis(hours: f64) -> i64 {
    (hours * 3_600_000.0).ceil() as i64
}

async fn invitation(
    app: &App,
    link: InviteLinkId,
    role: WorkspaceRole,
    max_uses: Option<u32>,
) -> Result<Invitation, Problem> {
    let code = commands::workspace::invite_code(&app.commands, &link).await?;
    let url = code.as_ref().map(|code| format!("{}/join?code={code}", app.web_url.trim_end_matches('/')));
    Ok(Invitation { code, url, expires_at: link.expires_at, max_uses, role })
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
