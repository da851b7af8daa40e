//! `hansard projections`: where the read models are, made anew, compared.

use crate::{
    cli::{Context, Outcome},
    output::{print_line, progress},
    process::Process,
};
use clap::{Args, Subcommand};
use projections::Step;
use std::{process::ExitCode, time::Instant};

/// List, rebuild or compare the read models
#[derive(Debug, Args)]
pub struct Projections {
    #[command(subcommand)]
    command: Command,
}

const NAMES: [&str; 2] = [projections::NAME, "all"];

#[derive(Debug, Subcommand)]
enum Command {
    /// Print each read model with its position and how far that is behind the log
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a read model anew from the log, beside the running one, then swap it in
    Rebuild {
        /// The read model's name, or all
        #[arg(value_parser = NAMES)]
        name: String,
    },
    /// Compare a read model's tables with a rebuild from zero, row by row; exit with 1 where they differ
    Diff {
        /// The read model's name, or all
        #[arg(value_parser = NAMES)]
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

impl Projections {
    pub async fn run(self, mut context: Context) -> Outcome {
        let (stores, process) = context.open_process().await?;
        let done = self.command.run(&process).await;
        process.close().await;
        stores.close().await;
        done
    }
}

impl Command {
    async fn run(self, process: &Process) -> Outcome {
        match self {
            Self::List { json } => list(process, json).await,
            Self::Rebuild { name } => rebuild(process, &name).await,
            Self::Diff { name, json } => diff(process, &name, json).await,
        }
    }
}

async fn list(process: &Process, json: bool) -> Outcome {
    let states = projections::status(&process.views).await?;
    if json {
        print_line(&serde_json::to_string_pretty(&states)?)?;
    } else {
        for state in states {
            let (position, head) = (state.position, state.head);
            let lag = state.lag;
            print_line(&format!(
                "{:<8} at {position} of {head}, {} events and {:.1} s behind",
                state.name, lag.events, lag.seconds
            ))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
async fn rebuild(process: &Process, name: &str) -> Outcome {
    let (bar, started) = (progress("rebuilding"), Instant::now());
    let position = projections::rebuild(&process.views, name, |step| show(&bar, step)).await?;
    bar.finish_and_clear();
    let seconds = started.elapsed().as_secs_f64();
    print_line(&format!("{position} events in {seconds:.1} s, {:.0} a second", position.0 as f64 / seconds))?;
    Ok(ExitCode::SUCCESS)
}

async fn diff(process: &Process, name: &str, json: bool) -> Outcome {
    let bar = progress("comparing");
    let tables = projections::diff(&process.views, name, |step| show(&bar, step)).await?;
    bar.finish_and_clear();
    if json {
        print_line(&serde_json::to_string_pretty(&tables)?)?;
    } else {
        for table in &tables {
            print_line(&format!("{:<24} {} missing, {} extra", table.table, table.missing, table.extra))?;
            for row in table.missing_rows.iter().map(|row| format!("  missing {row}")) {
                print_line(&row)?;
            }
            for row in table.extra_rows.iter().map(|row| format!("  extra   {row}")) {
                print_line(&row)?;
            }
        }
    }
    Ok(if tables.iter().all(projections::TableDiff::is_clean) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(bar: &indicatif::ProgressBar, step: Step) {
    bar.set_length(step.target.0.unsigned_abs());
    bar.set_position(step.position.0.unsigned_abs());
}
