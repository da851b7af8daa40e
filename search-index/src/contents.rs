//! [`Contents`]: all that an index says, message by message, so that two can be compared.

use crate::{
    Index, SearchError,
    document::{FIELDS, column},
    marks::Marks,
    search::{Readable, Scope},
};
use domain::{ConversationId, MessageId};
use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
};
use tantivy::{DocSet, SegmentReader, TERMINATED, postings::Postings, schema::IndexRecordOption};
use uuid::Uuid;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Contents {
    /// Of each message what it is found by and what is known of it, as a sum of hashes.
    pub messages: BTreeMap<MessageId, u64>,
    /// Messages that are in there more than once.
    pub doubled: u64,
    pub marks: Marks,
}

impl Contents {
    pub fn of(index: &Index) -> Result<Self, SearchError> {
        let mut contents = Self { messages: BTreeMap::new(), doubled: 0, marks: index.marks().clone() };
        for (quarter, searcher) in &index.snapshot().buckets {
            for reader in searcher.segment_readers() {
                for (id, print) in prints(reader, *quarter)? {
                    contents.doubled += u64::from(contents.messages.insert(id, print).is_some());
                }
            }
        }
        Ok(contents)
    }
}

impl Index {
    /// All that is indexed, for who measures: nobody may read it all.
    pub fn everything(&self) -> Result<Scope, SearchError> {
        let mut conversations = BTreeSet::new();
        for (_, searcher) in &self.snapshot().buckets {
            for reader in searcher.segment_readers() {
                let terms = reader.inverted_index(FIELDS.conversation)?;
                let mut stream = terms.terms().stream().map_err(tantivy::TantivyError::from)?;
                while stream.advance() {
                    conversations.extend(Uuid::from_slice(stream.key()).ok());
                }
            }
        }
        let readable = |id| Readable { conversation: ConversationId(id), floor: 0 };
        Ok(Scope::of(conversations.into_iter().map(readable)))
    }
}

fn prints(reader: &SegmentReader, quarter: domain::Quarter) -> Result<Vec<(MessageId, u64)>, SearchError> {
    let mut prints = vec![hash(&quarter); reader.max_doc() as usize];
    let mut add = |document: u32, print: u64| {
        if let Some(sum) = prints.get_mut(document as usize) {
            *sum = sum.wrapping_add(print);
        }
    };
    for field in FIELDS.indexed() {
        let terms = reader.inverted_index(field)?;
        let mut stream = terms.terms().stream().map_err(tantivy::TantivyError::from)?;
        let mut positions = Vec::new();
        while stream.advance() {
            let option = IndexRecordOption::WithFreqsAndPositions;
            let mut postings =
                terms.read_postings_from_terminfo(stream.value(), option).map_err(tantivy::TantivyError::from)?;
            while postings.doc() != TERMINATED {
                postings.positions(&mut positions);
                add(postings.doc(), hash(&(field.field_id(), stream.key(), &positions)));
                postings.advance();
            }
        }
    }
    let fast = reader.fast_fields();
    for name in [column::SEQUENCE, column::CREATED] {
        let values = fast.i64(name)?.first_or_default_col(0);
        (0..reader.max_doc()).for_each(|document| add(document, hash(&(name, values.get_val(document)))));
    }
    let numbers = |name| -> Result<_, SearchError> { Ok(fast.u64(name)?.first_or_default_col(0)) };
    let conversation = [numbers(column::CONVERSATION[0])?, numbers(column::CONVERSATION[1])?];
    let id = [numbers(column::ID[0])?, numbers(column::ID[1])?];
    let living = reader.doc_ids_alive().map(|document| {
        let both = (conversation[0].get_val(document), conversation[1].get_val(document));
        let id = MessageId(Uuid::from_u64_pair(id[0].get_val(document), id[1].get_val(document)));
        (id, prints[document as usize].wrapping_add(hash(&both)))
    });
    Ok(living.collect())
}

/// The same in every process of this build.
fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
