//! [`Scope`]: the conversations that may be searched, and from which message on.

use base64::{Engine, prelude::BASE64_STANDARD};
use domain::ConversationId;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::{
    borrow::Cow,
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};
use uuid::Uuid;

/// What somebody may read of a conversation: its messages after the number `floor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readable {
    pub conversation: ConversationId,
    pub floor: i64,
}

/// Looked up for each hit, so that it is kept by the half of the id that is random.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope(HashMap<u64, Vec<(u64, i64)>, BuildHasherDefault<Halves>>);

impl Scope {
    pub fn of(readable: impl IntoIterator<Item = Readable>) -> Self {
        let mut scope = Self::default();
        for Readable { conversation, floor } in readable {
            let (high, low) = conversation.0.as_u64_pair();
            scope.0.entry(low).or_default().push((high, floor));
        }
        scope
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Readable> {
        self.0.iter().flat_map(|(low, rest)| {
            rest.iter().map(|(high, floor)| Readable {
                conversation: ConversationId(Uuid::from_u64_pair(*high, *low)),
                floor: *floor,
            })
        })
    }

    /// The floor of a conversation that may be read.
    pub(crate) fn floor(&self, high: u64, low: u64) -> Option<i64> {
        self.0.get(&low)?.iter().find(|(other, _)| *other == high).map(|(_, floor)| *floor)
    }
}

/// The low half of an id is as good as chance already.
#[derive(Clone, Copy, Debug, Default)]
pub struct Halves(u64);

impl Hasher for Halves {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u64(&mut self, half: u64) {
        // The table takes its groups from the top bits, which are the variant's in an id.
        self.0 = half ^ half.rotate_left(32);
    }
}

const BYTES: usize = 24;

/// 24 bytes a conversation, in base64: a scope of thousands goes in one message between processes.
impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::with_capacity(self.len() * BYTES);
        for Readable { conversation, floor } in self.iter() {
            bytes.extend_from_slice(conversation.0.as_bytes());
            bytes.extend_from_slice(&floor.to_le_bytes());
        }
        serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let bytes = BASE64_STANDARD.decode(text.as_bytes()).map_err(D::Error::custom)?;
        if bytes.len() % BYTES != 0 {
            return Err(D::Error::custom("a scope has 24 bytes a conversation"));
        }
        let readable = bytes.chunks_exact(BYTES).filter_map(|bytes| {
            let (id, floor) = bytes.split_at_checked(16)?;
            let conversation = ConversationId(Uuid::from_slice(id).ok()?);
            Some(Readable { conversation, floor: i64::from_le_bytes(floor.try_into().ok()?) })
        });
        Ok(Self::of(readable))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_the_same_after_a_journey() {
        let readable = (0..100).map(|n| Readable { conversation: ConversationId(Uuid::from_u128(n << 60)), floor: 7 });
        let scope = Scope::of(readable);
        let there = serde_json::to_string(&scope).unwrap();
        assert_eq!(serde_json::from_str::<Scope>(&there).unwrap(), scope);
        assert_eq!(scope.iter().count(), 100);
        assert_eq!(scope.floor(0, 1 << 60), Some(7));
        assert_eq!(scope.floor(1 << 60, 1 << 60), None);
        assert!(serde_json::from_str::<Scope>("\"AAAA\"").is_err());
    }
}
