//! [`parse`]: what a person typed, as words to be found and filters: `from:` `in:` `before:` `after:` `on:` `has:`,
//! `"a phrase"`, `-excluded`, `beginning*`.

use crate::text::{Piece, pieces};
use chrono::{Days, NaiveDate, NaiveTime};
use domain::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Characters of a query.
pub const QUERY_CHARS_MAX: usize = 1_000;
const CLAUSES_MAX: usize = 50;
const PIECES_MAX: usize = 120;

/// A query taken apart. Its parts are ANDed; several of `from:`, and several of `in:`, are ORed among themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    pub clauses: Vec<Clause>,
    /// Usernames.
    pub from: Vec<Named>,
    /// Names of conversations.
    pub r#in: Vec<Named>,
    pub has: Vec<Having>,
    /// The first moment that is asked for.
    pub since: Option<Timestamp>,
    /// The first moment that isn't any more.
    pub until: Option<Timestamp>,
}

/// Words that follow one another; mostly one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clause {
    pub text: String,
    pub form: Form,
    pub is_excluded: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    Whole,
    /// Of the last word only the beginning is given.
    Prefix,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub name: String,
    pub is_excluded: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Having {
    pub what: Has,
    pub is_excluded: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Has {
    Link,
    File,
    Reaction,
    Pin,
}

/// Why a query is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{}", self.message())]
pub enum QueryError {
    TooLong,
    TooManyParts,
    NotADay,
    DayExcluded,
    UnknownHas,
}

impl QueryError {
    /// Stable, for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::TooManyParts => "too_many_parts",
            Self::NotADay => "not_a_day",
            Self::DayExcluded => "day_excluded",
            Self::UnknownHas => "unknown_has",
        }
    }

    /// For people.
    pub fn message(self) -> &'static str {
        match self {
            Self::TooLong => "a query has at most 1,000 characters",
            Self::TooManyParts => "a query has at most 50 different parts and 120 words",
            Self::NotADay => "a day is written as 2026-01-31",
            Self::DayExcluded => "days can't be excluded: ask for those before or after them",
            Self::UnknownHas => "a message can have a link, file, reaction or pin",
        }
    }
}

impl Clause {
    pub fn pieces(&self) -> Vec<Piece> {
        pieces(&self.text)
    }
}

impl Parsed {
    /// Whether nothing is asked for: no word that can be found, and no filter.
    pub fn is_empty(&self) -> bool {
        self.clauses.is_empty() && !self.has_filters()
    }
    /// Whether it narrows by more than words.
    pub fn has_filters(&self) -> bool {
        let narrows_by_time = self.since.is_some() || self.until.is_some();
        narrows_by_time || !(self.from.is_empty() && self.r#in.is_empty() && self.has.is_empty())
    }
    /// The words alone, where there is nothing else to the query.
    pub fn plain_words(&self) -> Option<String> {
        if self.has_filters() || self.clauses.iter().any(|clause| clause.is_excluded) {
            return None;
        }
        let words: Vec<&str> = self.clauses.iter().map(|clause| clause.text.as_str()).collect();
        (!words.is_empty()).then(|| words.join(" "))
    }
}

/// Never fails but for the bounds, and for filters that say nothing.
pub fn parse(text: &str) -> Result<Parsed, QueryError> {
    if text.chars().nth(QUERY_CHARS_MAX).is_some() {
        return Err(QueryError::TooLong);
    }
    let mut parsed = Parsed::default();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let is_excluded = rest.strip_prefix('-').is_some_and(|more| !more.starts_with(char::is_whitespace));
        if is_excluded {
            rest = &rest[1..];
        }
        rest = match operator(rest) {
            Some((operator, value, after)) => {
                parsed.narrow(operator, value, is_excluded)?;
                after
            }
            None => parsed.word(rest, is_excluded),
        }
        .trim_start();
    }
    let pieces: usize = parsed.clauses.iter().map(|clause| clause.pieces().len()).sum();
    let parts = parsed.clauses.len() + parsed.from.len() + parsed.r#in.len() + parsed.has.len();
    if parts > CLAUSES_MAX || pieces > PIECES_MAX { Err(QueryError::TooManyParts) } else { Ok(parsed) }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    From,
    In,
    Before,
    After,
    On,
    Has,
}

