//! The private PostgreSQL: its cluster is made once, reached over the loopback only, and with passwords only.

use super::{
    DataDir, Say, StackError,
    account::{Account, DIRECTORY},
    keeper::{Keeper, Server},
    log, orphan,
    servers::Servers,
    state::State,
};
use nix::sys::signal::Signal;
use std::{
    fs,
    io::{self, Write},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

pub const NAME: &str = "postgres";
pub const DATABASE: &str = "hansard";
/// Owns the schema, and is the private cluster's superuser.
pub const OWNER: &str = "hansard_owner";
/// The application's role.
pub const APP: &str = "hansard_app";

/// Its fast, its immediate and no shutdown at all.
pub const STOP: &[(Signal, Duration)] = &[
    (Signal::SIGINT, Duration::from_secs(20)),
    (Signal::SIGQUIT, Duration::from_secs(5)),
    (Signal::SIGKILL, Duration::from_secs(5)),
];

/// After a crash it replays its log first, which may take its time.
const PATIENCE: Duration = Duration::from_mins(5);

const SETTINGS: &[&str] = &[
    "listen_addresses=127.0.0.1",
    // The path of a socket in the data directory could be too long for one.
    "unix_socket_directories=",
    "max_connections=100",
    "shared_buffers=128MB",
    "max_wal_size=2GB",
    "wal_compression=on",
    // Its queries are short: compiling them takes longer than running them.
    "jit=off",
    "timezone=UTC",
    "log_timezone=UTC",
    "log_line_prefix=%m [%p] ",
    "log_min_messages=warning",
];

/// Makes the cluster where there is none, and gives its roles the passwords of a state that is new.
pub async fn prepare(
    dir: &DataDir,
    servers: &Servers,
    state: &State,
    state_is_new: bool,
    say: Say<'_>,
) -> Result<(), StackError> {
    let exists = dir.postgres().exists();
    if exists && !state_is_new {
        return Ok(());
    }
    if !exists {
        say("making a PostgreSQL cluster in the data directory");
    }
    let (dir, servers, passwords) = (dir.clone(), servers.clone(), passwords(state));
    let made = tokio::task::spawn_blocking(move || {
        if exists {
            clear(&dir)?;
            return run_sql(&dir.postgres(), &servers, &passwords);
        }
        make_cluster(&dir, &servers, &passwords)
    });
    made.await.unwrap_or_else(|error| Err(StackError::server(NAME, format!("could not be made: {error}"))))
}

pub async fn start(dir: &DataDir, servers: &Servers, state: &State, say: Say<'_>) -> Result<Keeper, StackError> {
    say(&format!("starting PostgreSQL on port {}", state.postgres_port));
    let (tag, account) = (dir.tag()?, Account::for_directory(&dir.postgres())?);
    let program = servers.pg_bin.join("postgres");
    let (clear_dir, ready_dir, run_dir, port) = (dir.clone(), dir.clone(), dir.clone(), state.postgres_port);
    let clear_tag = tag.clone();
    let server = Server {
        name: NAME,
        log: dir.log_of(NAME),
        clear: Box::new(move || {
            orphan::end(NAME, &clear_tag, STOP)?;
            clear(&clear_dir)
        }),
        command: Box::new(move || {
            let mut command = account.command(&run_dir.postgres(), Some("INT"), &program);
            command.args(["-D", DIRECTORY, "-c", &format!("port={port}"), "-c", &format!("cluster_name={tag}")]);
            command.args(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
            log::follow(&run_dir.log_of(NAME), &mut command)?;
            Ok(command)
        }),
        is_ready: Box::new(move || says_it_is_ready(&ready_dir)),
        stop: STOP,
    };
    Keeper::start(server, PATIENCE).await
}

/// The file by which PostgreSQL knows that it runs may outlive it, and its process id may be another's by now. No
/// server with our tag runs, and nobody else starts one here: the directory is locked.
fn clear(dir: &DataDir) -> Result<(), StackError> {
    let stale = dir.postgres().join("postmaster.pid");
    match fs::remove_file(&stale) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StackError::file("a stale file can't be removed:", &stale)(error))
        }
        _ => Ok(()),
    }
}

/// The eighth line of its pid file is its state.
fn says_it_is_ready(dir: &DataDir) -> bool {
    let text = fs::read_to_string(dir.postgres().join("postmaster.pid")).unwrap_or_default();
    text.lines().nth(7).is_some_and(|state| state.trim() == "ready")
}

/// In a draft that takes its place when it is whole.
fn make_cluster(dir: &DataDir, servers: &Servers, passwords: &[String]) -> Result<(), StackError> {
    let (cluster, draft) = (dir.postgres(), dir.path().join("postgres.new"));
    if draft.exists() {
        fs::remove_dir_all(&draft).map_err(StackError::file("a half-made cluster can't be removed:", &draft))?;
    }
    let account = Account::for_directory(&draft)?;
    account.make_directory(&draft)?;
    let mut initdb = account.command(&draft, Some("KILL"), servers.pg_bin.join("initdb"));
    initdb.args(["-D", DIRECTORY, "-U", OWNER, "-E", "UTF8", "--locale=C.UTF-8", "-A", "trust"]);
    // Who may come in is set below, before the cluster is ever started for anyone.
    initdb.stdin(Stdio::null());
    let output = initdb.output().map_err(|error| StackError::server("initdb", format!("can't be run: {error}")))?;
    if !output.status.success() {
        return Err(refused("initdb", &output));
    }
    let access = draft.join("pg_hba.conf");
    fs::write(&access, "host all all 127.0.0.1/32 scram-sha-256\n")
        .map_err(StackError::file("access to the cluster can't be set:", &access))?;
    let role = [format!("CREATE ROLE {APP} LOGIN"), format!("CREATE DATABASE {DATABASE} OWNER {OWNER}")];
    run_sql(&draft, servers, &[&role, passwords].concat())?;
    fs::rename(&draft, &cluster).map_err(StackError::file("the cluster can't be put in place:", &cluster))
}

fn passwords(state: &State) -> [String; 2] {
    let set = |role: &str, password: &str| format!("ALTER ROLE {role} PASSWORD '{password}'");
    [set(OWNER, &state.owner_password), set(APP, &state.app_password)]
}

/// Runs the statements, a line each, in a server of their own that nothing can connect to.
fn run_sql(cluster: &Path, servers: &Servers, statements: &[String]) -> Result<(), StackError> {
    let account = Account::for_directory(cluster)?;
    let mut command = account.command(cluster, Some("INT"), servers.pg_bin.join("postgres"));
    command.args(["--single", "-D", DIRECTORY, "-c", "log_statement=none", "-c", "log_min_error_statement=panic"]);
    command.arg("postgres").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let run = |mut command: Command| {
        let mut child = command.spawn()?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(format!("{}\n", statements.join("\n")).as_bytes())?;
        }
        child.wait_with_output()
    };
    let output = run(command).map_err(|error| StackError::server(NAME, format!("can't be prepared: {error}")))?;
    // A failed statement is told, but ends with success.
    let told = String::from_utf8_lossy(&output.stderr);
    let has_failed = ["ERROR:", "FATAL:", "PANIC:"].iter().any(|severity| told.contains(severity));
    if output.status.success() && !has_failed { Ok(()) } else { Err(refused("preparing postgres", &output)) }
}

fn refused(name: &'static str, output: &std::process::Output) -> StackError {
    let log = [output.stdout.as_slice(), &output.stderr].concat();
    StackError::Server {
        name,
        what: format!("ended with {}", output.status),
        log: String::from_utf8_lossy(&log).into(),
    }
}
