//! [`Index`]: what can be searched; [`Writer`]: who keeps it, batch by batch, in a directory.
//!
//! A bucket's last commit carries the position up to which the bucket is complete; the ledger, written after all of
//! them, the position up to which the whole is. After a crash the log is followed from the ledger's position on, and a
//! bucket leaves out what its own commit holds already: so nothing is applied twice, wherever the crash came.

use crate::{
    SearchError,
    bucket::Bucket,
    change::{Batch, Change},
    document::{FIELDS, FORMAT},
    keeper::home::LIVE,
    marks::{Marks, MarksFile},
};
use domain::{Position, Quarter};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};
use tantivy::{Searcher, query::Bm25StatisticsProvider};
use uuid::Uuid;

const LEDGER: &str = "ledger.json";
const MARKS: &str = "marks";
/// Buckets that are written to are closed when there are more of them: each has threads and memory of its own.
const OPEN_MAX: usize = 3;

/// Cheap to clone. What is found is as of the last commit.
#[derive(Clone, Default)]
pub struct Index(Arc<Shared>);

#[derive(Default)]
struct Shared {
    buckets: RwLock<Arc<Snapshot>>,
    marks: RwLock<Marks>,
}

/// The index as of one commit.
#[derive(Default)]
pub(crate) struct Snapshot {
    pub position: Position,
    /// The newest first.
    pub buckets: Vec<(Quarter, Searcher)>,
    pub documents: u64,
    pub tokens: u64,
}

impl Snapshot {
    fn of(position: Position, buckets: &BTreeMap<Quarter, Bucket>) -> Result<Self, SearchError> {
        let buckets: Vec<_> = buckets.iter().rev().map(|(quarter, bucket)| (*quarter, bucket.searcher())).collect();
        let mut snapshot = Self { position, ..Self::default() };
        for (_, searcher) in &buckets {
            snapshot.documents += searcher.total_num_docs()?;
            snapshot.tokens += searcher.total_num_tokens(FIELDS.text)?;
        }
        Ok(Self { buckets, ..snapshot })
    }
}

impl Index {
    /// All of the log up to here can be found.
    pub fn position(&self) -> Position {
        self.snapshot().position
    }

    /// Opens the index of a SEARCH_DIR to be searched as it is, whoever keeps it. None where there is none, or where it
    /// was changed meanwhile.
    pub fn open(dir: &Path) -> Result<Option<Self>, SearchError> {
        Self::read(&dir.join(LIVE))
    }

    /// Opens what lies in a directory to be read alone, whoever keeps it: as of one commit, with that commit's position.
    /// None where there is none, or where it was changed while it was opened.
    pub(crate) fn read(dir: &Path) -> Result<Option<Self>, SearchError> {
        let ledger = || -> Option<Ledger> { serde_json::from_slice(&fs::read(dir.join(LEDGER)).ok()?).ok() };
        let Some(before) = ledger().filter(|ledger| ledger.format == FORMAT) else { return Ok(None) };
        let buckets = open_buckets(dir)?;
        let marks = Marks::read(&dir.join(MARKS), before.position)?.0;
        let is_of_one_commit = buckets.values().all(|bucket| bucket.position() <= before.position);
        if !is_of_one_commit || ledger().as_ref() != Some(&before) {
            return Ok(None);
        }
        let index = Self::default();
        index.change_marks(|known| *known = marks);
        index.publish(Snapshot::of(before.position, &buckets)?);
        Ok(Some(index))
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.0.buckets.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn marks(&self) -> RwLockReadGuard<'_, Marks> {
        self.0.marks.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, snapshot: Snapshot) {
        *self.0.buckets.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
    }

    fn change_marks(&self, change: impl FnOnce(&mut Marks)) {
        change(&mut self.0.marks.write().unwrap_or_else(PoisonError::into_inner));
    }
}

/// How far the index is, and of which log and format it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ledger {
    format: u32,
    log_id: Uuid,
    position: Position,
}

/// The one that writes an index. Everything here blocks.
pub struct Writer {
    dir: PathBuf,
    ledger: Ledger,
    buckets: BTreeMap<Quarter, Bucket>,
    marks: MarksFile,
    index: Index,
    /// For tests: dies before the commit of the bucket, or the ledger, with this number.
    #[cfg(test)]
    pub(crate) dies_at: Option<usize>,
}

