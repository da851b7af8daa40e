//! Requests that may come twice: what an `Idempotency-Key` covers. The answer itself is kept by the command.

use crate::problem::Problem;
use axum::http::{HeaderMap, Method};
use event_store::Keyring;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use std::sync::{Arc, OnceLock};

const KEY_CHARS_MAX: usize = 128;

/// The secret under which bodies are hashed, so that the log's owner can't try out what was in one.
#[derive(Clone)]
pub(crate) struct BodyKey(pub [u8; 32]);

/// The secret of all processes on one log, which follows from its master key.
pub fn body_key(keyring: &Keyring) -> [u8; 32] {
    Sha256::digest(keyring.keyed_hash("request body", "")).into()
}

impl BodyKey {
    fn hash(&self, parts: &[&[u8]]) -> String {
        // A key of any length is taken, so this can't fail.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        hex::encode(mac.finalize().into_bytes())
    }
}

/// A request's extension in which whoever reads the body leaves its hash for the caller.
#[derive(Clone)]
pub(crate) struct SeenBody {
    key: BodyKey,
    hash: Arc<OnceLock<String>>,
}

impl SeenBody {
    pub(crate) fn note(&self, body: &[u8]) {
        self.hash.get_or_init(|| self.key.hash(&[body]));
    }
}

/// A key with what it covers: method and path, and the body once it is read.
#[derive(Clone)]
pub(crate) struct Repeatable {
    scope: String,
    body: SeenBody,
}

impl Repeatable {
    /// What a request asks for by its `Idempotency-Key`. Only a POST can be repeated.
    pub(crate) fn of(method: &Method, path: &str, headers: &HeaderMap, key: &BodyKey) -> Result<Option<Self>, Problem> {
        let Some(value) = headers.get("idempotency-key").filter(|_| *method == Method::POST) else { return Ok(None) };
        let text = value.to_str().unwrap_or_default();
        let is_printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if text.is_empty() || text.len() > KEY_CHARS_MAX || !is_printable {
            return Err(Problem::invalid_field(
                "Idempotency-Key",
                "malformed",
                "a key has 1 to 128 printable characters",
            ));
        }
        let scope = key.hash(&[method.as_str().as_bytes(), path.as_bytes(), text.as_bytes()]);
        Ok(Some(Self { scope, body: SeenBody { key: key.clone(), hash: Arc::default() } }))
    }
    pub(crate) fn body(&self) -> SeenBody {
        self.body.clone()
    }
    /// The key's scope and the body's hash. A body that the route doesn't read counts as empty.
    pub(crate) fn scope_and_body_hash(&self) -> (String, String) {
        let hash = self.body.hash.get_or_init(|| self.body.key.hash(&[b""]));
        (self.scope.clone(), hash.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn asked(method: &Method, path: &str, key: &[u8]) -> Result<Option<Repeatable>, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert("idempotency-key", HeaderValue::from_bytes(key).expect("header"));
        Repeatable::of(method, path, &headers, &BodyKey([7; 32]))
    }
    fn scope(method: &Method, path: &str, key: &[u8]) -> String {
        asked(method, path, key).expect("taken").expect("asked").scope_and_body_hash().0
    }

    #[test]
    fn a_key_covers_method_and_path() {
        let first = scope(&Method::POST, "/api/workspaces", b"k");
        assert_eq!(first, scope(&Method::POST, "/api/workspaces", b"k"));
        assert_ne!(first, scope(&Method::POST, "/api/groups", b"k"));
        assert_ne!(first, scope(&Method::POST, "/api/workspaces", b"l"));
    }

    #[test]
    fn only_a_post_is_repeatable() {
        assert!(asked(&Method::PUT, "/api/x", b"k").expect("taken").is_none());
    }

    #[test]
    fn a_key_has_1_to_128_printable_characters() {
        assert!(asked(&Method::POST, "/", &[b'k'; 128]).is_ok());
        for key in [&b""[..], &[b'k'; 129], b"\xff", b"a\tb"] {
            assert_eq!(asked(&Method::POST, "/", key).err().map(|problem| problem.status().as_u16()), Some(422));
        }
    }

    #[test]
    fn another_body_has_another_hash() {
        let hash = |body: &[u8]| {
            let asked = asked(&Method::POST, "/", b"k").expect("taken").expect("asked");
            asked.body().note(body);
            asked.scope_and_body_hash().1
        };
        assert_eq!(hash(b"{}"), hash(b"{}"));
        assert_ne!(hash(b"{}"), hash(b"{ }"));
    }
}
