//! [`Marks`]: which messages have reactions and which are pinned: sets beside the index, for they change often and a
//! document of the index can only be written anew.
//!
//! They are kept in a file of records in the order of the log. What was written after the last commit of the whole is
//! cut off when the file is opened, so that a record is never counted twice.

use crate::SearchError;
use domain::{MessageId, Position};
use std::{
    collections::{HashMap, HashSet},
    fs::{self, File, OpenOptions},
    io::{BufWriter, ErrorKind, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};
use uuid::Uuid;

const RECORD_BYTES: usize = 25;
/// A file with fewer records is not worth being written anew.
const COMPACT_FROM: u64 = 50_000;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    /// How many reactions each message has, of those that have any.
    reactions: HashMap<MessageId, u32>,
    pins: HashSet<MessageId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Reacted,
    Unreacted,
    Pinned,
    Unpinned,
    Deleted,
}

/// A mark and where it stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub position: Position,
    pub message: MessageId,
    pub mark: Mark,
}

impl Marks {
    pub fn has_reaction(&self, message: MessageId) -> bool {
        self.reactions.contains_key(&message)
    }
    pub fn is_pinned(&self, message: MessageId) -> bool {
        self.pins.contains(&message)
    }

    /// What a file says up to a position, and in how many records. One that isn't there says nothing.
    pub fn read(path: &Path, up_to: Position) -> Result<(Self, u64), SearchError> {
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => vec![],
            read => read.map_err(SearchError::file(path))?,
        };
        let (mut marks, mut records) = (Self::default(), 0);
        for bytes in bytes.chunks_exact(RECORD_BYTES) {
            match Record::read(bytes) {
                Some(record) if record.position <= up_to => marks.apply(&record),
                Some(_) | None => break,
            }
            records += 1;
        }
        Ok((marks, records))
    }

    pub fn apply(&mut self, record: &Record) {
        let id = record.message;
        match record.mark {
            Mark::Reacted => *self.reactions.entry(id).or_default() += 1,
            Mark::Unreacted => match self.reactions.get_mut(&id) {
                Some(count) if *count > 1 => *count -= 1,
                Some(_) | None => _ = self.reactions.remove(&id),
            },
            Mark::Pinned => _ = self.pins.insert(id),
            Mark::Unpinned => _ = self.pins.remove(&id),
            Mark::Deleted => {
                self.reactions.remove(&id);
                self.pins.remove(&id);
            }
        }
    }

    /// As many records as it takes to say the same.
    fn records(&self) -> impl Iterator<Item = (MessageId, Mark)> {
        let reactions = self.reactions.iter().flat_map(|(id, count)| (0..*count).map(|_| (*id, Mark::Reacted)));
        reactions.chain(self.pins.iter().map(|id| (*id, Mark::Pinned)))
    }
}

pub(crate) struct MarksFile {
    path: PathBuf,
    file: File,
    records: u64,
}

impl MarksFile {
    /// Opens the file with what it says up to a position; the rest is cut off.
    pub fn open(path: &Path, up_to: Position) -> Result<(Self, Marks), SearchError> {
        let (marks, records) = Marks::read(path, up_to)?;
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path).and_then(|mut file| {
            file.set_len(records * RECORD_BYTES as u64)?;
            file.seek(SeekFrom::End(0))?;
            Ok(file)
        });
        Ok((Self { path: path.to_owned(), file: file.map_err(SearchError::file(path))?, records }, marks))
    }

    /// Adds records, safe on disk.
    pub fn append(&mut self, records: &[Record]) -> Result<(), SearchError> {
        if records.is_empty() {
            return Ok(());
        }
        let bytes: Vec<u8> = records.iter().flat_map(Record::bytes).collect();
        let written = self.file.write_all(&bytes).and_then(|()| self.file.sync_data());
        self.records += records.len() as u64;
        written.map_err(SearchError::file(&self.path))
    }

    /// Writes the file anew where most of it is outdated. `marks` is what the file says, all of it committed.
    pub fn compact_where_due(&mut self, marks: &Marks, position: Position) -> Result<(), SearchError> {
        if self.records < COMPACT_FROM || self.records < 2 * marks.records().count() as u64 {
            return Ok(());
        }
        let beside = self.path.with_extension("next");
        let mut records = 0;
        let written = (|| {
            let mut file = BufWriter::new(File::create(&beside)?);
            for (message, mark) in marks.records() {
                file.write_all(&Record { position, message, mark }.bytes())?;
                records += 1;
            }
            file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_data()?;
            fs::rename(&beside, &self.path)?;
            let mut file = OpenOptions::new().read(true).write(true).open(&self.path)?;
            file.seek(SeekFrom::End(0))?;
            Ok(file)
        })();
        self.file = written.map_err(SearchError::file(&self.path))?;
        self.records = records;
        Ok(())
    }
}

