//! `hansard events`: what is in the log.

use crate::{
    cli::{Context, Outcome},
    output::print_line,
};
use clap::{Args, Subcommand};
use domain::Position;
use event_store::{EventStore, record::EventFilter};
use std::{collections::BTreeSet, process::ExitCode, time::Duration};

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
        #[arg(long, value_name = "TYPE", value_parser = event_type)]
        r#type: Option<String>,
        /// Go on with what is appended from now on
        #[arg(long)]
        follow: bool,
    },
}

/// A type that events have; to be parsed by clap, so that another word is wrong usage.
fn event_type(text: &str) -> Result<String, String> {
    let known: BTreeSet<String> = domain::schema::event_schemas().into_keys().map(|(name, _)| name).collect();
    if known.contains(text) {
        return Ok(text.to_owned());
    }
    let close: Vec<&str> = known.iter().map(String::as_str).filter(|name| is_close(text, name)).collect();
    if !close.is_empty() {
        return Err(format!("no event has this type; close to it are {}", close.join(", ")));
    }
    let slices: BTreeSet<&str> = known.iter().filter_map(|name| name.split('.').next()).collect();
    let slices: Vec<&str> = slices.into_iter().collect();
    Err(format!("no event has this type; types begin with {}", slices.join(", ")))
}

/// Whether one was meant by the other: a word of theirs begins alike.
fn is_close(text: &str, name: &str) -> bool {
    const ALIKE: usize = 4;
    let words = |text: &str| -> Vec<String> {
        text.to_lowercase().split(['.', '_', ' ']).filter(|word| word.len() > 2).map(str::to_owned).collect()
    };
    let begins = |one: &str, other: &str| one.bytes().zip(other.bytes()).take(ALIKE).all(|(a, b)| a == b);
    let theirs = words(name);
    words(text).iter().any(|word| theirs.iter().any(|other| begins(word, other)))
}

impl Events {
    pub async fn run(self, mut context: Context) -> Outcome {
        let Command::Tail { from, r#type, follow } = self.command;
        let (stores, process) = context.open_process().await?;
        let filter = EventFilter { event_type: r#type, ..EventFilter::default() };
        let done = tail(&process.store, Position(from.max(1) - 1), &filter, follow).await;
        process.close().await;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_that_no_event_has_is_told_with_those_that_are_close() {
        assert_eq!(event_type("message.sent").as_deref(), Ok("message.sent"));
        let close = |text| event_type(text).expect_err("no event has it");
        assert!(close("message.send").contains("message.sent"), "{}", close("message.send"));
        assert!(close("registered").contains("close to it are user.registered"), "{}", close("registered"));
        assert!(close("nope").contains("types begin with audit, "), "{}", close("nope"));
    }
}
