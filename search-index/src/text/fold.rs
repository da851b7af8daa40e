//! [`folded`]: characters without what readers don't tell apart: case, diacritics, compatibility forms.

use unicode_normalization::{UnicodeNormalization, char::canonical_combining_class};

/// The folded characters of a character and the marks that belong to it, composed where they can be.
pub fn folded(cluster: &str) -> Vec<char> {
    if let [byte] = cluster.as_bytes() {
        return vec![char::from(byte.to_ascii_lowercase())];
    }
    // Lower case can bring new marks, and taking marks away new capitals: twice is enough for both.
    let once: String =
        cluster.nfkd().filter(|c| !is_diacritic(*c)).flat_map(char::to_lowercase).flat_map(plain).collect();
    once.nfkd().filter(|c| !is_diacritic(*c)).flat_map(char::to_lowercase).flat_map(plain).nfc().collect()
}

/// Whether a character belongs to the one before it.
pub fn is_joined(c: char) -> bool {
    canonical_combining_class(c) != 0
        // Variation selectors, joiners, vowels and finals of Korean, and voicing marks of half-width Japanese.
        || matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{1160}'..='\u{11ff}' | '\u{ff9e}' | '\u{ff9f}')
}

/// Marks that are left out when people type in a hurry. Vowel signs of Indic scripts and voicing marks of Japanese are
/// letters to their readers, and stay.
fn is_diacritic(c: char) -> bool {
    matches!(c, '\u{0300}'..='\u{036f}' | '\u{0483}'..='\u{0487}' | '\u{0591}'..='\u{05bd}' | '\u{05bf}'
        | '\u{05c1}'..='\u{05c2}' | '\u{05c4}'..='\u{05c5}' | '\u{05c7}' | '\u{0610}'..='\u{061a}' | '\u{0640}'
        | '\u{064b}'..='\u{065f}' | '\u{0670}' | '\u{06d6}'..='\u{06dc}' | '\u{1ab0}'..='\u{1aff}'
        | '\u{1dc0}'..='\u{1dff}' | '\u{200b}'..='\u{200f}' | '\u{00ad}' | '\u{20d0}'..='\u{20ff}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{fe20}'..='\u{fe2f}')
}

/// Letters that no decomposition takes apart.
fn plain(c: char) -> impl Iterator<Item = char> {
    let text = match c {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'ł' => "l",
        'đ' => "d",
        'ħ' => "h",
        'ı' => "i",
        'ς' => "σ",
        _ => "",
    };
    text.chars().chain(text.is_empty().then_some(c))
}
