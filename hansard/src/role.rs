//! The roles of a process: `hansard api` and `hansard worker` run one each, `hansard up` both.

use crate::{
    cli::{Context, Failure, Outcome},
    listen::{self, Ports},
    process::Process,
    stack::supply_secrets,
};
use api::{App, Front, FrontConfig, Live, Proxies};
use axum::Router;
use clap::Args;
use commands::Commands;
use projections::Runner;
use runtime::{
    settings::{Origins, Settings},
    shutdown::Shutdown,
    telemetry::Metrics,
};
use std::{
    net::{IpAddr, Ipv4Addr},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};
use tokio::{net::TcpListener, task::JoinSet};

/// What is under way when the process ends has so long to come to its end.
const DRAIN_MAX: Duration = Duration::from_secs(15);
const SWEEP_EVERY: Duration = Duration::from_mins(1);

/// Serve the API, on the stores that DATABASE_URL and NATS_URL name
///
/// Any number may run. A worker must run too, or what is written can't be read.
#[derive(Debug, Args)]
pub struct Api {}

/// Publish the log and keep the read models, on the stores that DATABASE_URL and NATS_URL name
///
/// Any number may run: one leads, the others stand by. Answers /health, /ready and /metrics on METRICS_PORT.
#[derive(Debug, Args)]
pub struct Worker {}

impl Api {
    pub async fn run(self, mut context: Context) -> Outcome {
        let settings = settings_of_role(&mut context)?;
        let shutdown = Shutdown::on_signals()?;
        let address = bind(&settings);
        let api = listen::listen("PORT", address, settings.server.port)?;
        let metrics = listen::listen("METRICS_PORT", address, settings.server.metrics_port)?;
        let process = Process::open(&settings).await?;
        let mut running = Running::new(&settings, process, shutdown)?;
        running.serve_api(api)?;
        running.serve_metrics(metrics)?;
        running.until_the_end().await
    }
}

impl Worker {
    pub async fn run(self, mut context: Context) -> Outcome {
        let settings = settings_of_role(&mut context)?;
        let shutdown = Shutdown::on_signals()?;
        let metrics = listen::listen("METRICS_PORT", bind(&settings), settings.server.metrics_port)?;
        let process = Process::open(&settings).await?;
        let mut running = Running::new(&settings, process, shutdown)?;
        running.work();
        running.serve_metrics(metrics)?;
        running.until_the_end().await
    }
}

fn settings_of_role(context: &mut Context) -> Result<Settings, Failure> {
    context.begin()?;
    for name in ["DATABASE_URL", "NATS_URL"] {
        if !context.reading.is_set(name) {
            return Err(format!("{name} is not set: a role runs on stores of its own, `hansard up` brings them").into());
        }
    }
    let data_dir = context.data_dir();
    supply_secrets(&mut context.reading, &data_dir)?;
    Ok(context.reading.settings()?)
}

fn bind(settings: &Settings) -> IpAddr {
    settings.server.bind.unwrap_or(IpAddr::from(Ipv4Addr::UNSPECIFIED))
}

/// The tasks of a process.
pub struct Running {
    settings: Settings,
    process: Process,
    front: Front,
    metrics: Metrics,
    shutdown: Shutdown,
    tasks: JoinSet<()>,
    is_worker: bool,
}

impl Running {
    pub fn new(settings: &Settings, process: Process, shutdown: Shutdown) -> Result<Self, Failure> {
        let front = front(settings, &process);
        let metrics = Metrics::install()?;
        Ok(Self {
            settings: settings.clone(),
            process,
            front,
            metrics,
            shutdown,
            tasks: JoinSet::new(),
            is_worker: false,
        })
    }

    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Publishes the log and keeps the read models.
    pub fn work(&mut self) {
        let Process { store, views, progress, nats, .. } = &self.process;
        let runner = Runner::new(views.clone(), progress.clone(), Some(nats.clone()));
        self.tasks.spawn(runner.run(self.shutdown.token()));
        let public_url = Some(self.settings.public_url());
        self.tasks.spawn(event_store::publisher::run(store.clone(), nats.clone(), public_url, self.shutdown.token()));
        self.tasks.spawn(sweep_sessions(self.process.commands.clone(), self.shutdown.clone()));
        self.is_worker = true;
    }

