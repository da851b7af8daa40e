//! [`Append`]: what is to be added to the log at once or not at all, and what that relies on.

mod counted;
mod prepare;

pub(crate) use counted::{COUNTER_TYPE, counted_conversation, is_counted};
pub(crate) use prepare::Prepared;

use crate::{AppendError, Claim, Loaded, Metadata, StoreError};
use domain::{
    Aggregate, ConversationId, EventId, KeyScope, Position, Sequence, Timestamp, WorkspaceId, personal::PLAIN,
    schema::version_of,
};
use serde_json::{Map, Value};
use std::{collections::HashMap, sync::Arc};

/// Collects events of any number of streams, guards of streams that were only read, and claims.
pub struct Append {
    metadata: Metadata,
    /// The events' scopes, each once: their metadata differ in nothing else.
    scopes: Vec<Scope>,
    streams: Vec<Stream>,
    by_name: HashMap<(&'static str, String), usize>,
    claims: Vec<Claim>,
    claim_of: HashMap<(String, String), usize>,
    events: Vec<Draft>,
    problem: Option<AppendError>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Scope {
    conversation: Option<ConversationId>,
    workspace: Option<WorkspaceId>,
}

/// A stream that is written, or guarded where nothing is added. `first` and `last` count the append's events from 0.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub aggregate_type: &'static str,
    pub aggregate_id: String,
    pub expected: i64,
    pub added: usize,
    pub first: usize,
    pub last: usize,
}

struct Draft {
    stream: usize,
    sequence: i64,
    event_type: String,
    version: u32,
    payload: Value,
    key: Option<KeyScope>,
    scope: usize,
}

/// Where an append went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Of its last event.
    pub position: Position,
    pub first_position: Position,
    pub recorded_at: Timestamp,
    /// Of its message.sent events, in order: their numbers in their conversations.
    pub message_sequences: Vec<Sequence>,
    pub events: Vec<(Position, EventId)>,
}

impl Append {
    pub fn new(metadata: Metadata) -> Self {
        let scope = Scope { conversation: metadata.conversation_id, workspace: metadata.workspace_id };
        Self {
            metadata,
            scopes: vec![scope],
            streams: Vec::new(),
            by_name: HashMap::new(),
            claims: Vec::new(),
            claim_of: HashMap::new(),
            events: Vec::new(),
            problem: None,
        }
    }

    /// Adds events to the stream, which must still be at the sequence at which it was loaded. None are no write. A
    /// second write to one stream was decided without the first: the whole append is then refused.
    #[expect(clippy::needless_pass_by_value, reason = "what was decided is given away: it is never written twice")]
    pub fn write<A: Aggregate>(&mut self, loaded: &Loaded<A>, events: Vec<A::Event>) -> &mut Self {
        self.write_scoped(loaded, &events, 0)
    }

    /// As [`Append::write`]; the events' metadata name this conversation and workspace.
    #[expect(clippy::needless_pass_by_value, reason = "what was decided is given away: it is never written twice")]
    pub fn write_in<A: Aggregate>(
        &mut self,
        loaded: &Loaded<A>,
        events: Vec<A::Event>,
        conversation: Option<ConversationId>,
        workspace: Option<WorkspaceId>,
    ) -> &mut Self {
        let scope = Scope { conversation, workspace };
        let place = self.scopes.iter().rposition(|known| *known == scope).unwrap_or_else(|| {
            self.scopes.push(scope);
            self.scopes.len() - 1
        });
        self.write_scoped(loaded, &events, place)
    }

    /// Relies on the stream's being as it was loaded.
    pub fn guard<A: Aggregate>(&mut self, loaded: &Loaded<A>) -> &mut Self {
        self.stream(loaded);
        self
    }

    /// Takes, changes, releases or relies on a claim, at this append's position. Orders on one claim that can't both
    /// hold, such as two takes, have the whole append refused.
    pub fn claim(&mut self, claim: Claim) -> &mut Self {
        let name = (claim.kind.clone(), claim.key.clone());
        if let Some(place) = self.claim_of.get(&name) {
            match self.claims[*place].followed_by(&claim) {
                Some(both) => self.claims[*place] = both,
                None => _ = self.problem.get_or_insert(AppendError::ClaimedTwice { kind: claim.kind }),
            }
        } else {
            self.claim_of.insert(name, self.claims.len());
            self.claims.push(claim);
        }
        self
    }

