//! The roles of a process: `hansard api`, `signaling`, `worker` and `search` run one each, `hansard up` all.

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
    settings::{Origins, RateLimits, Settings},
    shutdown::Shutdown,
    telemetry::Metrics,
};
use search_index::{Index, Keeper, SearchClient};
use signaling::{Port, SignalingConfig};
use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
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

/// Serve sockets, on the stores that DATABASE_URL and NATS_URL name
///
/// Messaging on PORT and calls on REALTIME_PORT, each as Socket.IO (/socket.io) and as plain WebSocket (/ws). Any number
/// may run, and any resumes another's clients.
#[derive(Debug, Args)]
pub struct Signaling {}

/// Publish the log and keep the read models, on the stores that DATABASE_URL and NATS_URL name
///
/// Any number may run: one leads, the others stand by. Answers /health, /ready and /metrics on METRICS_PORT.
#[derive(Debug, Args)]
pub struct Worker {}

/// Keep a search index and answer searches, on the stores that DATABASE_URL and NATS_URL name
///
/// Any number may run, each with a SEARCH_DIR of its own: what is asked goes to one of them. The index is made from the
/// log where there is none. Answers /health, /ready and /metrics on METRICS_PORT.
#[derive(Debug, Args)]
pub struct Search {}

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

impl Signaling {
    pub async fn run(self, mut context: Context) -> Outcome {
        let settings = settings_of_role(&mut context)?;
        let shutdown = Shutdown::on_signals()?;
        let ports = Ports::take(&settings.server, bind(&settings))?;
        let process = Process::open(&settings).await?;
        let mut running = Running::new(&settings, process, shutdown)?;
        running.open_sockets().await?;
        running.hear_progress();
        running.serve_messaging(ports.api)?;
        running.serve_realtime(ports.realtime)?;
        running.serve_metrics(ports.metrics)?;
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

impl Search {
    pub async fn run(self, mut context: Context) -> Outcome {
        let settings = settings_of_role(&mut context)?;
        let shutdown = Shutdown::on_signals()?;
        let metrics = listen::listen("METRICS_PORT", bind(&settings), settings.server.metrics_port)?;
        let process = Process::open(&settings).await?;
        let mut running = Running::new(&settings, process, shutdown)?;
        let index = running.keep_search();
        running.answer_searches(index);
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
    /// Where this process serves sockets.
    sockets: Option<signaling::Signaling>,
    /// Of this process, where it keeps one.
    index: Option<Index>,
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
            sockets: None,
            index: None,
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
        self.tasks.spawn(event_store::record::keep_indexed(store.clone(), self.shutdown.token()));
        self.tasks.spawn(sweep_sessions(self.process.commands.clone(), self.shutdown.clone()));
        self.is_worker = true;
    }

    /// Keeps the search index of SEARCH_DIR.
    pub fn keep_search(&mut self) -> Index {
        let Process { store, nats, .. } = &self.process;
        let keeper = Keeper::new(store.clone(), Some(nats.clone()), search_dir(&self.settings));
        let index = keeper.index();
        self.tasks.spawn(keeper.run(self.shutdown.token()));
        self.index = Some(index.clone());
        index
    }

    /// Answers what other processes ask of the index.
    pub fn answer_searches(&mut self, index: Index) {
        let Process { store, nats, .. } = &self.process;
        self.tasks.spawn(search_index::serve(store.clone(), index, nats.clone(), self.shutdown.token()));
    }

    /// Asks the index of this process, or else a search process.
    fn search_client(&self) -> SearchClient {
        let Process { store, nats, .. } = &self.process;
        let over_nats = || SearchClient::over_nats(store, nats.clone());
        self.index.clone().map_or_else(over_nats, SearchClient::here)
    }

    pub fn serve_api(&mut self, listener: std::net::TcpListener) -> Result<(), Failure> {
        let app = App {
            front: self.front.clone(),
            commands: self.process.commands.clone(),
            views: self.process.views.clone(),
            search: self.search_client(),
            web_url: self.settings.web_url(),
            asyncapi: signaling::asyncapi(),
        };
        self.hear_progress();
        self.serve(api::router_beside(app, self.sockets_of(Port::Messaging)), listener)
    }

    /// Sockets without the API beside them.
    pub fn serve_messaging(&mut self, listener: std::net::TcpListener) -> Result<(), Failure> {
        self.serve(api::health_router_beside(&self.front, self.sockets_of(Port::Messaging)), listener)
    }

    pub fn serve_realtime(&mut self, listener: std::net::TcpListener) -> Result<(), Failure> {
        self.serve(api::health_router_beside(&self.front, self.sockets_of(Port::Calls)), listener)
    }

    fn sockets_of(&self, port: Port) -> Router {
        self.sockets.as_ref().map_or_else(Router::new, |sockets| sockets.router(port))
    }

    /// Where another process keeps the read models, how far they are is heard over NATS.
    fn hear_progress(&mut self) {
        if !self.is_worker {
            let listening = self.process.progress.clone().listen(self.process.nats.clone(), self.shutdown.token());
            self.tasks.spawn(listening);
        }
    }

    /// From now on this process has sockets, which the ports served later take in.
    pub async fn open_sockets(&mut self) -> Result<(), Failure> {
        let Process { clock, ids, commands, views, progress, nats, .. } = &self.process;
        let limits = &self.settings.limits;
        let sockets = signaling::Signaling::open(SignalingConfig {
            commands: commands.clone(),
            views: views.clone(),
            progress: progress.clone(),
            nats: Some(nats.clone()),
            clock: clock.clone(),
            ids: ids.clone(),
            connections: self.front.connections.clone(),
            rate_limit: (limits.rate_limit == RateLimits::On).then_some(limits.rate_limit_socket),
        })
        .await?;
        self.tasks.spawn(sockets.clone().run(self.shutdown.token()));
        self.sockets = Some(sockets);
        Ok(())
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
    pub async fn everything(&mut self, ports: Ports) -> Result<(), Failure> {
        self.work();
        self.open_sockets().await?;
        self.keep_search();
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

/// SEARCH_DIR, or a directory of the data directory.
pub fn search_dir(settings: &Settings) -> PathBuf {
    settings.stores.search_dir.clone().unwrap_or_else(|| settings.stack.data_dir.join("search"))
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
