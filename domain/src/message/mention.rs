//! [`names_mentioned`]: the `@names` in a text.

use crate::user::is_username;
use std::collections::HashSet;
use unicode_segmentation::UnicodeSegmentation;

/// The `@names` in a text, without their `@`, lower-case, each once, in order. Each is as long as it can be read: a
/// username may end in a dot, and so may a sentence. What they mean is the caller's to find: see [`candidates`].
pub fn names_mentioned(content: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut seen = HashSet::new();
    let mut before = None;
    for (at, c) in content.char_indices() {
        // An @ within a word is part of an address, not a mention.
        if c == '@' && !before.is_some_and(|b| is_name_char(b) || b == '@' || is_one_word(b, 'a')) {
            let rest = &content[at + 1..];
            let (name, after) = rest.split_at(rest.find(|c| !is_name_char(c)).unwrap_or(rest.len()));
            if is_whole(name, after) && seen.insert(name.to_ascii_lowercase()) {
                names.push(name.to_ascii_lowercase());
            }
        }
        before = Some(c);
    }
    names
}

/// What a name in a text can mean, the longest reading first: `bob.` is a username, and `@bob.` may also end a
/// sentence about bob. None where it can't be a username at all.
pub fn candidates(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name), |name| name.strip_suffix(['.', '-', '_'])).filter(|name| is_username(name))
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

/// Whether a name ends where its letters do: `@bobé` is no bob, `@bob你好` is, and `@bob@example.org` is an address.
fn is_whole(name: &str, after: &str) -> bool {
    let (Some(last), next) = (name.chars().next_back(), after.chars().next()) else { return false };
    next.is_none_or(|next| next != '@' && !is_one_word(last, next))
}

/// Whether two characters belong to one word (UAX #29): letters of alphabets do, ideographs stand alone.
fn is_one_word(a: char, b: char) -> bool {
    String::from_iter([a, b]).split_word_bounds().count() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str) -> Vec<&str> {
        candidates(name).collect()
    }

    #[test]
    fn a_name_is_mentioned_by_an_at_before_it() {
        assert_eq!(names_mentioned("hey @bob!"), ["bob"]);
        assert_eq!(names_mentioned("(@bob) \"@carol\" *@dan*"), ["bob", "carol", "dan"]);
        assert_eq!(names_mentioned("@bob's idea, @carol: yes\n@dan"), ["bob", "carol", "dan"]);
    }

    #[test]
    fn a_text_without_names_mentions_nobody() {
        assert!(names_mentioned("bob @ home, @, @@ and @!").is_empty());
    }

    #[test]
    fn a_name_is_mentioned_once_without_case() {
        assert_eq!(names_mentioned("@Bob @bob @BOB"), ["bob"]);
    }

    #[test]
    fn names_come_in_the_order_of_the_text() {
        assert_eq!(names_mentioned("@carol @alice @bob"), ["carol", "alice", "bob"]);
    }

    #[test]
    fn an_address_is_no_mention() {
        assert!(names_mentioned("bob@example.org, grüß.é@example.org, x.@bob, @bob@example.org").is_empty());
    }

    #[test]
    fn a_longer_word_is_no_mention_of_the_name_it_begins_with() {
        assert_eq!(names_mentioned("@bobxyz"), ["bobxyz"]);
        assert!(names_mentioned("@bobé @bobe\u{301} @bobпривет").is_empty());
    }

    #[test]
    fn a_name_is_found_between_ideographs() {
        assert_eq!(names_mentioned("谢谢@bob你好"), ["bob"]);
    }

    #[test]
    fn a_name_is_read_as_long_as_it_can_be() {
        assert_eq!(names_mentioned("see @bob.smith_2-x."), ["bob.smith_2-x."]);
    }

    #[test]
    fn a_name_at_the_end_of_a_sentence_is_tried_with_its_dot_first() {
        assert_eq!(read("bob."), ["bob.", "bob"]);
        assert_eq!(read("bob_..."), ["bob_...", "bob_..", "bob_.", "bob_", "bob"]);
    }

    #[test]
    fn a_dot_within_a_name_is_never_cut() {
        assert_eq!(read("bob.smith"), ["bob.smith"]);
    }

    #[test]
    fn what_can_be_no_username_has_no_readings() {
        assert!(read("ab").is_empty() && read("...").len() == 1);
        assert_eq!(read(&format!("bob{}", "-".repeat(1_000))).len(), 30);
        assert!(read(&"x".repeat(33)).is_empty());
    }

    #[test]
    fn ten_thousand_names_are_found_without_delay() {
        let names: Vec<String> = (0..10_000).map(|n| format!("@{n:03x}")).collect();
        assert_eq!(names_mentioned(&names.join(" ")).len(), 10_000);
    }
}
