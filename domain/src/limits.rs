//! Limits that several slices share; lengths count Unicode scalar values.

/// Names of people, conversations and workspaces: 1 to 100 characters, the blanks around them not counted.
pub const NAME_CHARS_MAX: usize = 100;
/// A description or a topic: at most 1,000 characters.
pub const DESCRIPTION_CHARS_MAX: usize = 1_000;
/// A message's text: 1 to 40,000 characters.
pub const CONTENT_CHARS_MAX: usize = 40_000;
/// The address of a picture: at most 2,000 characters.
pub const URL_CHARS_MAX: usize = 2_000;

/// Whether a text can be a name: 1 to 100 characters on one line, not blank. It is kept as [`tidy`] leaves it.
pub fn is_name(text: &str) -> bool {
    let name = text.trim();
    !name.is_empty() && name.chars().count() <= NAME_CHARS_MAX && !name.chars().any(char::is_control)
}

/// A name without the blanks around it: nobody sees them, and two names must not differ by them alone.
pub fn tidy(name: &str) -> String {
    name.trim().to_owned()
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
