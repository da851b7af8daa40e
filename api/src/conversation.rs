//! Conversations: opening, changing, who is in them, and one's own side of them.

use crate::{
    App,
    caller::Caller,
    envelope::{Deletion, Eventual, Listed, Read, Written},
    extract::{Json, Path, Query},
    fields::{body, query},
    message::{Stretch, timeline},
    page::{self, Page},
    problem::Problem,
    rule,
    slice::Slice,
};
use axum::extract::State;
use commands::conversation::NewGroup;
use domain::{
    ConversationId, MessageId, UserId,
    conversation::{ConversationChanges, ConversationType, History, Role},
};
use projections::{
    conversation::{self, ConversationView, Filter, ParticipantView},
    message::MessageView,
};
use utoipa_axum::routes;

pub(crate) fn slice() -> Slice<App> {
    Slice::new("conversation", "Where people talk: direct, in groups, in channels")
        .with(routes!(list, open))
        .with(routes!(get, update, delete))
        .with(routes!(messages))
        .with(routes!(participants, add_participant))
        .with(routes!(remove_participant, change_participant))
        .with(routes!(mark_read))
        .with(routes!(mark_unread))
}

query! {
    /// Which of one's conversations.
    pub struct Listing {
        r#type: Option<ConversationType>,
        /// A part of the name, without case; of a direct conversation, of the other person's name.
        search: Option<String>,
        /// Whether archived ones are listed too.
        archived: Option<bool>,
        #[param(minimum = 1, maximum = 100, default = 50)]
        limit: Option<u32> => page::limit,
        #[param(minimum = 0, default = 0)]
        offset: Option<u32>,
    }
}

/// The conversations that one is in: pinned first, then by their last message.
#[utoipa::path(get, path = "/conversations", params(Listing), responses(
    (status = 200, description = "A page of them", body = Listed<ConversationView>),
))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(ask): Query<Listing>,
) -> Result<Listed<ConversationView>, Problem> {
    let page = Page::of(ask.limit, ask.offset);
    let filter = Filter { r#type: ask.r#type, search: ask.search, archived: ask.archived.unwrap_or(false) };
    let found = conversation::list(&app.views, caller.user, &filter, page.limit().into(), page.offset().into()).await?;
    Ok(Listed::of(found, page))
}

body! {
    /// A conversation to open.
    pub struct OpenConversation {
        /// `direct` or `group`; channels are opened by `POST /channels`.
        r#type: ConversationType,
        participant_ids: Vec<UserId> => rule::people,
        #[schema(min_length = 1, max_length = 100)]
        name: Option<String> => rule::name,
        avatar_url: Option<String>,
    }
}

/// Opens a conversation. The direct one with a person is one for ever: asked for again, it is found.
#[utoipa::path(post, path = "/conversations", request_body = OpenConversation, responses(
    (status = 201, description = "Opened", body = Written<Eventual<ConversationView>>),
    (status = 200, description = "The direct conversation with this person, which was there", body = Written<Eventual<ConversationView>>),
))]
async fn open(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<OpenConversation>,
) -> Result<Written<Eventual<ConversationView>>, Problem> {
    let done = match body.r#type {
        ConversationType::Direct => {
            let mut others = body.participant_ids;
            others.retain(|id| *id != caller.user);
            others.dedup();
            let [with] = others[..] else {
                return Err(Problem::invalid_field(
                    "participantIds",
                    "invalid",
                    "a direct conversation takes exactly one other person",
                ));
            };
            commands::conversation::open_direct(&app.commands, &caller.order(), with).await?
        }
        ConversationType::Group => {
            let group = NewGroup {
                name: body.name,
                description: None,
                avatar_url: body.avatar_url,
                is_private: true,
                max_members: None,
                participants: body.participant_ids,
            };
            commands::conversation::create_group(&app.commands, &caller.order(), group).await?
        }
        ConversationType::Channel => {
            return Err(Problem::invalid_field("type", "invalid", "channels are opened by POST /channels"));
        }
    };
    answer(&app, &caller, done).await
}

