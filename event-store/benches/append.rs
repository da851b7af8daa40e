//! How many events a second the log takes: `scripts/test-servers cargo bench -p event-store`. The test servers run
//! without fsync, so that what is measured is the work and not the disk.

#![expect(clippy::print_stdout, reason = "figures are what a benchmark is for")]

use domain::{
    CommandId, ConversationId, MessageId, Personal, Timestamp, UserId,
    message::{Message, MessageEvent, MessageType},
};
use event_store::{Append, EventStore, Loaded, Metadata, Origin, audit, testing::TestDatabase};
use futures::{StreamExt, stream};
use runtime::id::{Ids, SystemIds};
use std::time::{Duration, Instant};

/// Callers that each wait for their answer before they send again.
const CALLERS: usize = 64;
const SENDS: usize = 10_000;
const IMPORT_APPENDS: usize = 50;
const IMPORT_EVENTS: usize = 1_000;
const CREATED_AT: Timestamp = Timestamp(1_769_846_400_000);

#[tokio::main]
async fn main() {
    let database = TestDatabase::create().await;
    let store = database.store().await;
    let (conversation, people): (ConversationId, Vec<UserId>) = (new_id(), (0..100).map(|_| new_id()).collect());

    let started = Instant::now();
    let sends = stream::iter(0..SENDS).map(|n| send(&store, conversation, &people[n % people.len()..], 1));
    sends.buffer_unordered(CALLERS).for_each(|()| async {}).await;
    tell("sends by 64 callers", SENDS, started.elapsed());

    let started = Instant::now();
    for _ in 0..IMPORT_APPENDS {
        send(&store, conversation, &people, IMPORT_EVENTS).await;
    }
    tell("imported in appends of 1,000", IMPORT_APPENDS * IMPORT_EVENTS, started.elapsed());

    let started = Instant::now();
    let mut position = domain::Position(0);
    while let Some(last) = store.read_log(position, 5_000).await.expect("the log is read").last() {
        position = last.position;
    }
    tell("read by position", SENDS + IMPORT_APPENDS * IMPORT_EVENTS, started.elapsed());

    let started = Instant::now();
    let report = audit::verify(&store, |_| {}).await.expect("the log is verified");
    assert_eq!(report.first_wrong, None);
    tell("verified", SENDS + IMPORT_APPENDS * IMPORT_EVENTS, started.elapsed());
}

/// One append of so many messages, by these people in turn.
async fn send(store: &EventStore, conversation: ConversationId, people: &[UserId], count: usize) {
    let mut append = Append::new(Metadata {
        actor_id: Some(people[0]),
        session_id: None,
        workspace_id: None,
        conversation_id: Some(conversation),
        correlation_id: "a-benchmark".to_owned(),
        causation_id: None,
        traceparent: None,
        command_id: new_id::<CommandId>(),
        origin: Origin::Cli,
    });
    for sender in people.iter().cycle().take(count) {
        let message: Loaded<Message> = Loaded::fresh(new_id::<MessageId>());
        append.write(&message, vec![sent(conversation, *sender)]);
    }
    store.append(append).await.expect("the append stands");
}

fn sent(conversation_id: ConversationId, sender_id: UserId) -> MessageEvent {
    MessageEvent::Sent {
        conversation_id,
        sender_id,
        content: Personal::plain("some eighty characters of text, which is what people write most of the time in chat"),
        r#type: MessageType::Text,
        reply_to_id: None,
        thread_root_id: None,
        mentions: vec![],
        broadcast: None,
        client_message_id: None,
        created_at: CREATED_AT,
    }
}

fn tell(what: &str, events: usize, taken: Duration) {
    let rate = events as u128 * 1_000_000 / taken.as_micros().max(1);
    println!("{what}: {rate} events/s");
}

fn new_id<T: From<uuid::Uuid>>() -> T {
    SystemIds.uuid().into()
}
