//! [`EventSourced`]: our aggregates as cqrs-es knows them, so that they run under its framework and test kit, and a stock
//! postgres-es repository loads them from our log. Appending stays ours: cqrs-es knows neither positions nor guards.

use crate::upcast;
use cqrs_es::{
    event_sink::EventSink,
    persist::{EventUpcaster, SerializedEvent},
};
use domain::{Aggregate, Context, DomainEvent, Position, Refusal, schema::version_of};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::Error as _};
use serde_json::{Value, json};
use std::fmt;

/// An aggregate and how many events it has seen: cqrs-es knows no positions, so that they stand at 1, 2, 3 for it.
#[derive(Clone, Debug, Default)]
pub struct EventSourced<A> {
    pub state: A,
    events: i64,
}

/// An event of one of our aggregates.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fact<E>(pub E);

impl<E: fmt::Debug> fmt::Debug for Fact<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<E: DomainEvent + PartialEq + fmt::Debug> cqrs_es::DomainEvent for Fact<E> {
    fn event_type(&self) -> String {
        let value = serde_json::to_value(&self.0).unwrap_or_default();
        value["type"].as_str().unwrap_or_default().to_owned()
    }
    fn event_version(&self) -> String {
        version_of(&self.event_type()).to_string()
    }
}

impl<A> cqrs_es::Aggregate for EventSourced<A>
where
    A: Aggregate<Command: Send, Event: PartialEq + fmt::Debug>,
{
    const TYPE: &'static str = A::TYPE;
    type Command = A::Command;
    type Event = Fact<A::Event>;
    type Error = Refusal;
    /// Who asks, and when.
    type Services = Context;

    async fn handle(&mut self, command: A::Command, context: &Context, sink: &EventSink<Self>) -> Result<(), Refusal> {
        for event in self.state.decide(command, context).map_err(Into::into)? {
            sink.write(Fact(event), self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: Fact<A::Event>) {
        self.events += 1;
        self.state.apply(&event.0, Position(self.events));
    }
}

/// cqrs-es would keep an aggregate as a snapshot; ours is what its events make it, and is kept nowhere.
impl<A> Serialize for EventSourced<A> {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("aggregates are folded from events and not kept"))
    }
}
impl<'de, A> Deserialize<'de> for EventSourced<A> {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(D::Error::custom("aggregates are folded from events and not kept"))
    }
}

/// For `PersistedEventStore::with_upcasters`: brings payloads to their current version and puts their type beside them,
/// as their enums are read.
pub fn upcasters() -> Vec<Box<dyn EventUpcaster>> {
    vec![Box::new(Tagged)]
}

struct Tagged;

impl EventUpcaster for Tagged {
    fn can_upcast(&self, _: &str, _: &str) -> bool {
        true
    }
    fn upcast(&self, event: SerializedEvent) -> SerializedEvent {
        let stored = event.event_version.parse().unwrap_or(1);
        let (version, payload): (u32, Value) = upcast::to_current(&event.event_type, stored, event.payload);
        SerializedEvent {
            payload: json!({"type": event.event_type, "payload": payload}),
            event_version: version.to_string(),
            ..event
        }
    }
}
