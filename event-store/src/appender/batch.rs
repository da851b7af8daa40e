//! Putting batches together, and taking one apart into the arrays of `append_events`.

use super::Waiting;
use crate::{
    Claim,
    append::{COUNTER_TYPE, Prepared, Stream},
    claim::{Expected, Then},
};
use domain::Timestamp;
use sqlx::{
    Postgres,
    postgres::PgArguments,
    query::Query,
    types::chrono::{DateTime, Utc},
};
use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    hash::{BuildHasher, RandomState},
};
use uuid::Uuid;

/// Takes as many of the waiting as fit into a batch, in order. None of them writes a stream or changes a claim that
/// another of the batch writes, changes or relies on: what comes second waits for the next batch, and so does what comes
/// after that and touches the same.
pub(super) fn take_batch(pending: &mut VecDeque<Waiting>, appends_max: usize, events_max: usize) -> Vec<Waiting> {
    let mut batch = Vec::new();
    let mut touched = Touched::default();
    let mut events = 0;
    let mut left = VecDeque::new();
    while let Some(waiting) = pending.pop_front() {
        let prepared = &waiting.prepared;
        let fits = batch.is_empty() || (batch.len() < appends_max && events + prepared.events.len() <= events_max);
        if !fits {
            left.push_back(waiting);
            break;
        }
        if touched.touch(prepared) {
            events += prepared.events.len();
            batch.push(waiting);
        } else {
            left.push_back(waiting);
        }
    }
    left.append(pending);
    *pending = left;
    batch
}

/// What the appends so far write and guard, as hashes: two that collide only wait for each other without need.
#[derive(Default)]
struct Touched {
    hasher: RandomState,
    written: HashSet<u64>,
    guarded: HashSet<u64>,
}

impl Touched {
    /// Notes what an append touches. False where it can't be in one batch with those before.
    fn touch(&mut self, prepared: &Prepared) -> bool {
        let mut is_free = true;
        let streams = prepared
            .streams
            .iter()
            .map(|stream| (self.hasher.hash_one((stream.aggregate_type, &stream.aggregate_id)), stream.added > 0));
        let claims = prepared.claims.iter().map(|claim| (self.hasher.hash_one((&claim.kind, &claim.key, 0_u8)), true));
        let touched: Vec<(u64, bool)> = streams.chain(claims).collect();
        for (name, is_written) in &touched {
            is_free &= !(self.written.contains(name) || *is_written && self.guarded.contains(name));
        }
        for (name, is_written) in touched {
            if is_written {
                self.written.insert(name)
            } else {
                self.guarded.insert(name)
            };
        }
        is_free
    }
}

/// The arguments of `append_events` by its letters. Counts and places are `int`, numbered from 1 where PostgreSQL's
/// arrays are.
#[derive(Default)]
pub(super) struct Arrays<'a> {
    a_events: Vec<i32>,
    a_generation: Vec<Option<i64>>,
    l_type: Vec<&'a str>,
    l_id: Vec<&'a str>,
    r_from: Vec<i32>,
    r_to: Vec<i32>,
    r_exclusive: Vec<bool>,
    s_append: Vec<i32>,
    s_lock: Vec<i32>,
    s_type: Vec<&'a str>,
    s_id: Vec<&'a str>,
    s_expected: Vec<i64>,
    s_added: Vec<i32>,
    s_first: Vec<i32>,
    s_last: Vec<i32>,
    m_lock: Vec<i32>,
    m_id: Vec<&'a str>,
    q_append: Vec<i32>,
    q_counter: Vec<i32>,
    q_count: Vec<i32>,
    c_append: Vec<i32>,
    c_kind: Vec<&'a str>,
    c_key: Vec<&'a str>,
    c_expect: Vec<&'static str>,
    c_expected: Vec<Option<&'a str>>,
    c_then: Vec<&'static str>,
    c_value: Vec<Option<&'a str>>,
    c_expires_at: Vec<Option<DateTime<Utc>>>,
    e_append: Vec<i32>,
    e_place: Vec<i32>,
    e_id: Vec<Uuid>,
    e_stream_type: Vec<&'a str>,
    e_stream_id: Vec<&'a str>,
    e_sequence: Vec<i64>,
    e_type: Vec<&'a str>,
    e_version: Vec<String>,
    e_payload: Vec<&'a str>,
    e_metadata: Vec<&'a str>,
    e_q: Vec<Option<i32>>,
    e_q_place: Vec<Option<i32>>,
}