impl Record {
    fn bytes(&self) -> [u8; RECORD_BYTES] {
        let mut bytes = [0; RECORD_BYTES];
        bytes[..8].copy_from_slice(&self.position.0.to_le_bytes());
        bytes[8..24].copy_from_slice(self.message.0.as_bytes());
        bytes[24] = match self.mark {
            Mark::Reacted => 1,
            Mark::Unreacted => 2,
            Mark::Pinned => 3,
            Mark::Unpinned => 4,
            Mark::Deleted => 5,
        };
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let position = Position(i64::from_le_bytes(bytes.get(..8)?.try_into().ok()?));
        let message = MessageId(Uuid::from_slice(bytes.get(8..24)?).ok()?);
        let mark = match bytes.get(24)? {
            1 => Mark::Reacted,
            2 => Mark::Unreacted,
            3 => Mark::Pinned,
            4 => Mark::Unpinned,
            5 => Mark::Deleted,
            _ => return None,
        };
        Some(Self { position, message, mark })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: MessageId = MessageId(Uuid::from_u128(1));
    const SECOND: MessageId = MessageId(Uuid::from_u128(2));

    fn record(position: i64, message: MessageId, mark: Mark) -> Record {
        Record { position: Position(position), message, mark }
    }

    #[test]
    fn a_message_has_reactions_until_the_last_is_taken_back() {
        let mut marks = Marks::default();
        for mark in [Mark::Reacted, Mark::Reacted, Mark::Unreacted] {
            marks.apply(&record(1, FIRST, mark));
        }
        assert!(marks.has_reaction(FIRST) && !marks.has_reaction(SECOND));
        marks.apply(&record(2, FIRST, Mark::Unreacted));
        assert_eq!(marks, Marks::default());
    }

    #[test]
    fn what_was_written_after_the_commit_is_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("marks");
        let (mut file, _) = MarksFile::open(&path, Position(0)).unwrap();
        file.append(&[
            record(1, FIRST, Mark::Pinned),
            record(2, FIRST, Mark::Reacted),
            record(3, SECOND, Mark::Pinned),
        ])
        .unwrap();
        // A record that a crash cut in two.
        file.file.write_all(&[9; 7]).unwrap();
        let (mut file, marks) = MarksFile::open(&path, Position(2)).unwrap();
        assert!(marks.is_pinned(FIRST) && marks.has_reaction(FIRST) && !marks.is_pinned(SECOND));
        file.append(&[record(3, SECOND, Mark::Pinned)]).unwrap();
        let (_, marks) = MarksFile::open(&path, Position(3)).unwrap();
        assert!(marks.is_pinned(SECOND));
    }

    #[test]
    fn a_file_that_was_written_anew_says_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("marks");
        let (mut file, mut marks) = MarksFile::open(&path, Position(0)).unwrap();
        let mut records: Vec<Record> = Vec::new();
        for position in 0..i64::try_from(COMPACT_FROM).unwrap() {
            let mark = if position % 2 == 0 { Mark::Pinned } else { Mark::Unpinned };
            records.push(record(position, FIRST, mark));
        }
        records.extend([record(60_000, SECOND, Mark::Reacted), record(60_001, SECOND, Mark::Reacted)]);
        for record in &records {
            marks.apply(record);
        }
        file.append(&records).unwrap();
        file.compact_where_due(&marks, Position(60_001)).unwrap();
        assert_eq!(file.records, 2);
        file.append(&[record(60_002, FIRST, Mark::Pinned)]).unwrap();
        marks.apply(&record(60_002, FIRST, Mark::Pinned));
        assert_eq!(MarksFile::open(&path, Position(60_002)).unwrap().1, marks);
    }
}
