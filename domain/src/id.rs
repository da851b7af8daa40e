//! Names of things, each a type of its own, so that one can't stand where another is meant.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use utoipa::ToSchema;
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, ToSchema)]
        #[serde(transparent)]
        #[schemars(transparent)]
        #[schema(value_type = String, format = Uuid)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(s: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(s).map(Self)
            }
        }
        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    )*};
}

ids! {
    /// A person.
    UserId;
    /// A workspace.
    WorkspaceId;
    /// A direct conversation, a group or a channel.
    ConversationId;
    /// A message.
    MessageId;
    /// One person's one emoji on one message.
    ReactionId;
    /// A signed-in device.
    SessionId;
    /// An event, also its message id on JetStream.
    EventId;
    /// What caused an append; the same for all events of it.
    CommandId;
}

impl ConversationId {
    /// The id of the direct conversation of two people: the same whoever asks, in the shape of a UUIDv7.
    /// Both ids are folded in order, so that the pair alone decides; the time bits are the later registration's.
    pub fn direct(a: UserId, b: UserId) -> Self {
        let (low, high) = if a <= b { (a.0, b.0) } else { (b.0, a.0) };
        // FNV-1a over 128 bits spreads the pair over the random part; version and variant bits follow RFC 9562.
        let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
        for byte in low.as_bytes().iter().chain(high.as_bytes()) {
            hash ^= u128::from(*byte);
            hash = hash.wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
        let mut bytes = hash.to_be_bytes();
        bytes[..6].copy_from_slice(&high.as_bytes()[..6]);
        bytes[6] = (bytes[6] & 0x0f) | 0x70;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Self(Uuid::from_bytes(bytes))
    }
}

/// A place in the one order of everything: 64 bits, gapless, from 1. Zero stands before the first event.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, ToSchema,
)]
#[serde(transparent)]
#[schema(value_type = i64)]
pub struct Position(pub i64);

/// An event's number in its stream: gapless, from 1. Zero is a stream without events.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, ToSchema,
)]
#[serde(transparent)]
#[schema(value_type = i64)]
pub struct Sequence(pub i64);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direct_conversation_has_one_id_whoever_asks() {
        let (alice, bob) = (UserId(Uuid::from_u128(7)), UserId(Uuid::from_u128(9)));
        let id = ConversationId::direct(alice, bob);
        assert_eq!(id, ConversationId::direct(bob, alice));
        assert_eq!(id.0.get_version_num(), 7);
        assert_ne!(id, ConversationId::direct(alice, UserId(Uuid::from_u128(8))));
    }
}
