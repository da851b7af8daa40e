//! Alice and Bob, what they found and say, and how a test writes it down.

use domain::{
    Aggregate, CommandId, Context, ConversationId, MessageId, Timestamp, UserId,
    conversation::{Conversation, ConversationCommand, ConversationEvent},
    message::{Message, MessageCommand, MessageEvent, MessageType, NewMessage},
    user::{User, UserCommand, UserEvent},
};
use event_store::{Append, AppendError, Appended, EventStore, Loaded, Metadata, Origin};
use runtime::id::{Ids, SystemIds};

pub const NOW: Timestamp = Timestamp(1_769_846_400_000);

pub fn new_id<T: From<uuid::Uuid>>() -> T {
    SystemIds.uuid().into()
}

pub fn metadata(actor: UserId) -> Metadata {
    Metadata {
        actor_id: Some(actor),
        session_id: None,
        workspace_id: None,
        conversation_id: None,
        correlation_id: "a-test".to_owned(),
        causation_id: None,
        traceparent: None,
        command_id: new_id::<CommandId>(),
        origin: Origin::Rest,
    }
}

pub fn append_by(actor: UserId) -> Append {
    Append::new(metadata(actor))
}

pub fn created(owner: UserId, name: &str) -> Vec<ConversationEvent> {
    let command = ConversationCommand::CreateGroup {
        name: Some(name.to_owned()),
        description: None,
        avatar_url: None,
        is_private: true,
        max_members: 100,
        participants: vec![],
    };
    Conversation::default().decide(command, &Context { actor: owner, now: NOW }).unwrap()
}

pub fn renamed(conversation: &Loaded<Conversation>, by: UserId, name: &str) -> Vec<ConversationEvent> {
    let changes = domain::conversation::ConversationChanges { name: Some(name.to_owned()), ..Default::default() };
    conversation.state.decide(ConversationCommand::Update(changes), &Context { actor: by, now: NOW }).unwrap()
}

pub fn said(conversation: ConversationId, by: UserId, content: &str) -> Vec<MessageEvent> {
    let new = NewMessage {
        conversation,
        content: content.to_owned(),
        r#type: MessageType::Text,
        reply_to: None,
        thread_root: None,
        mentions: vec![],
        broadcast: None,
        client_message_id: None,
        created_at: NOW,
        may_be_empty: false,
    };
    Message::default().decide(MessageCommand::Send(new), &Context { actor: by, now: NOW }).unwrap()
}

pub fn registered(user: UserId, name: &str) -> Vec<UserEvent> {
    let command = UserCommand::Register {
        email: format!("{name}@example.org"),
        username: name.to_owned(),
        first_name: name.to_owned(),
        last_name: "Test".to_owned(),
        created_at: NOW,
    };
    User::default().decide(command, &Context { actor: user, now: NOW }).unwrap()
}

/// A group that someone has founded.
pub async fn found(store: &EventStore, owner: UserId) -> Loaded<Conversation> {
    let id: ConversationId = new_id();
    let mut append = append_by(owner);
    append.write_in(&Loaded::<Conversation>::fresh(id), created(owner, "Lobby"), Some(id), None);
    store.append(append).await.unwrap();
    store.load(id).await.unwrap()
}

/// Says something there, relying on the conversation as it was loaded.
pub fn saying(conversation: &Loaded<Conversation>, by: UserId, content: &str) -> Append {
    let id: ConversationId = conversation.id.parse().unwrap();
    let mut append = append_by(by);
    let message: Loaded<Message> = Loaded::fresh(new_id::<MessageId>());
    append.write_in(&message, said(id, by, content), Some(id), None).guard(conversation);
    append
}

pub async fn say(store: &EventStore, conversation: &Loaded<Conversation>, by: UserId, content: &str) -> Appended {
    store.append(saying(conversation, by, content)).await.unwrap()
}

#[track_caller]
pub fn assert_conflict(result: Result<Appended, AppendError>, id: &str) {
    match result {
        Err(AppendError::Conflict { aggregate_id, .. }) if aggregate_id == id => {}
        other => panic!("expected a conflict on {id}, got {other:?}"),
    }
}
