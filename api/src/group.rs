//! Groups: conversations of type group, by the paths that clients of groups know.

use crate::{
    App,
    caller::Caller,
    conversation::{UpdateConversation, answer, seen},
    envelope::{Deletion, Eventual, Read, Written},
    extract::{Json, Path},
    fields::{Fault, body},
    problem::Problem,
    rule,
    slice::Slice,
};
use axum::extract::State;
use commands::conversation::NewGroup;
use domain::{ConversationId, UserId, conversation::ConversationType};
use projections::conversation::ConversationView;
use utoipa_axum::routes;

pub(crate) fn slice() -> Slice<App> {
    Slice::new("group", "Conversations of several people outside workspaces")
        .with(routes!(create))
        .with(routes!(get, update))
        .with(routes!(add_members))
        .with(routes!(remove_member))
}

body! {
    /// A group to make.
    pub struct CreateGroup {
        #[schema(min_length = 1, max_length = 100)]
        name: String => rule::name,
        #[schema(max_length = 1_000)]
        description: Option<String>,
        avatar_url: Option<String>,
        /// Who is in besides the caller. Naming oneself or someone twice is harmless.
        participant_ids: Vec<UserId> => rule::people,
        is_private: Option<bool>,
        /// The caller counted; 1,000 where it is not said.
        #[schema(minimum = 1, maximum = 100_000)]
        max_members: Option<u32>,
    }
}

/// Makes a group. One unknown person refuses the whole.
#[utoipa::path(post, path = "/groups", request_body = CreateGroup, responses(
    (status = 201, description = "Made, with the caller as its owner", body = Written<Eventual<ConversationView>>),
))]
async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<CreateGroup>,
) -> Result<Written<Eventual<ConversationView>>, Problem> {
    let group = NewGroup {
        name: Some(body.name),
        description: body.description,
        avatar_url: body.avatar_url,
        is_private: body.is_private.unwrap_or(true),
        max_members: body.max_members,
        participants: body.participant_ids,
    };
    let done = commands::conversation::create_group(&app.commands, &caller.order(), group).await?;
    answer(&app, &caller, done).await
}

/// One group.
#[utoipa::path(get, path = "/groups/{id}", params(("id" = ConversationId, Path)), responses(
    (status = 200, description = "As the caller sees it", body = Read<ConversationView>),
))]
async fn get(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<ConversationId>,
) -> Result<Read<ConversationView>, Problem> {
    Ok(Read::of(require_group(&app, &caller, id).await?))
}

/// Renames or describes a group.
#[utoipa::path(put, path = "/groups/{id}", params(("id" = ConversationId, Path)), request_body = UpdateConversation, responses(
    (status = 200, description = "Changed", body = Written<Eventual<ConversationView>>),
))]
async fn update(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<ConversationId>,
    Json(body): Json<UpdateConversation>,
) -> Result<Written<Eventual<ConversationView>>, Problem> {
    require_group(&app, &caller, id).await?;
    let done = commands::conversation::update(&app.commands, &caller.order(), id, body.into()).await?;
    answer(&app, &caller, done).await
}

body! {
    /// People to add.
    pub struct AddMembers {
        #[schema(min_items = 1)]
        user_ids: Vec<UserId> => some_people,
    }
}

fn some_people(people: &Vec<UserId>) -> Result<(), Fault> {
    if people.is_empty() {
        return Err(Fault { code: "missing", message: "name at least one person" });
    }
    rule::people(people)
}

/// Adds people, all or none.
#[utoipa::path(post, path = "/groups/{id}/members", params(("id" = ConversationId, Path)), request_body = AddMembers, responses(
    (status = 201, description = "Added", body = Written<Eventual<ConversationView>>),
    (status = 200, description = "They were in already", body = Written<Eventual<ConversationView>>),
))]
async fn add_members(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<ConversationId>,
    Json(body): Json<AddMembers>,
) -> Result<Written<Eventual<ConversationView>>, Problem> {
    require_group(&app, &caller, id).await?;
    let done = commands::conversation::add_participants(&app.commands, &caller.order(), id, body.user_ids).await?;
    answer(&app, &caller, done).await
}

/// Takes someone out of a group; oneself: leaves it.
#[utoipa::path(delete, path = "/groups/{id}/members/{user_id}", params(
    ("id" = ConversationId, Path), ("user_id" = UserId, Path),
), responses((status = 200, description = "Out", body = Written<Deletion>)))]
async fn remove_member(
    State(app): State<App>,
    caller: Caller,
    Path((id, user_id)): Path<(ConversationId, UserId)>,
) -> Result<Written<Deletion>, Problem> {
    require_group(&app, &caller, id).await?;
    let done = commands::conversation::remove_participant(&app.commands, &caller.order(), id, user_id).await?;
    Ok(caller.settle(done.position, false).await.deleted(user_id))
}

/// A conversation of another type is not found among the groups.
async fn require_group(app: &App, caller: &Caller, id: ConversationId) -> Result<ConversationView, Problem> {
    let group = seen(app, caller, id).await?;
    match group.r#type {
        ConversationType::Group => Ok(group),
        ConversationType::Direct | ConversationType::Channel => Err(Problem::not_found("there is no such group")),
    }
}
