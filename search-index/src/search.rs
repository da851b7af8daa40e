//! [`Question`] and [`Answer`]: a search for messages, with names resolved and with what its asker may read.
//! [`Index::search`] carries it out.

mod collect;
mod excluded;
mod plan;
mod scope;

pub use scope::{Readable, Scope};

use crate::{
    Index, SearchError,
    query::{Clause, Having},
};
use collect::Collected;
use domain::{MessageId, Position, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// A search that takes longer is given up.
const SEARCH_MAX: Duration = Duration::from_secs(3);
/// Hits that can be paged through; all are counted.
pub const DEPTH_MAX: usize = 10_000;

/// What is searched for. Empty lists of people don't narrow.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Question {
    pub clauses: Vec<Clause>,
    pub has: Vec<Having>,
    /// Any of these, where there are any.
    pub senders: Option<Vec<UserId>>,
    pub senders_excluded: Vec<UserId>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// What may be found, by whoever asks.
    pub scope: Scope,
    pub order: Order,
    /// Only what comes after this hit, in the order asked for.
    pub after: Option<Found>,
    pub offset: usize,
    pub limit: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// By score, the newer first among equals.
    #[default]
    Best,
    /// By time.
    Newest,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    pub hits: Vec<Found>,
    /// Of all hits, those before and after this page as well.
    pub total: u64,
    /// The index holds all of the log up to here.
    pub position: Position,
}

/// A hit. Texts and what else is shown of it are the read models' to say.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    pub id: MessageId,
    pub created_at: Timestamp,
    /// By BM25; 1 where only filters were asked for.
    pub score: f32,
}

impl Index {
    /// Blocks, for three seconds at most.
    pub fn search(&self, question: &Question) -> Result<Answer, SearchError> {
        let snapshot = self.snapshot();
        let mut collected = Collected::new(question, Instant::now() + SEARCH_MAX);
        if !question.scope.is_empty() && snapshot.documents > 0 {
            let plan = plan::Plan::of(question, &snapshot);
            for (quarter, searcher) in &snapshot.buckets {
                if question.reaches(*quarter) {
                    collected.search(self, searcher, &*plan.weight(searcher)?, question)?;
                }
            }
        }
        let (hits, total) = collected.page();
        Ok(Answer { hits, total, position: snapshot.position })
    }
}

impl Question {
    /// Whether anything of a quarter can be a hit.
    fn reaches(&self, quarter: domain::Quarter) -> bool {
        self.since.is_none_or(|since| quarter >= since.quarter())
            && self.until.is_none_or(|until| quarter <= until.quarter())
    }
}
