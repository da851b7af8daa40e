//! [`Delivery`]: a durable pull consumer, and what comes of it.

use crate::{EventStore, RecordedEvent, StoreError, carried, publisher::Edition};
use async_nats::jetstream::{
    self,
    consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull},
    message::Acker,
    stream::Stream,
};
use domain::Position;
use futures::{FutureExt, StreamExt};
use std::{collections::VecDeque, time::Duration};

const PULL_MAX: usize = 1_000;
const PULL_EXPIRES: Duration = Duration::from_secs(10);
const HEARTBEAT: Duration = Duration::from_secs(2);
/// What JetStream waits for an ack before it brings a message again.
const ACK_WAIT: Duration = Duration::from_mins(1);
const UNACKED_MAX: i64 = 20_000;

pub(super) struct Delivery {
    messages: pull::Stream,
    /// Brought and not acked, in order of position. An ack covers all before it.
    unacked: VecDeque<(Position, Acker)>,
}

pub(super) enum Delivered {
    /// The next events.
    Events(Vec<RecordedEvent>),
    /// Something that was handed out before.
    Repeat,
    /// Something later than the next event, or nothing that can be read.
    Hole,
    Nothing,
    Ended(String),
}

impl Delivery {
    /// A consumer that goes on after the position: the one there is, where it stands just there, or else a new one.
    pub async fn open(
        nats: &async_nats::Client,
        store: &EventStore,
        name: &str,
        after: Position,
    ) -> Result<Self, StoreError> {
        let jetstream = jetstream::new(nats.clone());
        let stream = jetstream.get_stream(&store.names().stream).await.map_err(StoreError::nats)?;
        if stream.cached_info().config.description != Some(Edition::events(store).description) {
            return Err(StoreError::Nats("the stream carries another log".to_owned()));
        }
        let consumer = consumer(&stream, name, after).await?;
        let messages = consumer
            .stream()
            .max_messages_per_batch(PULL_MAX)
            .expires(PULL_EXPIRES)
            .heartbeat(HEARTBEAT)
            .messages()
            .await
            .map_err(StoreError::nats)?;
        Ok(Self { messages, unacked: VecDeque::new() })
    }

    /// Waits for a message, and takes those with it that are there already.
    pub async fn next(&mut self, after: Position, max: usize) -> Delivered {
        let Some(mut next) = self.messages.next().await else {
            return Delivered::Ended("the consumer has ended".to_owned());
        };
        let mut events: Vec<RecordedEvent> = Vec::new();
        loop {
            let last = events.last().map_or(after, |event| event.position);
            match next.map(|message| self.take(message, last)) {
                Ok(Taken::Next(event)) => events.push(*event),
                Ok(Taken::Repeat) if events.is_empty() => return Delivered::Repeat,
                Ok(Taken::Repeat) => {}
                Ok(Taken::Hole) if events.is_empty() => return Delivered::Hole,
                Err(error) if events.is_empty() => return Delivered::Ended(error.to_string()),
                // What was taken is good; what is missing shows as a hole next time.
                Ok(Taken::Hole) | Err(_) => return Delivered::Events(events),
            }
            if events.len() >= max {
                return Delivered::Events(events);
            }
            match self.messages.next().now_or_never() {
                Some(Some(message)) => next = message,
                Some(None) | None => return Delivered::Events(events),
            }
        }
    }

    pub async fn ack(&mut self, position: Position) -> Result<(), StoreError> {
        let mut last = None;
        while self.unacked.front().is_some_and(|(brought, _)| *brought <= position) {
            last = self.unacked.pop_front();
        }
        match last {
            Some((_, acker)) => acker.ack().await.map_err(StoreError::nats),
            None => Ok(()),
        }
    }

    fn take(&mut self, message: jetstream::Message, last: Position) -> Taken {
        let (message, acker) = message.split();
        let Some(event) = carried::read(&message) else { return Taken::Hole };
        // A repeat is acked with what comes after it.
        if self.unacked.back().is_none_or(|(brought, _)| *brought < event.position) {
            self.unacked.push_back((event.position, acker));
        }
        match event.position.0 - last.0 {
            1 => Taken::Next(Box::new(event)),
            ..=0 => Taken::Repeat,
            2.. => Taken::Hole,
        }
    }
}

enum Taken {
    Next(Box<RecordedEvent>),
    Repeat,
    Hole,
}

async fn consumer(stream: &Stream, name: &str, after: Position) -> Result<PullConsumer, StoreError> {
    let after = u64::try_from(after.0).unwrap_or_default();
    if let Ok(consumer) = stream.get_consumer::<pull::Config>(name).await {
        let info = consumer.cached_info();
        if info.ack_floor.stream_sequence == after && info.delivered.stream_sequence == after {
            return Ok(consumer);
        }
        stream.delete_consumer(name).await.map_err(StoreError::nats)?;
    }
    let config = pull::Config {
        durable_name: Some(name.to_owned()),
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: after + 1 },
        ack_policy: AckPolicy::All,
        ack_wait: ACK_WAIT,
        max_ack_pending: UNACKED_MAX,
        ..pull::Config::default()
    };
    stream.create_consumer(config).await.map_err(StoreError::nats)
}
