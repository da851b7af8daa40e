//! `hansard migrate`: the schema.

use crate::{
    cli::{Context, Missing, Outcome},
    process,
};
use clap::Args;
use std::process::ExitCode;

/// Bring the database's schema up to date
///
/// Runs as the owner that DATABASE_ADMIN_URL names. What is up to date already stays as it is.
#[derive(Debug, Args)]
pub struct Migrate {}

impl Migrate {
    pub async fn run(self, mut context: Context) -> Outcome {
        let stores = context.open(Missing::Made).await?;
        let done = process::migrate(&stores.settings).await;
        stores.close().await;
        done?;
        eprintln!("the schema is up to date");
        Ok(ExitCode::SUCCESS)
    }
}
