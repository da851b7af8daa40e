//! `hansard inbox`: what stands behind a person's unread messages.

use crate::{
    cli::{Context, Failure, Outcome},
    output::print_line,
    process::Process,
};
use clap::{Args, Subcommand};
use commands::user;
use domain::ConversationId;
use projections::inbox::{self, Explained};
use std::{fmt::Write, process::ExitCode};

/// What stands behind a person's unread messages
#[derive(Debug, Args)]
pub struct Inbox {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Name the messages behind someone's unread and mention count in a conversation
    Explain {
        email: String,
        /// Its id
        conversation: ConversationId,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

impl Inbox {
    pub async fn run(self, mut context: Context) -> Outcome {
        let (stores, process) = context.open_process().await?;
        let Command::Explain { email, conversation, json } = self.command;
        let explained = explain(&process, &email, conversation).await;
        process.close().await;
        stores.close().await;
        let explained = explained?;
        let text = if json { serde_json::to_string_pretty(&explained)? } else { sentences(&explained) };
        print_line(text.trim_end())?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn explain(process: &Process, email: &str, conversation: ConversationId) -> Result<Explained, Failure> {
    let user = user::expect_by_email(&process.commands, email).await?;
    let explained = inbox::explain(&process.views, user, conversation).await?;
    explained.ok_or_else(|| format!("{email} is in no conversation {conversation}").into())
}

fn sentences(explained: &Explained) -> String {
    let Explained { mark_sequence, unread, mentions } = explained;
    let mut text = format!(
        "{} unread, {} of them mentions; read up to message {mark_sequence} of the conversation\n",
        unread.len(),
        mentions.len()
    );
    for message in unread {
        let note = if mentions.contains(message) { "  mention" } else { "" };
        writeln!(text, "{message}{note}").expect("a string takes what is written to it");
    }
    text
}
