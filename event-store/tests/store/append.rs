//! Verdicts: what stands, what is refused, and that neighbours don't feel it.

use crate::cast::*;
use domain::{
    Aggregate, Context, ConversationId, MessageId, Position, Sequence, UserId,
    conversation::Conversation,
    message::{Message, MessageCommand},
    user::User,
};
use event_store::{AppendError, Loaded, StoreError, testing::TestDatabase};
use futures::future::join_all;

#[tokio::test]
async fn what_is_appended_is_loaded_again() {
    let database = TestDatabase::create().await;
    let store = database.store().await;
    let alice = new_id();
    let conversation = found(&store, alice).await;
    assert_eq!((conversation.sequence, conversation.last_position), (Sequence(1), Position(1)));
    assert!(conversation.state.exists());

    let appended = say(&store, &conversation, alice, "hello").await;
    assert_eq!((appended.position, appended.first_position), (Position(2), Position(2)));
    assert_eq!(appended.message_sequences, [Sequence(1)]);
    let event = store.event_at(Position(2)).await.unwrap().unwrap();
    assert_eq!(event.event_id, appended.events[0].1);
    assert_eq!(event.recorded_at, appended.recorded_at);
    assert_eq!((event.event_type.as_str(), event.event_version), ("message.sent", 1));
    let message: Loaded<Message> = store.load(&event.aggregate_id).await.unwrap();
    assert_eq!(message.state.sender(), Some(alice));
    assert_eq!((message.message_sequence, message.state.position()), (Some(Sequence(1)), Some(Position(2))));
}

#[tokio::test]
async fn an_append_of_many_streams_stands_at_one_run_of_positions() {
    let database = TestDatabase::create().await;
    let store = database.store().await;
    let alice = new_id();
    let id: ConversationId = new_id();
    let mut append = append_by(alice);
    append.write_in(&Loaded::<Conversation>::fresh(id), created(alice, "Lobby"), Some(id), None);
    for n in 0..3 {
        append.write_in(
            &Loaded::<Message>::fresh(new_id::<MessageId>()),
            said(id, alice, &format!("message {n}")),
            Some(id),
            None,
        );
    }
    let appended = store.append(append).await.unwrap();
    assert_eq!((appended.first_position, appended.position), (Position(1), Position(4)));
    assert_eq!(appended.message_sequences, [Sequence(1), Sequence(2), Sequence(3)]);
    let events = store.read_log(Position(0), 10).await.unwrap();
    assert!(events.iter().all(|event| event.metadata.conversation_id == Some(id)));
    let counts: (i64, i64) =
        sqlx::query_as("SELECT messages, sequence FROM streams WHERE aggregate_type = 'conversation'")
            .fetch_one(&database.app)
            .await
            .unwrap();
    assert_eq!(counts, (3, 1));
}

#[tokio::test]
async fn of_two_writers_on_one_stream_one_wins() {
    let database = TestDatabase::create().await;
    let store = database.store().await;
    let alice = new_id();
    let conversation = found(&store, alice).await;
    let rename = |name: &str| {
        let mut append = append_by(alice);
        append.write(&conversation, renamed(&conversation, alice, name));
        store.append(append)
    };
    let (one, other) = tokio::join!(rename("one"), rename("other"));
    assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
    assert_conflict(if one.is_ok() { other } else { one }, &conversation.id);
    assert_eq!(store.load::<Conversation>(&conversation.id).await.unwrap().sequence, Sequence(2));
}

#[tokio::test]
async fn a_stream_that_was_only_read_is_guarded() {
    let database = TestDatabase::create().await;
    let store = database.store().await;
    let alice = new_id();
    let before = found(&store, alice).await;
    let mut append = append_by(alice);
    append.write(&before, renamed(&before, alice, "Hall"));
    store.append(append).await.unwrap();

    assert_conflict(store.append(saying(&before, alice, "too late")).await, &before.id);
    let mut now = before.clone();
    store.refresh(&mut now).await.unwrap();
    assert_eq!(now.sequence, Sequence(2));
    say(&store, &now, alice, "in time").await;
}

