//! Limits that several slices share; lengths count Unicode scalar values.

/// Names of people, conversations and workspaces: 1 to 100 characters, the blanks around them not counted.
pub const NAME_CHARS_MAX: usize = 100;
/// A description or a topic: at most 1,000 characters.
pub const DESCRIPTION_CHARS_MAX: usize = 1_000;
/// A message's text: 1 to 40,000 characters.
pub const CONTENT_CHARS_MAX: usize = 40_000;
/// The address of a picture: at most 2,000 characters.
pub const URL_CHARS_MAX: usize = 2_000;

/// Whether a text can be said: 1 to 40,000 characters, of which something is to be seen.
pub fn is_content(text: &str) -> bool {
    !is_blank(text) && text.chars().count() <= CONTENT_CHARS_MAX
}

/// Whether a text can be a name: 1 to 100 characters on one line, not blank. It is kept as [`tidy`] leaves it.
pub fn is_name(text: &str) -> bool {
    let name = text.trim();
    !is_blank(name) && name.chars().count() <= NAME_CHARS_MAX && !name.chars().any(char::is_control)
}

/// A name without the blanks around it: nobody sees them, and two names must not differ by them alone.
pub fn tidy(name: &str) -> String {
    name.trim().to_owned()
}

/// Whether nothing of a text is to be seen: blanks, and what Unicode lets a renderer ignore
/// (Default_Ignorable_Code_Point of DerivedCoreProperties.txt).
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || is_ignorable(c))
}

fn is_ignorable(c: char) -> bool {
    matches!(
        u32::from(c),
        0xad | 0x34f | 0x61c | 0x115f..=0x1160 | 0x17b4..=0x17b5 | 0x180b..=0x180f | 0x200b..=0x200f | 0x202a..=0x202e
            | 0x2060..=0x206f | 0x3164 | 0xfe00..=0xfe0f | 0xfeff | 0xffa0 | 0xfff0..=0xfff8 | 0x1bca0..=0x1bca3
            | 0x1d173..=0x1d17a | 0xe0000..=0xe0fff
    )
}

/// Whether a text holds no control characters but tabs and line breaks. Read models could not keep a NUL.
pub fn is_printable(text: &str) -> bool {
    text.chars().all(|c| !c.is_control() || matches!(c, '\t' | '\n' | '\r'))
}

/// Whether a text can be the address of a picture: http or https, so that no client is made to run it.
pub fn is_web_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty())
        && text.chars().count() <= URL_CHARS_MAX
        && !text.chars().any(|c| c.is_control() || c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_to_a_hundred_characters() {
        assert!(is_name("x") && is_name(&"ü".repeat(100)));
        assert!(!is_name("") && !is_name(&"x".repeat(101)));
    }

    #[test]
    fn the_blanks_around_a_name_do_not_count() {
        assert!(is_name(&format!("  {}\n", "x".repeat(100))));
        assert!(!is_name(" \t\n"));
        assert_eq!(tidy("  Ada Lovelace\n"), "Ada Lovelace");
    }

    #[test]
    fn a_text_of_which_nothing_is_seen_is_blank() {
        assert!(is_blank("") && is_blank("\u{200b}\u{2060} \u{feff}\n") && !is_name("\u{200b}"));
        assert!(!is_blank("\u{200b}x") && !is_blank("👩\u{200d}👩"));
    }

    #[test]
    fn what_is_said_has_something_to_see_and_at_most_40_000_characters() {
        assert!(is_content(" hello\n") && is_content(&"ü".repeat(CONTENT_CHARS_MAX)));
        assert!(!is_content("\u{200b}\n") && !is_content(&"x".repeat(CONTENT_CHARS_MAX + 1)));
    }

    #[test]
    fn a_name_is_one_line_without_control_characters() {
        assert!(!is_name("Ada\nLovelace") && !is_name("Ada\0"));
    }

    #[test]
    fn a_text_may_have_lines_and_tabs_but_no_nul() {
        assert!(is_printable("one\r\n\ttwo 👍"));
        assert!(!is_printable("one\0") && !is_printable("\u{1b}[31m"));
    }

    #[test]
    fn a_picture_is_at_a_web_address() {
        assert!(is_web_url("https://example.org/a.png") && is_web_url("http://localhost:3001/a"));
        for wrong in ["javascript:alert(1)", "data:image/png;base64,AA", "/a.png", "https://", "https://a b", ""] {
            assert!(!is_web_url(wrong), "{wrong:?}");
        }
        assert!(!is_web_url(&format!("https://example.org/{}", "a".repeat(2_000))));
    }
}
