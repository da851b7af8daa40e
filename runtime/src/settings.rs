//! [`Settings`]: everything that can be set, typed. [`Reading`] gathers it from the environment and `.env`, says where
//! each value came from, and refuses with every wrong value at once.
//!
//! The table below is the only list of settings: it drives parsing, `config check`, `config show` and `.env.example`.

mod address;
mod example;
mod number;
mod reading;
mod show;
mod value;
mod word;

pub use address::{Address, DatabaseAddress, Host, NatsAddress, Networks, Origins, masked};
pub use example::example;
pub use number::{Count, Millis, Port, RateLimit, Span};
pub use reading::{DotenvError, Problem, Reading, Source, WrongSettings};
pub use show::Shown;
pub use value::{LogLevel, MasterKey};
pub use word::{Billing, Environment, LogFormat, MediaStore, RateLimits, SmtpTls};

use crate::secret::Secret;
use std::{net::IpAddr, path::PathBuf};
use value::{Kind, Value};

/// One line of the table.
struct Entry {
    name: &'static str,
    group: &'static str,
    about: &'static str,
    default: Option<&'static str>,
    kind: Kind,
    /// What the value must be, where it isn't.
    check: fn(Option<&str>) -> Option<&'static str>,
}

/// The value of a setting that has been checked.
fn checked<T: Value>(entry: &str, text: Option<&str>) -> T {
    let value = text.map_or_else(T::unset, T::parse);
    value.unwrap_or_else(|| panic!("{entry} was checked before, and has a default or may be unset"))
}

fn check<T: Value>(text: Option<&str>) -> Option<&'static str> {
    text.map_or_else(T::unset, T::parse).is_none().then_some(T::MUST_BE)
}

