//! [`Reading`]: the texts of settings with where each came from, before they are checked and typed.

use super::{
    Entry, Environment, Settings, TABLE,
    value::{Kind, Value},
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, HashMap},
    fmt, fs, io,
    path::Path,
};
use url::Url;

/// Where a setting's value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Source {
    #[serde(rename = "default")]
    Default,
    #[serde(rename = ".env")]
    Dotenv,
    #[serde(rename = "environment")]
    Environment,
    /// Named on the command line.
    #[serde(rename = "command line")]
    CommandLine,
    /// Made up by `up` and kept in the data directory.
    #[serde(rename = "generated")]
    Generated,
    /// Of the embedded servers.
    #[serde(rename = "embedded stack")]
    Stack,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::Dotenv => ".env",
            Self::Environment => "environment",
            Self::CommandLine => "command line",
            Self::Generated => "generated",
            Self::Stack => "embedded stack",
        })
    }
}

#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) text: String,
    pub(super) source: Source,
}

/// Names that mean another one, where that is unset.
const ALIASES: &[(&str, &str)] = &[("NODE_ENV", "HANSARD_ENV")];

/// Names that the software before this one read, and that mean nothing here. A `*` stands for any ending.
const WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("REDIS_*", "what was in Redis is in NATS and PostgreSQL"),
    ("REFRESH_TOKEN_SECRET", "refresh tokens are random and are not signed"),
    ("FCM_SERVER_KEY", "push goes by web push, see VAPID_PUBLIC_KEY"),
];

#[derive(Clone, Debug, Default)]
pub struct Reading {
    pub(super) found: BTreeMap<&'static str, Found>,
    warnings: Vec<String>,
}

impl Reading {
    /// Of the process's environment, over `.env` in the working directory.
    pub fn of_process() -> Result<Self, DotenvError> {
        // A variable that isn't Unicode is none of ours: all settings are ASCII names, and their texts are Unicode.
        let environment = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        Ok(Self::of(environment.collect(), dotenv(Path::new(".env"))?))
    }

    /// Of these variables. An empty text counts as unset, in both.
    pub fn of(environment: HashMap<String, String>, dotenv: HashMap<String, String>) -> Self {
        let mut reading = Self::default();
        for (variables, source) in [(environment, Source::Environment), (dotenv, Source::Dotenv)] {
            let set: HashMap<String, String> = variables.into_iter().filter(|(_, text)| !text.is_empty()).collect();
            for entry in TABLE {
                if let Some(text) = set.get(entry.name) {
                    reading.supply(entry.name, text.clone(), source);
                }
            }
            for (alias, name) in ALIASES {
                if let Some(text) = set.get(*alias) {
                    reading.supply(name, text.clone(), source);
                }
            }
            reading.warn_of(&set, source);
        }
        reading.assemble_database_url();
        reading
    }

    /// Gives a setting a value where it has none. The name must be one of the table's.
    pub fn supply(&mut self, name: &str, text: String, source: Source) {
        self.found.entry(Self::entry(name).name).or_insert(Found { text, source });
    }

    /// Gives a setting a value whatever it had.
    pub fn overrule(&mut self, name: &str, text: String, source: Source) {
        self.found.insert(Self::entry(name).name, Found { text, source });
    }

