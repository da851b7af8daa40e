//! The embedded servers, for real: started, killed, and started again.

#![expect(clippy::unwrap_used, reason = "it is how a test fails")]

use hansard::stack::{DataDir, Endpoints, Stack, StackError, Wanted};
use runtime::settings::Reading;
use serde_json::Value;
use sqlx::{Connection, PgConnection, Row};
use std::{
    collections::HashMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

const BOTH: Wanted = Wanted { postgres: true, nats: true };

async fn start(dir: &Path) -> Result<Stack, StackError> {
    Stack::start(&Reading::of(HashMap::new(), HashMap::new()), dir, BOTH, &|_| {}).await
}

/// Who one is with this address, and whether a superuser.
async fn role(url: &str) -> (String, bool) {
    let mut connection = PgConnection::connect(url).await.expect("the address opens");
    let query = "SELECT rolname::text AS name, rolsuper FROM pg_roles WHERE rolname = current_user";
    let row = sqlx::query(query).fetch_one(&mut connection).await.expect("the role is told");
    (row.get("name"), row.get("rolsuper"))
}

/// What nats-server says to a client that signs in with this address's login.
fn nats_says(url: &str, password: Option<&str>) -> String {
    let (login, host) = url.strip_prefix("nats://").and_then(|rest| rest.split_once('@')).expect("a login");
    let (user, own) = login.split_once(':').expect("a password");
    let mut socket = BufReader::new(TcpStream::connect(host).expect("it listens"));
    let mut greeting = String::new();
    socket.read_line(&mut greeting).expect("it greets");
    let password = password.unwrap_or(own);
    let sign_in = format!("CONNECT {{\"user\":\"{user}\",\"pass\":\"{password}\",\"verbose\":false}}\r\nPING\r\n");
    socket.get_mut().write_all(sign_in.as_bytes()).expect("it reads");
    let mut answer = String::new();
    socket.read_line(&mut answer).expect("it answers");
    answer.trim().to_owned()
}

#[tokio::test]
async fn the_servers_take_their_logins_and_no_others() {
    let home = TempDir::new().unwrap();
    let stack = start(home.path()).await.unwrap();
    let at = stack.endpoints().clone();
    assert_eq!(role(&at.database_url).await, ("hansard_app".to_owned(), false));
    assert_eq!(role(&at.database_admin_url).await, ("hansard_owner".to_owned(), true));
    assert_eq!(nats_says(&at.nats_url, None), "PONG");
    assert!(nats_says(&at.nats_url, Some("guessed")).contains("Authorization Violation"));
    let guessed = at.database_url.replacen(':', ":guessed", 2).replacen(":guessed//", "://", 1);
    assert!(PgConnection::connect(&guessed).await.is_err(), "a wrong password is refused");
    stack.stop().await;
}

#[tokio::test]
async fn a_stopped_stack_comes_back_with_its_data_and_addresses() {
    let home = TempDir::new().unwrap();
    let stack = start(home.path()).await.unwrap();
    let before = stack.endpoints().clone();
    assert!(matches!(start(home.path()).await, Err(StackError::InUse { .. })), "one process owns the directory");
    let mut owner = PgConnection::connect(&before.database_admin_url).await.unwrap();
    sqlx::query("CREATE TABLE kept AS SELECT 7 AS seven").execute(&mut owner).await.unwrap();
    owner.close().await.unwrap();
    stack.stop().await;
    assert!(PgConnection::connect(&before.database_url).await.is_err(), "it is stopped");

    let stack = start(home.path()).await.unwrap();
    assert!(*stack.endpoints() == before);
    let mut owner = PgConnection::connect(&before.database_admin_url).await.unwrap();
    let seven: i32 = sqlx::query_scalar("SELECT seven FROM kept").fetch_one(&mut owner).await.unwrap();
    assert_eq!(seven, 7);
    stack.stop().await;
}

#[tokio::test]
async fn a_cluster_whose_passwords_are_lost_gets_new_ones() {
    let home = TempDir::new().unwrap();
    let stack = start(home.path()).await.unwrap();
    let before = stack.endpoints().clone();
    stack.stop().await;
    fs::remove_file(home.path().join("stack.json")).unwrap();
    let stack = start(home.path()).await.unwrap();
    assert!(stack.endpoints().database_url != before.database_url);
    assert_eq!(role(&stack.endpoints().database_url).await, ("hansard_app".to_owned(), false));
    stack.stop().await;
}

/// `hansard up` as a process, which is killed when the test fails.
struct Up {
    child: Child,
    home: TempDir,
    ports: [u16; 3],
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_ports() -> [u16; 3] {
    let held = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    held.each_ref().map(|listener| listener.local_addr().unwrap().port())
}

fn hansard(home: &Path, [api, realtime, metrics]: [u16; 3]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hansard"));
    let ports = [("PORT", api), ("REALTIME_PORT", realtime), ("METRICS_PORT", metrics)];
    command.arg("up").current_dir(home).envs(ports.map(|(name, port)| (name, port.to_string())));
    for name in ["DATABASE_URL", "DATABASE_HOST", "NATS_URL", "HANSARD_DATA_DIR"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

impl Up {
    fn start() -> Self {
        let (home, ports) = (TempDir::new().unwrap(), free_ports());
        let child = hansard(home.path(), ports).spawn().unwrap();
        let up = Self { child, home, ports };
        up.wait_until_ready();
        up
    }

    fn data_dir(&self) -> DataDir {
        DataDir::at(&self.home.path().join(".hansard"))
    }

    fn state(&self) -> Option<Value> {
        serde_json::from_slice(&fs::read(self.data_dir().path().join("stack.json")).ok()?).ok()
    }

    fn wait_until_ready(&self) {
        let is_owner =
            || fs::read_to_string(self.data_dir().path().join("lock")).ok() == Some(self.child.id().to_string());
        let is_ready = || self.state().is_some_and(|state| !state["ready"].is_null());
        wait_for("the process owns the directory", is_owner);
        wait_for("its servers are ready", || is_ready() && is_open(&self.endpoints().database_url));
        // Not before the schema is there and every role runs: what dies until then ends the start.
        wait_for("it serves", || status_of_ready(self.ports[0]) == Some(200));
    }

    fn endpoints(&self) -> Endpoints {
        Endpoints::known_in(self.data_dir().path()).expect("they are remembered")
    }

    fn postgres_pid(&self) -> Option<String> {
        let text = fs::read_to_string(self.data_dir().postgres().join("postmaster.pid")).ok()?;
        text.lines().next().map(str::to_owned)
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !holds() {
        assert!(Instant::now() < deadline, "not within a minute: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn signal(name: &str, pid: &str) {
    assert!(Command::new("kill").args(["-s", name, pid]).status().unwrap().success());
}

#[tokio::test]
async fn after_kill_9_the_next_start_recovers_by_itself() {
    let mut up = Up::start();
    let before = up.endpoints();
    up.kill();
    // As if a machine had lost power: the pid file names a process that is somebody else's now.
    let stale = up.data_dir().postgres().join("postmaster.pid");
    wait_for("the orphaned PostgreSQL has ended", || !stale.exists());
    fs::write(&stale, "1\n").unwrap();
    let began = Instant::now();
    up.child = hansard(up.home.path(), up.ports).spawn().unwrap();
    up.wait_until_ready();
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(role(&before.database_url).await, ("hansard_app".to_owned(), false), "the address is the same");
}

/// What `/ready` answers, where anyone does.
fn status_of_ready(port: u16) -> Option<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(b"GET /ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

/// Whether something listens at this address of the loopback.
fn is_open(url: &str) -> bool {
    let (_, rest) = url.rsplit_once(':').expect("a port");
    let port: u16 = rest.split('/').next().and_then(|port| port.parse().ok()).expect("a number");
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

#[test]
fn a_server_that_is_killed_is_started_again() {
    let up = Up::start();
    let first = up.postgres_pid().expect("it runs");
    signal("KILL", &first);
    wait_for("PostgreSQL runs again", || up.postgres_pid().is_some_and(|pid| pid != first));
    wait_for("it answers", || is_open(&up.endpoints().database_url));
}

#[test]
fn sigterm_stops_everything_and_ends_with_0() {
    let mut up = Up::start();
    signal("TERM", &up.child.id().to_string());
    assert_eq!(up.child.wait().unwrap().code(), Some(0));
    assert!(!is_open(&up.endpoints().database_url));
    assert!(!is_open(&up.endpoints().nats_url));
    up.data_dir().lock().expect("the directory is free again");
}

fn refusal(mut command: Command) -> String {
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{said}");
    said
}

#[test]
fn what_can_be_refused_is_refused_before_anything_is_made() {
    let home = TempDir::new().unwrap();
    let mut wrong = hansard(home.path(), free_ports());
    wrong.env("CALL_RING_MS", "long");
    assert!(refusal(wrong).contains("CALL_RING_MS"));

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let [api, realtime, _] = free_ports();
    let said = refusal(hansard(home.path(), [api, realtime, port]));
    assert!(said.contains(&format!("port {port} is in use")) && said.contains("METRICS_PORT"), "{said}");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "no data directory was made");
}