impl Writer {
    /// Opens the index in a directory, at its last commit. An index of another log or format is cleared away first.
    pub fn open(dir: &Path, log_id: Uuid, index: Index) -> Result<Self, SearchError> {
        fs::create_dir_all(dir).map_err(SearchError::file(dir))?;
        let fresh = Ledger { format: FORMAT, log_id, position: Position(0) };
        let found: Option<Ledger> =
            fs::read(dir.join(LEDGER)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let is_of_another = found.as_ref().is_some_and(|found| (found.format, found.log_id) != (FORMAT, log_id));
        // Without a ledger there is no telling whose the buckets are.
        if found.is_none() || is_of_another {
            fs::remove_dir_all(dir).and_then(|()| fs::create_dir_all(dir)).map_err(SearchError::file(dir))?;
        }
        let ledger = found.filter(|_| !is_of_another).unwrap_or(fresh);
        let (marks, known) = MarksFile::open(&dir.join(MARKS), ledger.position)?;
        let buckets = open_buckets(dir)?;
        let mut writer = Self {
            dir: dir.to_owned(),
            ledger,
            buckets,
            marks,
            index,
            #[cfg(test)]
            dies_at: None,
        };
        writer.write_ledger()?;
        writer.index.change_marks(|marks| *marks = known);
        writer.publish()?;
        Ok(writer)
    }

    /// All of the log up to here is in the index.
    pub fn position(&self) -> Position {
        self.ledger.position
    }

    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Applies a batch that follows on the last one, and commits it.
    pub(crate) fn apply(&mut self, batch: &Batch) -> Result<(), SearchError> {
        for change in &batch.changes {
            self.change(change)?;
        }
        self.marks.append(&batch.marks)?;
        #[cfg(test)]
        let mut commits_left = self.dies_at;
        for bucket in self.buckets.values_mut() {
            #[cfg(test)]
            die_where_due(&mut commits_left)?;
            bucket.commit(batch.position)?;
        }
        #[cfg(test)]
        die_where_due(&mut commits_left.map(|_| 0))?;
        self.ledger.position = batch.position;
        self.write_ledger()?;
        self.index.change_marks(|marks| batch.marks.iter().for_each(|record| marks.apply(record)));
        self.publish()?;
        self.marks.compact_where_due(&self.index.marks(), batch.position)?;
        self.close_where_due()
    }

    fn change(&mut self, change: &Change) -> Result<(), SearchError> {
        match change {
            Change::Put { document, at } => {
                let bucket = self.bucket(document.created_at.quarter())?;
                if *at <= bucket.position() {
                    return Ok(());
                }
                // A message that was sent after the bucket's last commit can't be there.
                if document.position <= bucket.position() {
                    bucket.remove(document.id)?;
                }
                bucket.add(document)
            }
            Change::Remove { id, quarter, at } => {
                let bucket = self.bucket(*quarter)?;
                if *at > bucket.position() { bucket.remove(*id) } else { Ok(()) }
            }
            Change::RemoveConversation { conversation, at } => {
                let mut later = self.buckets.values_mut().filter(|bucket| *at > bucket.position());
                later.try_for_each(|bucket| bucket.remove_conversation(*conversation))
            }
        }
    }

    /// Ends writing, once merges that are under way are done.
    pub fn close(mut self) -> Result<(), SearchError> {
        self.buckets.values_mut().try_for_each(Bucket::close)
    }

    /// Takes out of a quarter what a person wrote, in one conversation or in all, and leaves no byte of it on disk.
    pub fn forget(
        &mut self,
        quarter: Quarter,
        sender: domain::UserId,
        conversation: Option<domain::ConversationId>,
    ) -> Result<(), SearchError> {
        // A bucket's files stay for as long as they can be searched.
        self.index.publish(Snapshot { position: self.ledger.position, ..Snapshot::default() });
        if let Some(bucket) = self.buckets.get_mut(&quarter) {
            bucket.forget(sender, conversation)?;
        }
        self.publish()
    }

    /// For tests: takes one message out and puts another in once more, where nobody should.
    #[cfg(test)]
    pub(crate) fn spoil(&mut self, lost: domain::MessageId, mut doubled: crate::document::Document) {
        let position = self.ledger.position;
        for bucket in self.buckets.values_mut() {
            bucket.remove(lost).expect("removes");
            doubled.text.push_str(" once more");
            bucket.add(&doubled).expect("adds");
            bucket.commit(position).expect("commits");
        }
    }

    fn bucket(&mut self, quarter: Quarter) -> Result<&mut Bucket, SearchError> {
        if !self.buckets.contains_key(&quarter) {
            let bucket = Bucket::open(&self.dir.join(quarter.to_string()))?;
            self.buckets.insert(quarter, bucket);
        }
        self.buckets.get_mut(&quarter).ok_or_else(|| SearchError::Message(format!("bucket {quarter} is gone")))
    }

    /// The oldest quarters first: what is written now is written to the newest.
    fn close_where_due(&mut self) -> Result<(), SearchError> {
        let open = self.buckets.values().filter(|bucket| bucket.is_open()).count();
        let mut due = self.buckets.values_mut().filter(|bucket| bucket.is_open()).take(open.saturating_sub(OPEN_MAX));
        due.try_for_each(Bucket::close)
    }

    fn publish(&mut self) -> Result<(), SearchError> {
        self.index.publish(Snapshot::of(self.ledger.position, &self.buckets)?);
        Ok(())
    }

    /// By a rename, so that it is there as a whole or as it was before.
    fn write_ledger(&self) -> Result<(), SearchError> {
        let (path, beside) = (self.dir.join(LEDGER), self.dir.join("ledger.next"));
        let bytes = serde_json::to_vec(&self.ledger).map_err(|error| SearchError::Message(error.to_string()))?;
        let written = File::create(&beside).and_then(|mut file| {
            file.write_all(&bytes)?;
            file.sync_data()?;
            fs::rename(&beside, &path)
        });
        written.map_err(SearchError::file(path))
    }
}

#[cfg(test)]
fn die_where_due(commits_left: &mut Option<usize>) -> Result<(), SearchError> {
    match commits_left {
        Some(0) => return Err(SearchError::Message("killed".to_owned())),
        Some(left) => *left -= 1,
        None => {}
    }
    Ok(())
}

fn open_buckets(dir: &Path) -> Result<BTreeMap<Quarter, Bucket>, SearchError> {
    let mut buckets = BTreeMap::new();
    for entry in fs::read_dir(dir).map_err(SearchError::file(dir))? {
        let entry = entry.map_err(SearchError::file(dir))?;
        if let Some(quarter) = entry.file_name().to_str().and_then(quarter) {
            buckets.insert(quarter, Bucket::open(&entry.path())?);
        }
    }
    Ok(buckets)
}

/// `2026Q4`, as a quarter is written.
fn quarter(name: &str) -> Option<Quarter> {
    let (year, quarter) = name.split_once('Q')?;
    Some(Quarter { year: year.parse().ok()?, quarter: quarter.parse().ok()? })
}
