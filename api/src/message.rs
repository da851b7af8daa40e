//! Messages: the timeline and what is done to one message.

use crate::{
    App,
    caller::Caller,
    envelope::{Deletion, Eventual, Listed, Read, Written},
    extract::{Json, Path, Query},
    fields::{Fault, body, query},
    page::{self, Page},
    problem::Problem,
    rule,
    slice::Slice,
};
use axum::extract::State;
use commands::message::Draft;
use domain::{ConversationId, MessageId, ReactionId, message::MessageType};
use projections::message::{self, Cursor, MessageView, PinView, ReadView, VersionView};
use utoipa_axum::routes;

pub(crate) fn slice() -> Slice<App> {
    Slice::new("message", "What people say")
        .with(routes!(send))
        .with(routes!(list))
        .with(routes!(edit, delete))
        .with(routes!(react))
        .with(routes!(unreact))
        .with(routes!(pin, unpin))
        .with(routes!(pins))
        .with(routes!(history))
        .with(routes!(reads))
        .with(routes!(thread))
}

body! {
    /// A message to send.
    pub struct SendMessage {
        conversation_id: ConversationId,
        #[schema(min_length = 1, max_length = 40_000)]
        content: String => rule::content,
        r#type: Option<MessageType>,
        /// The message of the same conversation that this one answers.
        reply_to_id: Option<MessageId>,
        /// Files. There are none yet, so none can be named.
        #[schema(max_items = 0)]
        #[expect(dead_code, reason = "its rule is all that is done with it")]
        attachments: Option<Vec<uuid::Uuid>> => no_attachments,
        /// A time to send it at. Messages are sent at once yet, so none can be given.
        #[expect(dead_code, reason = "its rule is all that is done with it")]
        scheduled_for: Option<serde_json::Value> => not_yet,
        /// A poll. There are none yet, so none can be given.
        #[expect(dead_code, reason = "its rule is all that is done with it")]
        poll: Option<serde_json::Value> => not_yet,
        /// The sender's own name for it, 1 to 128 characters: sent again with the same one, it is the same message.
        client_message_id: Option<String>,
    }
}

#[expect(clippy::ref_option, reason = "a rule is given the field as it is")]
fn no_attachments(attachments: &Option<Vec<uuid::Uuid>>) -> Result<(), Fault> {
    match attachments {
        Some(files) if !files.is_empty() => Err(Fault { code: "not_found", message: "there is no such file" }),
        Some(_) | None => Ok(()),
    }
}

/// Better refused than sent without what was asked for.
#[expect(clippy::ref_option, reason = "a rule is given the field as it is")]
fn not_yet(field: &Option<serde_json::Value>) -> Result<(), Fault> {
    match field {
        Some(value) if !value.is_null() => {
            Err(Fault { code: "not_supported", message: "this server can't do that yet: leave the field out" })
        }
        Some(_) | None => Ok(()),
    }
}

/// Sends a message.
#[utoipa::path(post, path = "/messages", request_body = SendMessage, responses(
    (status = 201, description = "Sent: it is in the log", body = Written<Eventual<MessageView>>),
    (status = 200, description = "It had been sent before, under the same clientMessageId", body = Written<Eventual<MessageView>>),
))]
async fn send(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<SendMessage>,
) -> Result<Written<Eventual<MessageView>>, Problem> {
    let draft = Draft {
        conversation: body.conversation_id,
        content: body.content,
        r#type: body.r#type.unwrap_or_default(),
        reply_to: body.reply_to_id,
        client_message_id: body.client_message_id,
    };
    let done = commands::message::send(&app.commands, &caller.order(), draft).await?;
    let wrote = caller.settle(done.position, done.created).await;
    Ok(wrote.eventually(message::get(&app.views, caller.user, done.value).await?, done.value))
}

query! {
    /// Which stretch of a timeline. At most one of `before`, `after` and `around`.
    pub struct Stretch {
        #[param(minimum = 1, maximum = 100, default = 50)]
        limit: Option<u32> => page::limit,
        #[param(minimum = 0, default = 0)]
        offset: Option<u32>,
        /// The messages just before this one.
        before: Option<MessageId>,
        /// The messages just after this one.
        after: Option<MessageId>,
        /// This message and its neighbours on both sides.
        around: Option<MessageId>,
    }
}

