//! `hansard import`: brings in another product's history. [`slack`] reads a Slack export.

pub mod balance;
pub mod names;
pub mod slack;
pub mod text;

use crate::{
    cli::{Context, Outcome},
    output::{print_line, progress},
};
use clap::{Args, Subcommand};
use std::{path::PathBuf, process::ExitCode};

/// Bring in another product's history
#[derive(Debug, Args)]
pub struct Import {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Bring a Slack export into a workspace
    ///
    /// People, channels, threads, reactions and edits, with their original times. It can be stopped or killed at any
    /// point and taken up again by the same command; run once more, it doubles nothing. It ends with a balance of what
    /// was read, written and refused, and why. Files are not imported.
    Slack {
        /// The export's zip file
        file: PathBuf,
        /// The workspace's name; it is made where there is none from an earlier run
        #[arg(long, value_name = "NAME")]
        workspace: String,
        /// Print the balance as JSON
        #[arg(long)]
        json: bool,
    },
}

impl Import {
    pub async fn run(self, mut context: Context) -> Outcome {
        let Command::Slack { file, workspace, json } = self.command;
        let (stores, process) = context.open_process().await?;
        let imported = slack::run(process.commands.clone(), &file, &workspace, progress("importing")).await;
        drop(process);
        stores.close().await;
        let balance = imported.map_err(|error| format!("{error:#}"))?;
        print_line(&if json { serde_json::to_string(&balance)? } else { balance.to_string() })?;
        Ok(ExitCode::SUCCESS)
    }
}
