//! Messages: sending, editing, deleting, reacting, pinning.

use crate::{
    Caller, CommandError, Commands, Done, claim,
    run::{Decided, Round},
};
use domain::{
    Aggregate, ConversationId, MessageId, ReactionId, UserId,
    conversation::Conversation,
    message::{Broadcast, Message, MessageCommand, MessageError, MessageType, NewMessage, candidates, names_mentioned},
};
use event_store::{Claim, Loaded};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// People that one message can mention by name; further names are text.
const MENTIONS_MAX: usize = 100;

#[derive(Clone, Debug)]
pub struct Draft {
    pub conversation: ConversationId,
    pub content: String,
    pub r#type: MessageType,
    pub reply_to: Option<MessageId>,
    /// The sender's own name for it: sent twice with the same one, it is one message, for ever.
    pub client_message_id: Option<String>,
}

/// A message that was changed, and where it is.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Changed {
    pub message: MessageId,
    pub conversation: ConversationId,
}

pub async fn send(commands: &Commands, caller: &Caller, draft: Draft) -> Result<Done<MessageId>, CommandError> {
    let id: MessageId = commands.new_id();
    let draft = &draft;
    commands.run(caller, |round| Box::pin(async move { decide_send(round, caller, id, draft).await })).await
}

async fn decide_send(
    round: &Round<'_>,
    caller: &Caller,
    id: MessageId,
    draft: &Draft,
) -> Result<Decided<MessageId>, CommandError> {
    let client_key = draft.client_message_id.as_ref().map(|client_id| format!("{}:{client_id}", caller.user));
    if let Some(key) = &client_key
        && let Some(first) = round.commands.store.claim(claim::CLIENT_MESSAGE, key).await?
    {
        let first = first.value.parse().map_err(|_| CommandError::Internal("a claim names no message".to_owned()))?;
        return Ok(Decided { append: round.append(), value: first, created: false });
    }
    let conversation = round.conversation(draft.conversation).await?;
    conversation.state.require_participant(caller.user)?;
    let thread_root = thread_root(round, caller, &conversation, draft).await?;
    let (mentions, broadcast) = resolve_mentions(round.commands, &conversation.state, &draft.content).await?;
    let message: Loaded<Message> = Loaded::fresh(id);
    let events = message.state.decide(
        MessageCommand::Send(NewMessage {
            conversation: draft.conversation,
            content: draft.content.clone(),
            r#type: draft.r#type,
            reply_to: draft.reply_to,
            thread_root,
            mentions,
            broadcast,
            client_message_id: draft.client_message_id.clone(),
            created_at: round.now(),
            may_be_empty: false,
        }),
        &round.context,
    )?;
    let mut append = round.append();
    append.write_in(&message, events, Some(draft.conversation), conversation.state.workspace).guard(&conversation);
    if let Some(key) = client_key {
        append.claim(Claim::take(claim::CLIENT_MESSAGE, key, id.to_string()));
    }
    Ok(Decided { append, value: id, created: true })
}

pub async fn edit(
    commands: &Commands,
    caller: &Caller,
    id: MessageId,
    content: String,
) -> Result<Done<Changed>, CommandError> {
    change(commands, caller, id, |_| MessageCommand::Edit { content: content.clone() }).await
}

/// Its sender and those who run the conversation delete a message.
pub async fn delete(commands: &Commands, caller: &Caller, id: MessageId) -> Result<Done<Changed>, CommandError> {
    change(commands, caller, id, |moderator| MessageCommand::Delete { moderator }).await
}

/// One person's same emoji twice is one reaction.
pub async fn react(
    commands: &Commands,
    caller: &Caller,
    id: MessageId,
    emoji: String,
) -> Result<Done<Changed>, CommandError> {
    let reaction: ReactionId = commands.new_id();
    let done = change(commands, caller, id, |_| MessageCommand::React { reaction, emoji: emoji.clone() }).await?;
    let created = done.position.is_some();
    Ok(Done { created, ..done })
}

pub async fn unreact(
    commands: &Commands,
    caller: &Caller,
    id: MessageId,
    reaction: ReactionId,
) -> Result<Done<Changed>, CommandError> {
    change(commands, caller, id, |_| MessageCommand::Unreact { reaction }).await
}

/// Takes one's own reaction back by its emoji.
pub async fn unreact_emoji(
    commands: &Commands,
    caller: &Caller,
    id: MessageId,
    emoji: String,
) -> Result<Done<Changed>, CommandError> {
    change(commands, caller, id, |_| MessageCommand::UnreactEmoji { emoji: emoji.clone() }).await
}

