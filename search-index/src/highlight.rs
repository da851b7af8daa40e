//! [`highlights`]: the parts of a text that a query found, as HTML in which only `<mark>` is markup.

use crate::{
    query::{Clause, Form, Parsed},
    text::{Kind, Piece, pieces},
};
use std::ops::Range;

/// A text up to so many bytes is shown whole.
const WHOLE_MAX: usize = 240;
/// What is shown on both sides of a match, in bytes.
const AROUND: usize = 80;
const FRAGMENTS_MAX: usize = 3;
/// Neighbouring matches share a fragment until it is so long, in bytes.
const FRAGMENT_MAX: usize = 400;

/// At most three fragments, in the order of the text; none where the query names no words or none of them is there.
pub fn highlights(query: &Parsed, text: &str) -> Vec<String> {
    let marks = matches(query, &pieces(text));
    if marks.is_empty() {
        return vec![];
    }
    fragments(text, &marks).into_iter().map(|fragment| render(text, &fragment, &marks)).collect()
}

/// What is to be marked, in order and without overlaps.
fn matches(query: &Parsed, pieces: &[Piece]) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for clause in query.clauses.iter().filter(|clause| !clause.is_excluded) {
        let wanted = clause.pieces();
        for at in 0..=pieces.len().saturating_sub(wanted.len()) {
            if let Some(window) = pieces.get(at..at + wanted.len()).filter(|window| is_match(clause, &wanted, window)) {
                found.push(window[0].start..window[window.len() - 1].end);
            }
        }
    }
    found.sort_unstable_by_key(|range| (range.start, range.end));
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(found.len());
    for range in found {
        match merged.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

fn is_match(clause: &Clause, wanted: &[Piece], window: &[Piece]) -> bool {
    let last = wanted.len() - 1;
    wanted.iter().zip(window).enumerate().all(|(at, (wanted, there))| {
        let by_beginning = clause.form == Form::Prefix && at == last && wanted.kind == Kind::Word;
        wanted.text == there.text || by_beginning && there.text.starts_with(&wanted.text)
    })
}

fn fragments(text: &str, marks: &[Range<usize>]) -> Vec<Range<usize>> {
    if text.len() <= WHOLE_MAX {
        return std::iter::once(0..text.len()).collect();
    }
    let mut fragments: Vec<Range<usize>> = Vec::new();
    for mark in marks {
        let around = before(text, mark.start)..after(text, mark.end);
        let is_near = fragments.last().is_some_and(|last| around.start <= last.end && last.len() <= FRAGMENT_MAX);
        if let Some(last) = fragments.last_mut().filter(|_| is_near) {
            last.end = last.end.max(around.end);
        } else if fragments.len() < FRAGMENTS_MAX {
            let start = fragments.last().map_or(around.start, |last| around.start.max(last.end));
            fragments.push(start..around.end.max(start));
        } else {
            break;
        }
    }
    fragments
}

/// Where a fragment begins: at a word, if one begins nearby.
fn before(text: &str, at: usize) -> usize {
    let start = text.floor_char_boundary(at.saturating_sub(AROUND));
    let near = &text[start..at];
    if start == 0 { 0 } else { near.find(char::is_whitespace).map_or(start, |space| start + space) }
}

fn after(text: &str, at: usize) -> usize {
    let end = text.ceil_char_boundary((at + AROUND).min(text.len()));
    let near = &text[at..end];
    if end == text.len() { end } else { near.rfind(char::is_whitespace).map_or(end, |space| at + space) }
}

fn render(text: &str, fragment: &Range<usize>, marks: &[Range<usize>]) -> String {
    let mut html = String::with_capacity(fragment.len() + 32);
    if fragment.start > 0 {
        html.push('…');
    }
    let mut at = fragment.start;
    for mark in marks.iter().filter(|mark| mark.start >= fragment.start && mark.end <= fragment.end) {
        escape(&text[at..mark.start], &mut html);
        html.push_str("<mark>");
        escape(&text[mark.clone()], &mut html);
        html.push_str("</mark>");
        at = mark.end;
    }
    escape(&text[at..fragment.end], &mut html);
    if fragment.end < text.len() {
        html.push('…');
    }
    html
}

fn escape(text: &str, html: &mut String) {
    for c in text.chars() {
        match c {
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '&' => html.push_str("&amp;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            _ => html.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::parse;
    use proptest::prelude::*;

    fn shown(query: &str, text: &str) -> Vec<String> {
        highlights(&parse(query).expect(query), text)
    }

    #[test]
    fn a_match_is_marked_as_it_was_written() {
        assert_eq!(shown("cafe", "Das Café."), ["Das <mark>Café</mark>."]);
        assert_eq!(shown("東京", "今日は東京で"), ["今日は<mark>東京</mark>で"]);
        assert_eq!(shown("deploy*", "redeploy deployment"), ["redeploy <mark>deployment</mark>"]);
        assert_eq!(shown("\"a b\"", "a b a c"), ["<mark>a b</mark> a c"]);
        assert_eq!(shown("🎉", "🎉🎉"), ["<mark>🎉</mark><mark>🎉</mark>"]);
    }

    #[test]
    fn nothing_but_mark_is_markup() {
        assert_eq!(
            shown("word", "<img> \"word\" & 'x'"),
            ["&lt;img&gt; &quot;<mark>word</mark>&quot; &amp; &#39;x&#39;"]
        );
    }

    #[test]
    fn a_query_without_words_marks_nothing() {
        assert!(shown("from:bob", "hello").is_empty());
        assert!(shown("-hello", "hello").is_empty());
    }

    #[test]
    fn of_a_long_text_the_neighbourhood_is_shown() {
        let text = format!("{} needle {}", "hay ".repeat(200), "straw ".repeat(200));
        let found = shown("needle", &text);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with('…') && found[0].ends_with('…') && found[0].contains("<mark>needle</mark>"));
        assert!(found[0].len() < WHOLE_MAX);
    }

    proptest! {
        #[test]
        fn highlights_without_their_markup_are_part_of_the_escaped_text(query in ".{0,20}", text in ".{0,600}") {
            let Ok(parsed) = parse(&query) else { return Ok(()) };
            let mut whole = String::new();
            escape(&text, &mut whole);
            for shown in highlights(&parsed, &text) {
                let plain = shown.replace("<mark>", "").replace("</mark>", "");
                let plain = plain.strip_prefix('…').filter(|_| !whole.starts_with('…')).unwrap_or(&plain).to_owned();
                prop_assert!(whole.contains(plain.trim_end_matches('…')));
            }
        }
    }
}
