//! Channels: conversations of a workspace.

use crate::{
    App,
    caller::Caller,
    conversation::answer,
    envelope::{Eventual, Written},
    extract::{Json, Path},
    fields::body,
    problem::Problem,
    rule,
    slice::Slice,
};
use axum::extract::State;
use commands::conversation::NewChannel;
use domain::{ConversationId, WorkspaceId};
use projections::conversation::ConversationView;
use utoipa_axum::routes;

pub(crate) fn slice() -> Slice<App> {
    Slice::new("channel", "Conversations of a workspace").with(routes!(create)).with(routes!(subscribe, unsubscribe))
}

body! {
    /// A channel to make.
    pub struct CreateChannel {
        workspace_id: WorkspaceId,
        /// Unique in its workspace, without case.
        #[schema(min_length = 1, max_length = 100)]
        name: String => rule::name,
        #[schema(max_length = 1_000)]
        description: Option<String>,
        is_private: Option<bool>,
    }
}

/// Makes a channel. Any member of the workspace but a guest may.
#[utoipa::path(post, path = "/channels", request_body = CreateChannel, responses(
    (status = 201, description = "Made, with the caller as its owner", body = Written<Eventual<ConversationView>>),
))]
async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<CreateChannel>,
) -> Result<Written<Eventual<ConversationView>>, Problem> {
    let channel = NewChannel {
        workspace: body.workspace_id,
        name: body.name,
        description: body.description,
        is_private: body.is_private.unwrap_or(false),
    };
    let done = commands::conversation::create_channel(&app.commands, &caller.order(), channel).await?;
    answer(&app, &caller, done).await
}

/// Joins a public channel of a workspace that one is in.
#[utoipa::path(post, path = "/channels/{id}/subscribe", params(("id" = ConversationId, Path)), responses(
    (status = 201, description = "In", body = Written<Eventual<ConversationView>>),
    (status = 200, description = "One was in already", body = Written<Eventual<ConversationView>>),
))]
async fn subscribe(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<ConversationId>,
) -> Result<Written<Eventual<ConversationView>>, Problem> {
    let done = commands::conversation::subscribe(&app.commands, &caller.order(), id).await?;
    answer(&app, &caller, done).await
}

/// Leaves a channel.
#[utoipa::path(delete, path = "/channels/{id}/subscribe", params(("id" = ConversationId, Path)), responses(
    (status = 200, description = "Out; a public channel is still there to be read", body = Written<Eventual<ConversationView>>),
))]
async fn unsubscribe(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<ConversationId>,
) -> Result<Written<Eventual<ConversationView>>, Problem> {
    let done = commands::conversation::unsubscribe(&app.commands, &caller.order(), id).await?;
    answer(&app, &caller, done).await
}