    /// Whether it would add nothing to the log.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.problem.is_none()
    }

    /// Events that it would add.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    fn write_scoped<A: Aggregate>(&mut self, loaded: &Loaded<A>, events: &[A::Event], scope: usize) -> &mut Self {
        if events.is_empty() {
            return self;
        }
        let stream = self.stream(loaded);
        if self.streams[stream].added > 0 {
            let twice = AppendError::WrittenTwice { aggregate_type: A::TYPE, aggregate_id: loaded.id.clone() };
            self.problem.get_or_insert(twice);
            return self;
        }
        let from = self.events.len();
        for event in events {
            match named(event) {
                Ok((event_type, payload)) => self.push(stream, event_type, payload, scope),
                Err(problem) => _ = self.problem.get_or_insert(problem.into()),
            }
        }
        if self.events[from..].iter().any(|draft| has_plain(&draft.payload)) {
            // Whose key it is shows after the events: a registration is sealed with the key of who is registered by it.
            let mut state = A::clone(&loaded.state);
            for event in events {
                state.apply(event, loaded.last_position);
            }
            let key = state.key_scope();
            self.events[from..].iter_mut().for_each(|draft| draft.key = key);
        }
        self
    }

    fn push(&mut self, stream: usize, event_type: String, payload: Value, scope: usize) {
        let place = self.events.len();
        let written = &mut self.streams[stream];
        if written.added == 0 {
            written.first = place;
        }
        written.added += 1;
        written.last = place;
        let sequence = written.expected + i64::try_from(written.added).expect("an append fits into memory");
        let version = version_of(&event_type);
        self.events.push(Draft { stream, sequence, event_type, version, payload, key: None, scope });
    }

    /// The stream's place. Where it was loaded twice and had changed in between, one of the two is stale already.
    fn stream<A: Aggregate>(&mut self, loaded: &Loaded<A>) -> usize {
        let expected = loaded.sequence.0;
        let place = *self.by_name.entry((A::TYPE, loaded.id.clone())).or_insert_with(|| {
            let stream = Stream {
                aggregate_type: A::TYPE,
                aggregate_id: loaded.id.clone(),
                expected,
                added: 0,
                first: 0,
                last: 0,
            };
            self.streams.push(stream);
            self.streams.len() - 1
        });
        if self.streams[place].expected != expected {
            let (aggregate_type, aggregate_id) = (A::TYPE.to_owned(), loaded.id.clone());
            self.problem.get_or_insert(AppendError::Conflict { aggregate_type, aggregate_id });
        }
        place
    }

    fn metadata_texts(&self) -> Result<Vec<Arc<str>>, StoreError> {
        self.scopes
            .iter()
            .map(|scope| {
                let metadata = Metadata {
                    conversation_id: scope.conversation,
                    workspace_id: scope.workspace,
                    ..self.metadata.clone()
                };
                canonical(&metadata).map(Arc::from)
            })
            .collect()
    }
}

/// The type and the payload of an event, from its form `{"type": …, "payload": {…}}`.
fn named(event: &impl serde::Serialize) -> Result<(String, Value), StoreError> {
    let unreadable = |why: &dyn ToString| StoreError::unreadable("an event to be appended", why.to_string());
    match serde_json::to_value(event).map_err(|error| unreadable(&error))? {
        Value::Object(mut fields) => match fields.remove("type") {
            Some(Value::String(name)) => {
                Ok((name, fields.remove("payload").unwrap_or_else(|| Value::Object(Map::new()))))
            }
            Some(_) | None => Err(unreadable(&"it names no type")),
        },
        _ => Err(unreadable(&"it is no object")),
    }
}

fn has_plain(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.contains_key(PLAIN) || fields.values().any(has_plain),
        Value::Array(items) => items.iter().any(has_plain),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// RFC 8785.
fn canonical(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json_canonicalizer::to_string(value).map_err(|error| StoreError::unreadable("an event to be appended", error))
}
