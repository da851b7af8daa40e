//! The stream beside the log: equal to it, and made equal again whatever it loses.

use crate::cast::*;
use async_nats::jetstream::{self, stream::Stream};
use domain::{Position, WorkspaceId};
use event_store::{EventStore, StoreConfig, publisher, testing::TestDatabase, testing::nats_url};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

pub struct Published {
    pub database: TestDatabase,
    pub store: EventStore,
    pub nats: async_nats::Client,
    pub publisher: Option<(DropGuard, JoinHandle<()>)>,
}

impl Published {
    pub async fn start() -> Self {
        let database = TestDatabase::create().await;
        let nats = async_nats::connect(nats_url()).await.unwrap();
        let store =
            EventStore::open(StoreConfig { nats: Some(nats.clone()), ..database.config().await }).await.unwrap();
        let mut published = Self { database, store, nats, publisher: None };
        published.publish();
        published
    }

    pub fn publish(&mut self) {
        let shutdown = CancellationToken::new();
        let url = Some("https://chat.example.org/".to_owned());
        let task = tokio::spawn(publisher::run(self.store.clone(), self.nats.clone(), url, shutdown.clone()));
        self.publisher = Some((shutdown.drop_guard(), task));
    }

    pub async fn stop_publishing(&mut self) {
        let (guard, task) = self.publisher.take().unwrap();
        drop(guard);
        task.await.unwrap();
    }

    pub fn stream_name(&self) -> String {
        self.database.names().stream
    }

    pub async fn stream(&self) -> Stream {
        jetstream::new(self.nats.clone()).get_stream(self.stream_name()).await.unwrap()
    }

    /// Waits until the stream is the log, message by message.
    pub async fn settle(&self) {
        self.settle_in(&self.stream_name()).await;
    }

