//! [`Servers`]: where the binaries of PostgreSQL and nats-server are. `scripts/install-servers` finds them, and
//! installs the one that is missing; it is part of this binary.

use super::StackError;
use runtime::settings::Reading;
use std::{path::PathBuf, process::Stdio};
use tokio::process::Command;

const SCRIPT: &str = include_str!("../../../scripts/install-servers");

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Servers {
    /// The directory of `postgres` and `initdb`.
    pub pg_bin: PathBuf,
    /// The path of `nats-server`.
    pub nats_bin: PathBuf,
}

impl Servers {
    /// What the script says, goes to stderr as it comes.
    pub async fn find(reading: &Reading) -> Result<Self, StackError> {
        let mut command = Command::new("bash");
        command.args(["-c", SCRIPT, "install-servers"]);
        for name in ["HANSARD_PG_BIN", "HANSARD_NATS_BIN"] {
            // These may come from .env, which the script doesn't read.
            if let Some(text) = reading.text(name) {
                command.env(name, text);
            }
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let failed = |error| StackError::Servers(format!("bash: {error}"));
        let output = command.spawn().map_err(failed)?.wait_with_output().await.map_err(failed)?;
        if !output.status.success() {
            return Err(StackError::Servers("see above; scripts/install-servers is what was tried".to_owned()));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        Self::read(&text).ok_or_else(|| StackError::Servers(format!("the search for them ended with {text:?}")))
    }

    fn read(text: &str) -> Option<Self> {
        let path =
            |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).map(PathBuf::from);
        Some(Self { pg_bin: path("HANSARD_PG_BIN")?, nats_bin: path("HANSARD_NATS_BIN")? })
    }
}