const OPERATORS: &[(&str, Operator)] = &[
    ("from:", Operator::From),
    ("in:", Operator::In),
    ("before:", Operator::Before),
    ("after:", Operator::After),
    ("on:", Operator::On),
    ("has:", Operator::Has),
];

/// An operator with its value, which may stand in quotes, and what comes after. Without a value it is a word.
fn operator(rest: &str) -> Option<(Operator, &str, &str)> {
    let begins = |name: &str| rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    let (name, operator) = OPERATORS.iter().find(|(name, _)| begins(name))?;
    let rest = &rest[name.len()..];
    let (value, after) = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
        None => rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())),
    };
    (!value.trim().is_empty()).then_some((*operator, value.trim(), after))
}

impl Parsed {
    fn narrow(&mut self, operator: Operator, value: &str, is_excluded: bool) -> Result<(), QueryError> {
        let named = |sign: char| Named { name: value.trim_start_matches(sign).to_owned(), is_excluded };
        match operator {
            Operator::From => push_new(&mut self.from, named('@')),
            Operator::In => push_new(&mut self.r#in, named('#')),
            Operator::Has => push_new(&mut self.has, Having { what: has(value)?, is_excluded }),
            Operator::Before | Operator::After | Operator::On if is_excluded => return Err(QueryError::DayExcluded),
            Operator::Before => self.only_before(day(value)?.0),
            Operator::After => self.not_before(day(value)?.1),
            Operator::On => {
                let (start, end) = day(value)?;
                self.not_before(start);
                self.only_before(end);
            }
        }
        Ok(())
    }

    fn not_before(&mut self, moment: Timestamp) {
        self.since = self.since.max(Some(moment));
    }

    fn only_before(&mut self, moment: Timestamp) {
        self.until = Some(self.until.map_or(moment, |until| until.min(moment)));
    }

    /// Takes a word or a phrase, and returns what comes after it.
    fn word<'a>(&mut self, rest: &'a str, is_excluded: bool) -> &'a str {
        let (text, form, after) = if let Some(quoted) = rest.strip_prefix(is_quote) {
            let (phrase, after) = quoted.split_once(is_quote).unwrap_or((quoted, ""));
            (phrase, Form::Whole, after)
        } else {
            let end = rest.find(|c: char| c.is_whitespace() || is_quote(c)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            (word, if word.ends_with('*') { Form::Prefix } else { Form::Whole }, after)
        };
        let clause = Clause { text: text.to_owned(), form, is_excluded };
        if !clause.pieces().is_empty() {
            push_new(&mut self.clauses, clause);
        }
        after
    }
}

fn is_quote(c: char) -> bool {
    matches!(c, '"' | '“' | '”' | '„')
}

fn push_new<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

fn has(value: &str) -> Result<Has, QueryError> {
    match value.to_ascii_lowercase().as_str() {
        "link" => Ok(Has::Link),
        "file" => Ok(Has::File),
        "reaction" => Ok(Has::Reaction),
        "pin" => Ok(Has::Pin),
        _ => Err(QueryError::UnknownHas),
    }
}

