//! `hansard audit`: proves that the log is as it was written.

use crate::{
    cli::{Context, Outcome},
    output::{print_line, progress},
};
use clap::{Args, Subcommand};
use std::process::ExitCode;

/// Prove the record
#[derive(Debug, Args)]
pub struct Audit {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Recompute every leaf from the first event on, and name the first that was changed, removed or reordered
    ///
    /// Exits with 1 where one is found.
    Verify {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

impl Audit {
    pub async fn run(self, mut context: Context) -> Outcome {
        let Command::Verify { json } = self.command;
        let (stores, process) = context.open_process().await?;
        let bar = progress("verifying");
        bar.set_length(process.store.head().await?.0.unsigned_abs());
        let report =
            event_store::audit::verify(&process.store, |position| bar.set_position(position.0.unsigned_abs())).await;
        bar.finish_and_clear();
        process.close().await;
        stores.close().await;
        let report = report?;
        if json {
            print_line(&serde_json::to_string_pretty(&report)?)?;
        } else {
            print_line(&sentence(&report))?;
        }
        Ok(if report.first_wrong.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn sentence(report: &event_store::audit::Report) -> String {
    match &report.first_wrong {
        None => format!("{} events, all as they were appended", report.events),
        Some(wrong) => {
            format!("the event at position {} is not as it was appended: {}", wrong.position, wrong.why)
        }
    }
}