    /// The text in effect: what was found, or the default.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.found.get(name).map(|found| found.text.as_str()).or(Self::entry(name).default)
    }

    pub fn is_set(&self, name: &str) -> bool {
        self.found.contains_key(name)
    }

    /// What is set and has no effect, a sentence each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The settings, typed; or everything that is wrong with them.
    pub fn settings(&self) -> Result<Settings, WrongSettings> {
        let problems: Vec<Problem> = TABLE.iter().filter_map(|entry| self.problem(entry)).collect();
        if problems.is_empty() { Ok(Settings::of(|name| self.text(name))) } else { Err(WrongSettings(problems)) }
    }

    pub(super) fn problem(&self, entry: &'static Entry) -> Option<Problem> {
        let must_be = (entry.check)(self.text(entry.name)).or_else(|| self.is_too_short_for_production(entry))?;
        let found = self.found.get(entry.name);
        let shown = found.filter(|_| entry.kind == Kind::Plain).map(|found| found.text.clone());
        Some(Problem { name: entry.name, must_be, shown, source: found.map_or(Source::Default, |found| found.source) })
    }

    fn is_too_short_for_production(&self, entry: &Entry) -> Option<&'static str> {
        const BYTES_MIN: usize = 32;
        let is_production =
            self.text("HANSARD_ENV").and_then(Environment::parse).is_some_and(|env| env == Environment::Production);
        let is_short = entry.name == "JWT_SECRET" && self.text(entry.name).is_some_and(|text| text.len() < BYTES_MIN);
        (is_production && is_short).then_some("at least 32 bytes in production (openssl rand -hex 32)")
    }

    fn entry(name: &str) -> &'static Entry {
        let entry = TABLE.iter().find(|entry| entry.name == name);
        entry.unwrap_or_else(|| panic!("{name} is no setting"))
    }

    fn warn_of(&mut self, set: &HashMap<String, String>, source: Source) {
        let mut names: Vec<&String> = set.keys().collect();
        names.sort();
        for name in names {
            let matches = |pattern: &str| {
                pattern.strip_suffix('*').map_or(name == pattern, |beginning| name.starts_with(beginning))
            };
            if let Some((_, why)) = WITHOUT_EFFECT.iter().find(|(pattern, _)| matches(pattern)) {
                self.warnings.push(format!("{name} (from {source}) has no effect: {why}"));
            }
        }
    }

    /// Makes DATABASE_URL of its parts, where one is set and it itself isn't.
    fn assemble_database_url(&mut self) {
        let parts = ["DATABASE_HOST", "DATABASE_PORT", "DATABASE_USERNAME", "DATABASE_PASSWORD", "DATABASE_NAME"];
        let Some(source) = parts.iter().find_map(|part| self.found.get(part)).map(|found| found.source) else { return };
        let parts_are_right = TABLE.iter().all(|entry| !parts.contains(&entry.name) || self.problem(entry).is_none());
        if self.is_set("DATABASE_URL") || !parts_are_right {
            return;
        }
        let part = |name: &str, unset: &'static str| self.text(name).unwrap_or(unset).to_owned();
        if let Some(url) = database_url(
            &part("DATABASE_HOST", "localhost"),
            &part("DATABASE_PORT", "5432"),
            &part("DATABASE_USERNAME", "postgres"),
            self.text("DATABASE_PASSWORD"),
            &part("DATABASE_NAME", "hansard"),
        ) {
            self.supply("DATABASE_URL", url, source);
        }
    }
}

/// None where a part can't stand in an address.
fn database_url(host: &str, port: &str, user: &str, password: Option<&str>, database: &str) -> Option<String> {
    let mut url = Url::parse("postgres://host").ok()?;
    let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
    url.set_host(Some(&host)).ok()?;
    url.set_port(Some(port.parse().ok()?)).ok()?;
    url.set_username(user).ok()?;
    url.set_password(password).ok()?;
    url.path_segments_mut().ok()?.push(database);
    Some(url.into())
}

fn dotenv(path: &Path) -> Result<HashMap<String, String>, DotenvError> {
    let file = match fs::read_to_string(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HashMap::new()),
        Err(error) => return Err(DotenvError { what: error.to_string(), place: String::new() }),
    };
    let mut variables = HashMap::new();
    for line in dotenvy::from_read_iter(file.as_bytes()) {
        let (name, text) = line.map_err(|error| DotenvError::unreadable(&error, &file))?;
        // The first one counts, as it does for others who read such files.
        variables.entry(name).or_insert(text);
    }
    Ok(variables)
}

/// `.env` can't be read. Says where, never what stands there: that may be half a secret.
#[derive(Debug, thiserror::Error)]
#[error(".env can't be read: {what}{place}")]
pub struct DotenvError {
    what: String,
    place: String,
}

impl DotenvError {
    fn unreadable(error: &dotenvy::Error, file: &str) -> Self {
        let dotenvy::Error::LineParse(line, _) = error else {
            return Self { what: error.to_string(), place: String::new() };
        };
        // What it quotes may go on over several lines, where a quote isn't closed: the first is the one to look at.
        let first = line.lines().next().unwrap_or_default();
        let number = file.lines().position(|known| known.starts_with(first)).map(|before| before + 1);
        let what = "a line is not NAME=value".to_owned();
        Self { what, place: number.map_or_else(String::new, |number| format!(", line {number}")) }
    }
}

/// What is wrong with one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub name: &'static str,
    /// Completes "must be …".
    pub must_be: &'static str,
    /// The wrong text, where it is nothing that should stay secret.
    pub shown: Option<String>,
    pub source: Source,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} must be {}", self.name, self.must_be)?;
        if let Some(text) = &self.shown {
            write!(f, ", not {text:?}")?;
        }
        write!(f, " (from {})", self.source)
    }
}

/// Everything that is wrong, a line each.
#[derive(Debug, thiserror::Error)]
pub struct WrongSettings(pub Vec<Problem>);

impl fmt::Display for WrongSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(of: &[(&str, &str)]) -> HashMap<String, String> {
        of.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    fn reading(environment: &[(&str, &str)]) -> Reading {
        Reading::of(variables(environment), HashMap::new())
    }

