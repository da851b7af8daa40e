//! [`Bucket`]: the index of one quarter's messages, with the position up to which it is complete in its last commit.

use crate::{
    SearchError,
    document::{Document, FIELDS, Fields},
};
use domain::{ConversationId, MessageId, Position, UserId};
use std::{fs, path::Path};
use tantivy::{
    Index, IndexReader, IndexWriter, ReloadPolicy, Searcher, Term,
    directory::MmapDirectory,
    indexer::LogMergePolicy,
    query::{BooleanQuery, Occur, Query, TermQuery},
    schema::IndexRecordOption,
};

/// Of the one thread that writes a bucket.
const WRITER_BYTES: usize = 64 * 1024 * 1024;
/// Segments smaller than this count as equally small, and are merged with one another first.
const SMALL_SEGMENT: u32 = 5_000;
/// A segment in which more than this part is deleted is written anew.
const DELETED_RATIO_MAX: f32 = 0.1;

pub(crate) struct Bucket {
    index: Index,
    reader: IndexReader,
    /// Open while the bucket is written to.
    writer: Option<IndexWriter>,
    position: Position,
    has_changes: bool,
}

impl Bucket {
    /// Opens the bucket in a directory, an empty one where there is none.
    pub fn open(path: &Path) -> Result<Self, SearchError> {
        fs::create_dir_all(path).map_err(SearchError::file(path))?;
        let directory = MmapDirectory::open(path).map_err(tantivy::TantivyError::from)?;
        let index = Index::open_or_create(directory, FIELDS.schema.clone())?;
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        let payload = index.load_metas()?.payload;
        let position = payload.and_then(|payload| payload.parse().ok()).map_or(Position(0), Position);
        Ok(Self { index, reader, writer: None, position, has_changes: false })
    }

    /// All of the log up to here is in the bucket, as far as it belongs here.
    pub fn position(&self) -> Position {
        self.position
    }

    pub fn searcher(&self) -> Searcher {
        self.reader.searcher()
    }

    pub fn is_open(&self) -> bool {
        self.writer.is_some()
    }

    /// Adds a message that is not there.
    pub fn add(&mut self, document: &Document) -> Result<(), SearchError> {
        self.writer()?.add_document(document.to_tantivy())?;
        Ok(())
    }

    /// Takes a message out, if it is there.
    pub fn remove(&mut self, id: MessageId) -> Result<(), SearchError> {
        self.writer()?.delete_term(Fields::term_of(FIELDS.id, id.0));
        Ok(())
    }

    /// Takes out all of a conversation. Opens the bucket only where there is something of it.
    pub fn remove_conversation(&mut self, conversation: ConversationId) -> Result<(), SearchError> {
        let term = Fields::term_of(FIELDS.conversation, conversation.0);
        if self.has_changes || self.searcher().doc_freq(&term)? > 0 {
            self.writer()?.delete_term(term);
        }
        Ok(())
    }

    /// Makes the changes last and be found, if there are any.
    pub fn commit(&mut self, position: Position) -> Result<(), SearchError> {
        let Some(writer) = self.writer.as_mut().filter(|_| self.has_changes) else { return Ok(()) };
        let mut commit = writer.prepare_commit()?;
        commit.set_payload(&position.to_string());
        commit.commit()?;
        self.reader.reload()?;
        (self.position, self.has_changes) = (position, false);
        Ok(())
    }

    /// Ends writing, once merges that are under way are done.
    pub fn close(&mut self) -> Result<(), SearchError> {
        if let Some(writer) = self.writer.take() {
            writer.wait_merging_threads()?;
            self.reader.reload()?;
        }
        Ok(())
    }

    /// Takes out what a person wrote in a conversation, or in any, and writes the whole bucket anew, so that no byte
    /// of it is left on disk: what is deleted from a segment otherwise stays there until the segment is merged.
    pub fn forget(&mut self, sender: UserId, conversation: Option<ConversationId>) -> Result<(), SearchError> {
        let term = |term: Term| Box::new(TermQuery::new(term, IndexRecordOption::Basic)) as Box<dyn Query>;
        let mut wanted = vec![(Occur::Must, term(Fields::term_of(FIELDS.sender, sender.0)))];
        wanted.extend(conversation.map(|id| (Occur::Must, term(Fields::term_of(FIELDS.conversation, id.0)))));
        let position = self.position;
        self.writer()?.delete_query(Box::new(BooleanQuery::new(wanted)))?;
        self.commit(position)?;
        self.rewrite()
    }

    /// Merges everything into one segment and removes the files of the others.
    pub fn rewrite(&mut self) -> Result<(), SearchError> {
        // Merges that are under way first: what they hold can't be merged by us.
        self.close()?;
        let segments = self.index.searchable_segment_ids()?;
        self.writer()?;
        if let Some(writer) = self.writer.as_mut() {
            if !segments.is_empty() {
                writer.merge(&segments).wait()?;
            }
            // Files that a searcher still maps are only removed once it is gone.
            self.reader.reload()?;
            writer.garbage_collect_files().wait()?;
        }
        self.has_changes = false;
        Ok(())
    }

    fn writer(&mut self) -> Result<&mut IndexWriter, SearchError> {
        self.has_changes = true;
        if self.writer.is_none() {
            let writer = self.index.writer_with_num_threads(1, WRITER_BYTES)?;
            let mut policy = LogMergePolicy::default();
            policy.set_min_layer_size(SMALL_SEGMENT);
            policy.set_del_docs_ratio_before_merge(DELETED_RATIO_MAX);
            writer.set_merge_policy(Box::new(policy));
            self.writer = Some(writer);
        }
        self.writer.as_mut().ok_or_else(|| SearchError::Message("a writer that was opened is gone".to_owned()))
    }
}
