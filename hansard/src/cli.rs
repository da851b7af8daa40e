//! The command line: [`main`] reads it and runs one command. A command is a file beside this one and a variant below.

use crate::{
    admin, audit, config, documents, events, import, inbox, migrate,
    process::{self, Process},
    projections, role, seed,
    stack::{Attached, DataDir, Wanted, generate_secrets, supply_secrets},
    up,
};
use clap::{CommandFactory, Parser, Subcommand, error::ErrorKind};
use runtime::{
    settings::{Reading, Settings, Source, WrongSettings},
    telemetry,
};
use std::{
    error::Error,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// What went wrong, in words for the person at the command line: the process says it and exits with 1.
pub type Failure = Box<dyn Error + Send + Sync>;
pub type Outcome = Result<ExitCode, Failure>;

const AFTER_HELP: &str = "Settings are environment variables, also read from `.env` in the working directory: \
    `hansard config show` tells them all.\nExit status: 0 done, 1 failed, 2 wrong usage.";

/// Team chat whose every change is an event in a log that can be proved, replayed and asked.
#[derive(Debug, Parser)]
#[command(name = "hansard", version, after_help = AFTER_HELP, max_term_width = 120)]
struct Cli {
    /// Where the embedded servers and generated secrets are kept; else HANSARD_DATA_DIR, else .hansard
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Up(up::Up),
    Api(role::Api),
    Signaling(role::Signaling),
    Worker(role::Worker),
    Search(role::Search),
    Migrate(migrate::Migrate),
    Seed(seed::Seed),
    Import(import::Import),
    Events(events::Events),
    Projections(projections::Projections),
    Audit(audit::Audit),
    Inbox(inbox::Inbox),
    Admin(admin::Admin),
    Config(config::Config),
    Openapi(documents::Openapi),
    Asyncapi(documents::Asyncapi),
    Schemas(documents::Schemas),
}

impl Command {
    async fn run(self, context: Context) -> Outcome {
        match self {
            Self::Up(command) => Box::pin(command.run(context)).await,
            Self::Api(command) => Box::pin(command.run(context)).await,
            Self::Signaling(command) => Box::pin(command.run(context)).await,
            Self::Worker(command) => Box::pin(command.run(context)).await,
            Self::Search(command) => Box::pin(command.run(context)).await,
            Self::Migrate(command) => Box::pin(command.run(context)).await,
            Self::Seed(command) => Box::pin(command.run(context)).await,
            Self::Import(command) => Box::pin(command.run(context)).await,
            Self::Events(command) => Box::pin(command.run(context)).await,
            Self::Projections(command) => Box::pin(command.run(context)).await,
            Self::Audit(command) => Box::pin(command.run(context)).await,
            Self::Inbox(command) => Box::pin(command.run(context)).await,
            Self::Admin(command) => Box::pin(command.run(context)).await,
            Self::Config(command) => command.run(context),
            Self::Openapi(command) => command.run(),
            Self::Asyncapi(command) => command.run(),
            Self::Schemas(command) => command.run(),
        }
    }
}

pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let run = || -> Outcome {
        let context = Context::new(cli.data_dir.as_deref())?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(cli.command.run(context))
    };
    run().unwrap_or_else(|failure| {
        eprintln!("hansard: {}", chain(failure.as_ref()));
        ExitCode::FAILURE
    })
}

/// Prints help and versions as asked, and else what is wrong with the usage. A command that only has others under it
/// explains itself.
fn usage(error: &clap::Error) -> ExitCode {
    // Nothing can be done where even this can't be printed.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ => ExitCode::from(2),
    }
}

/// The error and what caused it, as far as it adds something.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// What becomes of a data directory without a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    Made,
    /// For what asks or changes something that must be there: in a wrong directory it is not to make an empty stack.
    Refused,
}

/// What every command starts from.
#[derive(Debug)]
pub struct Context {
    pub reading: Reading,
}

impl Context {
    fn new(data_dir: Option<&Path>) -> Result<Self, Failure> {
        let mut reading = Reading::of_process()?;
        if let Some(dir) = data_dir {
            let dir = dir.to_str().ok_or("--data-dir must be Unicode")?;
            reading.overrule("HANSARD_DATA_DIR", dir.to_owned(), Source::CommandLine);
        }
        Ok(Self { reading })
    }

    pub fn data_dir(&self) -> PathBuf {
        self.reading.text("HANSARD_DATA_DIR").unwrap_or_default().into()
    }

