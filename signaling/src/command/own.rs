//! Orders about oneself and one's own socket: tokens, resuming, what is shown, presence, typing.

use super::{Answer, Order};
use crate::{delivery::Start, greeting, outbox::Item, problem, typing};
use commands::{
    Problem,
    user::{ProfileChanges, update_profile},
};
use domain::{ConversationId, UserId, conversation::Conversation, user::Status};
use event_store::Loaded;
use serde_json::json;

/// People whose presence one socket may ask for at once.
const WATCHED_MAX: usize = 500;
/// Conversations that a client can show at once.
const SHOWN_MAX: usize = 8;

pub(super) async fn refresh(order: Order<'_>) -> Result<Answer, Problem> {
    let mut fields = order.fields()?;
    let token: Option<String> = fields.take("token");
    let token = fields.finish(token)?;
    let claims = greeting::authenticate(order.signaling, &token).await?;
    // A socket stays its person's and, for it ends with it, its session's.
    if (claims.sub, claims.sid) != (order.socket.user, order.socket.session) {
        return Err(Problem::new(403, "not_allowed", "the token is of another session"));
    }
    order.socket.renew(&claims);
    Ok(Answer::json(&json!({"expiresAt": domain::Timestamp(claims.exp.saturating_mul(1_000))})))
}

pub(super) fn resume(order: &Order<'_>) -> Result<Answer, Problem> {
    let mut fields = order.fields()?;
    let (position, log_id) = (fields.take::<u64>("position"), fields.maybe("logId"));
    let position = fields.finish(position)?;
    order.socket.outbox.push(Item::Resume(Start { position: Some(position), log_id }));
    Ok(Answer::empty())
}

pub(super) fn show(order: &Order<'_>) -> Result<Answer, Problem> {
    let mut fields = order.fields()?;
    let conversations = fields.list("conversationIds", SHOWN_MAX);
    let conversations = fields.finish(conversations)?;
    // Whether they may is asked when there is something to tell.
    order.signaling.sockets().show(order.socket, conversations);
    Ok(Answer::empty())
}

/// Only those who share something are told of, now and later.
pub(super) async fn watch(order: Order<'_>) -> Result<Answer, Problem> {
    let mut fields = order.fields()?;
    let users: Option<Vec<UserId>> = fields.list("userIds", WATCHED_MAX);
    let users = fields.finish(users)?;
    order.signaling.sockets().watch(order.socket, users.clone());
    let seen = crate::presence::seen_by(order.signaling, order.socket.user, &users).await.map_err(problem::of_views)?;
    Ok(Answer::json(&seen))
}

pub(super) async fn status(order: Order<'_>) -> Result<Answer, Problem> {
    let mut fields = order.fields()?;
    let (status, status_text) = (fields.take("status"), fields.maybe("statusText"));
    if status == Some(Status::Offline) {
        fields.wrong("status", "invalid", "online, away or busy");
    }
    let status: Status = fields.finish(status)?;
    let changes = ProfileChanges { status: Some(status), status_text, ..ProfileChanges::default() };
    let done = update_profile(order.signaling.commands(), &order.caller(), order.socket.user, changes).await?;
    Ok(Answer::json(&json!({"status": status, "position": done.position})))
}

pub(super) async fn typing(order: Order<'_>, is_typing: bool) -> Result<Answer, Problem> {
    let mut fields = order.fields()?;
    let id: Option<ConversationId> = fields.take("conversationId");
    let id = fields.finish(id)?;
    // Nothing is appended that would guard what a memory says, so the stream itself is asked.
    let store = order.signaling.commands().store();
    let conversation: Loaded<Conversation> = store.refresh_cached(id).await?;
    conversation
        .state
        .require_participant(order.socket.user)
        .map_err(|error| Problem::from(domain::Refusal::from(error)))?;
    typing::tell(order.signaling, order.socket, id, conversation.state.participant_count(), is_typing);
    Ok(Answer::empty())
}
