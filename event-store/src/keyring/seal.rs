//! The form of sealed text: `v1.<keyId>.<base64url of nonce, ciphertext and tag>`.

use super::data_key::{DataKey, decrypt, encrypt};
use crate::StoreError;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

const VERSION: &str = "v1";

pub(super) fn seal(key: &DataKey, text: &str) -> String {
    let sealed = encrypt(&key.key, key.id.as_bytes(), text.as_bytes());
    format!("{VERSION}.{}.{}", key.id, URL_SAFE_NO_PAD.encode(sealed))
}

pub(super) fn open(key: &DataKey, sealed: &str) -> Result<String, StoreError> {
    let (_, body) = parts(sealed)?;
    let forged = || StoreError::Forged(key.id.clone());
    let bytes = URL_SAFE_NO_PAD.decode(body).map_err(|_| forged())?;
    let plain = decrypt(&key.key, key.id.as_bytes(), &bytes).ok_or_else(forged)?;
    String::from_utf8(plain).map_err(|_| forged())
}

/// The name of the key that a text is sealed with.
pub(super) fn key_id(sealed: &str) -> Result<&str, StoreError> {
    parts(sealed).map(|(id, _)| id)
}

fn parts(sealed: &str) -> Result<(&str, &str), StoreError> {
    let mut parts = sealed.splitn(3, '.');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(VERSION), Some(id), Some(body)) if !id.is_empty() => Ok((id, body)),
        _ => Err(StoreError::unreadable("a sealed text", "it is not of the form v1.key.base64url")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyring::data_key::random_key;

    fn key(id: &str) -> DataKey {
        DataKey { id: id.to_owned(), key: random_key() }
    }

    #[test]
    fn a_sealed_text_opens_with_its_key_and_no_other() {
        let (mine, other) = (key("a"), key("b"));
        let sealed = seal(&mine, "grüße");
        assert_eq!(key_id(&sealed).unwrap(), "a");
        assert_eq!(open(&mine, &sealed).unwrap(), "grüße");
        assert!(matches!(open(&other, &sealed), Err(StoreError::Forged(_))));
        assert_ne!(sealed, seal(&mine, "grüße"), "each has a nonce of its own");
    }

    #[test]
    fn a_changed_text_or_key_name_does_not_open() {
        let mine = key("a");
        let sealed = seal(&mine, "pay 10");
        let (head, last) = sealed.split_at(sealed.len() - 1);
        let changed = format!("{head}{}", if last == "A" { "Q" } else { "A" });
        assert!(open(&mine, &changed).is_err());
        let renamed = DataKey { id: "b".to_owned(), key: mine.key };
        assert!(open(&renamed, &sealed.replace("v1.a.", "v1.b.")).is_err(), "the key's name is sealed too");
    }

    #[test]
    fn what_is_not_sealed_is_said_to_be_unreadable() {
        for text in ["", "hello", "v1.", "v1..x", "v2.a.x"] {
            assert!(matches!(key_id(text), Err(StoreError::Unreadable { .. })), "{text}");
        }
    }
}
