//! `hansard up`: everything in one process, on embedded servers.

use crate::{
    cli::{Context, Failure, Outcome},
    listen::Ports,
    process::{self, Process},
    role::Running,
    stack::{Stack, Wanted, generate_secrets},
    stalled::restart_nats_when_stalled,
};
use clap::Args;
use runtime::{settings::Settings, shutdown::Shutdown};
use std::{
    net::{IpAddr, Ipv4Addr},
    process::ExitCode,
    time::Duration,
};

const READY_POLL: Duration = Duration::from_millis(50);

/// Run everything in one process, on a private PostgreSQL and nats-server
///
/// Both are kept in the data directory, with everything else that is to last. Where DATABASE_URL or NATS_URL is set,
/// that server is used instead. Ctrl-C stops all of it; a later start goes on with the same data.
#[derive(Debug, Args)]
pub struct Up {}

impl Up {
    pub async fn run(self, mut context: Context) -> Outcome {
        let shutdown = Shutdown::on_signals()?;
        let settings = context.begin()?;
        let address = settings.server.bind.unwrap_or(IpAddr::from(Ipv4Addr::LOCALHOST));
        let ports = Ports::take(&settings.server, address)?;
        let data_dir = context.data_dir();
        let starting =
            Stack::start(&context.reading, &data_dir, Wanted::of(&context.reading), &|what| eprintln!("{what}"));
        let stack = tokio::select! {
            stack = starting => stack?,
            () = shutdown.begun() => return Ok(ExitCode::SUCCESS),
        };
        stack.endpoints().supply(&mut context.reading);
        generate_secrets(&mut context.reading, &data_dir)?;
        let settings = context.reading.settings()?;
        let mut running = match start(&settings, ports, &shutdown).await {
            Ok(running) => running,
            Err(failure) => {
                stack.stop().await;
                return Err(failure);
            }
        };
        let failure = tokio::select! {
            failure = stack.failed() => Some(failure),
            never = restart_nats_when_stalled(&stack, &running.process().store, &running.process().nats) => match never {},
            () = shutdown.begun() => None,
        };
        running.drain().await;
        drop(running);
        stack.stop().await;
        failure.map_or(Ok(ExitCode::SUCCESS), |failure| Err(failure.into()))
    }
}

/// Migrates, runs every role, and says where once it is ready.
async fn start(settings: &Settings, ports: Ports, shutdown: &Shutdown) -> Result<Running, Failure> {
    process::migrate(settings).await?;
    let mut running = Running::new(settings, Process::open(settings).await?, shutdown.clone())?;
    running.everything(ports).await?;
    while !running.is_ready().await && !shutdown.has_begun() {
        tokio::time::sleep(READY_POLL).await;
    }
    eprintln!("hansard is ready: the API is at {0}/api, its description at {0}/api/docs", settings.public_url());
    Ok(running)
}