impl Stretch {
    fn cursor(&self) -> Result<Cursor, Problem> {
        if self.offset.is_some() && (self.before.or(self.after).or(self.around)).is_some() {
            return Err(Problem::invalid_field(
                "offset",
                "exclusive",
                "an offset goes without before, after and around",
            ));
        }
        match (self.before, self.after, self.around) {
            (None, None, None) => Ok(Cursor::Offset(i64::from(self.offset.unwrap_or(0)))),
            (Some(before), None, None) => Ok(Cursor::Before(before)),
            (None, Some(after), None) => Ok(Cursor::After(after)),
            (None, None, Some(around)) => Ok(Cursor::Around(around)),
            _ => Err(Problem::invalid_field("before", "exclusive", "give at most one of before, after and around")),
        }
    }
}

/// A stretch of a conversation's timeline, newest first.
#[utoipa::path(get, path = "/messages/{id}", operation_id = "list", params(("id" = ConversationId, Path, description = "The conversation"), Stretch), responses(
    (status = 200, description = "Newest first, whichever way the cursor points", body = Listed<MessageView>),
))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<ConversationId>,
    Query(stretch): Query<Stretch>,
) -> Result<Listed<MessageView>, Problem> {
    timeline(&app, &caller, id, &stretch).await
}

/// For `GET /conversations/{id}/messages` too.
pub(crate) async fn timeline(
    app: &App,
    caller: &Caller,
    id: ConversationId,
    stretch: &Stretch,
) -> Result<Listed<MessageView>, Problem> {
    let page = Page::of(stretch.limit, stretch.offset);
    let cursor = stretch.cursor()?;
    let found = message::page(&app.views, caller.user, id, cursor, page.limit().into()).await?;
    Ok(match cursor {
        Cursor::Offset(_) => Listed::page(found.messages, page, found.has_more),
        Cursor::Before(_) | Cursor::After(_) | Cursor::Around(_) => {
            Listed::cursor(found.messages, page.limit(), found.has_more)
        }
    })
}

body! {
    /// A message's new text.
    pub struct EditMessage {
        #[schema(min_length = 1, max_length = 40_000)]
        content: String => rule::content,
    }
}

/// Changes the text of a message of one's own.
#[utoipa::path(put, path = "/messages/{id}", params(("id" = MessageId, Path)), request_body = EditMessage, responses(
    (status = 200, description = "Changed; the earlier wording is in its history", body = Written<Eventual<MessageView>>),
))]
async fn edit(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<MessageId>,
    Json(body): Json<EditMessage>,
) -> Result<Written<Eventual<MessageView>>, Problem> {
    let done = commands::message::edit(&app.commands, &caller.order(), id, body.content).await?;
    let wrote = caller.settle(done.position, done.created).await;
    Ok(wrote.eventually(message::get(&app.views, caller.user, id).await?, id))
}

/// Deletes a message: one's own, or as an admin of its conversation. A tombstone stays, the text is gone.
#[utoipa::path(delete, path = "/messages/{id}", params(("id" = MessageId, Path)), responses(
    (status = 200, description = "Deleted, now or before", body = Written<Deletion>),
))]
async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<MessageId>,
) -> Result<Written<Deletion>, Problem> {
    let done = commands::message::delete(&app.commands, &caller.order(), id).await?;
    Ok(caller.settle(done.position, false).await.deleted(id))
}

body! {
    /// A reaction.
    pub struct React {
        /// One emoji, or a custom one as `:name:`.
        emoji: String,
    }
}

/// Puts an emoji on a message. The same one twice is one reaction.
#[utoipa::path(post, path = "/messages/{id}/react", params(("id" = MessageId, Path)), request_body = React, responses(
    (status = 201, description = "The message with the new reaction", body = Written<Eventual<MessageView>>),
    (status = 200, description = "One's reaction was there already", body = Written<Eventual<MessageView>>),
))]
async fn react(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<MessageId>,
    Json(body): Json<React>,
) -> Result<Written<Eventual<MessageView>>, Problem> {
    let done = commands::message::react(&app.commands, &caller.order(), id, body.emoji).await?;
    let wrote = caller.settle(done.position, done.created).await;
    Ok(wrote.eventually(message::get(&app.views, caller.user, id).await?, id))
}