    /// For a process that stays: the settings, with its log begun as they say.
    pub fn begin(&self) -> Result<Settings, WrongSettings> {
        let settings = self.reading.settings()?;
        telemetry::log_to_stderr(&settings.telemetry);
        for warning in self.reading.warnings() {
            tracing::warn!("{warning}");
        }
        Ok(settings)
    }

    /// For a command that does one thing on the stores: what it works on, by the settings in effect. That is what
    /// DATABASE_URL names, or else the data directory's embedded stack: the running one, or one for this command.
    pub async fn open(&mut self, missing: Missing) -> Result<Stores, Failure> {
        self.begin_quietly()?;
        let data_dir = self.data_dir();
        if self.reading.is_set("DATABASE_URL") {
            supply_secrets(&mut self.reading, &data_dir)?;
            return Ok(Stores { settings: self.reading.settings()?, attached: None });
        }
        if missing == Missing::Refused && !DataDir::at(&data_dir).has_stack() {
            let dir = data_dir.display();
            return Err(format!(
                "there is no stack in {dir}: `hansard up` makes one; name another directory with --data-dir, \
                 or a database with DATABASE_URL"
            )
            .into());
        }
        let wanted = Wanted::of(&self.reading);
        let attached = Attached::attach_or_start(&self.reading, &data_dir, wanted, &|what| tracing::debug!("{what}"));
        let attached = attached.await?;
        attached.endpoints().supply(&mut self.reading);
        if attached.is_own() {
            generate_secrets(&mut self.reading, &data_dir)?;
        } else {
            supply_secrets(&mut self.reading, &data_dir)?;
        }
        Ok(Stores { settings: self.reading.settings()?, attached: Some(attached) })
    }

    /// As [`Self::open`], with the layers on top. A stack of the command's own is migrated first: this build may be newer
    /// than it.
    pub async fn open_process(&mut self) -> Result<(Stores, Process), Failure> {
        self.open_process_or(Missing::Refused).await
    }

    /// As [`Self::open_process`], and makes the stack where there is none.
    pub async fn open_or_make_process(&mut self) -> Result<(Stores, Process), Failure> {
        self.open_process_or(Missing::Made).await
    }

    async fn open_process_or(&mut self, missing: Missing) -> Result<(Stores, Process), Failure> {
        let stores = self.open(missing).await?;
        let opened = async {
            if stores.attached.as_ref().is_some_and(Attached::is_own) {
                process::migrate(&stores.settings).await?;
            }
            Process::open(&stores.settings).await
        };
        match opened.await {
            Ok(process) => Ok((stores, process)),
            Err(failure) => {
                stores.close().await;
                Err(failure)
            }
        }
    }

    /// For a command that does one thing: as [`Self::begin`], but unless LOG_LEVEL is set only warnings are logged.
    pub fn begin_quietly(&mut self) -> Result<Settings, WrongSettings> {
        self.reading.supply("LOG_LEVEL", "warn".to_owned(), Source::Default);
        self.begin()
    }
}

/// What a command works on.
pub struct Stores {
    /// With the addresses and secrets in effect.
    pub settings: Settings,
    attached: Option<Attached>,
}

impl Stores {
    /// Done with them. An embedded stack that was started for the command is stopped.
    pub async fn close(self) {
        if let Some(attached) = self.attached {
            attached.detach().await;
        }
    }
}

/// The whole tree of commands, for those who document or complete it.
pub fn tree() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(command: &clap::Command, path: &str) {
        assert!(command.get_about().is_some(), "{path} says what it does");
        for inner in command.get_subcommands() {
            explained(inner, &format!("{path} {}", inner.get_name()));
        }
    }

    #[test]
    fn the_tree_of_commands_is_sound_and_explains_itself() {
        tree().debug_assert();
        explained(&tree(), "hansard");
    }

    #[test]
    fn the_data_directory_may_stand_before_or_after_the_command() {
        for line in [["hansard", "--data-dir", "x", "up"], ["hansard", "up", "--data-dir", "x"]] {
            let cli = Cli::try_parse_from(line).unwrap();
            assert_eq!(cli.data_dir.as_deref(), Some(Path::new("x")));
        }
    }

    #[test]
    fn causes_are_told_once() {
        let inner = std::io::Error::other("disk on fire");
        let failure: Failure = Box::new(crate::stack::StackError::File {
            what: "a file can't be written:",
            path: "x".into(),
            source: inner,
        });
        assert_eq!(chain(failure.as_ref()), "a file can't be written: x: disk on fire");
    }
}