macro_rules! settings {
    (@default) => { None };
    (@default $default:literal) => { Some($default) };
    ($($group:ident: $Group:ident, $heading:literal {
        $($name:literal $field:ident: $type:ty $(= $default:literal)?, $about:literal;)*
    })*) => {
        $(
            #[doc = $heading]
            #[derive(Clone, Debug)]
            pub struct $Group { $(#[doc = $about] pub $field: $type,)* }
        )*

        /// Everything that can be set.
        #[derive(Clone, Debug)]
        pub struct Settings { $(#[doc = $heading] pub $group: $Group,)* }

        const TABLE: &[Entry] = &[$($(Entry {
            name: $name,
            group: $heading,
            about: $about,
            default: settings!(@default $($default)?),
            kind: <$type as Value>::KIND,
            check: check::<$type>,
        },)*)*];

        impl Settings {
            /// `text` tells each setting's text in effect. All must have passed their check.
            fn of<'a>(text: impl Fn(&str) -> Option<&'a str>) -> Self {
                Self { $($group: $Group { $($field: checked($name, text($name)),)* },)* }
            }
        }
    };
}

settings! {
    stack: Stack, "Data directory and embedded servers" {
        "HANSARD_DATA_DIR" data_dir: PathBuf = ".hansard", "where the embedded servers and generated secrets are kept";
        "HANSARD_PG_BIN" pg_bin: Option<PathBuf>, "directory of initdb and postgres; searched for where unset";
        "HANSARD_NATS_BIN" nats_bin: Option<PathBuf>, "path of nats-server; searched for where unset";
    }
    server: Server, "Server" {
        "PORT" port: Port = "3001", "port of the API and of messaging";
        "REALTIME_PORT" realtime_port: Port = "4000", "port of calls";
        "METRICS_PORT" metrics_port: Port = "9464",
            "port of /metrics, and of /health and /ready of roles without an API";
        "BIND" bind: Option<IpAddr>, "address to listen on; where unset 127.0.0.1 for `up`, 0.0.0.0 for single roles";
        "PUBLIC_URL" public_url: Option<Address>,
            "address under which clients reach the API; where unset http://localhost:PORT";
        "WEB_URL" web_url: Option<Address>, "address of the web client, which mails link to; where unset PUBLIC_URL";
        "CORS_ORIGIN" cors_origin: Option<Origins>,
            "origins of web clients that are served elsewhere, separated by commas";
        "TRUSTED_PROXIES" trusted_proxies: Networks = "none", "addresses or networks whose X-Forwarded-For is believed";
        "HANSARD_ENV" environment: Environment = "development", "development or production (NODE_ENV is read too)";
    }
    telemetry: Telemetry, "Telemetry" {
        "LOG_LEVEL" log_level: LogLevel = "info", "error, warn, info, debug or trace; or by module: info,sqlx=warn";
        "LOG_FORMAT" log_format: LogFormat = "pretty", "pretty or json";
        "OTEL_EXPORTER_OTLP_ENDPOINT" otlp_endpoint: Option<Address>, "where traces are sent; nowhere where unset";
    }
    stores: Stores, "Stores" {
        "DATABASE_URL" database_url: Option<DatabaseAddress>,
            "PostgreSQL as the application's role; embedded where unset";
        "DATABASE_ADMIN_URL" database_admin_url: Option<DatabaseAddress>,
            "PostgreSQL as the owner, for migrate; where unset DATABASE_URL";
        "DATABASE_HOST" database_host: Option<Host>, "with the four below, makes up DATABASE_URL where that is unset";
        "DATABASE_PORT" database_port: Option<Port>, "part of DATABASE_URL, 5432 where unset";
        "DATABASE_USERNAME" database_username: Option<String>, "part of DATABASE_URL, postgres where unset";
        "DATABASE_PASSWORD" database_password: Option<Secret<String>>, "part of DATABASE_URL";
        "DATABASE_NAME" database_name: Option<String>, "part of DATABASE_URL, hansard where unset";
        "DATABASE_MAX_CONNECTIONS" database_max_connections: Count = "16", "connections that a process opens at most";
        "NATS_URL" nats_url: Option<NatsAddress>, "nats-server; embedded where unset";
        "NATS_ANALYTICS_URL" nats_analytics_url: Option<NatsAddress>,
            "nats-server with the login of data teams, who only read events without personal fields";
        "NATS_CREDS" nats_creds: Option<PathBuf>, "credentials file for NATS_URL";
        "SEARCH_DIR" search_dir: Option<PathBuf>, "where the search index is kept; in the data directory where unset";
        "MEDIA_STORE" media_store: MediaStore = "local", "local or s3";
        "MEDIA_DIR" media_dir: Option<PathBuf>, "where a local store keeps files; in the data directory where unset";
        "MINIO_ENDPOINT" minio_endpoint: Option<String>, "host of the object store";
        "MINIO_PORT" minio_port: Port = "9000", "port of the object store";
        "MINIO_ACCESS_KEY" minio_access_key: Option<Secret<String>>, "login at the object store";
        "MINIO_SECRET_KEY" minio_secret_key: Option<Secret<String>>, "password at the object store";
        "MINIO_BUCKET_NAME" minio_bucket_name: String = "hansard", "bucket that files are kept in";
        "MAX_UPLOAD_BYTES" max_upload_bytes: std::num::NonZeroU64 = "104857600", "largest file that is taken";
        "MASTER_KEY" master_key: Option<MasterKey>,
            "base64 of the 32 bytes that wrap the epoch keys; generated by `up`";
        "KEY_DIR" key_dir: Option<String>,
            "where the epoch keys are kept: a directory, or `s3:`; in the data directory where unset";
    }
    auth: Auth, "Signing in" {
        "JWT_SECRET" jwt_secret: Option<Secret<String>>,
            "signs access tokens, at least 32 bytes in production; generated by `up`";
        "JWT_EXPIRY" jwt_expiry: Span = "15m", "how long an access token holds";
        "REFRESH_TOKEN_EXPIRY" refresh_token_expiry: Span = "7d", "how long a refresh token holds";
        "GOOGLE_CLIENT_ID" google_client_id: Option<String>, "Google: client id; no sign-in with Google where unset";
        "GOOGLE_CLIENT_SECRET" google_client_secret: Option<Secret<String>>, "Google: client secret";
        "GOOGLE_CALLBACK_URL" google_callback_url: Option<Address>, "Google: where it sends people back to";
        "GOOGLE_ISSUER" google_issuer: Option<Address>, "Google: other issuer (OpenID Connect)";
        "GOOGLE_AUTH_URL" google_auth_url: Option<Address>, "Google: other authorisation endpoint";
        "GOOGLE_TOKEN_URL" google_token_url: Option<Address>, "Google: other token endpoint";
        "GOOGLE_USERINFO_URL" google_userinfo_url: Option<Address>, "Google: other user info endpoint";
        "GITHUB_CLIENT_ID" github_client_id: Option<String>, "GitHub: client id; no sign-in with GitHub where unset";
        "GITHUB_CLIENT_SECRET" github_client_secret: Option<Secret<String>>, "GitHub: client secret";
        "GITHUB_CALLBACK_URL" github_callback_url: Option<Address>, "GitHub: where it sends people back to";
        "GITHUB_ISSUER" github_issuer: Option<Address>, "GitHub: other issuer (OpenID Connect)";
        "GITHUB_AUTH_URL" github_auth_url: Option<Address>, "GitHub: other authorisation endpoint";
        "GITHUB_TOKEN_URL" github_token_url: Option<Address>, "GitHub: other token endpoint";
        "GITHUB_USERINFO_URL" github_userinfo_url: Option<Address>, "GitHub: other user info endpoint";
        "MICROSOFT_CLIENT_ID" microsoft_client_id: Option<String>,
            "Microsoft: client id; no sign-in with Microsoft where unset";
        "MICROSOFT_CLIENT_SECRET" microsoft_client_secret: Option<Secret<String>>, "Microsoft: client secret";
        "MICROSOFT_CALLBACK_URL" microsoft_callback_url: Option<Address>, "Microsoft: where it sends people back to";
        "MICROSOFT_ISSUER" microsoft_issuer: Option<Address>, "Microsoft: other issuer (OpenID Connect)";
        "MICROSOFT_AUTH_URL" microsoft_auth_url: Option<Address>, "Microsoft: other authorisation endpoint";
        "MICROSOFT_TOKEN_URL" microsoft_token_url: Option<Address>, "Microsoft: other token endpoint";
        "MICROSOFT_USERINFO_URL" microsoft_userinfo_url: Option<Address>, "Microsoft: other user info endpoint";
    }
    calls: Calls, "Calls" {
        "TURN_ENABLED" turn_enabled: bool = "true", "whether clients are told of the TURN server";
        "TURN_SERVER_URL" turn_server_url: Option<String>, "TURN server, such as turn:turn.example.org:3478";
        "TURN_SECRET" turn_secret: Option<Secret<String>>, "secret shared with the TURN server, for logins that expire";
        "TURN_USERNAME" turn_username: Option<String>, "login at the TURN server, where no secret is shared";
        "TURN_PASSWORD" turn_password: Option<Secret<String>>, "password at the TURN server, where no secret is shared";
        "STUN_SERVER_URL" stun_server_url: Option<String>, "STUN server, such as stun:stun.example.org:3478";
        "MAX_PARTICIPANTS_PER_CALL" max_participants_per_call: Count = "50", "people in a call at most";
        "CALL_TIMEOUT_MS" call_timeout_ms: Millis = "3600000", "milliseconds after which a call is ended";
        "CALL_RING_MS" call_ring_ms: Millis = "45000", "milliseconds that a call rings";
    }
    outside: Outside, "Mail, models, push and webhooks" {
        "SMTP_HOST" smtp_host: Option<String>, "mail server; mails are written to the data directory where unset";
        "SMTP_PORT" smtp_port: Port = "587", "port of the mail server";
        "SMTP_USER" smtp_user: Option<String>, "login at the mail server";
        "SMTP_PASS" smtp_pass: Option<Secret<String>>, "password at the mail server";
        "SMTP_FROM" smtp_from: String = "Hansard <hansard@localhost>", "sender of mails";
        "SMTP_TLS" smtp_tls: Option<SmtpTls>, "none, starttls or tls; starttls where it is offered where unset";
        "OPENAI_API_KEY" openai_api_key: Option<Secret<String>>,
            "key of the model's provider; no assistant where unset";
        "OPENAI_BASE_URL" openai_base_url: Address = "https://api.openai.com/v1", "address of the model's provider";
        "OPENAI_MODEL" openai_model: String = "gpt-4o-mini", "model for the free plan";
        "OPENAI_PREMIUM_MODEL" openai_premium_model: String = "gpt-4o", "model for the premium plan";
        "VAPID_PUBLIC_KEY" vapid_public_key: Option<String>, "public key for web push; no push where unset";
        "VAPID_PRIVATE_KEY" vapid_private_key: Option<Secret<String>>, "private key for web push";
        "WEBHOOK_ALLOW_PRIVATE" webhook_allow_private: bool = "false",
            "whether addresses that clients name may be private ones";
        "WEBHOOK_RETRY_BASE_MS" webhook_retry_base_ms: Millis = "5000",
            "milliseconds before a delivery is first tried again";
        "BILLING" billing: Option<Billing>, "self_serve or admin; where unset self_serve, in production admin";
    }
    limits: Limits, "Limits" {
        "RATE_LIMIT" rate_limit: RateLimits = "on", "on or off; off lifts all of them, those of signing in included";
        "RATE_LIMIT_LOGIN" rate_limit_login: RateLimit = "10/15m", "attempts to sign in";
        "RATE_LIMIT_API" rate_limit_api: RateLimit = "600/1m", "requests of one person";
        "RATE_LIMIT_SOCKET" rate_limit_socket: RateLimit = "50/1s", "frames of one connection";
        "AI_QUOTA" ai_quota: RateLimit = "200/1d", "requests to the assistant of one person";
    }
}

impl Settings {
    /// Under which clients reach the API, without a slash at the end.
    pub fn public_url(&self) -> String {
        let set = self.server.public_url.as_ref().map(|url| url.as_str().trim_end_matches('/').to_owned());
        set.unwrap_or_else(|| format!("http://localhost:{}", self.server.port.0))
    }

    /// Where the web client is, without a slash at the end.
    pub fn web_url(&self) -> String {
        let set = self.server.web_url.as_ref().map(|url| url.as_str().trim_end_matches('/').to_owned());
        set.unwrap_or_else(|| self.public_url())
    }

    pub fn is_production(&self) -> bool {
        self.server.environment == Environment::Production
    }
}
