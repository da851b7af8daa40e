//! [`Usernames`]: makes other products' names fit the rule for usernames, each once.

use domain::user::is_username;
use std::collections::HashSet;

/// Why a name is not what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It had other characters, or was too short or too long.
    OutsideRule,
    /// Someone else has it, if case is not counted.
    Taken,
}

impl Change {
    pub const fn reason(self) -> &'static str {
        match self {
            Self::OutsideRule => "outside the rule (3 to 32 of a-z 0-9 . _ -)",
            Self::Taken => "someone else has the same one, case not counted",
        }
    }
}

#[derive(Default)]
pub struct Usernames {
    /// The names themselves in lower case, and the usernames that were made of them.
    seen: HashSet<String>,
    given: HashSet<String>,
}

const CHARS_MAX: usize = 32;

impl Usernames {
    /// The username for a name: its own in lower case, or the nearest that fits and is free. `is_taken` tells of names
    /// that were given before this import.
    pub fn give(&mut self, name: &str, is_taken: impl Fn(&str) -> bool) -> (String, Vec<Change>) {
        let lower = name.to_lowercase();
        let fitted = fit(&lower);
        let mut changes = Vec::new();
        if fitted != lower {
            changes.push(Change::OutsideRule);
        }
        let mut username = fitted.clone();
        let mut number = 2;
        while self.given.contains(&username) || is_taken(&username) {
            let suffix = format!("-{number}");
            let stem: String = fitted.chars().take(CHARS_MAX - suffix.len()).collect();
            username = stem + &suffix;
            number += 1;
        }
        // Names that only became alike by being made to fit are outside the rule, and counted as that.
        if !self.seen.insert(lower) || (changes.is_empty() && username != fitted) {
            changes.push(Change::Taken);
        }
        self.given.insert(username.clone());
        (username, changes)
    }
}

/// The nearest text that the rule allows.
pub fn fit(name: &str) -> String {
    let legal =
        |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-') { c } else { '-' };
    let mut username: String = name.chars().map(legal).take(CHARS_MAX).collect();
    while username.len() < 3 {
        username.push('-');
    }
    debug_assert!(is_username(&username));
    username
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_within_the_rule_stays() {
        assert_eq!(Usernames::default().give("ada.l", |_| false), ("ada.l".into(), vec![]));
    }

    #[test]
    fn a_name_outside_the_rule_is_made_to_fit() {
        for (name, username) in [("[x]", "-x-"), ("é", "---"), ("A|B", "a-b"), (&"y".repeat(40), &*"y".repeat(32))] {
            let (given, changes) = Usernames::default().give(name, |_| false);
            assert_eq!((given.as_str(), changes), (username, vec![Change::OutsideRule]));
        }
    }

    #[test]
    fn names_that_collide_get_a_number() {
        let mut names = Usernames::default();
        assert_eq!(names.give("Bob", |_| false).0, "bob");
        assert_eq!(names.give("bob", |_| false), ("bob-2".into(), vec![Change::Taken]));
        assert_eq!(names.give("BOB", |name| name == "bob-3").0, "bob-4");
        let long = "z".repeat(32);
        assert_eq!(names.give(&long, |_| false).0, long);
        assert_eq!(names.give(&long, |_| false).0, format!("{}-2", "z".repeat(30)));
    }
}
