//! cqrs-es and postgres-es, unmodified, on our aggregates and our log.

use crate::cast::*;
use cqrs_es::{
    AggregateContext, EventStore as _,
    persist::{EventStoreAggregateContext, PersistedEventStore},
    test::TestFramework,
};
use domain::{
    Aggregate, Context, MessageId, UserId,
    conversation::{Conversation, ConversationCommand, Role},
    message::{Message, MessageCommand, MessageError},
};
use event_store::{EventSourced, Fact, testing::TestDatabase, upcasters};
use postgres_es::PostgresEventRepository;

async fn load<A>(database: &TestDatabase, id: &str) -> EventStoreAggregateContext<EventSourced<A>>
where
    A: Aggregate<Command: Send, Event: PartialEq + std::fmt::Debug>,
{
    let repository = PostgresEventRepository::new(database.app.clone());
    let store = PersistedEventStore::<PostgresEventRepository, EventSourced<A>>::new_event_store(repository)
        .with_upcasters(upcasters());
    store.load_aggregate(id).await.unwrap()
}

#[tokio::test]
async fn a_stock_repository_loads_a_conversation_and_a_message_from_our_log() {
    let database = TestDatabase::create().await;
    let store = database.store().await;
    let (alice, bob): (UserId, UserId) = (new_id(), new_id());
    let conversation = found(&store, alice).await;
    let context = Context { actor: alice, now: NOW };
    let invite = ConversationCommand::AddParticipants { users: vec![bob] };
    let mut append = append_by(alice);
    append.write(&conversation, conversation.state.decide(invite, &context).unwrap());
    store.append(append).await.unwrap();
    let conversation = store.load::<Conversation>(&conversation.id).await.unwrap();
    let sent = say(&store, &conversation, bob, "hello").await;

    let mut loaded = load::<Conversation>(&database, &conversation.id).await;
    assert_eq!(loaded.current_sequence, 2);
    let state = &loaded.aggregate().state;
    assert_eq!(state.participant(bob).map(|participant| participant.role), Some(Role::Member));

    let id = store.event_at(sent.position).await.unwrap().unwrap().aggregate_id;
    let mut loaded = load::<Message>(&database, &id).await;
    assert_eq!(loaded.current_sequence, 1);
    let message = &loaded.aggregate().state;
    assert_eq!(message.sender(), Some(bob));
    assert_eq!(message.conversation().map(|id| id.to_string()), Some(conversation.id));
}

#[test]
fn our_aggregates_run_under_the_frameworks_test_kit() {
    let (alice, bob): (UserId, UserId) = (new_id(), new_id());
    let kit = |actor| TestFramework::<EventSourced<Message>>::with(Context { actor, now: NOW });
    let facts = |events: Vec<_>| events.into_iter().map(Fact).collect::<Vec<_>>();
    let sent = facts(said(new_id(), alice, "helo"));
    let edit = || MessageCommand::Edit { content: "hello".to_owned() };
    kit(alice).given(sent.clone()).when(edit()).then_expect_events(facts(vec![
        domain::message::MessageEvent::Edited { content: domain::Personal::plain("hello"), edited_at: NOW },
    ]));
    kit(bob).given(sent).when(edit()).then_expect_error(MessageError::NotTheSender.into());
    kit(alice).given_no_previous_events().when(edit()).then_expect_error(MessageError::NotFound.into());
    let _: MessageId = new_id();
}
