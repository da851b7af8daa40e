//! [`Value`]: what a setting's text can be read as.

use crate::secret::Secret;
use base64::{Engine, prelude::BASE64_STANDARD};
use std::{net::IpAddr, path::PathBuf};

/// How much of a setting's text may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Plain,
    /// Never shown, not even to say what is wrong with it.
    Secret,
    /// Shown without the login in it; not shown at all while it is wrong.
    Address,
}

pub trait Value: Sized {
    /// Completes "must be …".
    const MUST_BE: &'static str;
    const KIND: Kind = Kind::Plain;

    fn parse(text: &str) -> Option<Self>;

    /// The value where none is set and the table has no default.
    fn unset() -> Option<Self> {
        None
    }
}

impl<T: Value> Value for Option<T> {
    const MUST_BE: &'static str = T::MUST_BE;
    const KIND: Kind = T::KIND;

    fn parse(text: &str) -> Option<Self> {
        T::parse(text).map(Some)
    }
    fn unset() -> Option<Self> {
        Some(None)
    }
}

impl Value for String {
    const MUST_BE: &'static str = "text";

    fn parse(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl Value for PathBuf {
    const MUST_BE: &'static str = "a path";

    fn parse(text: &str) -> Option<Self> {
        Some(text.into())
    }
}

impl Value for bool {
    const MUST_BE: &'static str = "true or false";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        }
    }
}

impl Value for IpAddr {
    const MUST_BE: &'static str = "an IP address to listen on, such as 127.0.0.1 or 0.0.0.0";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Value for Secret<String> {
    const MUST_BE: &'static str = "text";
    const KIND: Kind = Kind::Secret;

    fn parse(text: &str) -> Option<Self> {
        Some(Self::new(text.to_owned()))
    }
}

/// The key that wraps the epoch keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterKey(pub Secret<[u8; 32]>);

impl Value for MasterKey {
    const MUST_BE: &'static str = "base64 of exactly 32 bytes (openssl rand -base64 32)";
    const KIND: Kind = Kind::Secret;

    fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64_STANDARD.decode(text).ok()?;
        bytes.try_into().ok().map(|key| Self(Secret::new(key)))
    }
}

/// How much is logged: a level, or levels by module, separated by commas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLevel(pub String);

impl Value for LogLevel {
    const MUST_BE: &'static str = "error, warn, info, debug, trace or off, or levels by module such as info,sqlx=warn";

    /// Stricter than tracing's own filter, which takes any word for the name of a module and then logs nothing.
    fn parse(text: &str) -> Option<Self> {
        let is_level = |part: &str| {
            let level = part.rsplit_once('=').map_or(part, |(_, level)| level).trim();
            ["error", "warn", "info", "debug", "trace", "off"].iter().any(|name| level.eq_ignore_ascii_case(name))
        };
        text.split(',').all(is_level).then(|| Self(text.to_ascii_lowercase()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_key_is_exactly_32_bytes() {
        assert!(MasterKey::parse(&BASE64_STANDARD.encode([7; 32])).is_some());
        for wrong in ["dG9vIHNob3J0", "!!!", &BASE64_STANDARD.encode([7; 33])] {
            assert_eq!(MasterKey::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_log_level_is_a_level_or_levels_by_module() {
        for good in ["info", "WARN", "info,sqlx=warn", "hansard::stack=trace"] {
            assert!(LogLevel::parse(good).is_some(), "{good}");
        }
        for wrong in ["loud", "info,loud", "sqlx=loud", "info,"] {
            assert_eq!(LogLevel::parse(wrong), None, "{wrong}");
        }
    }
}
