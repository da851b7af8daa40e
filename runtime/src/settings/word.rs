//! Settings that are one word of a few.

use super::value::Value;

macro_rules! words {
    ($($(#[$doc:meta])* $Name:ident, $must_be:literal { $($Variant:ident = $($word:literal)|+),+ $(,)? })+) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $Name { $($Variant),+ }

        impl Value for $Name {
            const MUST_BE: &'static str = $must_be;

            fn parse(text: &str) -> Option<Self> {
                match text { $($($word)|+ => Some(Self::$Variant),)+ _ => None }
            }
        }
    )+ };
}

words! {
    /// What is refused in production, and what is easier outside it.
    Environment, "development or production" { Development = "development", Production = "production" }
    LogFormat, "pretty or json" { Pretty = "pretty", Json = "json" }
    MediaStore, "local or s3" { Local = "local", S3 = "s3" }
    SmtpTls, "none, starttls or tls" { None = "none", StartTls = "starttls", Tls = "tls" }
    /// Who sets a subscription's plan.
    Billing, "self_serve or admin" { SelfServe = "self_serve", Admin = "admin" }
    RateLimits, "on or off" { On = "on", Off = "off" }
}