/// A conversation as it is after a change, for the routes of groups and channels too.
pub(crate) async fn answer(
    app: &App,
    caller: &Caller,
    done: commands::Done<ConversationId>,
) -> Result<Written<Eventual<ConversationView>>, Problem> {
    let wrote = caller.settle(done.position, done.created).await;
    Ok(wrote.eventually(conversation::get(&app.views, caller.user, done.value).await?, done.value))
}

/// A conversation as one person sees it, or 404.
pub(crate) async fn seen(app: &App, caller: &Caller, id: ConversationId) -> Result<ConversationView, Problem> {
    let found = conversation::get(&app.views, caller.user, id).await?;
    found.ok_or_else(|| Problem::not_found("there is no such conversation"))
}

/// One conversation.
#[utoipa::path(get, path = "/conversations/{id}", params(("id" = ConversationId, Path)), responses(
    (status = 200, description = "As the caller sees it", body = Read<ConversationView>),
))]
async fn get(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<ConversationId>,
) -> Result<Read<ConversationView>, Problem> {
    Ok(Read::of(seen(&app, &caller, id).await?))
}

body! {
    /// What is to change; what is not named stays, an empty text clears.
    pub struct UpdateConversation {
        #[schema(min_length = 1, max_length = 100)]
        name: Option<String> => rule::name,
        #[schema(max_length = 1_000)]
        description: Option<String>,
        #[schema(max_length = 1_000)]
        topic: Option<String>,
        avatar_url: Option<String>,
        /// Whether who joins later reads what was before: an owner's to say.
        history: Option<History>,
    }
}

impl From<UpdateConversation> for ConversationChanges {
    fn from(body: UpdateConversation) -> Self {
        let UpdateConversation { name, description, topic, avatar_url, history } = body;
        Self { name, description, topic, avatar_url, history }
    }
}

/// Renames or describes a conversation.
#[utoipa::path(put, path = "/conversations/{id}", params(("id" = ConversationId, Path)), request_body = UpdateConversation, responses(
    (status = 200, description = "Changed", body = Written<Eventual<ConversationView>>),
))]
async fn update(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<ConversationId>,
    Json(body): Json<UpdateConversation>,
) -> Result<Written<Eventual<ConversationView>>, Problem> {
    let done = commands::conversation::update(&app.commands, &caller.order(), id, body.into()).await?;
    answer(&app, &caller, done).await
}

/// Deletes a conversation for all who are in it.
#[utoipa::path(delete, path = "/conversations/{id}", params(("id" = ConversationId, Path)), responses(
    (status = 200, description = "Deleted", body = Written<Deletion>),
))]
async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<ConversationId>,
) -> Result<Written<Deletion>, Problem> {
    let done = commands::conversation::delete(&app.commands, &caller.order(), id).await?;
    Ok(caller.settle(done.position, false).await.deleted(id))
}

/// A stretch of a conversation's timeline: the same as `GET /messages/{id}`.
#[utoipa::path(get, path = "/conversations/{id}/messages", params(("id" = ConversationId, Path), Stretch), responses(
    (status = 200, description = "Newest first", body = Listed<MessageView>),
))]
async fn messages(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<ConversationId>,
    Query(stretch): Query<Stretch>,
) -> Result<Listed<MessageView>, Problem> {
    timeline(&app, &caller, id, &stretch).await
}

/// Who is in a conversation, in the order in which they came.
#[utoipa::path(get, path = "/conversations/{id}/participants", params(("id" = ConversationId, Path), Page), responses(
    (status = 200, description = "A page of them", body = Listed<ParticipantView>),
))]
async fn participants(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<ConversationId>,
    Query(page): Query<Page>,
) -> Result<Listed<ParticipantView>, Problem> {
    let found =
        conversation::participants(&app.views, caller.user, id, page.limit().into(), page.offset().into()).await?;
    found.map(|listed| Listed::of(listed, page)).ok_or_else(|| Problem::not_found("there is no such conversation"))
}

body! {
    /// Someone to add.
    pub struct AddParticipant {
        user_id: UserId,
    }
}