/// Takes one's reaction back.
#[utoipa::path(delete, path = "/messages/{id}/reactions/{reaction_id}", params(
    ("id" = MessageId, Path), ("reaction_id" = ReactionId, Path, description = "As `reactionId` of one's own reaction"),
), responses((status = 200, description = "Taken back", body = Written<Deletion>)))]
async fn unreact(
    State(app): State<App>,
    caller: Caller,
    Path((id, reaction_id)): Path<(MessageId, ReactionId)>,
) -> Result<Written<Deletion>, Problem> {
    let done = commands::message::unreact(&app.commands, &caller.order(), id, reaction_id).await?;
    Ok(caller.settle(done.position, false).await.deleted(reaction_id))
}

/// Pins a message, for all who are in its conversation. Whoever takes part may.
#[utoipa::path(post, path = "/messages/{id}/pin", params(("id" = MessageId, Path)), responses(
    (status = 201, description = "The message, now pinned", body = Written<Eventual<MessageView>>),
    (status = 200, description = "It was pinned already", body = Written<Eventual<MessageView>>),
))]
async fn pin(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<MessageId>,
) -> Result<Written<Eventual<MessageView>>, Problem> {
    let done = commands::message::pin(&app.commands, &caller.order(), id).await?;
    let wrote = caller.settle(done.position, done.created).await;
    Ok(wrote.eventually(message::get(&app.views, caller.user, id).await?, id))
}

/// Unpins a message, whoever pinned it.
#[utoipa::path(delete, path = "/messages/{id}/pin", params(("id" = MessageId, Path)), responses(
    (status = 200, description = "The message, not pinned, now or before", body = Written<Eventual<MessageView>>),
))]
async fn unpin(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<MessageId>,
) -> Result<Written<Eventual<MessageView>>, Problem> {
    let done = commands::message::unpin(&app.commands, &caller.order(), id).await?;
    let wrote = caller.settle(done.position, false).await;
    Ok(wrote.eventually(message::get(&app.views, caller.user, id).await?, id))
}

/// What is pinned in a conversation.
#[utoipa::path(get, path = "/conversations/{id}/pins", params(("id" = ConversationId, Path), Page), responses(
    (status = 200, description = "The newest pin first", body = Listed<PinView>),
))]
async fn pins(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<ConversationId>,
    Query(page): Query<Page>,
) -> Result<Listed<PinView>, Problem> {
    let found = message::pins(&app.views, caller.user, id, page.limit().into(), page.offset().into()).await?;
    found.map(|listed| Listed::of(listed, page)).ok_or_else(|| Problem::not_found("there is no such conversation"))
}

/// Earlier wordings of a message, the newest last; what it says now is not among them. Empty once it is deleted.
#[utoipa::path(get, path = "/messages/{id}/history", params(("id" = MessageId, Path)), responses(
    (status = 200, description = "The wordings", body = Read<Vec<VersionView>>),
))]
async fn history(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<MessageId>,
) -> Result<Read<Vec<VersionView>>, Problem> {
    let versions = message::history(&app.views, caller.user, id).await?;
    versions.map(Read::of).ok_or_else(|| Problem::not_found("there is no such message"))
}

/// Who has read a message.
#[utoipa::path(get, path = "/messages/{id}/reads", params(("id" = MessageId, Path), Page), responses(
    (status = 200, description = "The readers, without the sender", body = Listed<ReadView>),
))]
async fn reads(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<MessageId>,
    Query(page): Query<Page>,
) -> Result<Listed<ReadView>, Problem> {
    let found = message::reads(&app.views, caller.user, id, page.limit().into(), page.offset().into()).await?;
    found.map(|listed| Listed::of(listed, page)).ok_or_else(|| Problem::not_found("there is no such message"))
}

query! {
    /// A part of a thread.
    pub struct ThreadPart {
        #[param(minimum = 1, maximum = 100, default = 50)]
        limit: Option<u32> => page::limit,
        /// The answers after this one.
        after: Option<MessageId>,
    }
}

/// The answers in the thread that begins with a message, in their order.
#[utoipa::path(get, path = "/messages/{id}/thread", params(("id" = MessageId, Path), ThreadPart), responses(
    (status = 200, description = "The answers", body = Listed<MessageView>),
))]
async fn thread(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<MessageId>,
    Query(part): Query<ThreadPart>,
) -> Result<Listed<MessageView>, Problem> {
    let limit = Page::of(part.limit, None).limit();
    let found = message::thread(&app.views, caller.user, id, limit.into(), part.after).await?;
    Ok(Listed::cursor(found.messages, limit, found.has_more))
}
