//! Hearing the log as a plain subscriber: in order, without holes, whatever plain NATS brings.

use crate::{cast::*, publisher::Published};
use async_nats::Message;
use domain::Position;
use event_store::{EventStore, RecordedEvent, subscription::Live, testing::TestDatabase};
use futures::StreamExt;
use std::time::{Duration, Instant};

/// Takes until the position, and asserts that each event is the one after the last.
async fn follow(live: &mut Live, from: i64, to: i64) -> Vec<RecordedEvent> {
    let mut events: Vec<RecordedEvent> = Vec::new();
    let started = Instant::now();
    while events.last().map_or(from, |event| event.position.0) < to {
        assert!(started.elapsed() < Duration::from_secs(30), "it stands at {:?}", events.last());
        for event in live.next_batch(100).await.unwrap() {
            assert_eq!(event.position.0, events.last().map_or(from, |event| event.position.0) + 1);
            events.push(event);
        }
    }
    events
}

async fn open(published: &Published, after: i64) -> Live {
    Live::open(published.store.clone(), Some(published.nats.clone()), Position(after)).await.unwrap()
}

#[tokio::test]
async fn what_is_heard_is_what_the_log_holds() {
    let published = Published::start().await;
    published.say(10).await;
    let mut live = open(&published, 0).await;
    follow(&mut live, 0, 11).await;
    published.say(300).await;
    let heard = follow(&mut live, 11, 312).await;
    for (heard, read) in heard.iter().zip(published.store.read_log(Position(11), 400).await.unwrap()) {
        assert_eq!(format!("{heard:?}"), format!("{read:?}"));
    }
}

#[tokio::test]
async fn holes_repeats_and_disorder_are_settled_from_postgresql() {
    let mut published = Published::start().await;
    let subjects = format!("{}.>", published.database.names().subjects);
    let mut carried = published.nats.subscribe(subjects).await.unwrap();
    published.say(30).await;
    let mut messages: Vec<Message> = Vec::new();
    while messages.len() < 31 {
        messages.push(carried.next().await.unwrap());
    }
    published.stop_publishing().await;
    // A process that has not heard how far the log is, and hears of it by these alone.
    let elsewhere = published.database.store().await;
    let mut live = Live::open(elsewhere, Some(published.nats.clone()), Position(0)).await.unwrap();
    for index in [4, 2, 2, 0, 30, 7] {
        let message = &messages[index];
        let headers = message.headers.clone().unwrap();
        let (subject, payload) = (message.subject.clone(), message.payload.clone());
        published.nats.publish_with_headers(subject, headers, payload).await.unwrap();
    }
    published.nats.publish(messages[0].subject.clone(), "no event".into()).await.unwrap();
    published.nats.flush().await.unwrap();
    follow(&mut live, 0, 31).await;
    published.say(1).await;
    follow(&mut live, 31, 32).await;
}

#[tokio::test]
async fn without_nats_what_another_process_appends_is_found() {
    let database = TestDatabase::create().await;
    let (here, elsewhere): (EventStore, EventStore) = (database.store().await, database.store().await);
    let mut live = Live::open(here, None, Position(0)).await.unwrap();
    let alice = new_id();
    let mut append = append_by(alice);
    append.write(&event_store::Loaded::<domain::user::User>::fresh(alice), registered(alice, "alice"));
    elsewhere.append(append).await.unwrap();
    follow(&mut live, 0, 1).await;
}