/// Adds someone; who is in already stays as they are.
#[utoipa::path(post, path = "/conversations/{id}/participants", params(("id" = ConversationId, Path)), request_body = AddParticipant, responses(
    (status = 201, description = "Added", body = Written<Eventual<ConversationView>>),
    (status = 200, description = "They were in already", body = Written<Eventual<ConversationView>>),
))]
async fn add_participant(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<ConversationId>,
    Json(body): Json<AddParticipant>,
) -> Result<Written<Eventual<ConversationView>>, Problem> {
    let done = commands::conversation::add_participants(&app.commands, &caller.order(), id, vec![body.user_id]).await?;
    answer(&app, &caller, done).await
}

/// Takes someone out of a conversation; oneself: leaves it.
#[utoipa::path(delete, path = "/conversations/{id}/participants/{user_id}", params(
    ("id" = ConversationId, Path), ("user_id" = UserId, Path),
), responses((status = 200, description = "Out", body = Written<Deletion>)))]
async fn remove_participant(
    State(app): State<App>,
    caller: Caller,
    Path((id, user_id)): Path<(ConversationId, UserId)>,
) -> Result<Written<Deletion>, Problem> {
    let done = commands::conversation::remove_participant(&app.commands, &caller.order(), id, user_id).await?;
    Ok(caller.settle(done.position, false).await.deleted(user_id))
}

body! {
    /// A participant's role, which an owner or admin changes, or the caller's own flags.
    pub struct ChangeParticipant {
        role: Option<Role>,
        is_muted: Option<bool>,
        is_pinned: Option<bool>,
    }
}

/// Changes someone's role, or mutes or pins the conversation for oneself.
#[utoipa::path(patch, path = "/conversations/{id}/participants/{user_id}", params(
    ("id" = ConversationId, Path), ("user_id" = UserId, Path),
), request_body = ChangeParticipant, responses((status = 200, description = "Changed", body = Written<Eventual<ConversationView>>)))]
async fn change_participant(
    State(app): State<App>,
    caller: Caller,
    Path((id, user_id)): Path<(ConversationId, UserId)>,
    Json(body): Json<ChangeParticipant>,
) -> Result<Written<Eventual<ConversationView>>, Problem> {
    let ChangeParticipant { role, is_muted, is_pinned } = body;
    let order = caller.order();
    let done = match (role, is_muted.or(is_pinned)) {
        (Some(role), None) => commands::conversation::change_role(&app.commands, &order, id, user_id, role).await?,
        (None, Some(_)) => {
            commands::inbox::change_preference(&app.commands, &order, id, user_id, is_muted, is_pinned).await?
        }
        (Some(_), Some(_)) => {
            return Err(Problem::invalid_field(
                "role",
                "exclusive",
                "change the role and one's own flags one at a time",
            ));
        }
        (None, None) => return Err(Problem::invalid_field("role", "missing", "give a role, isMuted or isPinned")),
    };
    answer(&app, &caller, done).await
}

body! {
    /// A message of the conversation.
    pub struct Mark {
        message_id: MessageId,
    }
}

/// Marks everything up to a message as read, on all devices. Reading never moves the mark back.
#[utoipa::path(post, path = "/conversations/{id}/read", params(("id" = ConversationId, Path)), request_body = Mark, responses(
    (status = 200, description = "The conversation with what is left unread", body = Written<Eventual<ConversationView>>),
))]
async fn mark_read(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<ConversationId>,
    Json(body): Json<Mark>,
) -> Result<Written<Eventual<ConversationView>>, Problem> {
    let done = commands::inbox::mark_read(&app.commands, &caller.order(), id, body.message_id).await?;
    answer(&app, &caller, done).await
}

/// Marks a message and everything after it as unread.
#[utoipa::path(post, path = "/conversations/{id}/unread", params(("id" = ConversationId, Path)), request_body = Mark, responses(
    (status = 200, description = "The conversation with what is unread now", body = Written<Eventual<ConversationView>>),
))]
async fn mark_unread(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<ConversationId>,
    Json(body): Json<Mark>,
) -> Result<Written<Eventual<ConversationView>>, Problem> {
    let done = commands::inbox::mark_unread(&app.commands, &caller.order(), id, body.message_id).await?;
    answer(&app, &caller, done).await
}
