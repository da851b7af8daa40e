//! What `append_events` answers, taken apart into a verdict for each append.

use super::Waiting;
use crate::{AppendError, Appended, append::Prepared};
use domain::{EventId, Position, Sequence, Timestamp};
use serde::Deserialize;
use sqlx::{
    Row,
    postgres::PgRow,
    types::{
        Json,
        chrono::{DateTime, Utc},
    },
};
use std::collections::HashMap;

/// How an append ended that was not refused for good.
pub(crate) enum Outcome {
    Done(Appended),
    /// Keys were destroyed since it was sealed: to be sealed anew.
    Keys,
}

pub(super) enum Verdict {
    Answer(Result<Outcome, AppendError>),
    /// It was overtaken in a way that only a new batch can settle.
    Again,
}

#[derive(Deserialize)]
struct Refusal {
    /// From 1. None: the whole batch.
    append: Option<usize>,
    verdict: Refused,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    key: String,
    value: Option<String>,
    position: Option<i64>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Refused {
    Conflict,
    Claimed,
    Keys,
    Again,
    Clock,
}

/// The answers to one batch.
pub(super) struct Answers {
    recorded_at: Timestamp,
    first_positions: Vec<Option<i64>>,
    /// For each append, its conversations' counts before it, in the order in which it first names them.
    counters: Vec<Vec<i64>>,
    refusals: HashMap<usize, Refusal>,
    is_clock_ahead: bool,
    last_position: Option<i64>,
}

impl Answers {
    pub fn read(row: &PgRow, batch: &[Waiting]) -> Result<Self, sqlx::Error> {
        let recorded_at: Option<DateTime<Utc>> = row.try_get("o_recorded_at")?;
        let first_positions: Option<Vec<Option<i64>>> = row.try_get("o_first_positions")?;
        let counters: Option<Vec<Option<i64>>> = row.try_get("o_counters")?;
        let Json(refusals): Json<Vec<Refusal>> = row.try_get("o_refusals")?;
        let first_positions = first_positions.unwrap_or_default();
        let mut counters = counters.unwrap_or_default().into_iter();
        let ends =
            first_positions.iter().zip(batch).filter_map(|(first, waiting)| Some((*first)? + count(waiting) - 1));
        Ok(Self {
            recorded_at: recorded_at.map(Timestamp::from).unwrap_or_default(),
            last_position: ends.max(),
            first_positions,
            counters: batch
                .iter()
                .map(|waiting| counters.by_ref().take(conversations(&waiting.prepared).len()).flatten().collect())
                .collect(),
            is_clock_ahead: refusals.iter().any(|refusal| refusal.append.is_none()),
            refusals: refusals.into_iter().filter_map(|refusal| Some((refusal.append? - 1, refusal))).collect(),
        })
    }

    pub fn last_position(&self) -> Option<i64> {
        self.last_position
    }

    /// The verdict on the n-th append of the batch, from 0.
    pub fn verdict(&self, n: usize, prepared: &Prepared) -> Verdict {
        if self.is_clock_ahead {
            return Verdict::Answer(Err(AppendError::Clock));
        }
        if let Some(refusal) = self.refusals.get(&n) {
            return refusal.verdict();
        }
        let Some(first) = self.first_positions.get(n).copied().flatten() else { return Verdict::Again };
        let mut before: HashMap<&str, i64> =
            conversations(prepared).into_iter().zip(self.counters[n].iter().copied()).collect();
        let message_sequences = prepared.events.iter().filter_map(|event| {
            let count = before.get_mut(event.conversation.as_deref()?)?;
            *count += 1;
            Some(Sequence(*count))
        });
        let message_sequences = message_sequences.collect();
        Verdict::Answer(Ok(Outcome::Done(appended(prepared, first, self.recorded_at, message_sequences))))
    }
}

impl Refusal {
    fn verdict(&self) -> Verdict {
        let (name, verdict) = match self.verdict {
            Refused::Conflict => {
                let error = AppendError::Conflict { aggregate_type: self.kind.clone(), aggregate_id: self.key.clone() };
                ("conflict", Verdict::Answer(Err(error)))
            }
            Refused::Claimed => {
                let error = AppendError::Claimed {
                    kind: self.kind.clone(),
                    key: self.key.clone(),
                    value: self.value.clone().unwrap_or_default(),
                    position: Position(self.position.unwrap_or_default()),
                };
                ("claimed", Verdict::Answer(Err(error)))
            }
            Refused::Keys => ("keys", Verdict::Answer(Ok(Outcome::Keys))),
            Refused::Again => ("again", Verdict::Again),
            Refused::Clock => ("clock", Verdict::Answer(Err(AppendError::Clock))),
        };
        metrics::counter!("hansard_append_refused_total", "verdict" => name).increment(1);
        verdict
    }
}

/// An append that stands from this position on.
pub(super) fn appended(
    prepared: &Prepared,
    first: i64,
    recorded_at: Timestamp,
    message_sequences: Vec<Sequence>,
) -> Appended {
    let events: Vec<(Position, EventId)> =
        (first..).zip(&prepared.events).map(|(position, event)| (Position(position), EventId(event.id))).collect();
    Appended {
        position: events.last().map_or(Position(first), |(position, _)| *position),
        first_position: Position(first),
        recorded_at,
        message_sequences,
        events,
    }
}

/// The conversations whose messages an append counts, each once, in the order in which it first names them.
fn conversations(prepared: &Prepared) -> Vec<&str> {
    let mut seen = Vec::new();
    let mut known = std::collections::HashSet::new();
    for conversation in prepared.events.iter().filter_map(|event| event.conversation.as_deref()) {
        if known.insert(conversation) {
            seen.push(conversation);
        }
    }
    seen
}

fn count(waiting: &Waiting) -> i64 {
    i64::try_from(waiting.prepared.events.len()).unwrap_or(i64::MAX)
}
