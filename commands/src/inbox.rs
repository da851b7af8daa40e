//! A person's own side of a conversation: what is read, muted, pinned.

use crate::{
    Caller, CommandError, Commands, Done,
    run::{Decided, Round},
};
use domain::{
    Aggregate, ConversationId, Kind, MessageId, Refusal, Sequence, UserId,
    inbox::{Inbox, InboxCommand, InboxError, inbox_id},
    message::Message,
};
use event_store::Loaded;

/// Marks all up to and with a message as read. Reading never moves a mark back.
pub async fn mark_read(
    commands: &Commands,
    caller: &Caller,
    conversation: ConversationId,
    message: MessageId,
) -> Result<Done<ConversationId>, CommandError> {
    let to = |sequence| InboxCommand::MarkRead { conversation, message, sequence };
    mark(commands, caller, conversation, message, to).await
}

/// Marks a message and all after it as unread.
pub async fn mark_unread(
    commands: &Commands,
    caller: &Caller,
    conversation: ConversationId,
    message: MessageId,
) -> Result<Done<ConversationId>, CommandError> {
    let to = |sequence| InboxCommand::MarkUnread { conversation, message, sequence };
    mark(commands, caller, conversation, message, to).await
}

/// Mutes, unmutes, pins or unpins a conversation for oneself.
pub async fn change_preference(
    commands: &Commands,
    caller: &Caller,
    conversation: ConversationId,
    user: UserId,
    is_muted: Option<bool>,
    is_pinned: Option<bool>,
) -> Result<Done<ConversationId>, CommandError> {
    let command = InboxCommand::ChangePreference { conversation, is_muted, is_pinned };
    commands
        .run(caller, |round| {
            Box::pin(async move {
                let decided = decide(round, caller, conversation, command).await?;
                // Whoever is not in the conversation was told that it is not there.
                if user != caller.user {
                    return Err(Refusal::new(
                        Kind::Forbidden,
                        "not_allowed",
                        "only oneself mutes or pins a conversation",
                    )
                    .into());
                }
                Ok(decided)
            })
        })
        .await
}

async fn mark(
    commands: &Commands,
    caller: &Caller,
    conversation: ConversationId,
    message: MessageId,
    to: impl Fn(Sequence) -> InboxCommand + Sync,
) -> Result<Done<ConversationId>, CommandError> {
    let to = &to;
    commands
        .run(caller, |round| {
            Box::pin(async move {
                let target: Loaded<Message> = round.load(message).await?;
                let place = (target.state.conversation(), target.state.position(), target.message_sequence);
                let (Some(home), Some(position), Some(sequence)) = place else {
                    return Err(InboxError::NotAMessageOfTheConversation.into());
                };
                let members = round.conversation(conversation).await?;
                members.state.require_participant(caller.user)?;
                if home != conversation || !members.state.may_read(caller.user, position) {
                    return Err(InboxError::NotAMessageOfTheConversation.into());
                }
                decide(round, caller, conversation, to(sequence)).await
            })
        })
        .await
}

async fn decide(
    round: &Round<'_>,
    caller: &Caller,
    conversation: ConversationId,
    command: InboxCommand,
) -> Result<Decided<ConversationId>, CommandError> {
    let members = round.conversation(conversation).await?;
    members.state.require_participant(caller.user)?;
    let inbox: Loaded<Inbox> = round.load(inbox_id(conversation, caller.user)).await?;
    let events = inbox.state.decide(command, &round.context)?;
    let mut append = round.append();
    if !events.is_empty() {
        append.write_in(&inbox, events, Some(conversation), members.state.workspace).guard(&members);
    }
    Ok(Decided { append, value: conversation, created: false })
}
