//! [`RefreshToken`], which renews a session, and [`AccessTokens`], which signs and checks what every request carries.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{SessionId, Timestamp, UserId, user::SystemRole};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{fmt, sync::Arc, time::Duration};
use thiserror::Error;

/// How people stay signed in.
#[derive(Clone)]
pub struct AuthSettings {
    /// Signs access tokens; at least 32 bytes in production.
    pub jwt_secret: String,
    /// How long an access token is good for.
    pub jwt_expiry: Duration,
    /// How long a session lives without being refreshed.
    pub refresh_token_expiry: Duration,
}

impl fmt::Debug for AuthSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthSettings")
            .field("jwt_expiry", &self.jwt_expiry)
            .field("refresh_token_expiry", &self.refresh_token_expiry)
            .finish_non_exhaustive()
    }
}

/// 32 random bytes that only their owner has; what is stored is [`RefreshToken::hash`].
pub struct RefreshToken(String);

impl RefreshToken {
    pub(crate) fn from_random(bytes: [u8; 32]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }
    /// The token as its owner sends it. Whatever the text is: one that was never given out has no row.
    pub fn presented(text: impl Into<String>) -> Self {
        Self(text.into())
    }
    /// The text to hand to its owner, once.
    pub fn reveal(&self) -> &str {
        &self.0
    }
    /// The token has 256 bits of its own, so a plain hash of it can't be searched for.
    pub(crate) fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken(hidden)")
    }
}

/// What an access token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    pub sub: UserId,
    pub username: String,
    pub sid: SessionId,
    pub roles: Vec<SystemRole>,
    /// Seconds since 1970.
    pub iat: i64,
    pub exp: i64,
}

/// Why an access token opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    #[error("the access token has expired")]
    Expired,
    #[error("this is no access token")]
    Invalid,
}

/// Signs and checks access tokens: JWT (RFC 7519) by HS256 and by nothing else.
#[derive(Clone)]
pub struct AccessTokens {
    keys: Arc<(EncodingKey, DecodingKey)>,
    expiry: Duration,
}

impl AccessTokens {
    pub(crate) fn new(settings: &AuthSettings) -> Self {
        let secret = settings.jwt_secret.as_bytes();
        let keys = Arc::new((EncodingKey::from_secret(secret), DecodingKey::from_secret(secret)));
        Self { keys, expiry: settings.jwt_expiry }
    }

    pub const fn expiry(&self) -> Duration {
        self.expiry
    }

    pub(crate) fn issue(&self, holder: Holder, now: Timestamp) -> Result<String, jsonwebtoken::errors::Error> {
        let iat = now.0.div_euclid(1_000);
        let exp = iat.saturating_add_unsigned(self.expiry.as_secs());
        let Holder { user, username, session, roles } = holder;
        let claims = Claims { sub: user, username, sid: session, roles, iat, exp };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.keys.0)
    }

    /// What a token says, where it is ours and in its time. Whether its session still lives is for
    /// [`crate::session::Sessions`] to say.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, TokenError> {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_required_spec_claims(&["exp", "sub"]);
        // Expiry is judged below, by the clock that the tokens were issued by.
        validation.validate_exp = false;
        let claims =
            jsonwebtoken::decode::<Claims>(token, &self.keys.1, &validation).map_err(|_| TokenError::Invalid)?.claims;
        if claims.exp <= now.0.div_euclid(1_000) { Err(TokenError::Expired) } else { Ok(claims) }
    }
}

impl fmt::Debug for AccessTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessTokens").field("expiry", &self.expiry).finish_non_exhaustive()
    }
}

/// Who a token is for.
pub(crate) struct Holder {
    pub user: UserId,
    pub username: String,
    pub session: SessionId,
    pub roles: Vec<SystemRole>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use uuid::Uuid;

    const SECRET: &str = "a-secret-of-at-least-32-characters";
    const NOW: Timestamp = Timestamp(1_800_000_000_500);

