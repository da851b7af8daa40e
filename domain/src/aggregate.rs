//! [`Aggregate`]: how a slice decides on a command and remembers its events.

mod snapshot;

pub use snapshot::Snapshots;

use crate::{KeyScope, Position, Refusal, Timestamp, UserId};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

/// What a decision may know of the world besides the aggregate's own past.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// Who asks.
    pub actor: UserId,
    /// When it is asked.
    pub now: Timestamp,
}

/// The facts of one aggregate, as an enum that serialises adjacently tagged: `{"type": "message.sent", "payload": {…}}`.
pub trait DomainEvent: Clone + Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {}

/// State that follows from a stream of events alone, and the rules that say what may be added to it.
pub trait Aggregate: Clone + Default + Send + Sync + 'static {
    /// The first part of its event types and its `aggregateType` in the log.
    const TYPE: &'static str;
    type Command;
    type Event: DomainEvent;
    type Error: Into<Refusal>;

    /// The state before the first event of the stream with this id.
    fn new(_id: &str) -> Self {
        Self::default()
    }

    /// The facts that a command makes, or why it is refused. No facts at all means that all is already as ordered.
    fn decide(&self, command: Self::Command, ctx: &Context) -> Result<Vec<Self::Event>, Self::Error>;

    /// Takes a fact into account. Facts are never refused: what is in the log has happened.
    ///
    /// `at` is where the fact stands in the log: what may be read can hang on what came first.
    fn apply(&mut self, event: &Self::Event, at: Position);

    /// Whose key seals the personal fields of the next events, once they are applied. None where there are none.
    fn key_scope(&self) -> Option<KeyScope>;

    /// How the state is written down where its stream is long. None: streams stay short.
    fn snapshots() -> Option<&'static Snapshots<Self>> {
        None
    }
}
