//! [`Server`]: one process of hansard.

use crate::{
    process::signal,
    site::{data_dir, wait_for},
};
use runtime::id::{Ids, SystemIds};
use std::{
    fs::OpenOptions,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// It has ports of its own that it keeps from start to start.
pub struct Server {
    pub role: &'static str,
    home: PathBuf,
    /// Addresses that it can't find by itself.
    environment: Vec<(&'static str, String)>,
    ports: [u16; 3],
    child: Option<Child>,
    started: Instant,
}

impl Server {
    pub fn start(role: &'static str, home: &Path, environment: Vec<(&'static str, String)>) -> Self {
        let (home, started) = (home.to_owned(), Instant::now());
        let mut server = Self { role, home, environment, ports: free_ports(), child: None, started };
        server.start_again();
        server
    }

    pub fn start_again(&mut self) {
        let log = self.home.join(format!("{}.log", self.role));
        let log = OpenOptions::new().append(true).create(true).open(log).unwrap();
        let names = ["PORT", "REALTIME_PORT", "METRICS_PORT"].into_iter().zip(self.ports);
        let mut command = hansard(&self.home);
        command.arg(self.role).envs(names.map(|(name, port)| (name, port.to_string())));
        command.envs(self.environment.clone());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().unwrap());
        self.started = Instant::now();
    }

    /// Where its public port is. A worker has none.
    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[0])
    }

    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// As `kill -9` does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks it to end, and tells what is wrong with how it does.
    pub async fn terminate(&mut self) -> Result<(), String> {
        let Some(pid) = self.pid() else { return Ok(()) };
        signal("TERM", pid);
        let mut ended = None;
        wait_for(&format!("hansard {} has ended", self.role), async || {
            ended = self.child.as_mut().and_then(|child| child.try_wait().unwrap());
            ended.is_some()
        })
        .await?;
        self.child = None;
        let status = ended.unwrap();
        if status.success() { Ok(()) } else { Err(format!("hansard {} ended with {status} on SIGTERM", self.role)) }
    }

    /// Starts it again where it has ended by itself, as a supervisor does, and tells how it had ended.
    pub fn tend(&mut self) -> Option<ExitStatus> {
        let ended = self.child.as_mut()?.try_wait().unwrap()?;
        self.child = None;
        // One that can't start for the moment isn't started all the time.
        std::thread::sleep(Duration::from_millis(500).saturating_sub(self.started.elapsed()));
        self.start_again();
        Some(ended)
    }

    pub async fn until_ready(&self) -> Result<(), String> {
        let what = format!("hansard {} serves", self.role);
        wait_for(&what, async || self.is_ready().await).await
    }

    pub async fn is_ready(&self) -> bool {
        // All roles tell it on the port of metrics.
        let url = format!("http://127.0.0.1:{}/ready", self.ports[2]);
        let asked = reqwest::Client::new().get(url).timeout(Duration::from_secs(5)).send().await;
        asked.is_ok_and(|answer| answer.status() == 200)
    }
}

pub fn hansard(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hansard"));
    command.current_dir(home);
    for name in ["DATABASE_URL", "DATABASE_HOST", "DATABASE_ADMIN_URL", "NATS_URL"] {
        command.env_remove(name);
    }
    command.env("HANSARD_DATA_DIR", data_dir(home)).env("PUBLIC_URL", "http://chaos.example");
    command.env("RATE_LIMIT", "off").env("JWT_EXPIRY", "24h").env("BIND", "127.0.0.1");
    // Of PostgreSQL's hundred, for each of three processes.
    command.env("DATABASE_MAX_CONNECTIONS", "12");
    command
}

/// Below the range from which the kernel gives ports to outgoing connections: nobody takes one while its server is down.
fn free_ports() -> [u16; 3] {
    let draw = || {
        loop {
            let port = 15_000 + u16::from_le_bytes((&SystemIds as &dyn Ids).random_bytes()) % 16_000;
            if let Ok(held) = TcpListener::bind(("127.0.0.1", port)) {
                return (port, held);
            }
        }
    };
    // Held until all are drawn, so that they differ.
    [(); 3].map(|()| draw()).map(|(port, _)| port)
}
