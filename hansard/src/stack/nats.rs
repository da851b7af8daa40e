//! The private nats-server: settings and accounts are those of `nats.conf`, which is part of this binary.

use super::{
    DataDir, Say, StackError,
    account::{Account, DIRECTORY},
    keeper::{Keeper, Server},
    log, orphan, port,
    servers::Servers,
    state::State,
};
use nix::sys::signal::Signal;
use std::{fs, path::Path, time::Duration};

/// As the kernel shows it.
pub const NAME: &str = "nats-server";

const CONFIGURATION: &str = include_str!("../../../nats.conf");

pub const STOP: &[(Signal, Duration)] =
    &[(Signal::SIGTERM, Duration::from_secs(10)), (Signal::SIGKILL, Duration::from_secs(5))];

/// A large store is read through after a crash.
const PATIENCE: Duration = Duration::from_mins(2);

pub async fn start(dir: &DataDir, servers: &Servers, state: &State, say: Say<'_>) -> Result<Keeper, StackError> {
    say(&format!("starting nats-server on port {}", state.nats_port));
    let (tag, program, port) = (dir.tag()?, servers.nats_bin.clone(), state.nats_port);
    let account = prepare(&dir.nats())?;
    let environment = [
        ("HANSARD_NATS_HOST", "127.0.0.1".to_owned()),
        ("HANSARD_NATS_PORT", port.to_string()),
        ("HANSARD_NATS_STORE", DIRECTORY.to_owned()),
        ("HANSARD_NATS_PASSWORD", quoted(&state.nats_password)),
        ("HANSARD_NATS_ANALYTICS_PASSWORD", quoted(&state.nats_analytics_password)),
        ("HANSARD_NATS_SYSTEM_PASSWORD", quoted(&state.nats_system_password)),
    ];
    let (run_dir, clear_tag) = (dir.clone(), tag.clone());
    let server = Server {
        name: NAME,
        log: dir.log_of(NAME),
        clear: Box::new(move || orphan::end(NAME, &clear_tag, STOP)),
        command: Box::new(move || {
            let mut command = account.command(&run_dir.nats(), Some("TERM"), &program);
            command.args(["-c", &format!("{DIRECTORY}/nats.conf"), "--name", &tag]).envs(environment.clone());
            log::follow(&run_dir.log_of(NAME), &mut command)?;
            Ok(command)
        }),
        is_ready: Box::new(move || port::is_open(port)),
        stop: STOP,
    };
    Keeper::start(server, PATIENCE).await
}

/// Makes its directory and writes its configuration, anew each time: this binary's is the one in effect.
fn prepare(directory: &Path) -> Result<Account, StackError> {
    let account = Account::for_directory(directory)?;
    if !directory.exists() {
        account.make_directory(directory)?;
    }
    let path = directory.join("nats.conf");
    fs::write(&path, CONFIGURATION).map_err(StackError::file("the configuration can't be written:", &path))?;
    account.give(&path)?;
    Ok(account)
}

/// Of the environment nats-server reads values, not texts: unquoted, one of digits only would be a number.
fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}
