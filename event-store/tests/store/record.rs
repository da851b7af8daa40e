//! The record by actor and by conversation: the same with indexes and without.

use crate::cast::*;
use domain::Position;
use event_store::{
    record::{EventFilter, index_full_partitions},
    testing::TestDatabase,
};

#[tokio::test]
async fn full_partitions_are_indexed_once_and_answer_the_same() {
    let database = TestDatabase::create().await;
    let store = database.store().await;
    let (alice, bob) = (new_id(), new_id());
    let (here, there) = (found(&store, alice).await, found(&store, bob).await);
    for _ in 0..5 {
        say(&store, &here, alice, "hello").await;
        say(&store, &there, bob, "hello").await;
    }
    let by_alice = EventFilter { actor: Some(alice), ..EventFilter::default() };
    let here = EventFilter { conversation: Some(here.id.parse().unwrap()), ..EventFilter::default() };
    let answers = async || {
        let mut answers = Vec::new();
        for filter in [&by_alice, &here] {
            let events = store.audited(Position(0), Position(i64::MAX), 100, filter).await.unwrap();
            answers.push(events.iter().map(|event| event.position.0).collect::<Vec<_>>());
        }
        answers
    };
    let before = answers().await;
    assert_eq!(before, [vec![1, 3, 5, 7, 9, 11], vec![1, 3, 5, 7, 9, 11]]);
    assert_eq!(index_full_partitions(&store).await.unwrap(), 0, "what is still written to gets no index");

    // As if the log had gone on to its second partition.
    sqlx::query("UPDATE head SET position = 1500000").execute(&database.admin).await.unwrap();
    assert_eq!(index_full_partitions(&store).await.unwrap(), 1);
    assert_eq!(index_full_partitions(&store).await.unwrap(), 0);
    assert_eq!(answers().await, before);
    // For twelve rows no plan needs it; that it can be used shows where reading in order is forbidden.
    let mut connection = database.app.acquire().await.unwrap();
    sqlx::raw_sql("SET enable_seqscan = off; SET enable_indexscan = off").execute(&mut *connection).await.unwrap();
    let plan: Vec<String> = sqlx::query_scalar("EXPLAIN SELECT * FROM events WHERE metadata->>'actorId' = 'nobody'")
        .fetch_all(&mut *connection)
        .await
        .unwrap();
    assert!(plan.iter().any(|line| line.contains("events_000000_record")), "{plan:?}");
}
