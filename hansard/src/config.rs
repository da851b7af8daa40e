//! `hansard config`: what is set, where it came from and what is wrong with it.

use crate::{
    cli::{Context, Outcome},
    stack::{Endpoints, supply_secrets},
};
use clap::{Args, Subcommand};
use runtime::settings::{Reading, Shown};
use std::{
    io::{self, Write},
    process::ExitCode,
};

/// Check or show the settings in effect
#[derive(Debug, Args)]
pub struct Config {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say what is wrong with the settings, and exit with 1 where something is
    Check {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print every setting with its value in effect and where that came from
    ///
    /// Secrets, and logins within addresses, are masked.
    Show {
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Print secrets and logins, too
        #[arg(long)]
        reveal: bool,
    },
}

impl Config {
    pub fn run(self, context: Context) -> Outcome {
        let data_dir = context.data_dir();
        let mut reading = context.reading;
        for warning in reading.warnings() {
            eprintln!("hansard: {warning}");
        }
        // What `up` made up and what its servers listen on is in effect, too, for whoever works on its stack.
        supply_secrets(&mut reading, &data_dir)?;
        if let Some(endpoints) = Endpoints::known_in(&data_dir) {
            endpoints.supply(&mut reading);
        }
        let mut out = io::stdout().lock();
        match self.command {
            Command::Check { json } => check(&reading, json, &mut out),
            Command::Show { json, reveal } => show(&reading.shown(reveal), json, &mut out),
        }
    }
}

fn check(reading: &Reading, json: bool, out: &mut impl Write) -> Outcome {
    let wrong: Vec<Shown> = reading.shown(false).into_iter().filter(|shown| shown.problem.is_some()).collect();
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(&wrong)?)?;
        return Ok(if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    reading.settings()?;
    writeln!(out, "all settings are right")?;
    Ok(ExitCode::SUCCESS)
}

fn show(settings: &[Shown], json: bool, out: &mut impl Write) -> Outcome {
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(settings)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let width = settings.iter().map(|shown| shown.name.len()).max().unwrap_or_default();
    let mut group = "";
    for shown in settings {
        if shown.group != group {
            writeln!(out, "{}{}", if group.is_empty() { "" } else { "\n" }, shown.group)?;
            group = shown.group;
        }
        match &shown.value {
            Some(value) => write!(out, "  {:width$}  {value}  ({})", shown.name, shown.source)?,
            None => write!(out, "  {:width$}  (unset)", shown.name)?,
        }
        writeln!(out, "{}", shown.problem.as_ref().map(|problem| format!("  ← {problem}")).unwrap_or_default())?;
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn reading(set: &[(&str, &str)]) -> Reading {
        let set = set.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        Reading::of(set.collect(), HashMap::new())
    }

    #[test]
    fn a_shown_setting_has_its_source_and_its_problem() {
        let mut out = Vec::new();
        show(&reading(&[("PORT", "eighty")]).shown(false), false, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let line = text.lines().find(|line| line.trim_start().starts_with("PORT")).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words.join(" "), "PORT eighty (environment) ← must be a port from 1 to 65535");
    }

    #[test]
    fn a_check_fails_with_every_wrong_setting() {
        let wrong = reading(&[("PORT", "eighty"), ("LOG_FORMAT", "xml")]);
        let text = check(&wrong, false, &mut Vec::new()).expect_err("two are wrong").to_string();
        assert!(text.contains("PORT") && text.contains("LOG_FORMAT"), "{text}");
        let mut out = Vec::new();
        check(&wrong, true, &mut out).unwrap();
        let listed: Vec<serde_json::Value> = serde_json::from_slice(&out).unwrap();
        assert_eq!(listed.len(), 2);
        assert!(check(&reading(&[]), false, &mut Vec::new()).is_ok());
    }
}
