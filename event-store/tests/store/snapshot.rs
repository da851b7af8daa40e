//! Snapshots: a long stream is loaded from one, and is the same.

use crate::cast::*;
use domain::{
    Aggregate, Position, Sequence, SessionId, UserId,
    conversation::{Conversation, ConversationEvent},
    user::{User, UserCommand},
};
use event_store::{EventStore, Loaded, testing::TestDatabase};
use std::time::Duration;

/// What is written down of the stream: up to which sequence, and the state.
async fn kept(database: &TestDatabase, id: &str) -> Option<(i64, String)> {
    sqlx::query_as("SELECT sequence, state FROM snapshots WHERE aggregate_id = $1")
        .bind(id)
        .fetch_optional(&database.app)
        .await
        .unwrap()
}

async fn wait_for_snapshot(database: &TestDatabase, id: &str, sequence: i64) -> String {
    for _ in 0..200 {
        match kept(database, id).await {
            Some((at, state)) if at == sequence => return state,
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    panic!("no snapshot at {sequence}: {:?}", kept(database, id).await.map(|(at, _)| at));
}

/// The state as the log's events alone make it.
async fn folded<A: Aggregate>(store: &EventStore, id: &str) -> Loaded<A> {
    let mut whole = Loaded::<A>::fresh(id);
    for event in store.read_stream(A::TYPE, id, Sequence(0)).await.unwrap() {
        whole.fold(&event).unwrap();
    }
    whole
}

async fn rename(store: &EventStore, id: &str, owner: UserId, times: usize) {
    let mut loaded: Loaded<Conversation> = store.load(id).await.unwrap();
    for n in 0..times {
        let mut append = append_by(owner);
        append.write(&loaded, renamed(&loaded, owner, &format!("Lobby {n}")));
        store.append(append).await.unwrap();
        store.refresh(&mut loaded).await.unwrap();
    }
}

async fn assert_equal(store: &EventStore, id: &str) {
    let (loaded, whole): (Loaded<Conversation>, _) = (store.load(id).await.unwrap(), folded(store, id).await);
    assert_eq!(loaded.state, whole.state);
    assert_eq!((loaded.sequence, loaded.last_position), (whole.sequence, whole.last_position));
}

#[tokio::test]
async fn a_long_stream_is_loaded_from_its_snapshot_and_is_the_same() {
    let database = TestDatabase::create().await;
    let store = database.store().await;
    let alice = new_id();
    let id = found(&store, alice).await.id;
    rename(&store, &id, alice, 198).await;
    assert_eq!(kept(&database, &id).await, None, "199 events are no long stream");
    rename(&store, &id, alice, 1).await;
    wait_for_snapshot(&database, &id, 200).await;
    rename(&store, &id, alice, 7).await;
    assert_equal(&store, &id).await;

    // It is the snapshot that was loaded: with another state in it, another one comes out.
    sqlx::query("UPDATE snapshots SET state = replace(state, '\"is_private\":true', '\"is_private\":false')")
        .execute(&database.app)
        .await
        .unwrap();
    assert!(!store.load::<Conversation>(&id).await.unwrap().state.is_private);
    // And one of another version's form is none.
    sqlx::query("UPDATE snapshots SET form = form + 1").execute(&database.app).await.unwrap();
    assert!(store.load::<Conversation>(&id).await.unwrap().state.is_private);
    for _ in 0..200 {
        let forms: i64 = sqlx::query_scalar("SELECT count(*) FROM snapshots").fetch_one(&database.app).await.unwrap();
        if forms == 2 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("this version wrote none of its own");
}

#[tokio::test]
async fn an_unreadable_snapshot_costs_nothing_but_time() {
    let database = TestDatabase::create().await;
    let store = database.store().await;
    let alice = new_id();
    let id = found(&store, alice).await.id;
    rename(&store, &id, alice, 199).await;
    wait_for_snapshot(&database, &id, 200).await;
    sqlx::query("UPDATE snapshots SET state = '{\"status\":\"Active\"'").execute(&database.app).await.unwrap();
    assert_equal(&store, &id).await;
    wait_for_snapshot(&database, &id, 200).await;
    assert_equal(&store, &id).await;
}

#[tokio::test]
async fn what_is_decided_on_a_snapshot_is_appended_after_it() {
    let database = TestDatabase::create().await;
    let store = database.store().await;
    let (alice, bob) = (new_id(), new_id());
    let id = found(&store, alice).await.id;
    rename(&store, &id, alice, 199).await;
    wait_for_snapshot(&database, &id, 200).await;
    let stale: Loaded<Conversation> = store.load(&id).await.unwrap();
    let added = |loaded: &Loaded<Conversation>| {
        let command = domain::conversation::ConversationCommand::AddParticipants { users: vec![bob] };
        loaded.state.decide(command, &domain::Context { actor: alice, now: NOW }).unwrap()
    };
    let mut append = append_by(alice);
    append.write(&stale, added(&stale));
    let appended = store.append(append).await.unwrap();
    let mut append = append_by(alice);
    append.write(&stale, added(&stale));
    assert_conflict(store.append(append).await, &id);
    let fresh: Loaded<Conversation> = store.load(&id).await.unwrap();
    assert_eq!(fresh.state.participant(bob).map(|bob| bob.joined_at), Some(Position(appended.position.0)));
    assert!(matches!(added(&fresh)[..], [] | [ConversationEvent::Updated(_)]), "he is in already");
}

#[tokio::test]
async fn a_snapshot_holds_nothing_personal_that_is_not_sealed() {
    let database = TestDatabase::create().await;
    let store = database.store().await;
    let ada: UserId = new_id();
    let mut append = append_by(ada);
    append.write(&Loaded::<User>::fresh(ada), registered(ada, "lovelace"));
    store.append(append).await.unwrap();
    let loaded: Loaded<User> = store.load(ada).await.unwrap();
    let mut events = Vec::new();
    for _ in 0..250 {
        let session: SessionId = new_id();
        let address = Some("203.0.113.7".to_owned());
        let command = UserCommand::LogIn { session, device: Some("a telephone".to_owned()), address };
        events.extend(loaded.state.decide(command, &domain::Context { actor: ada, now: NOW }).unwrap());
    }
    let mut append = append_by(ada);
    append.write(&loaded, events);
    store.append(append).await.unwrap();
    let loaded: Loaded<User> = store.load(ada).await.unwrap();
    let state = wait_for_snapshot(&database, &loaded.id, 251).await;
    assert!(state.contains("$enc") && !state.contains("lovelace") && !state.contains("telephone"), "{state}");
    let again: Loaded<User> = store.load(ada).await.unwrap();
    assert_eq!((again.state, again.sequence), (loaded.state, loaded.sequence));
}
