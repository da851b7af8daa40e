//! `hansard projections`: where the read models are, made anew, compared.

use crate::{
    cli::{Context, Failure, Outcome},
    output::{print_line, progress},
    process::Process,
    role,
};
use clap::{Args, Subcommand};
use domain::{Position, Timestamp};
use projections::{Lag, ProjectionState, Step, TableDiff};
use search_index::IndexDiff;
use std::{path::Path, process::ExitCode, time::Instant};

/// List, rebuild or compare the read models
#[derive(Debug, Args)]
pub struct Projections {
    #[command(subcommand)]
    command: Command,
}

const NAMES: [&str; 3] = [projections::NAME, SEARCH, "all"];

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
        let done = self.command.run(&process, &role::search_dir(&stores.settings)).await;
        process.close().await;
        stores.close().await;
        done
    }
}

impl Command {
    async fn run(self, process: &Process, search_dir: &Path) -> Outcome {
        match self {
            Self::List { json } => list(process, search_dir, json).await,
            Self::Rebuild { name } => rebuild(process, search_dir, &name).await,
            Self::Diff { name, json } => diff(process, search_dir, &name, json).await,
        }
    }
}

/// The search index, where it lies on this machine.
const SEARCH: &str = "search";

/// Whether a name means the views, and whether it means the search index. `all` means those of this machine.
fn means(name: &str, search_dir: &Path) -> (bool, bool) {
    (name != SEARCH, name == SEARCH || name == "all" && search_dir.exists())
}

async fn list(process: &Process, search_dir: &Path, json: bool) -> Outcome {
    let mut states = projections::status(&process.views).await?;
    if let Some(position) = search_index::position(search_dir)? {
        states.push(search_state(process, position).await?);
    }
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

#[expect(clippy::cast_precision_loss, reason = "a lag in milliseconds is far below 2^52")]
async fn search_state(process: &Process, position: Position) -> Result<ProjectionState, Failure> {
    let head = process.store.head().await?.max(position);
    let next = process.store.read_log(position, 1).await?;
    let now = Timestamp::from(process.clock.now());
    let seconds = next.first().map_or(0.0, |event| (now.0 - event.recorded_at.0).max(0) as f64 / 1_000.0);
    let lag = Lag { events: head.0 - position.0, seconds };
    Ok(ProjectionState { name: SEARCH, schema: SEARCH, position, head, lag, tables: vec![] })
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
async fn rebuild(process: &Process, search_dir: &Path, name: &str) -> Outcome {
    let (bar, started) = (progress("rebuilding"), Instant::now());
    let (of_views, of_search) = means(name, search_dir);
    let mut position = Position(0);
    if of_views {
        position = projections::rebuild(&process.views, name, |step| show(&bar, step)).await?;
    }
    if of_search {
        let step = |position, target| show(&bar, Step { position, target });
        position = search_index::rebuild(&process.store, search_dir, step).await?;
    }
    bar.finish_and_clear();
    let seconds = started.elapsed().as_secs_f64();
    print_line(&format!("{position} events in {seconds:.1} s, {:.0} a second", position.0 as f64 / seconds))?;
    Ok(ExitCode::SUCCESS)
}

async fn diff(process: &Process, search_dir: &Path, name: &str, json: bool) -> Outcome {
    let bar = progress("comparing");
    let (of_views, of_search) = means(name, search_dir);
    let mut tables = vec![];
    if of_views {
        tables = projections::diff(&process.views, name, |step| show(&bar, step)).await?;
    }
    if of_search {
        let step = |position, target| show(&bar, Step { position, target });
        tables.extend(search_tables(search_index::diff(&process.store, search_dir, step).await?));
    }
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
    Ok(if tables.iter().all(TableDiff::is_clean) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The index as tables: one of messages, one of the sets beside it.
fn search_tables(diff: IndexDiff) -> [TableDiff; 2] {
    let count = |count| i64::try_from(count).unwrap_or(i64::MAX);
    let rows = |ids: Vec<String>| ids.into_iter().map(serde_json::Value::from).collect();
    let messages = TableDiff {
        table: "search".to_owned(),
        missing: count(diff.missing),
        extra: count(diff.extra),
        missing_rows: rows(diff.missing_messages),
        extra_rows: rows(diff.extra_messages),
    };
    let missing = i64::from(!diff.marks_are_equal);
    let marks =
        TableDiff { table: "search_marks".to_owned(), missing, extra: 0, missing_rows: vec![], extra_rows: vec![] };
    [messages, marks]
}

fn show(bar: &indicatif::ProgressBar, step: Step) {
    bar.set_length(step.target.0.unsigned_abs());
    bar.set_position(step.position.0.unsigned_abs());
}
