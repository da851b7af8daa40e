//! [`Ring`]: the last events of the log, rendered, without gaps.

use crate::push::Entry;
use domain::{MessageId, Position};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

const ENTRIES_MAX: usize = 65_536;
const BYTES_MAX: usize = 64 * 1024 * 1024;

pub(super) struct Ring {
    entries: VecDeque<Arc<Entry>>,
    bytes: usize,
    /// Of the last entry, or of what came before the first.
    head: Position,
    /// Messages that an entry here says are deleted.
    deleted: HashMap<MessageId, Position>,
    entries_max: usize,
}

impl Ring {
    /// Empty, for what comes after a position.
    pub fn after(head: Position) -> Self {
        Self { entries: VecDeque::new(), bytes: 0, head, deleted: HashMap::new(), entries_max: ENTRIES_MAX }
    }

    #[cfg(test)]
    pub fn shrink(&mut self, entries_max: usize) {
        self.entries_max = entries_max;
        self.trim();
    }

    pub fn head(&self) -> Position {
        self.head
    }

    /// Of the first entry that is here, or will be.
    pub fn start(&self) -> Position {
        Position(self.head.0 + 1 - i64::try_from(self.entries.len()).unwrap_or(0))
    }

    pub fn push(&mut self, entry: Arc<Entry>) {
        self.head = entry.position;
        self.bytes += entry.bytes();
        if let Some(message) = entry.message.filter(|_| entry.is_deletion) {
            self.deleted.insert(message, entry.position);
        }
        self.entries.push_back(entry);
        self.trim();
    }

    fn trim(&mut self) {
        while self.entries.len() > self.entries_max || self.bytes > BYTES_MAX {
            let Some(entry) = self.entries.pop_front() else { return };
            self.bytes -= entry.bytes();
            if let Some(message) = entry.message.filter(|_| entry.is_deletion) {
                self.deleted.remove(&message);
            }
        }
    }

    pub fn get(&self, position: Position) -> Option<Arc<Entry>> {
        let index = usize::try_from(position.0 - self.start().0).ok()?;
        self.entries.get(index).cloned()
    }

    /// The entries after a position, which lies not before what is here.
    pub fn after_position(&self, position: Position) -> impl Iterator<Item = &Arc<Entry>> {
        let skipped = usize::try_from(position.0 + 1 - self.start().0).unwrap_or(0).min(self.entries.len());
        self.entries.range(skipped..)
    }

    /// Whether whoever is late is told nothing of it: the message is gone, and that is told by itself.
    pub fn is_obsolete(&self, entry: &Entry) -> bool {
        !entry.is_deletion && entry.message.is_some_and(|message| self.is_deleted(message))
    }

    pub fn is_deleted(&self, message: MessageId) -> bool {
        self.deleted.contains_key(&message)
    }
}
