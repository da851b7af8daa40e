//! Orders about messages.

use super::{Answer, Order};
use crate::{problem, server::Signaling};
use bytes::Bytes;
use commands::{
    CommandError, Done, Problem, inbox,
    message::{self, Changed, Draft},
};
use domain::{ConversationId, MessageId, Position, UserId, message::Message};
use event_store::Loaded;
use serde_json::json;
use std::time::Duration;
use uuid::Uuid;

pub(super) async fn send(order: Order<'_>) -> Result<Answer, Problem> {
    let mut fields = order.fields()?;
    let (conversation, content) = (fields.take("conversationId"), fields.content());
    let (r#type, reply_to) = (fields.maybe("type"), fields.maybe("replyToId"));
    let client_message_id = fields.maybe("clientMessageId");
    let attachments: Option<Vec<Uuid>> = fields.maybe("attachments");
    if attachments.is_some_and(|files| !files.is_empty()) {
        fields.wrong("attachments", "not_found", "there is no such file");
    }
    let (conversation, content) = fields.finish(conversation.zip(content))?;
    let draft = Draft { conversation, content, r#type: r#type.unwrap_or_default(), reply_to, client_message_id };
    let done = message::send(order.signaling.commands(), &order.caller(), draft).await?;
    Ok(Answer::Sent { message: done.value, position: done.position })
}

/// Read models that are no further behind are waited for before a send is acked, for so long at most: whoever reads over
/// REST what an ack has told finds it there. An ack means no more than that the message is durable, so where they are
/// further behind nobody waits for them.
const WAIT_MAX: Duration = Duration::from_millis(100);
const WAIT_LAG_MAX: i64 = 1_000;

async fn wait_for_views(signaling: &Signaling, position: Position) {
    let progress = signaling.progress();
    if progress.lag(position) <= WAIT_LAG_MAX {
        progress.wait_for(position, WAIT_MAX).await;
    }
}

/// A sent message as its push tells it. One that was sent before, under the same name, may have been deleted since.
pub(super) async fn told(
    signaling: &Signaling,
    user: UserId,
    id: MessageId,
    position: Option<Position>,
) -> Result<Bytes, Problem> {
    let position = if position.is_some() {
        position
    } else {
        let message: Loaded<Message> = signaling.commands().store().load(id).await?;
        message.state.position()
    };
    if let Some(position) = position
        && let Some(message) = signaling.delivery().message(position).await
    {
        wait_for_views(signaling, position).await;
        return Ok(message);
    }
    let view = projections::message::get(signaling.views(), user, id).await.map_err(problem::of_views)?;
    let view = view.ok_or_else(|| Problem::not_found("there is no such message"))?;
    Ok(serde_json::to_vec(&view).unwrap_or_default().into())
}

pub(super) async fn edit(order: Order<'_>) -> Result<Answer, Problem> {
    let mut fields = order.fields()?;
    let (id, content) = (fields.take("messageId"), fields.content());
    let (id, content) = fields.finish(id.zip(content))?;
    changed(message::edit(order.signaling.commands(), &order.caller(), id, content).await)
}

pub(super) async fn delete(order: Order<'_>) -> Result<Answer, Problem> {
    let id = message_id(&order)?;
    changed(message::delete(order.signaling.commands(), &order.caller(), id).await)
}

pub(super) async fn pin(order: Order<'_>) -> Result<Answer, Problem> {
    let id = message_id(&order)?;
    changed(message::pin(order.signaling.commands(), &order.caller(), id).await)
}

pub(super) async fn unpin(order: Order<'_>) -> Result<Answer, Problem> {
    let id = message_id(&order)?;
    changed(message::unpin(order.signaling.commands(), &order.caller(), id).await)
}

pub(super) async fn react(order: Order<'_>) -> Result<Answer, Problem> {
    let (id, emoji) = message_and_emoji(&order)?;
    changed(message::react(order.signaling.commands(), &order.caller(), id, emoji).await)
}

pub(super) async fn unreact(order: Order<'_>) -> Result<Answer, Problem> {
    let (id, emoji) = message_and_emoji(&order)?;
    changed(message::unreact_emoji(order.signaling.commands(), &order.caller(), id, emoji).await)
}

pub(super) async fn read(order: Order<'_>) -> Result<Answer, Problem> {
    let mut fields = order.fields()?;
    let (conversation, id) = (fields.take::<ConversationId>("conversationId"), fields.take("messageId"));
    let (conversation, id): (_, MessageId) = fields.finish(conversation.zip(id))?;
    let done = inbox::mark_read(order.signaling.commands(), &order.caller(), conversation, id).await?;
    Ok(Answer::json(&json!({"conversationId": conversation, "messageId": id, "position": done.position})))
}

fn message_id(order: &Order<'_>) -> Result<MessageId, Problem> {
    let mut fields = order.fields()?;
    let id = fields.take("messageId");
    fields.finish(id)
}

fn message_and_emoji(order: &Order<'_>) -> Result<(MessageId, String), Problem> {
    let mut fields = order.fields()?;
    let (id, emoji) = (fields.take("messageId"), fields.take("emoji"));
    fields.finish(id.zip(emoji))
}

/// The position is null where all was already as ordered.
fn changed(done: Result<Done<Changed>, CommandError>) -> Result<Answer, Problem> {
    let Done { value: Changed { message, conversation }, position, .. } = done?;
    Ok(Answer::json(&json!({"messageId": message, "conversationId": conversation, "position": position})))
}
