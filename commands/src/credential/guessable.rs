//! [`is_common`]: the passwords that are guessed first: the known ones, and runs along the alphabet, the digits or a
//! row of keys.

use std::{collections::HashSet, sync::LazyLock};

/// One a line, in lower case, each of at least 8 characters.
const KNOWN: &str = include_str!("guessable_passwords.txt");

static COMMON: LazyLock<HashSet<&str>> = LazyLock::new(|| KNOWN.lines().collect());

/// Rows along which fingers run; each is tried forwards and backwards.
const ROWS: [&str; 8] = [
    "01234567890123456789",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
    "azertyuiopqsdfghjklmwxcvbn",
    "qwertyuiop[]asdfghjkl;'zxcvbnm,./",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/",
    "1q2w3e4r5t6y7u8i9o0p",
];

/// Whether a password is among the first that anyone guesses, in capitals or not.
pub fn is_common(password: &str) -> bool {
    let folded = password.to_lowercase();
    COMMON.contains(folded.as_str()) || repeats(&folded) || runs(&folded)
}

/// One to four characters over and over, such as `11111111`, `abababab` or `abc1abc1`.
fn repeats(text: &str) -> bool {
    let chars: Vec<char> = text.chars().collect();
    (1..=4.min(chars.len() / 2)).any(|period| chars.iter().skip(period).eq(chars.iter().take(chars.len() - period)))
}

/// A piece of a row of keys, forwards or backwards.
fn runs(text: &str) -> bool {
    let backwards: String = text.chars().rev().collect();
    ROWS.iter().any(|row| row.contains(text) || row.contains(&backwards))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_lower_case_without_short_or_double_entries() {
        assert_eq!(COMMON.len(), KNOWN.lines().count(), "an entry stands twice");
        for known in KNOWN.lines() {
            assert!(known.chars().count() >= 8 && known == known.to_lowercase(), "{known:?}");
        }
        assert!(COMMON.len() > 300);
    }

    #[test]
    fn repeats_and_runs_are_common() {
        for common in [
            "00000000",
            "aaaaaaaaaaaa",
            "abababab",
            "abc1abc1",
            "abcdabcdabcd",
            "abcdefgh",
            "98765432",
            "asdfghjkl",
            "1QAZ2wsx",
        ] {
            assert!(is_common(common), "{common}");
        }
    }

    #[test]
    fn a_password_of_ones_own_is_not_common() {
        for own in ["correct horse battery", "x7f3k9qz", "пароль-ёлка-🔑", "Pw-8d7f6g5h-9", "abcdabcx"] {
            assert!(!is_common(own), "{own}");
        }
    }
}
