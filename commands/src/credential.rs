//! [`Password`] and its rules, [`Passwords`], which hashes and checks them off the async threads, and the rows in
//! which the hashes are kept.

mod guessable;

use crate::CommandError;
use argon2::{
    Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version,
    password_hash::{Output, Salt, SaltString},
};
use domain::{Refusal, Timestamp, UserId};
use sqlx::PgConnection;
use std::{fmt, sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// Lengths in Unicode scalar values.
const CHARS_MIN: usize = 8;
const CHARS_MAX: usize = 128;

/// What OWASP's Password Storage Cheat Sheet advises for Argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1_024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const HASH_BYTES: usize = 32;
pub(crate) const SALT_BYTES: usize = 16;

/// Hashes made at once: each takes a core and [`MEMORY_KIB`] for some ten milliseconds.
const HASHES_AT_ONCE: usize = 2;
/// How long one waits for its turn before it is refused as overload.
const TURN_WAIT_MAX: Duration = Duration::from_secs(5);

/// A password as someone typed it. Debug never shows it.
#[derive(Clone)]
pub struct Password(Arc<str>);

impl Password {
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Why it may not become somebody's password, where it may not.
    pub fn weakness(&self) -> Option<Weakness> {
        match self.0.chars().count() {
            ..CHARS_MIN => Some(Weakness::TooShort),
            CHARS_MIN..=CHARS_MAX if guessable::is_common(&self.0) => Some(Weakness::TooCommon),
            CHARS_MIN..=CHARS_MAX => None,
            _ => Some(Weakness::TooLong),
        }
    }

    /// Refuses a weak one; `field` is what the caller's request names it.
    pub(crate) fn check(&self, field: &'static str) -> Result<(), Refusal> {
        self.weakness().map_or(Ok(()), |weakness| Err(Refusal::invalid(field, weakness.code(), weakness.message())))
    }
}

/// Why a password is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weakness {
    TooShort,
    TooLong,
    TooCommon,
}

impl Weakness {
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooShort => "too_short",
            Self::TooLong => "too_long",
            Self::TooCommon => "too_common",
        }
    }
    pub const fn message(self) -> &'static str {
        match self {
            Self::TooShort => "a password has at least 8 characters",
            Self::TooLong => "a password has at most 128 characters",
            Self::TooCommon => "this password is among the first that are guessed",
        }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(hidden)")
    }
}

/// A password's Argon2id hash as a PHC string. Debug never shows it.
#[derive(Clone)]
pub(crate) struct Hashed(String);

impl fmt::Debug for Hashed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hashed(hidden)")
    }
}

/// Hashes and checks passwords, a few at a time, so that neither the async threads nor memory are theirs to fill.
#[derive(Clone, Debug)]
pub(crate) struct Passwords {
    turns: Arc<Semaphore>,
    wait_max: Duration,
}

impl Passwords {
    pub fn new() -> Self {
        Self { turns: Arc::new(Semaphore::new(HASHES_AT_ONCE)), wait_max: TURN_WAIT_MAX }
    }

    pub async fn hash(&self, password: &Password, salt: [u8; SALT_BYTES]) -> Result<Hashed, CommandError> {
        let password = password.clone();
        self.in_turn(move || {
            let salt = SaltString::encode_b64(&salt)?;
            Ok(Hashed(argon2()?.hash_password(password.0.as_bytes(), &salt)?.to_string()))
        })
        .await
    }

    /// Whether a password is the one that was hashed. Where there is none to compare with it takes as long to say no,
    /// so that time doesn't tell who has an account.
    pub async fn verify(&self, password: &Password, hashed: Option<Hashed>) -> Result<bool, CommandError> {
        let password = password.clone();
        self.in_turn(move || {
            let Some(hashed) = hashed else {
                let _no_match_counts = argon2()?.verify_password(password.0.as_bytes(), &nobodys(&[0; HASH_BYTES])?);
                return Ok(false);
            };
            let stored = PasswordHash::new(&hashed.0)?;
            match argon2()?.verify_password(password.0.as_bytes(), &stored) {
                Ok(()) => Ok(true),
                Err(argon2::password_hash::Error::Password) => Ok(false),
                Err(error) => Err(error),
            }
        })
        .await
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, argon2::password_hash::Error> + Send + 'static,
    ) -> Result<T, CommandError> {
        let turn = timeout(self.wait_max, self.turns.clone().acquire_owned()).await;
        let turn: OwnedSemaphorePermit = turn.map_err(|_| CommandError::Overloaded)?.map_err(internal)?;
        // The turn goes along: who gives up waiting for the answer doesn't free it before the work is over.
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(turn);
            result
        });
        done.await.map_err(internal)?.map_err(internal)
    }
}

fn argon2() -> Result<Argon2<'static>, argon2::password_hash::Error> {
    let params =
        Params::new(MEMORY_KIB, PASSES, LANES, Some(HASH_BYTES)).map_err(argon2::password_hash::Error::from)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// A hash that stands in for the one that isn't there: same parameters, same work.
