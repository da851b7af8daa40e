//! `hansard up`: everything in one process, on embedded servers.

use crate::{
    cli::{Context, Outcome},
    listen::Ports,
    stack::{Stack, Wanted, generate_secrets},
};
use clap::Args;
use runtime::shutdown::Shutdown;
use std::{
    net::{IpAddr, Ipv4Addr},
    process::ExitCode,
};

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
        let _ports = Ports::take(&settings.server, address)?;
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
        eprintln!("PostgreSQL is at {:?}, NATS at {:?}", settings.stores.database_url, settings.stores.nats_url);
        let failure = tokio::select! {
            failure = stack.failed() => Some(failure),
            () = shutdown.begun() => None,
        };
        stack.stop().await;
        failure.map_or(Ok(ExitCode::SUCCESS), |failure| Err(failure.into()))
    }
}
