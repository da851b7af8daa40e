//! `hansard openapi`, `hansard asyncapi` and `hansard schemas`: the documents that are served, for those who have no server at hand.

use crate::{cli::Outcome, output::print_line};
use clap::Args;
use std::{collections::BTreeMap, process::ExitCode};

/// Print the OpenAPI document of the API
///
/// The same that is served at /api/openapi.json.
#[derive(Debug, Args)]
pub struct Openapi {}

impl Openapi {
    pub fn run(self) -> Outcome {
        print_line(&serde_json::to_string_pretty(&api::document())?)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Print the AsyncAPI document of the sockets
///
/// The same that is served at /api/asyncapi.json.
#[derive(Debug, Args)]
pub struct Asyncapi {}

impl Asyncapi {
    pub fn run(self) -> Outcome {
        print_line(&serde_json::to_string_pretty(signaling::asyncapi())?)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Print the JSON Schemas of all event types
///
/// An object of event types, each an object of versions, each the schema of the payload as it is stored.
#[derive(Debug, Args)]
pub struct Schemas {}

impl Schemas {
    pub fn run(self) -> Outcome {
        let mut types: BTreeMap<String, BTreeMap<u32, serde_json::Value>> = BTreeMap::new();
        for ((name, version), schema) in domain::schema::event_schemas() {
            types.entry(name).or_default().insert(version, schema);
        }
        print_line(&serde_json::to_string_pretty(&types)?)?;
        Ok(ExitCode::SUCCESS)
    }
}
