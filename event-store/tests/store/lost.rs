//! Connections that are lost while appends are on their way: nothing acked is lost, nothing is there twice.

use crate::cast::*;
use domain::Position;
use event_store::testing::TestDatabase;
use std::{
    collections::HashSet,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

const CUTS: u64 = 30;
const CUTS_ENOUGH: i64 = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn none_is_lost_and_none_is_made_twice_when_connections_are_cut() {
    let database = TestDatabase::create().await;
    let store = database.store().await;
    let alice = new_id();
    let conversation = found(&store, alice).await;
    let cuts = AtomicI64::new(0);
    let cut = async {
        // Longer and longer apart: whatever the machine's speed, some hit a batch and some let it through.
        for n in 0..CUTS {
            tokio::time::sleep(Duration::from_millis(10 + n * n)).await;
            let cut: i64 = sqlx::query_scalar(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                 WHERE datname = current_database() AND application_name = 'hansard appender'",
            )
            .fetch_one(&database.admin)
            .await
            .unwrap();
            cuts.fetch_add(cut, Ordering::Relaxed);
        }
    };
    let write = async {
        let mut acked = Vec::new();
        while cuts.load(Ordering::Relaxed) < CUTS_ENOUGH {
            let says = (0..20).map(|_| store.append(saying(&conversation, alice, "hello")));
            for result in futures::future::join_all(says).await {
                acked.extend(result.unwrap().events);
            }
        }
        acked
    };
    let ((), acked) = tokio::join!(cut, write);
    let total = acked.len();
    let mut known = HashSet::new();
    let mut position = Position(1);
    loop {
        let events = store.read_log(position, 1_000).await.unwrap();
        let Some(last) = events.last() else { break };
        position = last.position;
        known.extend(events.iter().map(|event| (event.position, event.event_id)));
    }
    assert_eq!(known.len(), total);
    assert_eq!(acked.into_iter().collect::<HashSet<_>>(), known);
    let messages: i64 = sqlx::query_scalar("SELECT messages FROM streams WHERE aggregate_type = 'conversation'")
        .fetch_one(&database.app)
        .await
        .unwrap();
    assert_eq!(usize::try_from(messages), Ok(total));
}
