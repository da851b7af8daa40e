//! The one loop in which every command runs: decide, append, and where something it relied on has moved, decide again.

use crate::{Caller, CommandError, Commands, claim};
use domain::{Aggregate, CommandId, Context, Position, Timestamp, conversation::Conversation};
use event_store::{Append, AppendError, Claim, Claimed, Loaded, Metadata};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::pin::Pin;

/// Contention on one stream is settled within a few rounds; more than this is an attack or a fault.
const ROUNDS_MAX: u32 = 50;
const IDEMPOTENCY_MILLIS: i64 = 24 * 3_600_000;

/// A command that was carried out, now or by an earlier twin.
#[derive(Clone, Debug)]
pub struct Done<T> {
    /// The ids by which the answer is read back.
    pub value: T,
    /// Whether it made something new (201) or not (200).
    pub created: bool,
    /// The last event's position; none where all was already as ordered.
    pub position: Option<Position>,
}

/// What a decision came to.
pub(crate) struct Decided<T> {
    pub append: Append,
    pub value: T,
    pub created: bool,
}

/// One round's view of the streams. In the first round conversations come from the process's cache, which may be
/// behind; a refusal or a nothing-to-do that was decided so is decided once more on fresh state.
pub(crate) struct Round<'a> {
    pub commands: &'a Commands,
    caller: &'a Caller,
    is_fresh: bool,
    pub context: Context,
    command_id: CommandId,
}

impl Round<'_> {
    pub fn append(&self) -> Append {
        Append::new(self.caller.metadata(self.command_id))
    }
    /// For what nobody signed in has asked for, such as a failed login.
    pub fn append_as_nobody(&self) -> Append {
        Append::new(Metadata { actor_id: None, session_id: None, ..self.caller.metadata(self.command_id) })
    }
    pub fn now(&self) -> Timestamp {
        self.context.now
    }
    pub async fn load<A: Aggregate>(&self, id: impl ToString) -> Result<Loaded<A>, CommandError> {
        Ok(self.commands.store.load(id).await?)
    }
    pub async fn conversation(&self, id: domain::ConversationId) -> Result<Loaded<Conversation>, CommandError> {
        self.cached(id).await
    }
    /// For streams that are long or often asked for: the process's memory of it, brought up to date from the second
    /// round on.
    pub async fn cached<A: Aggregate>(&self, id: impl ToString) -> Result<Loaded<A>, CommandError> {
        let store = &self.commands.store;
        Ok(if self.is_fresh { store.refresh_cached(id).await? } else { store.load_cached(id).await? })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Remembered<T> {
    body_hash: String,
    created: bool,
    value: T,
}

impl Commands {
    /// Runs a decision until it stands. `decide` is called again on fresh state when what it relied on has changed.
    ///
    /// The future is boxed and not an `AsyncFn`'s, of which the compiler can't tell that it may move between threads.
    pub(crate) async fn run<'c, T, F>(&'c self, caller: &'c Caller, decide: F) -> Result<Done<T>, CommandError>
    where
        T: Serialize + DeserializeOwned,
        F: for<'r> Fn(&'r Round<'c>) -> Pin<Box<dyn Future<Output = Result<Decided<T>, CommandError>> + Send + 'r>>,
    {
        if let Some(done) = self.replay(caller).await? {
            return Ok(done);
        }
        let command_id = self.new_id();
        for attempt in 0..ROUNDS_MAX {
            let context = caller.context(self.now());
            let round = Round { commands: self, caller, is_fresh: attempt > 0, context, command_id };
            let decided = match decide(&round).await {
                Err(error) if error.is_refusal() && !round.is_fresh => continue,
                // What stands in the way may be what a twin of this request has just done.
                Err(error) if error.is_refusal() => return self.replay(caller).await?.ok_or(error),
                Err(error) => return Err(error),
                Ok(decided) if decided.append.is_empty() && !round.is_fresh => continue,
                Ok(decided) => decided,
            };
            let Decided { mut append, value, created } = decided;
            if append.is_empty() {
                let done = Done { value, created, position: None };
                return Ok(self.replay(caller).await?.unwrap_or(done));
            }
            let value = remember(caller, &mut append, value, created, context.now)?;
            match self.store.append(append).await {
                Ok(appended) => return Ok(Done { value, created, position: Some(appended.position) }),
                Err(AppendError::Claimed { kind, .. }) if kind == claim::IDEMPOTENCY => {
                    if let Some(done) = self.replay(caller).await? {
                        return Ok(done);
                    }
                }
                // The next round sees the stream or the claim as it is now.
                Err(AppendError::Conflict { .. } | AppendError::Claimed { .. }) => {}
                Err(error) => return Err(CommandError::from_append(error)),
            }
        }
        Err(CommandError::Contended)
    }

    /// The answer of an earlier request with the same key, if there was one.
    async fn replay<T: DeserializeOwned>(&self, caller: &Caller) -> Result<Option<Done<T>>, CommandError> {
        let Some(idempotency) = &caller.idempotency else { return Ok(None) };
        let key = format!("{}:{}", caller.user, idempotency.scope);
        let Some(Claimed { value, position, expires_at }) = self.store.claim(claim::IDEMPOTENCY, &key).await? else {
            return Ok(None);
        };
        if expires_at.is_some_and(|at| at <= self.now()) {
            return Ok(None);
        }
        // Of another body's answer only the hash is read: its value may be of another shape.
        let stored: Remembered<serde_json::Value> = serde_json::from_str(&value).map_err(unreadable)?;
        if stored.body_hash != idempotency.body_hash {
            return Err(CommandError::KeyReused);
        }
        let value = serde_json::from_value(stored.value).map_err(unreadable)?;
        Ok(Some(Done { value, created: stored.created, position: Some(position) }))
    }
}

/// Puts what a twin will need to answer alike into the append itself.
fn remember<T: Serialize + DeserializeOwned>(
    caller: &Caller,
    append: &mut Append,
    value: T,
    created: bool,
    now: Timestamp,
) -> Result<T, CommandError> {
    let Some(idempotency) = &caller.idempotency else { return Ok(value) };
    let remembered = Remembered { body_hash: idempotency.body_hash.clone(), created, value };
    let text = serde_json::to_string(&remembered).map_err(unreadable)?;
    let key = format!("{}:{}", caller.user, idempotency.scope);
    append.claim(Claim::take(claim::IDEMPOTENCY, key, text).until(now.plus_millis(IDEMPOTENCY_MILLIS)));
    Ok(remembered.value)
}

#[expect(clippy::needless_pass_by_value, reason = "so that it can be named where errors are mapped")]
fn unreadable(error: serde_json::Error) -> CommandError {
    CommandError::Internal(format!("a remembered answer could not be read or written: {error}"))
}
