//! Limits that several slices share; lengths count Unicode scalar values.

/// Names of people, conversations and workspaces: 1 to 100 characters.
pub const NAME_CHARS_MAX: usize = 100;
/// A message's text: 1 to 40,000 characters.
pub const CONTENT_CHARS_MAX: usize = 40_000;

/// Whether a text can be a name: 1 to 100 characters, not blank.
pub fn is_name(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= NAME_CHARS_MAX
}
