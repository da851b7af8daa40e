//! [`Site`]: `hansard up`, and roles beside it on the same stores, in a directory of their own.

use crate::{
    disk::Disk,
    process::children,
    server::{Server, hansard},
};
use hansard::stack::Endpoints;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A start, a restart or a recovery that takes longer is a fault of its own.
pub const PATIENCE: Duration = Duration::from_mins(1);

pub struct Site {
    /// The first is `up`, which brings the stores.
    pub servers: Vec<Server>,
    /// None where this process may not mount one.
    pub disk: Option<Disk>,
    home: Option<TempDir>,
}

impl Site {
    /// `hansard up` alone. Returns once it serves.
    pub async fn start() -> Self {
        let home = TempDir::new().unwrap();
        let up = Server::start("up", home.path(), vec![]);
        up.until_ready().await.unwrap();
        Self { servers: vec![up], disk: None, home: Some(home) }
    }

    /// With an api and a worker of their own, on a disk of its own where there can be one; else it is said why not.
    pub async fn start_wide() -> Self {
        let home = TempDir::new().unwrap();
        let disk = Disk::mount(&data_dir(home.path()));
        let disk = disk.inspect_err(|why| eprintln!("no disk will be full, for none can be mounted: {why}")).ok();
        let up = Server::start("up", home.path(), vec![]);
        up.until_ready().await.unwrap();
        let mut site = Self { servers: vec![up], disk, home: Some(home) };
        let at = site.endpoints();
        let stores = vec![("DATABASE_URL", at.database_url), ("NATS_URL", at.nats_url)];
        for role in ["api", "worker"] {
            site.servers.push(Server::start(role, site.home(), stores.clone()));
        }
        site.until_ready().await.unwrap();
        site
    }

    fn home(&self) -> &Path {
        self.home.as_ref().unwrap().path()
    }

    pub fn up(&mut self) -> &mut Server {
        &mut self.servers[0]
    }

    /// Where the API is.
    pub fn bases(&self) -> Vec<String> {
        self.servers.iter().filter(|server| server.role != "worker").map(Server::base).collect()
    }

    pub fn endpoints(&self) -> Endpoints {
        Endpoints::known_in(&data_dir(self.home())).expect("they are remembered")
    }

    /// Where nats-server keeps its streams.
    pub fn jetstream(&self) -> PathBuf {
        data_dir(self.home()).join("nats").join("jetstream")
    }

    /// The process of the embedded server of this name.
    pub async fn embedded(&self, name: &str) -> Result<u32, String> {
        let mut found = None;
        wait_for(&format!("{name} runs"), async || {
            found = self.servers[0].pid().and_then(|up| children(up, name).first().copied());
            found.is_some()
        })
        .await?;
        Ok(found.unwrap())
    }

    /// One of hansard's commands, on what the site keeps.
    pub fn run(&self, arguments: &[&str]) -> Output {
        hansard(self.home()).args(arguments).output().unwrap()
    }

    /// Starts again what has ended by itself, and tells what that was.
    pub fn tend(&mut self) -> Vec<String> {
        let tended = self.servers.iter_mut().filter_map(|server| Some((server.role, server.tend()?)));
        tended.map(|(role, status)| format!("{role} ended with {status}")).collect()
    }

    /// Until every process serves.
    pub async fn until_ready(&mut self) -> Result<(), String> {
        wait_for("every process serves", async || {
            self.tend();
            for server in &self.servers {
                if !server.is_ready().await {
                    return false;
                }
            }
            true
        })
        .await
    }

    /// What the servers have said, for whoever looks for the reason.
    fn keep_logs(&self) {
        for log in ["postgres.log", "nats-server.log"] {
            let _ = fs::copy(data_dir(self.home()).join(log), self.home().join(log));
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.servers.iter_mut().rev().for_each(Server::kill);
        if thread::panicking() {
            self.keep_logs();
            let kept = self.home.take().map(TempDir::keep);
            eprintln!("what the site has said is in {}", kept.unwrap_or_default().display());
        }
    }
}

pub fn data_dir(home: &Path) -> PathBuf {
    home.join("data")
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
