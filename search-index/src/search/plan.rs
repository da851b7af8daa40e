//! [`Plan`]: a question as a query of tantivy, scored by the statistics of all buckets together.

use super::{Question, excluded::Excluded};
use crate::{
    SearchError,
    document::{FIELDS, Fields, HAS_FILE, HAS_LINK},
    index::Snapshot,
    query::{Clause, Form, Has},
    text::{Kind, Piece},
};
use std::{collections::HashMap, ops::Bound, sync::Mutex};
use tantivy::{
    Searcher, Term,
    query::{
        AllQuery, Bm25StatisticsProvider, BooleanQuery, ConstScoreQuery, EnableScoring, InvertedIndexRangeQuery, Occur,
        PhrasePrefixQuery, PhraseQuery, Query, TermQuery, Weight,
    },
    schema::{Field, IndexRecordOption},
};
use uuid::Uuid;

/// Up to so many conversations or people are looked up as terms; more are only checked hit by hit.
const TERMS_MAX: usize = 32;
/// Words that the end of a phrase by its beginning may stand for, in each segment.
const EXPANSIONS_MAX: u32 = 10_000;

pub(super) struct Plan<'a> {
    query: BooleanQuery,
    statistics: Statistics<'a>,
}

impl<'a> Plan<'a> {
    pub fn of(question: &Question, snapshot: &'a Snapshot) -> Self {
        let mut parts: Vec<(Occur, Box<dyn Query>)> = question.clauses.iter().filter_map(clause).collect();
        if !parts.iter().any(|(occur, _)| *occur == Occur::Must) {
            parts.push((Occur::Must, Box::new(ConstScoreQuery::new(Box::new(AllQuery), 1.0))));
        }
        if let Some(senders) = &question.senders {
            parts.push((Occur::Must, any_of(FIELDS.sender, senders.iter().map(|id| id.0))));
        }
        if !question.senders_excluded.is_empty() {
            parts.push((Occur::MustNot, any_of(FIELDS.sender, question.senders_excluded.iter().map(|id| id.0))));
        }
        if question.scope.len() <= TERMS_MAX {
            let conversations = question.scope.iter().map(|readable| readable.conversation.0);
            parts.push((Occur::Must, any_of(FIELDS.conversation, conversations)));
        }
        for having in &question.has {
            let number = match having.what {
                Has::Link => HAS_LINK,
                Has::File => HAS_FILE,
                // These change often and are checked hit by hit.
                Has::Reaction | Has::Pin => continue,
            };
            let occur = if having.is_excluded { Occur::MustNot } else { Occur::Must };
            let term = TermQuery::new(Term::from_field_u64(FIELDS.has, number), IndexRecordOption::Basic);
            parts.push((occur, unscored(Box::new(term))));
        }
        Self { query: BooleanQuery::new(parts), statistics: Statistics::of(snapshot) }
    }

    pub fn weight(&self, searcher: &Searcher) -> Result<Box<dyn Weight>, SearchError> {
        let scoring = EnableScoring::enabled_from_statistics_provider(&self.statistics, searcher);
        Ok(self.query.weight(scoring)?)
    }
}

fn clause(clause: &Clause) -> Option<(Occur, Box<dyn Query>)> {
    let pieces = clause.pieces();
    let by_beginning = clause.form == Form::Prefix && pieces.last().is_some_and(|last| last.kind == Kind::Word);
    let mut terms = terms(&pieces);
    let query: Box<dyn Query> = match (terms.len(), by_beginning) {
        (0, _) => return None,
        (1, true) => Box::new(beginning(&pieces.last()?.text)),
        (1, false) => Box::new(TermQuery::new(terms.pop()?.1, IndexRecordOption::WithFreqs)),
        (_, true) => {
            let mut query = PhrasePrefixQuery::new_with_offset(terms);
            query.set_max_expansions(EXPANSIONS_MAX);
            Box::new(query)
        }
        (_, false) => Box::new(PhraseQuery::new_with_offset(terms)),
    };
    Some(if clause.is_excluded { (Occur::MustNot, Box::new(Excluded(query))) } else { (Occur::Must, query) })
}

/// What the pieces are indexed as, with their positions: runs of signs by their pairs.
fn terms(pieces: &[Piece]) -> Vec<(usize, Term)> {
    let is_sign = |at: usize| pieces.get(at).is_some_and(|piece| piece.kind == Kind::Sign);
    let mut terms = Vec::with_capacity(pieces.len());
    for (at, piece) in pieces.iter().enumerate() {
        let text = match (is_sign(at), is_sign(at + 1)) {
            (true, true) => &format!("{}{}", piece.text, pieces[at + 1].text),
            // The end of a run stands in the pair before it.
            (true, false) if at > 0 && is_sign(at - 1) => continue,
            _ => &piece.text,
        };
        terms.push((at, Term::from_field_text(FIELDS.text, text)));
    }
    terms
}

/// All words that begin so: no word has the last character there is in it.
fn beginning(text: &str) -> InvertedIndexRangeQuery {
    let term = |text: &str| Term::from_field_text(FIELDS.text, text);
    InvertedIndexRangeQuery::new(Bound::Included(term(text)), Bound::Excluded(term(&format!("{text}\u{10ffff}"))))
}

fn any_of(field: Field, ids: impl Iterator<Item = Uuid>) -> Box<dyn Query> {
    let term = |id| Box::new(TermQuery::new(Fields::term_of(field, id), IndexRecordOption::Basic)) as Box<dyn Query>;
    unscored(Box::new(BooleanQuery::union(ids.map(term).collect())))
}

fn unscored(query: Box<dyn Query>) -> Box<dyn Query> {
    Box::new(ConstScoreQuery::new(query, 0.0))
}

/// Of all buckets together, so that scores of different quarters can be compared.
struct Statistics<'a> {
    snapshot: &'a Snapshot,
    /// Each bucket asks for the same terms.
    known: Mutex<HashMap<Term, u64>>,
}

impl<'a> Statistics<'a> {
    fn of(snapshot: &'a Snapshot) -> Self {
        Self { snapshot, known: Mutex::default() }
    }
}

impl Bm25StatisticsProvider for Statistics<'_> {
    fn total_num_tokens(&self, field: Field) -> tantivy::Result<u64> {
        // Fields of names have one token a document; their score isn't used.
        Ok(if field == FIELDS.text { self.snapshot.tokens } else { self.snapshot.documents })
    }
    fn total_num_docs(&self) -> tantivy::Result<u64> {
        Ok(self.snapshot.documents)
    }
    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        let mut known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(found) = known.get(term) {
            return Ok(*found);
        }
        let mut found = 0;
        for (_, searcher) in &self.snapshot.buckets {
            found += searcher.doc_freq(term)?;
        }
        known.insert(term.clone(), found);
        Ok(found)
    }
}
