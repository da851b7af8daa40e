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
use slack::{Accounts, Export};
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
    /// point and taken up again by the same command; run once more, or with an export that has grown, it doubles
    /// nothing. It ends with a balance of what was read, written and refused, and why. Files and direct messages are
    /// not imported.
    Slack {
        /// The export's zip file
        file: PathBuf,
        /// The workspace's name; it is made where there is none from an earlier run
        #[arg(long, value_name = "NAME")]
        workspace: String,
        /// Take people for the accounts that have their e-mail addresses
        ///
        /// Whoever registered an address is then taken for the person, and reads and says what they did: addresses are
        /// not verified. Without this, such people come in beside the accounts, under made-up addresses.
        #[arg(long)]
        match_accounts: bool,
        /// Print the balance as JSON
        #[arg(long)]
        json: bool,
    },
}

impl Import {
    pub async fn run(self, mut context: Context) -> Outcome {
        let Command::Slack { file, workspace, match_accounts, json } = self.command;
        let accounts = if match_accounts { Accounts::Matched } else { Accounts::Apart };
        // First of all: a wrong file makes no stack.
        let export = Export::open(&file).map_err(|error| format!("{error:#}"))?;
        let (stores, process) = context.open_or_make_process().await?;
        let imported = slack::run(process.commands.clone(), export, &workspace, accounts, progress("importing")).await;
        process.close().await;
        stores.close().await;
        let balance = imported.map_err(|error| format!("{error:#}"))?;
        print_line(&if json { serde_json::to_string(&balance)? } else { balance.to_string() })?;
        Ok(ExitCode::SUCCESS)
    }
}
