//! `hansard events`: what is in the log.

use crate::{
    cli::{Context, Outcome},
    output::print_line,
};
use clap::{Args, Subcommand};
use domain::Position;
use event_store::{EventStore, record::EventFilter};
use std::{process::ExitCode, time::Duration};

/// Events read at once.
const PAGE: i64 = 1_000;
/// While following, the log is asked at least this often.
const POLL: Duration = Duration::from_secs(1);

/// Read the log
#[derive(Debug, Args)]
pub struct Events {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print events as NDJSON, one a line, personal fields opened
    ///
    /// Ends at the head of the log unless it is to follow.
    Tail {
        /// Begin at this position
        #[arg(long, value_name = "POSITION", default_value_t = 1)]
        from: i64,
        /// Only events of this type, such as message.sent
        #[arg(long, value_name = "TYPE")]
        r#type: Option<String>,
        /// Go on with what is appended from now on
        #[arg(long)]
        follow: bool,
    },
}

impl Events {
    pub async fn run(self, mut context: Context) -> Outcome {
        let Command::Tail { from, r#type, follow } = self.command;
        let (stores, process) = context.open_process().await?;
        let filter = EventFilter { event_type: r#type, ..EventFilter::default() };
        let done = tail(&process.store, Position(from.max(1) - 1), &filter, follow).await;
        drop(process);
        stores.close().await;
        done
    }
}

async fn tail(store: &EventStore, from: Position, filter: &EventFilter, follow: bool) -> Outcome {
    let (mut after, mut head) = (from, store.head_watch());
    loop {
        let target = store.head().await?;
        while after < target {
            let events = store.audited(after, Position(target.0 + 1), PAGE, filter).await?;
            let Some(last) = events.last().map(|event| event.position) else { break };
            for event in events {
                // Whoever reads has had enough.
                if !print_line(&serde_json::to_string(&event)?)? {
                    return Ok(ExitCode::SUCCESS);
                }
            }
            after = last;
        }
        after = target.max(after);
        if !follow {
            return Ok(ExitCode::SUCCESS);
        }
        // Another process's appends are heard over NATS, or where that is away, by asking.
        let _ = tokio::time::timeout(POLL, head.changed()).await;
    }
}
