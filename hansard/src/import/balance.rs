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

/// Things told by name at most; the rest are only counted.
const NAMED_MAX: usize = 100;
/// Characters kept of a name that the export gives, and of what is said of it.
const NAME_CHARS_MAX: usize = 200;

/// What is wrong with one thing of the export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    pub what: String,
    /// As the export calls it.
    pub id: String,
    pub reason: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
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
    pub edits: Tally,
    pub files: Tally,
    /// Usernames that had to be made to fit: reason → how many. A name can have both reasons.
    pub renamed: BTreeMap<String, u64>,
    /// People who were given a made-up e-mail address though they have one: reason → how many.
    pub readdressed: BTreeMap<String, u64>,
    /// What is wrong in the export itself, the first of it.
    pub named: Vec<Named>,
    /// How much more is.
    pub unnamed: u64,
}

impl Balance {
    /// Tells what is wrong with one thing.
    pub fn name(&mut self, what: &str, id: &str, reason: &str) {
        if self.named.len() == NAMED_MAX {
            self.unnamed += 1;
            return;
        }
        // What stands in an export is not to reach a terminal as it is.
        let shown = |text: &str| text.escape_debug().take(NAME_CHARS_MAX).collect::<String>();
        self.named.push(Named { what: what.to_owned(), id: shown(id), reason: shown(reason) });
    }
    pub fn rows(&self) -> [(&'static str, &Tally); 8] {
        [
            ("users", &self.users),
            ("channels", &self.channels),
            ("joins", &self.joins),
            ("messages", &self.messages),
            ("replies", &self.replies),
            ("reactions", &self.reactions),
            ("edits", &self.edits),
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
        for (reason, count) in &self.readdressed {
            writeln!(f, "{count} people given a made-up e-mail address: {reason}")?;
        }
        for Named { what, id, reason } in &self.named {
            writeln!(f, "{what} {id}: {reason}")?;
        }
        if self.unnamed > 0 {
            writeln!(f, "and {} more like these", self.unnamed)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_up_to_a_hundred_and_never_raw() {
        let mut balance = Balance::default();
        for n in 0..102 {
            balance.name("user", &format!("U{n}\u{1b}[31m"), "too odd");
        }
        assert_eq!((balance.named.len(), balance.unnamed), (100, 2));
        let text = balance.to_string();
        assert!(text.contains("user U0\\u{1b}[31m: too odd") && text.contains("and 2 more"), "{text}");
    }

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
