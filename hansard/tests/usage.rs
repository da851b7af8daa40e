//! What the command line says to those who use it wrongly, and how it exits.

#![expect(clippy::unwrap_used, reason = "it is how a test fails")]

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
};
use tempfile::TempDir;

/// Exit status and what stands on standard error.
fn run(home: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hansard"));
    command.args(arguments).current_dir(home).stdin(Stdio::null());
    for name in ["DATABASE_URL", "DATABASE_HOST", "NATS_URL", "HANSARD_DATA_DIR", "LOG_LEVEL"] {
        command.env_remove(name);
    }
    let output = command.envs(environment.iter().copied()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn in_a_directory_without_a_stack_nothing_is_made_by_asking() {
    let home = TempDir::new().unwrap();
    let commands: [&[&str]; 7] = [
        &["admin", "grant", "ada@example.org", "admin"],
        &["admin", "sessions", "ada@example.org"],
        &["audit", "verify"],
        &["events", "tail"],
        &["projections", "list"],
        &["inbox", "explain", "ada@example.org", "01900000-0000-7000-8000-000000000000"],
        &["import", "slack", "nothing.zip", "--workspace", "Nothing"],
    ];
    for arguments in commands {
        let (status, said) = run(home.path(), arguments, &[]);
        assert_eq!(status, Some(1), "{arguments:?}: {said}");
        let expected = if arguments[0] == "import" { "nothing.zip can't be opened" } else { "no stack in .hansard" };
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn a_word_that_means_nothing_is_wrong_usage() {
    let home = TempDir::new().unwrap();
    for (arguments, expected) in [
        (["events", "tail", "--type=message.send"].as_slice(), "message.sent"),
        (["projections", "rebuild", "nope"].as_slice(), "core"),
        (["projections", "diff", "nope"].as_slice(), "core"),
    ] {
        let (status, said) = run(home.path(), arguments, &[]);
        assert_eq!(status, Some(2), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}

#[test]
fn why_the_database_cannot_be_reached_is_said_without_its_password() {
    let home = TempDir::new().unwrap();
    // Nobody listens there once it is dropped.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("postgres://hansard:hunter2@127.0.0.1:{port}/hansard");
    let (status, said) = run(home.path(), &["projections", "list"], &[("DATABASE_URL", &address)]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.to_lowercase().contains("connection refused") && !said.contains("hunter2"), "{said}");
}
