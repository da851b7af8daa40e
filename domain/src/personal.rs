//! [`Personal`]: text that belongs to a person, and [`KeyScope`]: whose key seals it.

use crate::{ConversationId, UserId};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::{borrow::Cow, fmt};

/// A personal field. Plain while it is decided on, sealed wherever it is kept.
///
/// In memory it is written `{"$plain": text}`, which the event store seals before anything is stored; a sealed one is
/// `{"$enc": "v1.<keyId>.<base64url>"}`. A bare string is read as plain: so it stands in what was opened for a reader.
#[derive(Clone, PartialEq, Eq)]
pub enum Personal {
    Plain(String),
    Sealed(String),
}

/// Marks a field that the event store must still seal.
pub const PLAIN: &str = "$plain";
/// Marks a sealed field.
pub const ENC: &str = "$enc";

impl Personal {
    pub fn plain(text: impl Into<String>) -> Self {
        Self::Plain(text.into())
    }
    /// The text, where it is not sealed.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Plain(text) => Some(text),
            Self::Sealed(_) => None,
        }
    }
    /// The form that a read model keeps: the sealed text as it came, or the plain one. Told apart by the `v1.` prefix
    /// only by whoever knows that the column holds sealed text; the event store never hands out plain ones.
    pub fn as_stored(&self) -> &str {
        match self {
            Self::Plain(text) | Self::Sealed(text) => text,
        }
    }
}

impl fmt::Debug for Personal {
    // Never shows the text: what is debugged ends up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Personal(plain)",
            Self::Sealed(_) => "Personal(sealed)",
        })
    }
}

impl Serialize for Personal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            Self::Plain(text) => map.serialize_entry(PLAIN, text)?,
            Self::Sealed(text) => map.serialize_entry(ENC, text)?,
        }
        map.end()
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Wire {
    Text(String),
    Sealed {
        #[serde(rename = "$enc")]
        sealed: String,
    },
    Plain {
        #[serde(rename = "$plain")]
        plain: String,
    },
}

impl<'de> Deserialize<'de> for Personal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Wire::deserialize(deserializer).map_err(|_| D::Error::custom("expected text or {\"$enc\": …}"))? {
            Wire::Text(text) | Wire::Plain { plain: text } => Ok(Self::Plain(text)),
            Wire::Sealed { sealed } => Ok(Self::Sealed(sealed)),
        }
    }
}

impl JsonSchema for Personal {
    fn schema_name() -> Cow<'static, str> {
        "Personal".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-personal": true,
            "anyOf": [
                {"type": "string"},
                {"type": "object", "properties": {"$enc": {"type": "string"}}, "required": ["$enc"], "additionalProperties": false}
            ]
        })
    }
}

/// A quarter of a year in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quarter {
    pub year: i32,
    /// 1 to 4.
    pub quarter: u32,
}

impl fmt::Display for Quarter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}Q{}", self.year, self.quarter)
    }
}

/// What one data key covers, so that a person, a conversation or an age can be erased by destroying keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyScope {
    /// What a person says of themselves.
    Person(UserId),
    /// What a person writes in one conversation in one quarter.
    Conversation { person: UserId, conversation: ConversationId, quarter: Quarter },
}

impl KeyScope {
    pub const fn person(&self) -> UserId {
        match self {
            Self::Person(person) | Self::Conversation { person, .. } => *person,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_personal_field_reads_all_its_forms() {
        for (json, expected) in [
            (r#""hi""#, Personal::plain("hi")),
            (r#"{"$plain":"hi"}"#, Personal::plain("hi")),
            (r#"{"$enc":"v1.k.x"}"#, Personal::Sealed("v1.k.x".into())),
        ] {
            assert_eq!(serde_json::from_str::<Personal>(json).expect(json), expected);
        }
        assert!(serde_json::from_str::<Personal>("7").is_err());
    }

    #[test]
    fn a_personal_field_is_never_shown_by_debug() {
        assert!(!format!("{:?}", Personal::plain("secret")).contains("secret"));
    }
}