fn nobodys(output: &[u8; HASH_BYTES]) -> Result<PasswordHash<'static>, argon2::password_hash::Error> {
    Ok(PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: argon2()?.params().try_into()?,
        salt: Some(Salt::from_b64("AAAAAAAAAAAAAAAAAAAAAA")?),
        hash: Some(Output::new(output)?),
    })
}

fn internal(error: impl fmt::Display) -> CommandError {
    CommandError::Internal(format!("a password could not be hashed: {error}"))
}

/// Keeps a person's hash; one from an earlier try with the same id is replaced.
pub(crate) async fn store(
    connection: &mut PgConnection,
    user: UserId,
    hashed: &Hashed,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO credential (user_id, password_hash, changed_at) VALUES ($1, $2, $3)
         ON CONFLICT (user_id) DO UPDATE SET password_hash = EXCLUDED.password_hash, changed_at = EXCLUDED.changed_at",
    )
    .bind(user.0)
    .bind(&hashed.0)
    .bind(now.to_datetime())
    .execute(connection)
    .await?;
    Ok(())
}

pub(crate) async fn remove(connection: &mut PgConnection, user: UserId) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM credential WHERE user_id = $1").bind(user.0).execute(connection).await?;
    Ok(())
}

pub(crate) async fn load(connection: &mut PgConnection, user: UserId) -> Result<Option<Hashed>, sqlx::Error> {
    let found = sqlx::query_scalar("SELECT password_hash FROM credential WHERE user_id = $1").bind(user.0);
    Ok(found.fetch_optional(connection).await?.map(Hashed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<(), &'static str> {
        Password::new(text).check("password").map_err(|refusal| refusal.code)
    }

    #[test]
    fn a_password_has_8_to_128_characters_however_many_bytes() {
        assert_eq!(check("Ab3-xyz"), Err("too_short"));
        assert_eq!(check("Ab3-xyzü"), Ok(()));
        let longest = format!("пароль{}", "🔑ü".repeat(61));
        assert_eq!(check(&longest), Ok(()));
        assert_eq!(check(&format!("{longest}x")), Err("too_long"));
        assert_eq!(check(""), Err("too_short"));
    }

    #[test]
    fn a_common_password_is_refused_in_any_case() {
        for common in
            ["password", "PassWord1", "12345678", "password123", "qwertyuiop", "iloveyou", "11111111", "87654321"]
        {
            assert_eq!(check(common), Err("too_common"), "{common}");
        }
    }

    #[test]
    fn a_refusal_names_the_field_and_not_the_password() {
        let refusal = Password::new("hunter2").check("newPassword").expect_err("too short");
        assert_eq!(refusal.field, Some("newPassword"));
        assert!(!format!("{refusal:?}").contains("hunter2"));
    }

    #[tokio::test]
    async fn a_password_fits_its_own_hash_to_the_last_character_and_no_other() {
        let (passwords, right) = (Passwords::new(), Password::new(&"a".repeat(128)));
        let hashed = passwords.hash(&right, [7; SALT_BYTES]).await.expect("hashed");
        let wrong = Password::new(&format!("{}b", "a".repeat(127)));
        assert!(passwords.verify(&right, Some(hashed.clone())).await.expect("checked"));
        assert!(!passwords.verify(&wrong, Some(hashed)).await.expect("checked"));
    }

    #[tokio::test]
    async fn nothing_fits_where_nobody_has_a_password() {
        let passwords = Passwords::new();
        assert!(!passwords.verify(&Password::new(""), None).await.expect("checked"));
    }

    #[tokio::test]
    async fn what_stands_in_for_a_missing_hash_costs_the_same_work() {
        let hashed = Passwords::new().hash(&Password::new("some password"), [7; SALT_BYTES]).await.expect("hashed");
        let stored = PasswordHash::new(&hashed.0).expect("a PHC string");
        let nobodys = nobodys(&[0; HASH_BYTES]).expect("a PHC string");
        assert_eq!(
            (stored.algorithm, stored.version, &stored.params),
            (nobodys.algorithm, nobodys.version, &nobodys.params)
        );
        assert_eq!(stored.hash.map(|hash| hash.len()), nobodys.hash.map(|hash| hash.len()));
        assert!(hashed.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hashed.0);
        let salt = |hash: &PasswordHash<'_>| hash.salt.map(|salt| salt.len());
        assert_eq!(salt(&stored), salt(&nobodys));
    }

    #[tokio::test]
    async fn who_waits_too_long_for_a_turn_is_told_of_overload() {
        let passwords = Passwords { turns: Arc::new(Semaphore::new(0)), wait_max: Duration::from_millis(5) };
        let refused = passwords.verify(&Password::new("some password"), None).await;
        assert!(matches!(refused, Err(CommandError::Overloaded)));
    }

    #[tokio::test]
    async fn neither_password_nor_hash_is_shown_by_debug() {
        let password = Password::new("hunter2-hunter2");
        let hashed = Passwords::new().hash(&password, [7; SALT_BYTES]).await.expect("hashed");
        let shown = format!("{password:?} {hashed:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("argon2id"), "{shown}");
    }
}