    pub fn serve_api(&mut self, listener: std::net::TcpListener) -> Result<(), Failure> {
        let app = App {
            front: self.front.clone(),
            commands: self.process.commands.clone(),
            views: self.process.views.clone(),
            web_url: self.settings.web_url(),
        };
        if !self.is_worker {
            // Another process keeps the read models; how far they are is heard over NATS.
            let listening = self.process.progress.clone().listen(self.process.nats.clone(), self.shutdown.token());
            self.tasks.spawn(listening);
        }
        self.serve(api::router(app), listener)
    }

    /// The port of calls, which so far tells only that the process lives.
    pub fn serve_realtime(&mut self, listener: std::net::TcpListener) -> Result<(), Failure> {
        self.serve(api::health_router(&self.front), listener)
    }

    pub fn serve_metrics(&mut self, listener: std::net::TcpListener) -> Result<(), Failure> {
        let (metrics, shutdown) = (self.metrics.clone(), self.shutdown.clone());
        let (more, listener) = (api::health_router(&self.front), TcpListener::from_std(listener)?);
        self.tasks.spawn(async move {
            api::serve_metrics(move || metrics.render(), more, listener, async move { shutdown.begun().await }).await;
        });
        Ok(())
    }

    fn serve(&mut self, router: Router, listener: std::net::TcpListener) -> Result<(), Failure> {
        let (connections, shutdown) = (self.front.connections.clone(), self.shutdown.clone());
        let listener = TcpListener::from_std(listener)?;
        self.tasks.spawn(async move {
            api::serve(router, listener, connections, async move { shutdown.begun().await }).await;
        });
        Ok(())
    }

    /// Everything that `up` runs, on the ports that it took.
    pub fn everything(&mut self, ports: Ports) -> Result<(), Failure> {
        self.work();
        self.serve_api(ports.api)?;
        self.serve_realtime(ports.realtime)?;
        self.serve_metrics(ports.metrics)
    }

    /// Whether PostgreSQL answers and the schema is current.
    pub async fn is_ready(&self) -> bool {
        let condition = self.front.backend.condition().await;
        condition.postgres && condition.schema_is_current
    }

    /// Until a signal comes; what is under way then comes to its end first.
    pub async fn until_the_end(mut self) -> Outcome {
        self.shutdown.begun().await;
        self.drain().await;
        Ok(ExitCode::SUCCESS)
    }

    pub async fn drain(&mut self) {
        self.shutdown.begin();
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN_MAX, ended).await.is_err() {
            tracing::warn!(seconds = DRAIN_MAX.as_secs(), "some tasks did not end in time");
            self.tasks.abort_all();
        }
    }
}

/// Tells the log of sessions whose end a crash kept out of it, and forgets those that are long over.
async fn sweep_sessions(commands: Commands, shutdown: Shutdown) {
    while !shutdown.has_begun() {
        if let Err(error) = commands::session::sweep(&commands).await {
            tracing::warn!(%error, "sessions were not swept");
        }
        tokio::select! { () = shutdown.begun() => {}, () = tokio::time::sleep(SWEEP_EVERY) => {} }
    }
}

fn front(settings: &Settings, process: &Process) -> Front {
    let Process { clock, ids, commands, views, progress, nats, store, .. } = process;
    let live = Live::new(commands.clone(), views.clone(), progress.clone(), Some(nats.clone()));
    // 128 bits in hexadecimal: enough for a key, and the same in every process.
    let mut body_key = [0; 32];
    body_key.copy_from_slice(&store.keyring().keyed_hash("idempotency_body", "").as_bytes()[..32]);
    let mut config = FrontConfig::new(clock.clone(), ids.clone(), Arc::new(live), body_key);
    config.cors_origins = settings.server.cors_origin.clone().unwrap_or(Origins::These(vec![]));
    config.proxies = Proxies(settings.server.trusted_proxies.clone());
    Front::new(config)
}
