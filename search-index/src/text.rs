//! [`pieces`]: a text taken apart into what can be found: words, single characters of scripts without spaces, emoji.
//!
//! Index, queries and highlights all take texts apart here, so that they agree on what a word is.

mod fold;

use fold::{folded, is_joined};

/// A word is found by its beginning of so many characters; what comes after them is not looked at.
const WORD_CHARS_MAX: usize = 100;

/// A part of a text that is found as one, folded. Its number among the pieces is its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub text: String,
    pub kind: Kind,
    /// Where it stands in the text it came from, in bytes.
    pub start: usize,
    pub end: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Letters and digits up to the next other character.
    Word,
    /// One character of a script that puts no spaces between words: found as part of a longer run of them.
    Sign,
    Emoji,
}

/// What can be found of a text, in its order.
pub fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut word_chars = 0;
    // Whether the next letter goes on with the last piece.
    let mut is_open = false;
    for (start, cluster) in clusters(text) {
        let end = start + cluster.len();
        if let Some(emoji) = emoji(cluster) {
            pieces.push(Piece { text: emoji, kind: Kind::Emoji, start, end });
            is_open = false;
            continue;
        }
        for c in folded(cluster) {
            if !(c.is_alphanumeric() || is_open && is_joined(c)) {
                is_open = false;
            } else if c.is_alphanumeric() && is_sign(c) {
                pieces.push(Piece { text: c.to_string(), kind: Kind::Sign, start, end });
                is_open = false;
            } else if let Some(word) = pieces.last_mut().filter(|_| is_open) {
                word_chars += 1;
                word.end = end;
                if word_chars <= WORD_CHARS_MAX {
                    word.text.push(c);
                }
            } else {
                pieces.push(Piece { text: c.to_string(), kind: Kind::Word, start, end });
                (is_open, word_chars) = (true, 1);
            }
        }
    }
    pieces
}

/// A character with the marks that belong to it; emoji that are joined into one count as one.
fn clusters(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut rest = text.char_indices().peekable();
    std::iter::from_fn(move || {
        let (start, first) = rest.next()?;
        let (mut end, mut last) = (start + first.len_utf8(), first);
        let mut flags = usize::from(is_flag_letter(first));
        while let Some((at, next)) = rest.peek().copied() {
            let is_flag = flags == 1 && is_flag_letter(next);
            let is_joined_emoji = last == ZERO_WIDTH_JOINER && is_pictograph(next) && is_pictograph(first);
            if !(is_joined(next) || is_flag || is_joined_emoji || is_skin_tone(next) && is_pictograph(first)) {
                break;
            }
            flags += usize::from(is_flag);
            (end, last) = (at + next.len_utf8(), next);
            rest.next();
        }
        Some((start, &text[start..end]))
    })
}

const ZERO_WIDTH_JOINER: char = '\u{200d}';

/// An emoji without what only colours it, so that one is found by another of its kind.
fn emoji(cluster: &str) -> Option<String> {
    let first = cluster.chars().next()?;
    let is_colour = |c: &char| is_skin_tone(*c) || matches!(c, '\u{fe00}'..='\u{fe0f}');
    (is_pictograph(first) || is_flag_letter(first)).then(|| cluster.chars().filter(|c| !is_colour(c)).collect())
}

/// By the blocks of symbols that hold emoji; letters among symbols (Ⓐ) are no emoji.
fn is_pictograph(c: char) -> bool {
    matches!(c, '\u{2190}'..='\u{21ff}' | '\u{2300}'..='\u{23ff}' | '\u{25a0}'..='\u{27bf}' | '\u{2b00}'..='\u{2bff}'
        | '\u{1f000}'..='\u{1f0ff}' | '\u{1f300}'..='\u{1faff}')
}

fn is_flag_letter(c: char) -> bool {
    matches!(c, '\u{1f1e6}'..='\u{1f1ff}')
}

