//! Proving the log, and finding what was done to it.

use crate::cast::*;
use domain::Position;
use event_store::{EventStore, audit::verify, testing::TestDatabase};

async fn log_of_ten(database: &TestDatabase) -> EventStore {
    let store = database.store().await;
    let alice = new_id();
    let conversation = found(&store, alice).await;
    for n in 0..9 {
        say(&store, &conversation, alice, &format!("message {n}")).await;
    }
    store
}

/// What someone does who owns the database and means ill.
async fn tamper(database: &TestDatabase, sql: &str) {
    let sql = format!("ALTER TABLE events DISABLE TRIGGER ALL; ALTER TABLE events_000000 DISABLE TRIGGER ALL; {sql};");
    sqlx::raw_sql(&sql).execute(&database.admin).await.unwrap();
}

#[tokio::test]
async fn an_untouched_log_verifies() {
    let database = TestDatabase::create().await;
    let store = log_of_ten(&database).await;
    let mut reached = Vec::new();
    let report = verify(&store, |position| reached.push(position)).await.unwrap();
    assert_eq!((report.events, report.head, report.first_wrong), (10, Position(10), None));
    assert_eq!(reached, [Position(10)]);
}

#[tokio::test]
async fn the_first_event_that_was_touched_is_named() {
    let rehash = "UPDATE events e SET leaf_hash = hash_of_leaf(l.leaf) FROM event_leaf l WHERE l.position = e.position";
    for (sql, position) in [
        ("UPDATE events SET payload = '{}' WHERE position IN (4, 7)", 4),
        ("UPDATE events SET metadata = json_build_object('origin', 'cli') WHERE position = 5", 5),
        ("UPDATE events SET recorded_at = recorded_at + interval '1 s' WHERE position = 3", 3),
        ("UPDATE events SET leaf_hash = '\\x00' WHERE position = 6", 6),
        ("UPDATE events SET message_sequence = 1 WHERE position = 8", 8),
        ("DELETE FROM events WHERE position = 2", 2),
        ("DELETE FROM events WHERE position = 10", 10),
        // Hashes may be made to fit: order and time still tell.
        ("UPDATE events SET recorded_at = recorded_at - interval '1 day' WHERE position = 9", 9),
        ("UPDATE events SET sequence = 2 WHERE position = 7", 7),
    ] {
        let database = TestDatabase::create().await;
        let store = log_of_ten(&database).await;
        tamper(&database, sql).await;
        if position == 9 || sql.contains("sequence = 2") {
            tamper(&database, rehash).await;
        }
        let report = verify(&store, |_| {}).await.unwrap();
        let wrong = report.first_wrong.unwrap_or_else(|| panic!("{sql} was not found"));
        assert_eq!((wrong.position, report.events), (Position(position), position - 1), "{sql}: {}", wrong.why);
    }
}