/// The first moment of a day in UTC, and of the next.
fn day(value: &str) -> Result<(Timestamp, Timestamp), QueryError> {
    let date = NaiveDate::parse_from_str(value, "%Y-%m-%d").ok().filter(|_| value.len() == "2026-01-31".len());
    let start = |date: NaiveDate| Timestamp::from(date.and_time(NaiveTime::MIN).and_utc());
    let date = date.ok_or(QueryError::NotADay)?;
    Ok((start(date), start(date.checked_add_days(Days::new(1)).ok_or(QueryError::NotADay)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(query: &str) -> Vec<(String, Form, bool)> {
        let parsed = parse(query).expect(query);
        parsed.clauses.into_iter().map(|clause| (clause.text, clause.form, clause.is_excluded)).collect()
    }
    fn word(text: &str) -> (String, Form, bool) {
        (text.to_owned(), Form::Whole, false)
    }

    #[test]
    fn words_phrases_beginnings_and_exclusions_are_told_apart() {
        assert_eq!(words("a  b"), [word("a"), word("b")]);
        assert_eq!(words("\"a b\" c"), [word("a b"), word("c")]);
        assert_eq!(words("a\"b c\"d"), [word("a"), word("b c"), word("d")]);
        assert_eq!(words("“a b”"), [word("a b")]);
        assert_eq!(words("\"a b"), [word("a b")]);
        assert_eq!(words("\"a b\"\"c d\""), [word("a b"), word("c d")]);
        assert_eq!(words("dep*"), [("dep*".to_owned(), Form::Prefix, false)]);
        assert_eq!(
            words("-a -\"b c\" d-e"),
            [("a".to_owned(), Form::Whole, true), ("b c".to_owned(), Form::Whole, true), word("d-e")]
        );
    }

    #[test]
    fn what_can_not_be_found_is_no_part_of_a_query() {
        for query in ["", " ", "*", "-", "--", "\"\"", "!!! ((( ~", "- -", "*:*"] {
            assert!(parse(query).expect(query).is_empty(), "{query}");
        }
    }

    #[test]
    fn an_operator_without_a_value_is_a_word() {
        assert_eq!(words("from: x in:"), [word("from:"), word("x"), word("in:")]);
        assert_eq!(words("https://example.org"), [word("https://example.org")]);
    }

    #[test]
    fn operators_take_names_quoted_or_not() {
        let parsed = parse("FROM:@bob in:\"the plan\" -in:#ops has:link").expect("fine");
        let named = |name: &str, is_excluded| Named { name: name.to_owned(), is_excluded };
        assert_eq!(parsed.from, [named("bob", false)]);
        assert_eq!(parsed.r#in, [named("the plan", false), named("ops", true)]);
        assert_eq!(parsed.has, [Having { what: Has::Link, is_excluded: false }]);
        assert!(parsed.plain_words().is_none());
    }

    #[test]
    fn days_are_those_of_utc() {
        let at = |text: &str| Timestamp::parse(text);
        let parsed = parse("after:2026-01-30 before:2026-03-01").expect("fine");
        assert_eq!((parsed.since, parsed.until), (at("2026-01-31T00:00:00Z"), at("2026-03-01T00:00:00Z")));
        let parsed = parse("on:2026-02-28").expect("fine");
        assert_eq!((parsed.since, parsed.until), (at("2026-02-28T00:00:00Z"), at("2026-03-01T00:00:00Z")));
    }

    #[test]
    fn filters_that_say_nothing_are_refused() {
        for (query, error) in [
            ("before:2026-13-45", QueryError::NotADay),
            ("on:yesterday", QueryError::NotADay),
            ("after:2026-1-1", QueryError::NotADay),
            ("-on:2026-01-01", QueryError::DayExcluded),
            ("has:everything", QueryError::UnknownHas),
        ] {
            assert_eq!(parse(query), Err(error), "{query}");
        }
    }

    #[test]
    fn a_query_is_bounded() {
        assert_eq!(parse(&"a".repeat(1_001)), Err(QueryError::TooLong));
        assert!(parse(&"語".repeat(100)).is_ok());
        assert_eq!(parse(&"語".repeat(121)), Err(QueryError::TooManyParts));
        let many: Vec<String> = (0..51).map(|n| format!("w{n}")).collect();
        assert_eq!(parse(&many.join(" ")), Err(QueryError::TooManyParts));
        assert_eq!(words(&"a ".repeat(500)), [word("a")]);
    }

    proptest! {
        #[test]
        fn anything_typed_is_read_or_refused(text in any::<String>()) {
            let _ = parse(&text);
        }

        #[test]
        fn anything_made_of_operators_is_read_or_refused(
            parts in prop::collection::vec(prop::sample::select(vec![
                "from:", "in:", "on:", "before:", "after:", "has:", "-", "\"", "“", "*", " ", "a", "é", "語", "🎉",
                "2026-01-31", "9999-12-31", "link", "@", "#", ":", "\u{301}", "\u{200d}", "\0",
            ]), 0..40)
        ) {
            if let Ok(parsed) = parse(&parts.concat()) {
                prop_assert!(parsed.clauses.iter().all(|clause| !clause.pieces().is_empty()));
            }
        }
    }
}
