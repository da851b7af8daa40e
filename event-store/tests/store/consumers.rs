//! A stream that is made anew: its durable consumers go on where they had acked.

use crate::{cast::*, publisher::Published};
use async_nats::jetstream::{
    self,
    consumer::{AckPolicy, Consumer, DeliverPolicy, pull},
};
use futures::StreamExt;
use std::{collections::HashMap, time::Duration};

type Pull = Consumer<pull::Config>;

async fn make(published: &Published, config: pull::Config) -> Pull {
    published.stream().await.create_consumer(config).await.unwrap()
}

fn durable(name: &str) -> pull::Config {
    pull::Config { durable_name: Some(name.to_owned()), ack_policy: AckPolicy::Explicit, ..pull::Config::default() }
}

/// The sequences of at most so many messages; those that `acks` names are acked.
async fn take(consumer: &Pull, most: usize, acks: impl Fn(u64) -> bool) -> Vec<u64> {
    let mut messages =
        consumer.fetch().max_messages(most).expires(Duration::from_millis(500)).messages().await.unwrap();
    let mut taken = Vec::new();
    while let Some(message) = messages.next().await {
        let message = message.unwrap();
        let sequence = message.info().unwrap().stream_sequence;
        taken.push(sequence);
        if acks(sequence) {
            message.double_ack().await.unwrap();
        }
    }
    taken
}

/// The consumer of the stream as it is now, once it is there.
async fn again(published: &Published, name: &str) -> Pull {
    for _ in 0..100 {
        if let Ok(consumer) = published.stream().await.get_consumer(name).await {
            return consumer;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{name} did not come back");
}

#[tokio::test]
async fn consumers_of_a_stream_that_lost_its_middle_get_what_they_had_not_acked_and_nothing_twice() {
    let mut published = Published::start().await;
    published.say(30).await;
    published.settle().await;
    let half = make(&published, durable("half")).await;
    assert_eq!(take(&half, 12, |sequence| sequence <= 9).await, (1..=12).collect::<Vec<_>>());
    let through = make(&published, pull::Config { ack_policy: AckPolicy::All, ..durable("through") }).await;
    assert_eq!(take(&through, 31, |sequence| sequence == 31).await.len(), 31);
    let labels = HashMap::from([("team".to_owned(), "figures".to_owned())]);
    let subject = format!("{}.*.message.sent.>", published.database.names().subjects);
    let filtered = pull::Config {
        filter_subject: subject,
        max_ack_pending: 77,
        metadata: labels,
        deliver_policy: DeliverPolicy::New,
        ..durable("filtered")
    };
    make(&published, filtered.clone()).await;
    make(&published, durable("untouched")).await;
    published.say(1).await;
    published.settle().await;

    published.stop_publishing().await;
    published.stream().await.delete_message(20).await.unwrap();
    published.publish();
    published.settle().await;

    let filtered_now = again(&published, "filtered").await;
    let config = &filtered_now.cached_info().config;
    assert_eq!((&config.filter_subject, config.max_ack_pending), (&filtered.filter_subject, 77));
    assert_eq!(config.metadata.get("team").map(String::as_str), Some("figures"));
    published.say(1).await;
    published.settle().await;
    // 33 events when it was made anew, and a conversation with its message since.
    let until = |from: u64| (from..=35).collect::<Vec<_>>();
    assert_eq!(take(&again(&published, "half").await, 100, |_| true).await, until(10));
    assert_eq!(take(&again(&published, "through").await, 100, |_| true).await, until(32));
    assert_eq!(take(&again(&published, "untouched").await, 100, |_| true).await, until(1));
    assert_eq!(take(&filtered_now, 100, |_| true).await, [33, 35]);
    let left: i64 =
        sqlx::query_scalar("SELECT count(*) FROM stream_consumers").fetch_one(&published.database.app).await.unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn consumers_come_back_though_the_process_died_between() {
    let mut published = Published::start().await;
    published.say(10).await;
    published.settle().await;
    let consumer = make(&published, durable("team")).await;
    take(&consumer, 5, |_| true).await;
    published.stop_publishing().await;
    // What it had done until then: noted them, and deleted the stream.
    let config = serde_json::json!({"durable_name": "team", "name": "team", "ack_policy": "explicit"});
    sqlx::query("INSERT INTO stream_consumers (stream, name, acked, config) VALUES ($1, 'team', 5, $2)")
        .bind(published.stream_name())
        .bind(config.to_string())
        .execute(&published.database.app)
        .await
        .unwrap();
    jetstream::new(published.nats.clone()).delete_stream(published.stream_name()).await.unwrap();
    published.publish();
    published.settle().await;
    assert_eq!(take(&again(&published, "team").await, 100, |_| true).await, (6..=11).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_consumer_that_its_owner_made_meanwhile_is_left_alone() {
    let mut published = Published::start().await;
    published.say(10).await;
    published.settle().await;
    published.stop_publishing().await;
    make(&published, durable("team")).await;
    let config = serde_json::json!({"durable_name": "team", "name": "team", "ack_policy": "explicit"});
    sqlx::query("INSERT INTO stream_consumers (stream, name, acked, config) VALUES ($1, 'team', 5, $2)")
        .bind(published.stream_name())
        .bind(config.to_string())
        .execute(&published.database.app)
        .await
        .unwrap();
    published.publish();
    let alice = new_id();
    found(&published.store, alice).await;
    published.settle().await;
    assert_eq!(take(&again(&published, "team").await, 100, |_| true).await, (1..=12).collect::<Vec<_>>());
}