fn is_skin_tone(c: char) -> bool {
    matches!(c, '\u{1f3fb}'..='\u{1f3ff}')
}

/// Letters of Chinese, Japanese, Korean, Thai, Lao, Khmer and Burmese.
fn is_sign(c: char) -> bool {
    matches!(c, '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1100}'..='\u{11ff}' | '\u{1780}'..='\u{17ff}'
        | '\u{3005}'..='\u{3007}' | '\u{3031}'..='\u{3035}' | '\u{3040}'..='\u{30ff}' | '\u{3100}'..='\u{318f}'
        | '\u{31a0}'..='\u{31bf}' | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{a960}'..='\u{a97f}' | '\u{ac00}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(text: &str) -> Vec<String> {
        pieces(text).into_iter().map(|piece| piece.text).collect()
    }

    #[test]
    fn words_end_where_letters_and_digits_end() {
        assert_eq!(
            texts("(Hello)! it's  [x_1]; www.example.org"),
            ["hello", "it", "s", "x", "1", "www", "example", "org"]
        );
    }

    #[test]
    fn case_diacritics_and_forms_are_folded() {
        for (text, folded) in [
            ("Café", "cafe"),
            ("cafe\u{301}", "cafe"),
            ("ZÜRICH", "zurich"),
            ("Straße", "strasse"),
            ("STRASSE", "strasse"),
            ("ΚΑΛΗΜΈΡΑΣ", "καλημερασ"),
            ("καλημέρας", "καλημερασ"),
            ("ПРИВЕТ", "привет"),
            ("İstanbul", "istanbul"),
            ("ﬁne", "fine"),
            ("１２３", "123"),
            ("Łódź", "lodz"),
            ("smørrebrød", "smorrebrod"),
            ("مُحَمَّد", "محمد"),
        ] {
            assert_eq!(texts(text), [folded], "{text}");
        }
    }

    #[test]
    fn signs_stand_by_themselves_whatever_their_form() {
        assert_eq!(texts("東京ABCです"), ["東", "京", "abc", "で", "す"]);
        assert_eq!(texts("か\u{3099}"), ["が"]);
        assert_eq!(texts("세계"), ["세", "계"]);
        assert_eq!(texts("\u{1109}\u{1166}"), ["세"]);
        assert_eq!(texts("ｶﾞ"), ["ガ"]);
    }

    #[test]
    fn vowel_signs_are_part_of_their_word() {
        assert_eq!(texts("हिन्दी भाषा").len(), 2);
    }

    #[test]
    fn an_emoji_is_one_piece_in_any_colour() {
        assert_eq!(texts("🎉party👍🏽"), ["🎉", "party", "👍"]);
        assert_eq!(texts("👩‍👩‍👧‍👦🇩🇪🇫🇷").len(), 3);
        assert_eq!(texts("❤️"), texts("❤"));
    }

    #[test]
    fn a_very_long_word_is_found_by_its_beginning() {
        let found = pieces(&"a".repeat(1_000));
        assert_eq!((found.len(), found[0].text.len(), found[0].end), (1, WORD_CHARS_MAX, 1_000));
    }

    proptest! {
        #[test]
        fn any_text_is_taken_apart_in_order_and_within_its_bounds(text in any::<String>()) {
            let found = pieces(&text);
            for piece in &found {
                prop_assert!(text.get(piece.start..piece.end).is_some_and(|part| !part.is_empty()));
                prop_assert!(!piece.text.is_empty());
            }
            prop_assert!(found.windows(2).all(|pair| pair[0].start <= pair[1].start));
        }

        #[test]
        fn what_was_folded_folds_to_itself(text in any::<String>()) {
            for piece in pieces(&text).iter().filter(|piece| piece.kind != Kind::Emoji && piece.text.chars().count() < 30) {
                prop_assert_eq!(texts(&piece.text).concat(), piece.text.clone());
            }
        }
    }
}
