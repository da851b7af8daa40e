//! The log itself: append-only by the database, canonical, and hashed as it stands.

use crate::cast::*;
use domain::Position;
use event_store::{EventStore, StoreConfig, testing::TestDatabase};
use runtime::clock::{Clock, FixedClock, SystemClock};
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use std::sync::Arc;

async fn refusal(pool: &PgPool, sql: &str) -> String {
    match sqlx::raw_sql(sql).execute(pool).await {
        Ok(_) => panic!("not refused: {sql}"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn nobody_changes_removes_or_truncates_what_is_in_the_log() {
    let database = TestDatabase::create().await;
    let store = database.store().await;
    found(&store, new_id()).await;
    for table in ["events", "events_000000", "events_000002"] {
        for sql in [
            format!("UPDATE {table} SET payload = '{{}}'"),
            format!("UPDATE {table} SET payload = '{{}}' WHERE position = 77"),
            format!("DELETE FROM {table}"),
            format!("TRUNCATE {table}"),
        ] {
            let by_superuser = refusal(&database.admin, &sql).await;
            assert!(by_superuser.contains("append-only"), "{sql}: {by_superuser}");
            // Not even where triggers are switched off for a session.
            let replica = format!("SET session_replication_role = replica; {sql}");
            assert!(refusal(&database.admin, &replica).await.contains("append-only"), "{replica}");
            let by_application = refusal(&database.app, &sql).await;
            assert!(by_application.contains("permission denied"), "{sql}: {by_application}");
        }
    }
    assert!(refusal(&database.app, "DELETE FROM streams").await.contains("permission denied"));
    assert!(refusal(&database.app, "DROP TABLE events").await.contains("must be owner"));
    assert_eq!(store.read_log(Position(0), 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_leaf_is_the_canonical_json_of_the_event_and_its_hash_is_stored() {
    let database = TestDatabase::create().await;
    let store = database.store().await;
    let alice = new_id();
    let conversation = found(&store, alice).await;
    say(&store, &conversation, alice, "grüße, \"Welt\" \u{1f600}\n").await;
    let mut append = append_by(alice);
    append.write(&conversation, renamed(&conversation, alice, "Ümläut \"quoted\" \\ \u{1f600} \u{ff21}"));
    store.append(append).await.unwrap();

    for event in store.read_log(Position(0), 10).await.unwrap() {
        let leaf = serde_json::json!({
            "eventId": event.event_id, "aggregateType": event.aggregate_type, "aggregateId": event.aggregate_id,
            "sequence": event.sequence, "type": event.event_type, "version": event.event_version,
            "payload": event.payload, "metadata": event.metadata, "recordedAt": event.recorded_at,
        });
        let canonical = serde_json_canonicalizer::to_vec(&leaf).unwrap();
        let (given, hash): (Vec<u8>, Vec<u8>) =
            sqlx::query_as("SELECT leaf, leaf_hash FROM event_leaf WHERE position = $1")
                .bind(event.position.0)
                .fetch_one(&database.app)
                .await
                .unwrap();
        assert_eq!(String::from_utf8(given).unwrap(), String::from_utf8(canonical.clone()).unwrap());
        let recomputed: [u8; 32] = Sha256::new().chain_update([0]).chain_update(canonical).finalize().into();
        assert_eq!((hash.as_slice(), event.leaf_hash), (recomputed.as_slice(), recomputed));
    }
}

#[tokio::test]
async fn recorded_time_never_falls_though_a_second_clock_is_slow() {
    let database = TestDatabase::create().await;
    let now = SystemClock.now();
    let (fast, slow) = (Arc::new(FixedClock::at(now)), Arc::new(FixedClock::at(now - chrono::TimeDelta::hours(1))));
    let open = async |clock: Arc<FixedClock>| {
        EventStore::open(StoreConfig { clock, ..database.config().await }).await.unwrap()
    };
    let (fast, slow) = (open(fast).await, open(slow).await);
    let alice = new_id();
    let conversation = found(&fast, alice).await;
    for n in 0..10 {
        let store = if n % 2 == 0 { &slow } else { &fast };
        say(store, &conversation, alice, "tick").await;
    }
    let events = fast.read_log(Position(0), 100).await.unwrap();
    assert!(events.is_sorted_by_key(|event| event.recorded_at));
    assert!(events.iter().all(|event| event.recorded_at == now.into()));
}

#[tokio::test]
async fn a_clock_far_ahead_of_postgresqls_is_refused() {
    let database = TestDatabase::create().await;
    let clock = Arc::new(FixedClock::at(SystemClock.now() + chrono::TimeDelta::seconds(90)));
    let store = EventStore::open(StoreConfig { clock: clock.clone(), ..database.config().await }).await.unwrap();
    let mut append = append_by(new_id());
    let id: domain::ConversationId = new_id();
    append.write(&event_store::Loaded::<domain::conversation::Conversation>::fresh(id), created(new_id(), "Lobby"));
    assert!(matches!(store.append(append).await, Err(event_store::AppendError::Clock)));
    assert_eq!(store.head().await.unwrap(), Position(0));
    clock.set(SystemClock.now());
    found(&store, new_id()).await;
}

#[tokio::test]
async fn a_stream_is_read_from_the_partitions_that_hold_it() {
    let database = TestDatabase::create().await;
    let store = database.store().await;
    let alice = new_id();
    let before = found(&store, alice).await;
    // As if a million events had been appended.
    sqlx::query("UPDATE head SET position = 999999").execute(&database.admin).await.unwrap();
    sqlx::query("SELECT make_partitions_ahead()").execute(&database.app).await.unwrap();
    let mut append = append_by(alice);
    append.write(&before, renamed(&before, alice, "Hall"));
    for n in 0..3 {
        let id: domain::ConversationId = new_id();
        append.write(
            &event_store::Loaded::<domain::conversation::Conversation>::fresh(id),
            created(alice, &format!("{n}")),
        );
    }
    let appended = store.append(append).await.unwrap();
    assert_eq!((appended.first_position, appended.position), (Position(1_000_000), Position(1_000_003)));
    let now: event_store::Loaded<domain::conversation::Conversation> = store.load(&before.id).await.unwrap();
    assert_eq!((now.sequence.0, now.last_position), (2, Position(1_000_000)));
    let mut refreshed = before.clone();
    store.refresh(&mut refreshed).await.unwrap();
    assert_eq!(refreshed.sequence, now.sequence);
    assert_eq!(store.read_log(Position(999_999), 10).await.unwrap().len(), 4);
    // The appender has seen how far the log has come.
    for _ in 0..100 {
        let partitions: i64 =
            sqlx::query_scalar("SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass")
                .fetch_one(&database.admin)
                .await
                .unwrap();
        if partitions == 4 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("no partition was made ahead");
}
