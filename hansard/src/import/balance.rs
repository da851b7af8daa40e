//! [`Balance`]: what an import read, wrote and refused, and why; what was read is always accounted for.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub read: u64,
    pub written: u64,
    pub refused: u64,
    /// Reason → how many were refused for it.
    pub reasons: BTreeMap<String, u64>,
}

impl Tally {
    pub fn wrote(&mut self, count: usize) {
        self.written += count as u64;
    }
    pub fn refuse(&mut self, count: usize, reason: &str) {
        if count > 0 {
            self.refused += count as u64;
            *self.reasons.entry(reason.to_owned()).or_default() += count as u64;
        }
    }
    pub const fn is_balanced(&self) -> bool {
        self.read == self.written + self.refused
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    pub users: Tally,
    pub channels: Tally,
    /// Joins, of which only the first of a person in a channel makes a membership.
    pub joins: Tally,
    /// All messages, those in threads included.
    pub messages: Tally,
    /// Of the messages, those that answer another.
    pub replies: Tally,
    pub reactions: Tally,
    pub files: Tally,
    /// Usernames that had to be made to fit: reason → how many. A name can have both reasons.
    pub renamed: BTreeMap<String, u64>,
}

impl Balance {
    pub fn rows(&self) -> [(&'static str, &Tally); 7] {
        [
            ("users", &self.users),
            ("channels", &self.channels),
            ("joins", &self.joins),
            ("messages", &self.messages),
            ("replies", &self.replies),
            ("reactions", &self.reactions),
            ("files", &self.files),
        ]
    }
    pub fn is_balanced(&self) -> bool {
        self.rows().iter().all(|(_, tally)| tally.is_balanced())
    }
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<10} {:>9} {:>9} {:>9}", "", "read", "written", "refused")?;
        for (name, tally) in self.rows() {
            writeln!(f, "{name:<10} {:>9} {:>9} {:>9}", tally.read, tally.written, tally.refused)?;
            for (reason, count) in &tally.reasons {
                writeln!(f, "    {count} refused: {reason}")?;
            }
        }
        for (reason, count) in &self.renamed {
            writeln!(f, "{count} usernames changed: {reason}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_is_written_or_refused_for_a_reason() {
        let mut tally = Tally { read: 3, ..Tally::default() };
        tally.wrote(1);
        assert!(!tally.is_balanced());
        tally.refuse(2, "too long");
        assert!(tally.is_balanced());
        assert_eq!(tally.reasons["too long"], 2);
    }
}