/// Whoever takes part in the conversation may pin, and a message is pinned once.
pub async fn pin(commands: &Commands, caller: &Caller, id: MessageId) -> Result<Done<Changed>, CommandError> {
    let done = change(commands, caller, id, |_| MessageCommand::Pin).await?;
    let created = done.position.is_some();
    Ok(Done { created, ..done })
}

pub async fn unpin(commands: &Commands, caller: &Caller, id: MessageId) -> Result<Done<Changed>, CommandError> {
    change(commands, caller, id, |_| MessageCommand::Unpin).await
}

/// Gives a command to a message that the caller can see; `command` is told whether they run its conversation.
async fn change(
    commands: &Commands,
    caller: &Caller,
    id: MessageId,
    command: impl Fn(bool) -> MessageCommand + Sync,
) -> Result<Done<Changed>, CommandError> {
    let command = &command;
    commands
        .run(caller, |round| {
            Box::pin(async move {
                let message: Loaded<Message> = round.load(id).await?;
                let conversation = visible_conversation(round, caller, &message).await?;
                let moderator = conversation.state.is_moderator(caller.user);
                let events = message.state.decide(command(moderator), &round.context)?;
                let home = message.state.conversation().ok_or(MessageError::NotFound)?;
                let mut append = round.append();
                if !events.is_empty() {
                    append.write_in(&message, events, Some(home), conversation.state.workspace).guard(&conversation);
                }
                Ok(Decided { append, value: Changed { message: id, conversation: home }, created: false })
            })
        })
        .await
}

/// The conversation of a message, where the caller takes part in it and may read that far back; else the message is
/// not there for them.
async fn visible_conversation(
    round: &Round<'_>,
    caller: &Caller,
    message: &Loaded<Message>,
) -> Result<Loaded<Conversation>, CommandError> {
    let (Some(home), Some(position)) = (message.state.conversation(), message.state.position()) else {
        return Err(MessageError::NotFound.into());
    };
    let conversation = round.conversation(home).await?;
    if !conversation.state.exists() || !conversation.state.may_read(caller.user, position) {
        return Err(MessageError::NotFound.into());
    }
    Ok(conversation)
}

/// The root of the thread that an answer belongs to. What is answered must be of the same conversation and visible.
async fn thread_root(
    round: &Round<'_>,
    caller: &Caller,
    conversation: &Loaded<Conversation>,
    draft: &Draft,
) -> Result<Option<MessageId>, CommandError> {
    let Some(reply_to) = draft.reply_to else { return Ok(None) };
    let answered: Loaded<Message> = round.load(reply_to).await?;
    let is_here = answered.state.conversation() == Some(draft.conversation);
    let is_visible = answered.state.position().is_some_and(|at| conversation.state.may_read(caller.user, at));
    if !is_here || !is_visible {
        return Err(CommandError::not_found("the message that is answered is not in this conversation"));
    }
    Ok(Some(answered.state.thread_root().unwrap_or(reply_to)))
}

/// Who a text means: the participants among the names in it, and everyone where it says so.
async fn resolve_mentions(
    commands: &Commands,
    conversation: &Conversation,
    content: &str,
) -> Result<(Vec<UserId>, Option<Broadcast>), CommandError> {
    let mut names = names_mentioned(content);
    names.truncate(MENTIONS_MAX);
    let known = named(commands, &names).await?;
    let (mut people, mut broadcast) = (Vec::new(), None);
    for name in &names {
        match name.trim_end_matches(['.', '-', '_']) {
            "channel" => broadcast = Some(Broadcast::Channel),
            "here" => broadcast = broadcast.or(Some(Broadcast::Here)),
            _ => {
                let meant = candidates(name).find_map(|name| known.get(name)).copied();
                people.extend(meant.filter(|user| conversation.participant(*user).is_some() && !people.contains(user)));
            }
        }
    }
    Ok((people, broadcast))
}

/// Whoever has one of the usernames that the names can be read as.
async fn named(commands: &Commands, names: &[String]) -> Result<HashMap<String, UserId>, CommandError> {
    let keyring = commands.store.keyring();
    let readings: HashMap<String, &str> = names
        .iter()
        .flat_map(|name| candidates(name))
        .map(|name| (keyring.keyed_hash(claim::USERNAME, name), name))
        .collect();
    if readings.is_empty() {
        return Ok(HashMap::new());
    }
    let keys: Vec<String> = readings.keys().cloned().collect();
    let found = commands.store.claims(claim::USERNAME, &keys).await?;
    Ok(found.iter().filter_map(|(hash, user)| Some(((*readings.get(hash)?).to_owned(), user.parse().ok()?))).collect())
}