/// How a row of `streams` is to be locked.
#[derive(Default)]
struct Lock {
    /// Not so where everyone takes the stream for new: there is no row to lock then.
    is_needed: bool,
    is_exclusive: bool,
    /// Its place in `l`, once all are known.
    place: i32,
}

type Locks<'a> = BTreeMap<(&'a str, &'a str), Lock>;

impl<'a> Arrays<'a> {
    pub fn of(batch: &'a [Waiting]) -> Self {
        let mut arrays = Self::default();
        let locks = arrays.locks(batch);
        let mut counters = HashMap::new();
        for (n, waiting) in batch.iter().enumerate() {
            arrays.append(place(n + 1), &waiting.prepared, &locks, &mut counters);
        }
        arrays.claims(batch);
        arrays
    }

    /// The rows of streams in byte order, as PostgreSQL's collation "C" has it, each with the strongest lock needed.
    fn locks(&mut self, batch: &'a [Waiting]) -> Locks<'a> {
        let mut locks = Locks::new();
        for waiting in batch {
            for stream in &waiting.prepared.streams {
                let lock = locks.entry((stream.aggregate_type, stream.aggregate_id.as_str())).or_default();
                lock.is_needed |= stream.expected > 0 || stream.aggregate_type == COUNTER_TYPE;
                lock.is_exclusive |= stream.added > 0;
            }
            for conversation in waiting.prepared.events.iter().filter_map(|event| event.conversation.as_deref()) {
                let lock = locks.entry((COUNTER_TYPE, conversation)).or_default();
                (lock.is_needed, lock.is_exclusive) = (true, true);
            }
        }
        let mut run = None;
        for (n, ((aggregate_type, id), lock)) in locks.iter_mut().enumerate() {
            lock.place = place(n + 1);
            self.l_type.push(aggregate_type);
            self.l_id.push(id);
            let mode = lock.is_needed.then_some(lock.is_exclusive);
            match (mode, self.r_to.last_mut()) {
                (Some(_), Some(end)) if run == mode => *end = lock.place,
                (Some(is_exclusive), _) => {
                    self.r_from.push(lock.place);
                    self.r_to.push(lock.place);
                    self.r_exclusive.push(is_exclusive);
                }
                (None, _) => {}
            }
            run = mode;
        }
        locks
    }

    fn append(&mut self, n: i32, prepared: &'a Prepared, locks: &Locks<'a>, counters: &mut HashMap<&'a str, i32>) {
        self.a_events.push(place(prepared.events.len()));
        self.a_generation.push(prepared.generation);
        for stream in &prepared.streams {
            self.stream(n, stream, locks);
        }
        let mut counts = HashMap::new();
        for (at, event) in prepared.events.iter().enumerate() {
            let stream = &prepared.streams[event.stream];
            self.e_append.push(n);
            self.e_place.push(place(at));
            self.e_id.push(event.id);
            self.e_stream_type.push(stream.aggregate_type);
            self.e_stream_id.push(&stream.aggregate_id);
            self.e_sequence.push(event.sequence);
            self.e_type.push(&event.event_type);
            self.e_version.push(event.version.to_string());
            self.e_payload.push(&event.payload);
            self.e_metadata.push(&event.metadata);
            let counted = event.conversation.as_deref().map(|conversation| {
                let q = *counts.entry(conversation).or_insert_with(|| self.count(n, conversation, locks, counters));
                let before = self.q_count[q];
                self.q_count[q] += 1;
                (place(q + 1), before)
            });
            self.e_q.push(counted.map(|(q, _)| q));
            self.e_q_place.push(counted.map(|(_, before)| before));
        }
    }

    fn stream(&mut self, n: i32, stream: &'a Stream, locks: &Locks<'a>) {
        self.s_append.push(n);
        self.s_lock.push(locks[&(stream.aggregate_type, stream.aggregate_id.as_str())].place);
        self.s_type.push(stream.aggregate_type);
        self.s_id.push(&stream.aggregate_id);
        self.s_expected.push(stream.expected);
        self.s_added.push(place(stream.added));
        self.s_first.push(place(stream.first));
        self.s_last.push(place(stream.last));
    }

    /// A new q for the append's messages of this conversation: its index.
    fn count(
        &mut self,
        n: i32,
        conversation: &'a str,
        locks: &Locks<'a>,
        counters: &mut HashMap<&'a str, i32>,
    ) -> usize {
        let counter = *counters.entry(conversation).or_insert_with(|| {
            self.m_lock.push(locks[&(COUNTER_TYPE, conversation)].place);
            self.m_id.push(conversation);
            place(self.m_id.len())
        });
        self.q_append.push(n);
        self.q_counter.push(counter);
        self.q_count.push(0);
        self.q_count.len() - 1
    }

    fn claims(&mut self, batch: &'a [Waiting]) {
        let of_all = batch
            .iter()
            .enumerate()
            .flat_map(|(n, waiting)| waiting.prepared.claims.iter().map(move |claim| (place(n + 1), claim)));
        let mut claims: Vec<(i32, &Claim)> = of_all.collect();
        claims.sort_unstable_by_key(|(_, claim)| (claim.kind.as_str(), claim.key.as_str()));
        for (n, claim) in claims {
            self.c_append.push(n);
            self.c_kind.push(&claim.kind);
            self.c_key.push(&claim.key);
            let (expect, expected) = match &claim.expected {
                Expected::Absent => ("absent", None),
                Expected::Value(value) => ("value", Some(value.as_str())),
                Expected::Anything => ("any", None),
            };
            self.c_expect.push(expect);
            self.c_expected.push(expected);
            let (then, value, expires_at) = match &claim.then {
                Then::Put { value, expires_at } => {
                    ("put", Some(value.as_str()), expires_at.map(Timestamp::to_datetime))
                }
                Then::Delete => ("delete", None, None),
                Then::Keep => ("keep", None, None),
            };
            self.c_then.push(then);
            self.c_value.push(value);
            self.c_expires_at.push(expires_at);
        }
    }

    /// The statement's arguments after the time, in the order in which the function has them.
    pub fn bind(&'a self, query: Query<'a, Postgres, PgArguments>) -> Query<'a, Postgres, PgArguments> {
        let query = query.bind(&self.a_events).bind(&self.a_generation).bind(&self.l_type).bind(&self.l_id);
        let query = query.bind(&self.r_from).bind(&self.r_to).bind(&self.r_exclusive);
        let query = query.bind(&self.s_append).bind(&self.s_lock).bind(&self.s_type).bind(&self.s_id);
        let query = query.bind(&self.s_expected).bind(&self.s_added).bind(&self.s_first).bind(&self.s_last);
        let query = query.bind(&self.m_lock).bind(&self.m_id);
        let query = query.bind(&self.q_append).bind(&self.q_counter).bind(&self.q_count);
        let query = query.bind(&self.c_append).bind(&self.c_kind).bind(&self.c_key).bind(&self.c_expect);
        let query = query.bind(&self.c_expected).bind(&self.c_then).bind(&self.c_value).bind(&self.c_expires_at);
        let query = query.bind(&self.e_append).bind(&self.e_place).bind(&self.e_id).bind(&self.e_stream_type);
        let query = query.bind(&self.e_stream_id).bind(&self.e_sequence).bind(&self.e_type).bind(&self.e_version);
        query.bind(&self.e_payload).bind(&self.e_metadata).bind(&self.e_q).bind(&self.e_q_place)
    }
}

/// How many parameters come after the time.
pub(super) const PARAMETERS: usize = 40;

fn place(count: usize) -> i32 {
    i32::try_from(count).expect("a batch has far fewer than two thousand million parts")
}