#[tokio::test]
async fn that_a_stream_has_no_events_can_be_guarded() {
    let database = TestDatabase::create().await;
    let store = database.store().await;
    let alice: UserId = new_id();
    let nobody: Loaded<User> = Loaded::fresh(alice);
    let conversation = found(&store, alice).await;
    let mut append = saying(&conversation, alice, "nobody is registered");
    append.guard(&nobody);
    store.append(append).await.unwrap();

    let mut append = append_by(alice);
    append.write(&nobody, registered(alice, "alice"));
    store.append(append).await.unwrap();
    let mut append = saying(&conversation, alice, "nobody is registered");
    append.guard(&nobody);
    assert_conflict(store.append(append).await, &nobody.id);
}

#[tokio::test]
async fn an_append_that_fails_leaves_nothing_and_its_neighbours_alone() {
    let database = TestDatabase::create().await;
    let store = database.store().await;
    let alice = new_id();
    let (stale, fresh) = (found(&store, alice).await, found(&store, alice).await);
    let mut append = append_by(alice);
    append.write(&stale, renamed(&stale, alice, "Hall"));
    store.append(append).await.unwrap();

    // All are in the queue before the task takes the first: they go in one batch.
    let appends = (0..20).map(|n| {
        let conversation = if n % 2 == 0 { &fresh } else { &stale };
        store.append(saying(conversation, alice, &format!("message {n}")))
    });
    let results = join_all(appends).await;
    let mut positions = Vec::new();
    let mut sequences = Vec::new();
    for (n, result) in results.into_iter().enumerate() {
        if n % 2 == 0 {
            let appended = result.unwrap();
            positions.push(appended.position.0);
            sequences.extend(appended.message_sequences);
        } else {
            assert_conflict(result, &stale.id);
        }
    }
    positions.sort_unstable();
    sequences.sort_unstable();
    assert_eq!(positions, (4..14).collect::<Vec<_>>());
    assert_eq!(sequences, (1..11).map(Sequence).collect::<Vec<_>>());
    assert_eq!(store.head().await.unwrap(), Position(13));
    let streams: i64 = sqlx::query_scalar("SELECT count(*) FROM streams WHERE aggregate_type = 'message'")
        .fetch_one(&database.app)
        .await
        .unwrap();
    assert_eq!(streams, 10);
}

#[tokio::test]
async fn what_postgresql_refuses_fails_alone() {
    let database = TestDatabase::create().await;
    let store = database.store().await;
    let alice = new_id();
    let conversation = found(&store, alice).await;
    let appends = (0..10).map(|n| {
        let mut append = saying(&conversation, alice, &format!("message {n}"));
        if n == 5 {
            // No text in PostgreSQL holds a zero byte.
            append.claim(event_store::Claim::take("test", "\0", ""));
        }
        store.append(append)
    });
    let results = join_all(appends).await;
    for (n, result) in results.into_iter().enumerate() {
        assert_eq!(result.is_ok(), n != 5, "{n}: {result:?}");
    }
    assert_eq!(store.head().await.unwrap(), Position(10));
}

#[tokio::test]
async fn later_events_of_a_stream_follow_its_earlier_ones() {
    let database = TestDatabase::create().await;
    let store = database.store().await;
    let alice = new_id();
    let conversation = found(&store, alice).await;
    let sent = say(&store, &conversation, alice, "helo").await;
    let id = store.event_at(sent.position).await.unwrap().unwrap().aggregate_id;
    say(&store, &conversation, alice, "something between").await;
    let message: Loaded<Message> = store.load(&id).await.unwrap();
    let edit = MessageCommand::Edit { content: "hello".to_owned() };
    let events = message.state.decide(edit, &Context { actor: alice, now: NOW }).unwrap();
    let mut append = append_by(alice);
    append.write(&message, events);
    store.append(append).await.unwrap();

    let stream = store.read_stream("message", &id, Sequence(0)).await.unwrap();
    let places: Vec<(i64, i64)> = stream.iter().map(|event| (event.sequence.0, event.position.0)).collect();
    assert_eq!(places, [(1, 2), (2, 4)]);
    assert_eq!(store.read_stream("message", &id, Sequence(1)).await.unwrap().len(), 1);
    let mut refreshed = message.clone();
    store.refresh(&mut refreshed).await.unwrap();
    assert_eq!((refreshed.sequence, refreshed.message_sequence), (Sequence(2), Some(Sequence(1))));
}

