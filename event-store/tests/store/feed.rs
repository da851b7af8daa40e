//! Following the log: no hole, no repeat, whatever JetStream brings.

use crate::{cast::*, publisher::Published};
use async_nats::jetstream;
use domain::Position;
use event_store::{EventStore, RecordedEvent, StoreConfig, subscription::Feed, testing::TestDatabase};
use std::time::{Duration, Instant};

/// Takes from the feed until the position, and asserts that each event is the one after the last.
async fn follow(feed: &mut Feed, from: i64, to: i64) -> Vec<RecordedEvent> {
    let mut events: Vec<RecordedEvent> = Vec::new();
    let started = Instant::now();
    while events.last().map_or(from, |event| event.position.0) < to {
        assert!(started.elapsed() < Duration::from_secs(30), "the feed stands at {:?}", events.last());
        for event in feed.next_batch(100).await.unwrap() {
            assert_eq!(event.position.0, events.last().map_or(from, |event| event.position.0) + 1);
            events.push(event);
        }
    }
    feed.ack(Position(to)).await.unwrap();
    events
}

#[tokio::test]
async fn what_jetstream_brings_is_what_the_log_holds() {
    let published = Published::start().await;
    published.say(10).await;
    published.settle().await;
    let mut feed =
        Feed::open(published.store.clone(), Some(published.nats.clone()), "views", Position(0)).await.unwrap();
    let brought = follow(&mut feed, 0, 11).await;
    for (brought, read) in brought.iter().zip(published.store.read_log(Position(0), 100).await.unwrap()) {
        assert_eq!(format!("{brought:?}"), format!("{read:?}"));
    }
    published.say(300).await;
    follow(&mut feed, 11, 312).await;
}

#[tokio::test]
async fn a_feed_goes_on_where_it_was_acked() {
    let published = Published::start().await;
    published.say(10).await;
    published.settle().await;
    let open = async |after| {
        Feed::open(published.store.clone(), Some(published.nats.clone()), "views", Position(after)).await.unwrap()
    };
    let mut feed = open(0).await;
    follow(&mut feed, 0, 6).await;
    drop(feed);
    // Where its follower really is, though JetStream may think otherwise.
    let mut feed = open(4).await;
    follow(&mut feed, 4, 11).await;
    drop(feed);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut feed = open(11).await;
    published.say(3).await;
    follow(&mut feed, 11, 15).await;
}

#[tokio::test]
async fn holes_and_repeats_are_settled_from_postgresql() {
    let mut published = Published::start().await;
    published.say(30).await;
    published.settle().await;
    published.stop_publishing().await;
    for sequence in [1, 5, 6, 20, 31] {
        published.stream().await.delete_message(sequence).await.unwrap();
    }
    let mut feed =
        Feed::open(published.store.clone(), Some(published.nats.clone()), "views", Position(0)).await.unwrap();
    follow(&mut feed, 0, 31).await;
    // Nothing is published any more: the log is read.
    published.say(5).await;
    follow(&mut feed, 31, 37).await;
    // Made anew from the first: everything comes once more.
    published.publish();
    published.say(5).await;
    published.settle().await;
    follow(&mut feed, 37, 43).await;
}

#[tokio::test]
async fn a_feed_outlives_its_consumer_and_its_stream() {
    let published = Published::start().await;
    published.say(5).await;
    published.settle().await;
    let mut feed =
        Feed::open(published.store.clone(), Some(published.nats.clone()), "views", Position(0)).await.unwrap();
    follow(&mut feed, 0, 6).await;
    // It is asked for while the feed goes on, and may be there only now.
    while published.stream().await.delete_consumer("views").await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    published.say(5).await;
    follow(&mut feed, 6, 12).await;
    jetstream::new(published.nats.clone()).delete_stream(published.stream_name()).await.unwrap();
    published.say(5).await;
    follow(&mut feed, 12, 18).await;
    published.settle().await;
    published.say(5).await;
    follow(&mut feed, 18, 24).await;
}

#[tokio::test]
async fn without_nats_the_log_is_read() {
    let database = TestDatabase::create().await;
    let (store, elsewhere) = (database.store().await, database.store().await);
    let mut feed = Feed::open(store.clone(), None, "views", Position(0)).await.unwrap();
    let alice = new_id();
    let conversation = found(&elsewhere, alice).await;
    follow(&mut feed, 0, 1).await;
    for n in 1..9 {
        say(&elsewhere, &conversation, alice, "hello").await;
        follow(&mut feed, n, n + 1).await;
    }
    let started = Instant::now();
    assert!(feed.next_batch(10).await.unwrap().is_empty());
    assert!(started.elapsed() > Duration::from_millis(900) && started.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn other_processes_appends_are_heard_of() {
    let published = Published::start().await;
    let nats = async_nats::connect(event_store::testing::nats_url()).await.unwrap();
    let config = StoreConfig { nats: Some(nats), ..published.database.config().await };
    let other = EventStore::open(config).await.unwrap();
    let mut head = other.head_watch();
    tokio::time::sleep(Duration::from_millis(100)).await;
    published.say(3).await;
    let told = tokio::time::timeout(Duration::from_secs(2), head.wait_for(|head| *head == Position(4))).await;
    assert!(told.is_ok());
}

#[tokio::test]
async fn an_event_comes_within_milliseconds() {
    let published = Published::start().await;
    let alice = new_id();
    let conversation = found(&published.store, alice).await;
    let mut feed =
        Feed::open(published.store.clone(), Some(published.nats.clone()), "views", Position(0)).await.unwrap();
    follow(&mut feed, 0, 1).await;
    let mut taken = Vec::new();
    for n in 1..=30 {
        let appended = say(&published.store, &conversation, alice, "hello").await;
        let started = Instant::now();
        follow(&mut feed, n, appended.position.0).await;
        taken.push(started.elapsed());
    }
    taken.sort_unstable();
    assert!(taken[15] < Duration::from_millis(100), "{taken:?}");
    println!("median {:?}, most {:?}", taken[15], taken[29]);
}
