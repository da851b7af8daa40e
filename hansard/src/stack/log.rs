//! The servers' own logs, in the data directory.

use super::StackError;
use std::{
    fs::{self, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    process::{Command, Stdio},
};

/// Where a log is at the start of its server, it is kept as the last one and a new one begun.
const BYTES_MAX: u64 = 16 << 20;

/// Sends what the command will say to the end of the log.
pub fn follow(log: &Path, command: &mut Command) -> Result<(), StackError> {
    let open = || {
        if fs::metadata(log).is_ok_and(|found| found.len() > BYTES_MAX) {
            fs::rename(log, log.with_extension("log.1"))?;
        }
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(log)?;
        Ok((file.try_clone()?, file))
    };
    let (out, err) = open().map_err(StackError::file("a log can't be opened:", log))?;
    command.stdin(Stdio::null()).stdout(out).stderr(err);
    Ok(())
}

/// The last lines, for people.
pub fn end_of(log: &Path) -> String {
    const LINES: usize = 10;
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