    fn wrong(environment: &[(&str, &str)]) -> Vec<&'static str> {
        let problems = reading(environment).settings().expect_err("something is wrong").0;
        problems.into_iter().map(|problem| problem.name).collect()
    }

    #[test]
    fn without_anything_set_the_defaults_hold() {
        let settings = reading(&[]).settings().unwrap();
        assert_eq!((settings.server.port.0, settings.server.realtime_port.0), (3001, 4000));
        assert_eq!(settings.auth.jwt_expiry.0.as_secs(), 900);
        assert_eq!(settings.limits.rate_limit_api.count, 600);
        assert_eq!(settings.public_url(), "http://localhost:3001");
        assert!(settings.stores.database_url.is_none());
    }

    #[test]
    fn the_environment_wins_over_dotenv() {
        let environment = variables(&[("MAX_PARTICIPANTS_PER_CALL", "9"), ("PORT", "")]);
        let dotenv = variables(&[("MAX_PARTICIPANTS_PER_CALL", "7"), ("CALL_RING_MS", "12345"), ("PORT", "3333")]);
        let reading = Reading::of(environment, dotenv);
        let settings = reading.settings().unwrap();
        assert_eq!(settings.calls.max_participants_per_call.0, 9);
        assert_eq!(settings.calls.call_ring_ms.0.as_millis(), 12345);
        assert_eq!(settings.server.port.0, 3333, "what is empty in the environment is unset");
        assert_eq!(reading.found["CALL_RING_MS"].source, Source::Dotenv);
    }

    #[test]
    fn every_wrong_setting_is_named_at_once() {
        let names =
            wrong(&[("PORT", "eighty"), ("LOG_FORMAT", "xml"), ("DATABASE_URL", "mysql://x/y"), ("BIND", "::1")]);
        assert_eq!(names, ["PORT", "LOG_FORMAT", "DATABASE_URL"]);
    }

    #[test]
    fn a_problem_says_what_the_value_must_be_but_never_shows_a_secret() {
        let environment = [("CALL_RING_MS", "long"), ("MASTER_KEY", "hunter2"), ("NATS_URL", "nats//:hunter2@x")];
        let text = reading(&environment).settings().expect_err("all three are wrong").to_string();
        let expected = "CALL_RING_MS must be a whole number of milliseconds from 1 up, not \"long\" (from environment)";
        assert!(text.contains(expected), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }

    #[test]
    fn production_needs_a_long_secret() {
        let (short, long) = ("x".repeat(31), "x".repeat(32));
        assert_eq!(wrong(&[("HANSARD_ENV", "production"), ("JWT_SECRET", &short)]), ["JWT_SECRET"]);
        assert_eq!(wrong(&[("NODE_ENV", "production"), ("JWT_SECRET", &short)]), ["JWT_SECRET"]);
        assert!(reading(&[("HANSARD_ENV", "production"), ("JWT_SECRET", &long)]).settings().is_ok());
        assert!(reading(&[("JWT_SECRET", &short)]).settings().is_ok(), "elsewhere a short one will do");
    }

    #[test]
    fn the_parts_of_the_database_address_make_it_up() {
        let parts = [("DATABASE_HOST", "db"), ("DATABASE_PASSWORD", "p@ss/word"), ("DATABASE_NAME", "chat")];
        let settings = reading(&parts).settings().unwrap();
        let expected = "postgres://postgres:p%40ss%2Fword@db:5432/chat";
        assert_eq!(settings.stores.database_url.unwrap().reveal(), expected);
        let with_url = [parts.as_slice(), &[("DATABASE_URL", "postgres://other/one")]].concat();
        let settings = reading(&with_url).settings().unwrap();
        assert_eq!(settings.stores.database_url.unwrap().reveal(), "postgres://other/one");
        assert_eq!(wrong(&[("DATABASE_HOST", "db"), ("DATABASE_PORT", "x")]), ["DATABASE_PORT"]);
    }

    #[test]
    fn names_without_effect_are_warned_of() {
        let reading = reading(&[("REDIS_HOST", "localhost"), ("FCM_SERVER_KEY", "hunter2"), ("REDISTRIBUTE", "1")]);
        let warnings = reading.warnings().join("\n");
        assert_eq!(reading.warnings().len(), 2, "{warnings}");
        assert!(warnings.contains("REDIS_HOST") && warnings.contains("FCM_SERVER_KEY"), "{warnings}");
        assert!(!warnings.contains("hunter2"), "{warnings}");
    }

    #[test]
    fn a_broken_line_of_dotenv_is_placed_but_not_shown() {
        let file = std::env::temp_dir().join(format!("hansard-dotenv-{}", std::process::id()));
        for (content, line) in [
            ("PORT=3001\nJWT_SECRET 'hunter2\n", 2),
            ("# ours\n\nPORT=3001\nhunter2 is all it says # really\nBIND=::1\n", 4),
            ("PORT=3001\n\nJWT_SECRET='hunter2\nBIND=::1\n", 3),
        ] {
            fs::write(&file, content).unwrap();
            let text = dotenv(&file).expect_err("a line is broken").to_string();
            assert_eq!(text, format!(".env can't be read: a line is not NAME=value, line {line}"));
        }
        fs::remove_file(&file).unwrap();
    }
}