#[tokio::test]
async fn the_queue_is_bounded_and_says_so() {
    let database = TestDatabase::create().await;
    let store =
        event_store::EventStore::open(event_store::StoreConfig { queue_limit: 1_000, ..database.config().await })
            .await
            .unwrap();
    let alice = new_id();
    let conversation = found(&store, alice).await;
    // Nothing can be appended while someone else holds the head.
    let mut holder = database.admin.begin().await.unwrap();
    sqlx::query("SELECT FROM head FOR UPDATE").execute(&mut *holder).await.unwrap();
    let waiting = |n: usize| {
        let store = store.clone();
        let append = saying(&conversation, alice, &format!("message {n}"));
        tokio::spawn(async move { store.append(append).await })
    };
    // One is taken by the task, 1,000 wait, and the next is one too many.
    let first = waiting(0);
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let queued: Vec<_> = (0..1_000).map(waiting).collect();
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let refused = store.append(saying(&conversation, alice, "one too many")).await;
    assert!(matches!(refused, Err(AppendError::Overloaded)), "{refused:?}");
    holder.rollback().await.unwrap();
    first.await.unwrap().unwrap();
    for queued in queued {
        queued.await.unwrap().unwrap();
    }
    assert_eq!(store.head().await.unwrap(), Position(1_002));
}

#[tokio::test]
async fn an_append_without_events_is_an_error() {
    let database = TestDatabase::create().await;
    let store = database.store().await;
    let conversation = found(&store, new_id()).await;
    let mut append = append_by(new_id());
    append.guard(&conversation).write(&conversation, vec![]);
    assert!(append.is_empty());
    assert!(matches!(store.append(append).await, Err(AppendError::Store(StoreError::EmptyAppend))));
}

#[tokio::test]
async fn the_cache_is_brought_up_to_date_when_asked() {
    let database = TestDatabase::create().await;
    let (store, elsewhere) = (database.store().await, database.store().await);
    let alice = new_id();
    let conversation = found(&elsewhere, alice).await;
    let cached: Loaded<Conversation> = store.load_cached(&conversation.id).await.unwrap();
    assert_eq!(cached.sequence, Sequence(1));
    let mut append = append_by(alice);
    append.write(&conversation, renamed(&conversation, alice, "Hall"));
    elsewhere.append(append).await.unwrap();

    assert_eq!(store.load_cached::<Conversation>(&conversation.id).await.unwrap().sequence, Sequence(1));
    assert_eq!(store.refresh_cached::<Conversation>(&conversation.id).await.unwrap().sequence, Sequence(2));
    assert_eq!(store.load_cached::<Conversation>(&conversation.id).await.unwrap().sequence, Sequence(2));
}

#[tokio::test]
async fn a_stream_is_written_once_in_an_append_or_nothing_stands() {
    let database = TestDatabase::create().await;
    let store = database.store().await;
    let alice = new_id();
    let conversation = found(&store, alice).await;
    let (id, message) = (conversation.id.parse().unwrap(), Loaded::<Message>::fresh(new_id::<MessageId>()));
    let mut append = append_by(alice);
    append.write(&message, said(id, alice, "once")).write(&message, said(id, alice, "twice"));
    let refused = store.append(append).await;
    assert!(
        matches!(&refused, Err(AppendError::WrittenTwice { aggregate_id, .. }) if *aggregate_id == message.id),
        "{refused:?}"
    );
    assert_eq!(store.head().await.unwrap(), Position(1));

    let mut append = append_by(alice);
    append.guard(&conversation).write(&conversation, renamed(&conversation, alice, "Hall")).guard(&conversation);
    store.append(append).await.unwrap();
}

#[tokio::test]
async fn a_stream_that_was_loaded_before_and_after_a_change_is_a_conflict() {
    let database = TestDatabase::create().await;
    let store = database.store().await;
    let alice = new_id();
    let before = found(&store, alice).await;
    let mut append = append_by(alice);
    append.write(&before, renamed(&before, alice, "Hall"));
    store.append(append).await.unwrap();
    let after: Loaded<Conversation> = store.load(&before.id).await.unwrap();
    let mut append = append_by(alice);
    append.write(&after, renamed(&after, alice, "Attic")).guard(&before);
    assert_conflict(store.append(append).await, &before.id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_has_a_verdict_finds_the_head_told() {
    let database = TestDatabase::create().await;
    let store = database.store().await;
    let alice = new_id();
    let conversation = found(&store, alice).await;
    for n in 0..300 {
        let appended = say(&store, &conversation, alice, &format!("message {n}")).await;
        assert!(*store.head_watch().borrow() >= appended.position, "the head is told first");
    }
}
