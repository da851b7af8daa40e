//! [`is_emoji`]: what can be a reaction.

use unicode_segmentation::UnicodeSegmentation;

const EMOJI_NAME_CHARS_MAX: usize = 64;
/// Longer than the longest emoji that Unicode recommends, which has ten.
const EMOJI_CHARS_MAX: usize = 16;

/// One grapheme cluster of emoji characters, or `:custom_name:`.
pub(super) fn is_emoji(text: &str) -> bool {
    if let Some(name) = text.strip_prefix(':').and_then(|rest| rest.strip_suffix(':')) {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+');
        return (1..=EMOJI_NAME_CHARS_MAX).contains(&name.len()) && name.chars().all(legal);
    }
    if text.chars().count() > EMOJI_CHARS_MAX || text.graphemes(true).count() != 1 {
        return false;
    }
    let mut chars = text.chars();
    match chars.next() {
        Some('0'..='9' | '#' | '*') => matches!(chars.as_str(), "\u{20e3}" | "\u{fe0f}\u{20e3}"),
        Some('\u{1f1e6}'..='\u{1f1ff}') => matches!(chars.next(), Some('\u{1f1e6}'..='\u{1f1ff}')),
        Some(first) => is_pictograph(first) && chars.all(|c| is_pictograph(c) || is_emoji_joint(c)),
        None => false,
    }
}

/// `Extended_Pictographic` and the skin tones of Unicode's emoji-data.txt, by blocks; what is unassigned in them may
/// be an emoji tomorrow.
fn is_pictograph(c: char) -> bool {
    matches!(c,
        '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}' | '\u{2194}'..='\u{2199}'
        | '\u{21a9}'..='\u{21aa}' | '\u{231a}'..='\u{231b}' | '\u{2328}' | '\u{2388}' | '\u{23cf}'
        | '\u{23e9}'..='\u{23f3}' | '\u{23f8}'..='\u{23fa}' | '\u{24c2}' | '\u{25aa}'..='\u{25ab}' | '\u{25b6}'
        | '\u{25c0}' | '\u{25fb}'..='\u{25fe}' | '\u{2600}'..='\u{2605}' | '\u{2607}'..='\u{2612}'
        | '\u{2614}'..='\u{2685}' | '\u{2690}'..='\u{2705}' | '\u{2708}'..='\u{2712}' | '\u{2714}' | '\u{2716}'
        | '\u{271d}' | '\u{2721}' | '\u{2728}' | '\u{2733}'..='\u{2734}' | '\u{2744}' | '\u{2747}' | '\u{274c}'
        | '\u{274e}' | '\u{2753}'..='\u{2755}' | '\u{2757}' | '\u{2763}'..='\u{2767}' | '\u{2795}'..='\u{2797}'
        | '\u{27a1}' | '\u{27b0}' | '\u{27bf}' | '\u{2934}'..='\u{2935}' | '\u{2b05}'..='\u{2b07}'
        | '\u{2b1b}'..='\u{2b1c}' | '\u{2b50}' | '\u{2b55}' | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}'
        | '\u{1f000}'..='\u{1f0ff}' | '\u{1f10d}'..='\u{1f10f}' | '\u{1f12f}' | '\u{1f16c}'..='\u{1f171}'
        | '\u{1f17e}'..='\u{1f17f}' | '\u{1f18e}' | '\u{1f191}'..='\u{1f19a}' | '\u{1f1ad}'..='\u{1f1e5}'
        | '\u{1f201}'..='\u{1f20f}' | '\u{1f21a}' | '\u{1f22f}' | '\u{1f232}'..='\u{1f23a}'
        | '\u{1f23c}'..='\u{1f23f}' | '\u{1f249}'..='\u{1f64f}' | '\u{1f680}'..='\u{1f6ff}'
        | '\u{1f774}'..='\u{1f77f}' | '\u{1f7d5}'..='\u{1f7ff}' | '\u{1f80c}'..='\u{1f80f}'
        | '\u{1f848}'..='\u{1f84f}' | '\u{1f85a}'..='\u{1f85f}' | '\u{1f888}'..='\u{1f88f}'
        | '\u{1f8ae}'..='\u{1f8ff}' | '\u{1f90c}'..='\u{1faff}' | '\u{1fc00}'..='\u{1fffd}')
}

/// What ties pictographs together or changes their look: joiner, presentation, tags of flags.
fn is_emoji_joint(c: char) -> bool {
    matches!(c, '\u{200d}' | '\u{fe0e}'..='\u{fe0f}' | '\u{20e3}' | '\u{e0020}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_of_an_emoji_is_one() {
        for emoji in ["👍", "👋🏽", "❤️", "❤", "👩‍👩‍👧‍👦", "👩🏾‍❤️‍💋‍👨🏻", "🇨🇭", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "1️⃣", "#⃣", "🅰", "ℹ️", "™", "🫠"]
        {
            assert!(is_emoji(emoji), "{emoji}");
        }
    }

    #[test]
    fn a_custom_emoji_is_a_name_between_colons() {
        for emoji in [":party_parrot:", ":+1:", ":thumbs-up:", &format!(":{}:", "x".repeat(64))] {
            assert!(is_emoji(emoji), "{emoji}");
        }
        for wrong in [":", "::", ":party", "party:", ":a b:", ":é:", ":a:b:", &format!(":{}:", "x".repeat(65))] {
            assert!(!is_emoji(wrong), "{wrong}");
        }
    }

    #[test]
    fn text_is_no_emoji() {
        for wrong in
            ["", " ", "nice", "a", "1", "é", "e\u{301}", "1\u{fe0f}", "漢", "—", "…", "“", "€", "\u{200d}", "\u{301}"]
        {
            assert!(!is_emoji(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn two_emoji_are_not_one() {
        for wrong in ["👍👍", "🇨🇭🇨🇭", "👍a", "1️⃣2️⃣", "👍 "] {
            assert!(!is_emoji(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn half_a_flag_is_no_emoji() {
        assert!(!is_emoji("🇨"));
    }

    #[test]
    fn marks_heaped_on_an_emoji_are_refused() {
        assert!(!is_emoji("👍\u{301}"));
        assert!(!is_emoji(&format!("👍{}", "\u{fe0f}".repeat(20))));
    }
}