    fn tokens(secret: &str) -> AccessTokens {
        AccessTokens::new(&AuthSettings {
            jwt_secret: secret.to_owned(),
            jwt_expiry: Duration::from_mins(15),
            refresh_token_expiry: Duration::from_hours(168),
        })
    }
    fn alice() -> Holder {
        let id = Uuid::from_u128(7);
        Holder { user: id.into(), username: "alice".to_owned(), session: id.into(), roles: vec![SystemRole::Auditor] }
    }
    fn part(json: &Value) -> String {
        URL_SAFE_NO_PAD.encode(json.to_string())
    }
    fn parts(token: &str) -> Vec<String> {
        token.split('.').map(str::to_owned).collect()
    }

    #[test]
    fn a_token_says_who_and_for_how_long() {
        let tokens = tokens(SECRET);
        let token = tokens.issue(alice(), NOW).expect("issued");
        let claims = tokens.verify(&token, NOW).expect("genuine");
        assert_eq!((claims.username.as_str(), claims.roles.as_slice()), ("alice", [SystemRole::Auditor].as_slice()));
        assert_eq!((claims.iat, claims.exp), (1_800_000_000, 1_800_000_900));
    }

    #[test]
    fn a_token_ends_with_its_last_second() {
        let tokens = tokens(SECRET);
        let token = tokens.issue(alice(), NOW).expect("issued");
        assert!(tokens.verify(&token, Timestamp(1_800_000_899_999)).is_ok());
        assert_eq!(tokens.verify(&token, Timestamp(1_800_000_900_000)), Err(TokenError::Expired));
    }

    #[test]
    fn a_forged_token_opens_nothing() {
        let genuine = tokens(SECRET).issue(alice(), NOW).expect("issued");
        let [header, payload, signature] = &parts(&genuine)[..] else { panic!("three parts") };
        let mut claims: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).expect("base64")).expect("json");
        claims["roles"] = json!(["admin"]);
        let none = part(&json!({"alg": "none", "typ": "JWT"}));
        let rs256 = part(&json!({"alg": "RS256", "typ": "JWT"}));
        let other = tokens("another-secret-of-32-characters-or-more").issue(alice(), NOW).expect("issued");
        for forged in [
            format!("{header}.{}.{signature}", part(&claims)),
            format!("{header}.{payload}."),
            format!("{header}.{payload}"),
            format!("{none}.{payload}."),
            format!("{none}.{payload}.{signature}"),
            format!("{rs256}.{payload}.{signature}"),
            other,
            tokens("").issue(alice(), NOW).expect("issued"),
            "aaa.bbb.ccc".to_owned(),
            String::new(),
        ] {
            assert_eq!(tokens(SECRET).verify(&forged, NOW), Err(TokenError::Invalid), "{forged}");
        }
    }

    #[test]
    fn a_rightly_signed_token_without_expiry_opens_nothing() {
        let claims =
            json!({"sub": Uuid::from_u128(7), "username": "alice", "sid": Uuid::from_u128(7), "roles": [], "iat": 1});
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).expect("signed");
        assert_eq!(tokens(SECRET).verify(&token, NOW), Err(TokenError::Invalid));
    }

    #[test]
    fn a_hs512_token_of_the_same_secret_opens_nothing() {
        let genuine =
            tokens(SECRET).verify(&tokens(SECRET).issue(alice(), NOW).expect("issued"), NOW).expect("genuine");
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS512), &genuine, &key).expect("signed");
        assert_eq!(tokens(SECRET).verify(&token, NOW), Err(TokenError::Invalid));
    }

    #[test]
    fn a_refresh_token_is_43_letters_that_debug_never_shows() {
        let token = RefreshToken::from_random([0xab; 32]);
        assert_eq!(token.reveal().len(), 43);
        assert!(!format!("{token:?}").contains(token.reveal()));
        assert_eq!(token.hash(), RefreshToken::presented(token.reveal()).hash());
    }

    #[test]
    fn the_secret_is_never_shown_by_debug() {
        let settings = AuthSettings {
            jwt_secret: SECRET.to_owned(),
            jwt_expiry: Duration::from_secs(1),
            refresh_token_expiry: Duration::from_secs(1),
        };
        assert!(!format!("{settings:?} {:?}", tokens(SECRET)).contains(SECRET));
    }
}
