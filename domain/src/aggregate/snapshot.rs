//! [`Snapshots`]: how an aggregate's state is written down, so that a long stream need not be folded from its beginning.

use serde::{Serialize, de::DeserializeOwned};

/// Made by [`Snapshots::of`], a constant beside the aggregate.
pub struct Snapshots<A> {
    /// Which source the state is of. One that other source wrote may hold other fields, or what other rules made of the
    /// same events: it is not taken up.
    pub form: i64,
    pub write: fn(&A) -> serde_json::Result<String>,
    pub read: fn(&str) -> serde_json::Result<A>,
}

impl<A: Serialize + DeserializeOwned> Snapshots<A> {
    /// `source` is the text of the file that says what the state is and what events make of it: nobody can forget to
    /// say that one of both has changed. Not a byte of it stays in the program.
    pub const fn of(source: &[u8]) -> Self {
        Self { form: fingerprint(source), write: serde_json::to_string::<A>, read: from_text::<A> }
    }
}

fn from_text<A: DeserializeOwned>(text: &str) -> serde_json::Result<A> {
    serde_json::from_str(text)
}

/// FNV-1a. It tells versions of one file apart, and has nobody to resist.
const fn fingerprint(source: &[u8]) -> i64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut at = 0;
    while at < source.len() {
        hash = (hash ^ source[at] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        at += 1;
    }
    hash.cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_source_is_another_form() {
        let forms = ["fold one way", "fold another way", ""].map(|source| Snapshots::<u8>::of(source.as_bytes()).form);
        assert!(forms[0] != forms[1] && forms[1] != forms[2]);
        assert_eq!(forms[0], Snapshots::<u8>::of(b"fold one way").form);
    }
}