    pub async fn settle_in(&self, name: &str) {
        let head = self.store.head().await.unwrap();
        for _ in 0..400 {
            if let Ok(stream) = jetstream::new(self.nats.clone()).get_stream(name).await
                && stream.cached_info().state.last_sequence == u64::try_from(head.0).unwrap()
                && stream.cached_info().state.messages == stream.cached_info().state.last_sequence
                && self.is_log(&stream).await
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the stream did not become the log");
    }

    async fn is_log(&self, stream: &Stream) -> bool {
        for event in self.store.read_log(Position(0), 10_000).await.unwrap() {
            let Ok(message) = stream.get_raw_message(u64::try_from(event.position.0).unwrap()).await else {
                return false;
            };
            let header = |name: &str| message.headers.get(name).map(|value| value.as_str().to_owned());
            if header("Nats-Msg-Id") != Some(event.event_id.to_string())
                || header("Hansard-Position") != Some(event.position.to_string())
            {
                return false;
            }
        }
        true
    }

    pub async fn say(&self, count: usize) {
        let alice = new_id();
        let conversation = found(&self.store, alice).await;
        let says = (0..count).map(|_| say(&self.store, &conversation, alice, "hello"));
        futures::future::join_all(says).await;
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        let (nats, names) = (self.nats.clone(), self.database.names());
        // The server is shared and outlives the test; a stream that is left over costs it a little disk.
        tokio::spawn(async move {
            let _ = jetstream::new(nats.clone()).delete_stream(names.stream).await;
            jetstream::new(nats).delete_stream(names.analytics_stream).await
        });
    }
}

#[tokio::test]
async fn the_streams_sequence_is_the_logs_position() {
    let published = Published::start().await;
    published.say(20).await;
    published.settle().await;
    let more = published.say(1_500);
    more.await;
    published.settle().await;
    assert_eq!(published.stream().await.cached_info().state.last_sequence, 21 + 1_501);
}

#[tokio::test]
async fn a_message_says_what_event_it_is() {
    let published = Published::start().await;
    let (alice, workspace): (_, WorkspaceId) = (new_id(), new_id());
    let conversation = found(&published.store, alice).await;
    let id = conversation.id.parse().unwrap();
    let mut append = append_by(alice);
    let message: event_store::Loaded<domain::message::Message> = event_store::Loaded::fresh(new_id::<uuid::Uuid>());
    append.write_in(&message, said(id, alice, "hello"), Some(id), Some(workspace));
    published.store.append(append).await.unwrap();
    published.settle().await;

    let subjects = published.database.names().subjects;
    let first = published.stream().await.get_raw_message(1).await.unwrap();
    assert_eq!(first.subject.as_str(), format!("{subjects}._.conversation.created.{id}"));
    let carried = published.stream().await.get_raw_message(2).await.unwrap();
    assert_eq!(carried.subject.as_str(), format!("{subjects}.{workspace}.message.sent.{}", message.id));
    let event = published.store.event_at(Position(2)).await.unwrap().unwrap();
    let header = |name: &str| carried.headers.get(name).map(|value| value.as_str().to_owned()).unwrap_or_default();
    assert_eq!(header("ce-specversion"), "1.0");
    assert_eq!(header("ce-id"), event.event_id.to_string());
    assert_eq!(header("ce-type"), "message.sent");
    assert_eq!(header("ce-source"), "https://chat.example.org");
    assert_eq!(header("ce-subject"), format!("message/{}", message.id));
    assert_eq!(header("ce-time"), event.recorded_at.to_string());
    assert_eq!(header("ce-dataschema"), "https://chat.example.org/api/schemas/message.sent/1");
    assert_eq!((header("Hansard-Sequence"), header("Hansard-Message-Sequence")), ("1".to_owned(), "1".to_owned()));
    let metadata: event_store::Metadata = serde_json::from_str(&header("Hansard-Metadata")).unwrap();
    assert_eq!(metadata, event.metadata);
    let stored: String = sqlx::query_scalar("SELECT payload::text FROM events WHERE position = 2")
        .fetch_one(&published.database.app)
        .await
        .unwrap();
    assert_eq!(carried.payload, stored.as_bytes());
}

#[tokio::test]
async fn a_stream_that_lost_its_tail_is_refilled() {
    let mut published = Published::start().await;
    published.say(20).await;
    published.settle().await;
    published.stop_publishing().await;
    // As after a crash of a server that had not synced: what was acked last is gone, and the stream is shorter.
    let jetstream = jetstream::new(published.nats.clone());
    let config = published.stream().await.cached_info().config.clone();
    let mut kept = Vec::new();
    for sequence in 1..=12 {
        kept.push(published.stream().await.get_raw_message(sequence).await.unwrap());
    }
    jetstream.delete_stream(published.stream_name()).await.unwrap();
    jetstream.create_stream(config).await.unwrap();
    for message in kept {
        jetstream
            .publish_with_headers(message.subject.clone(), message.headers.clone(), message.payload.clone())
            .await
            .unwrap()
            .await
            .unwrap();
    }
    let before = published.stream().await.cached_info().created;
    published.publish();
    published.settle().await;
    assert_eq!(published.stream().await.cached_info().created, before, "refilled, not made anew");
}

#[tokio::test]
async fn a_stream_that_was_lost_whole_is_made_again() {
    let published = Published::start().await;
    published.say(20).await;
    published.settle().await;
    // While the publisher runs: it notices at its next message.
    jetstream::new(published.nats.clone()).delete_stream(published.stream_name()).await.unwrap();
    published.say(1).await;
    published.settle().await;
}

#[tokio::test]
async fn a_stream_that_lost_something_between_is_made_anew() {
    for sequence in [1, 7, 21] {
        let mut published = Published::start().await;
        published.say(20).await;
        published.settle().await;
        published.stop_publishing().await;
        published.stream().await.delete_message(sequence).await.unwrap();
        published.publish();
        published.settle().await;
    }
}

#[tokio::test]
async fn a_purged_stream_is_made_anew() {
    let mut published = Published::start().await;
    published.say(20).await;
    published.settle().await;
    published.stop_publishing().await;
    published.stream().await.purge().await.unwrap();
    published.publish();
    published.settle().await;
}

#[tokio::test]
async fn a_stream_of_another_log_is_made_anew() {
    let mut published = Published::start().await;
    published.say(20).await;
    published.settle().await;
    published.stop_publishing().await;
    let jetstream = jetstream::new(published.nats.clone());
    let config = published.stream().await.cached_info().config.clone();
    let other = jetstream::stream::Config { description: Some("another log".to_owned()), ..config };
    jetstream.update_stream(other).await.unwrap();
    published.publish();
    published.settle().await;
}

#[tokio::test]
async fn what_follows_too_soon_on_a_refill_is_not_taken_for_a_repeat() {
    let published = Published::start().await;
    published.say(5).await;
    published.settle().await;
    // Within the window in which the server knows the ids still.
    jetstream::new(published.nats.clone()).delete_stream(published.stream_name()).await.unwrap();
    published.say(1).await;
    published.settle().await;
}

#[tokio::test]
async fn a_second_publisher_stands_by_and_takes_over() {
    let mut published = Published::start().await;
    published.say(5).await;
    published.settle().await;
    let shutdown = CancellationToken::new();
    let second = tokio::spawn(publisher::run(published.store.clone(), published.nats.clone(), None, shutdown.clone()));
    published.say(5).await;
    published.settle().await;
    published.stop_publishing().await;
    published.say(5).await;
    published.settle().await;
    shutdown.cancel();
    second.await.unwrap();
}

#[tokio::test]
async fn publishing_goes_on_when_the_leaders_session_is_cut() {
    let published = Published::start().await;
    published.say(5).await;
    published.settle().await;
    sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
    .execute(&published.database.admin)
    .await
    .unwrap();
    published.say(5).await;
    published.settle().await;
}
