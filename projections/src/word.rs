//! An enum as the one word that it is written with: [`write`] and [`read`].

use crate::ProjectionError;
use serde::{
    Serialize,
    de::{DeserializeOwned, IntoDeserializer, value::Error},
};

/// The word of a variant without fields, the same as on the wire.
pub(crate) fn write<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(_) | Err(_) => unreachable!("only enums of bare variants are written as words"),
    }
}

/// The variant of a word that was read from a table.
pub(crate) fn read<T: DeserializeOwned>(table: &'static str, word: &str) -> Result<T, ProjectionError> {
    let deserializer: serde::de::value::StrDeserializer<'_, Error> = word.into_deserializer();
    T::deserialize(deserializer).map_err(|error| ProjectionError::Corrupt { table, reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::conversation::Role;

    #[test]
    fn a_word_reads_as_what_wrote_it() {
        for role in [Role::Member, Role::Admin, Role::Owner] {
            assert_eq!(read::<Role>("participant_view", &write(&role)).expect("a role"), role);
        }
        assert!(read::<Role>("participant_view", "king").is_err());
    }
}
