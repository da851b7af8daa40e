//! [`Site`]: `hansard up` in a directory of its own, as processes that can be signalled one by one.

use hansard::stack::{DataDir, Endpoints};
use runtime::id::{Ids, SystemIds};
use std::{
    ffi::OsStr,
    fs::{self, OpenOptions},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A start, a restart or a recovery that takes longer is a fault of its own.
pub const PATIENCE: Duration = Duration::from_mins(1);

pub struct Site {
    pub up: Server,
    home: Option<TempDir>,
}

impl Site {
    /// Returns once it serves.
    pub async fn start() -> Self {
        let home = TempDir::new().unwrap();
        let up = Server::new("up", home.path());
        let mut site = Self { up, home: Some(home) };
        site.up.start();
        site.up.until_ready().await.unwrap();
        site
    }

    fn home(&self) -> &Path {
        self.home.as_ref().unwrap().path()
    }

    /// Where the API is.
    pub fn bases(&self) -> Vec<String> {
        vec![self.up.base()]
    }

    pub fn endpoints(&self) -> Endpoints {
        Endpoints::known_in(DataDir::at(&data_dir(self.home())).path()).expect("they are remembered")
    }

    /// The embedded server of this name, where it runs.
    pub fn embedded(&self, name: &str) -> Option<u32> {
        children(self.up.pid()?, name).into_iter().next()
    }

    /// One of hansard's commands, on what the site keeps.
    pub fn run(&self, arguments: &[&str]) -> Output {
        hansard(self.home()).args(arguments).output().unwrap()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.up.kill();
        if thread::panicking()
            && let Some(home) = self.home.take()
        {
            eprintln!("what the site has left is in {}", home.keep().display());
        }
    }
}

/// One process of hansard, with ports of its own that it keeps from start to start.
pub struct Server {
    role: &'static str,
    home: PathBuf,
    ports: [u16; 3],
    child: Option<Child>,
}

impl Server {
    pub fn new(role: &'static str, home: &Path) -> Self {
        Self { role, home: home.to_owned(), ports: free_ports(), child: None }
    }

    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[0])
    }

    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    pub fn start(&mut self) {
        let log =
            OpenOptions::new().append(true).create(true).open(self.home.join(format!("{}.log", self.role))).unwrap();
        let names = ["PORT", "REALTIME_PORT", "METRICS_PORT"].into_iter().zip(self.ports);
        let mut command = hansard(&self.home);
        command.arg(self.role).envs(names.map(|(name, port)| (name, port.to_string())));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().unwrap());
    }

    /// As `kill -9` does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub async fn until_ready(&self) -> Result<(), String> {
        let what = format!("hansard {} serves", self.role);
        wait_for(&what, async || status(&format!("{}/ready", self.base())).await == Some(200)).await
    }
}

fn hansard(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hansard"));
    command.current_dir(home);
    for name in ["DATABASE_URL", "DATABASE_HOST", "DATABASE_ADMIN_URL", "NATS_URL"] {
        command.env_remove(name);
    }
    command.env("HANSARD_DATA_DIR", data_dir(home)).env("RATE_LIMIT", "off").env("JWT_EXPIRY", "24h");
    command
}

fn data_dir(home: &Path) -> PathBuf {
    home.join("data")
}

/// Below the range from which the kernel gives ports to outgoing connections: nobody takes one while its server is down.
fn free_ports() -> [u16; 3] {
    let draw = || loop {
        let port = 15_000 + u16::from_le_bytes((&SystemIds as &dyn Ids).random_bytes()) % 16_000;
        if let Ok(held) = TcpListener::bind(("127.0.0.1", port)) {
            return (port, held);
        }
    };
    // Held until all are drawn, so that they differ.
    [(); 3].map(|()| draw()).map(|(port, _)| port)
}

pub async fn wait_for(what: &str, mut holds: impl AsyncFnMut() -> bool) -> Result<(), String> {
    let started = Instant::now();
    while !holds().await {
        if started.elapsed() > PATIENCE {
            return Err(format!("not within {} s: {what}", PATIENCE.as_secs()));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

async fn status(url: &str) -> Option<u16> {
    let asked = reqwest::Client::new().get(url).timeout(Duration::from_secs(5)).send().await;
    asked.ok().map(|answer| answer.status().as_u16())
}

pub fn signal(name: &str, pid: u32) {
    // One that has just ended needs none.
    let _ = Command::new("kill").args(["-s", name, &pid.to_string()]).stderr(Stdio::null()).status().unwrap();
}

/// The processes of this name that a process has started.
pub fn children(parent: u32, name: &str) -> Vec<u32> {
    let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid| is_child(*pid, parent, name)).collect()
}

/// After the name, which is in brackets, the second field of its state is the parent.
fn is_child(pid: u32, parent: u32, name: &str) -> bool {
    let Ok(stat) = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join(OsStr::new("stat"))) else {
        return false;
    };
    let Some((front, rest)) = stat.rsplit_once(") ") else { return false };
    front.split_once('(').is_some_and(|(_, found)| found == name)
        && rest.split(' ').nth(1).and_then(|found| found.parse().ok()) == Some(parent)
}
