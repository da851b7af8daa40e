//! [`Collected`]: the best hits so far, and the number of all that may be read.
//!
//! Architecture invariant: nothing is counted, scored or shown that is not in the question's scope.

use super::{DEPTH_MAX, Found, Order, Question};
use crate::{
    Index, SearchError,
    document::column,
    query::{Has, Having},
};
use domain::{MessageId, Timestamp};
use std::{cmp::Ordering, collections::BinaryHeap, sync::Arc, time::Instant};
use tantivy::{DocId, Searcher, SegmentReader, columnar::ColumnValues, query::Weight};
use uuid::Uuid;

/// The clock is looked at once in so many matches.
const LOOKS: u32 = 4_096;

pub(super) struct Collected {
    /// The worst of the best on top.
    best: BinaryHeap<Ranked>,
    room: usize,
    offset: usize,
    total: u64,
    deadline: Instant,
    after: Option<Ranked>,
}

impl Collected {
    pub fn new(question: &Question, deadline: Instant) -> Self {
        let room = question.offset.saturating_add(question.limit).min(DEPTH_MAX);
        let after = question.after.map(|found| Ranked { found, order: question.order });
        Self { best: BinaryHeap::new(), room, offset: question.offset, total: 0, deadline, after }
    }

    pub fn search(
        &mut self,
        index: &Index,
        searcher: &Searcher,
        weight: &dyn Weight,
        question: &Question,
    ) -> Result<(), SearchError> {
        for reader in searcher.segment_readers() {
            let (columns, marks) = (Columns::of(reader)?, index.marks());
            let (mut matches, mut is_late) = (0_u32, false);
            let marked = |id| {
                question.has.iter().all(|Having { what, is_excluded }| match what {
                    Has::Reaction => marks.has_reaction(id) != *is_excluded,
                    Has::Pin => marks.is_pinned(id) != *is_excluded,
                    Has::Link | Has::File => true,
                })
            };
            let by_marks = question.has.iter().any(|having| matches!(having.what, Has::Reaction | Has::Pin));
            weight.for_each(reader, &mut |document, score| {
                matches = matches.wrapping_add(1);
                is_late = is_late || matches % LOOKS == 0 && Instant::now() >= self.deadline;
                if is_late || reader.is_deleted(document) || !columns.is_readable(document, question) {
                    return;
                }
                if by_marks && !marked(columns.id(document)) {
                    return;
                }
                self.take(&columns, document, score, question.order);
            })?;
            if is_late || Instant::now() >= self.deadline {
                return Err(SearchError::TooSlow);
            }
        }
        Ok(())
    }

    fn take(&mut self, columns: &Columns, document: DocId, score: f32, order: Order) {
        self.total += 1;
        let created_at = Timestamp(columns.created_at.get_val(document));
        // Most hits are worse than those there are already, and need no id.
        if self.after.is_none()
            && self.is_full()
            && self.best.peek().is_some_and(|worst| worst.beats(score, created_at))
        {
            return;
        }
        let ranked = Ranked { found: Found { id: columns.id(document), created_at, score }, order };
        if self.after.as_ref().is_some_and(|after| ranked <= *after) {
            return;
        }
        self.best.push(ranked);
        if self.best.len() > self.room {
            self.best.pop();
        }
    }

    fn is_full(&self) -> bool {
        self.best.len() >= self.room
    }

    /// The hits of the page, the best first, and the number of all.
    pub fn page(self) -> (Vec<Found>, u64) {
        let best = self.best.into_sorted_vec();
        (best.into_iter().skip(self.offset).map(|ranked| ranked.found).collect(), self.total)
    }
}

/// Greater is worse: comes later. No two hits are equal, so that pages neither overlap nor leave anything out.
struct Ranked {
    found: Found,
    order: Order,
}

impl Ranked {
    /// Whether it comes before any hit with this score and time.
    fn beats(&self, score: f32, created_at: Timestamp) -> bool {
        match self.order {
            Order::Best => (self.found.score, self.found.created_at) > (score, created_at),
            Order::Newest => self.found.created_at > created_at,
        }
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        let (one, two) = (&self.found, &other.found);
        let by_score = two.score.total_cmp(&one.score);
        let by_time = two.created_at.cmp(&one.created_at).then_with(|| two.id.cmp(&one.id));
        match self.order {
            Order::Best => by_score.then(by_time),
            Order::Newest => by_time,
        }
    }
}
impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Ranked {}

type Values<T> = Arc<dyn ColumnValues<T>>;

/// What is known of each document of a segment.
struct Columns {
    id: [Values<u64>; 2],
    conversation: [Values<u64>; 2],
    sequence: Values<i64>,
    created_at: Values<i64>,
}

impl Columns {
    fn of(reader: &SegmentReader) -> Result<Self, SearchError> {
        let fast = reader.fast_fields();
        let id = |name: [&str; 2]| -> Result<[Values<u64>; 2], SearchError> {
            Ok([fast.u64(name[0])?.first_or_default_col(0), fast.u64(name[1])?.first_or_default_col(0)])
        };
        Ok(Self {
            id: id(column::ID)?,
            conversation: id(column::CONVERSATION)?,
            sequence: fast.i64(column::SEQUENCE)?.first_or_default_col(0),
            created_at: fast.i64(column::CREATED)?.first_or_default_col(0),
        })
    }

    fn id(&self, document: DocId) -> MessageId {
        MessageId(Uuid::from_u64_pair(self.id[0].get_val(document), self.id[1].get_val(document)))
    }

    fn is_readable(&self, document: DocId, question: &Question) -> bool {
        let [high, low] = &self.conversation;
        let Some(floor) = question.scope.floor(high.get_val(document), low.get_val(document)) else { return false };
        let created_at = Timestamp(self.created_at.get_val(document));
        (floor == 0 || self.sequence.get_val(document) > floor)
            && question.since.is_none_or(|since| created_at >= since)
            && question.until.is_none_or(|until| created_at < until)
    }
}
