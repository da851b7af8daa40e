//! The stream for data teams: the same events, at the same sequences, without anything personal.

use crate::{cast::*, publisher::Published};
use async_nats::jetstream::{self, stream::Stream};
use domain::Position;
use event_store::{Append, Loaded, Metadata};
use serde_json::Value;

async fn stream(published: &Published) -> Stream {
    let name = published.database.names().analytics_stream;
    published.settle_in(&name).await;
    jetstream::new(published.nats.clone()).get_stream(name).await.unwrap()
}

#[tokio::test]
async fn its_events_are_those_of_the_log_without_personal_fields() {
    let published = Published::start().await;
    let alice = new_id();
    let conversation = found(&published.store, alice).await;
    let person: Loaded<domain::user::User> = Loaded::fresh(alice);
    let mut append = Append::new(Metadata { actor_id: None, ..metadata(alice) });
    append.write(&person, registered(alice, "alice"));
    published.store.append(append).await.unwrap();
    say(&published.store, &conversation, alice, "a secret").await;

    let stream = stream(&published).await;
    let subjects = published.database.names().analytics_subjects;
    let log = published.store.read_log(Position(0), 10).await.unwrap();
    assert_eq!(log.len(), 3);
    for event in log {
        let message = stream.get_raw_message(u64::try_from(event.position.0).unwrap()).await.unwrap();
        assert!(message.subject.starts_with(&format!("{subjects}._.{}.", event.event_type)), "{}", message.subject);
        let header = |name: &str| message.headers.get(name).map(|value| value.as_str().to_owned()).unwrap_or_default();
        assert_eq!(header("ce-id"), event.event_id.to_string());
        assert_eq!(header("Hansard-Sequence"), event.sequence.0.to_string());
        assert_eq!(
            header("Hansard-Metadata"),
            serde_json::to_string(&serde_json::to_value(&event.metadata).unwrap()).unwrap()
        );
        let body: Value = serde_json::from_slice(&message.payload).unwrap();
        let expected: Value = event
            .payload
            .as_object()
            .unwrap()
            .iter()
            .filter(|(_, value)| value.get("$enc").is_none())
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect::<serde_json::Map<_, _>>()
            .into();
        assert_eq!(body, expected);
        assert!(!String::from_utf8_lossy(&message.payload).contains("$enc"), "sealed text is personal too");
    }
}

#[tokio::test]
async fn each_stream_is_mended_without_the_other() {
    let published = Published::start().await;
    published.say(20).await;
    published.settle().await;
    let whole_since = published.stream().await.cached_info().created;
    let name = stream(&published).await.cached_info().config.name.clone();
    jetstream::new(published.nats.clone()).delete_stream(&name).await.unwrap();
    published.say(5).await;
    published.settle().await;
    stream(&published).await;
    assert_eq!(published.stream().await.cached_info().created, whole_since);
}
