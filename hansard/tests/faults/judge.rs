//! [`verdict`]: what is wrong with a site that had faults, once its senders have ended. Nothing, where all is right.

use crate::{
    cast::Cast,
    crowd::Ledger,
    site::{Site, wait_for},
    stream::Record,
    timeline::{self, Timeline},
};
use serde_json::Value;

/// How much is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Acks, the order of every conversation, and the stream.
    Order,
    /// Also every leaf, and every row of the read models.
    Whole,
}

pub async fn verdict(site: &Site, cast: &Cast, ledger: &Ledger, depth: Depth) -> Vec<String> {
    let mut faults = ledger.wrong();
    if let Err(fault) = settle(site).await {
        faults.push(fault);
    }
    match timelines(site, cast).await {
        Ok(timelines) => faults.extend(timeline::faults(&timelines, &ledger.acked())),
        Err(fault) => faults.push(fault),
    }
    match difference(site).await {
        Ok(difference) => faults.extend(difference),
        Err(fault) => faults.push(fault),
    }
    if depth == Depth::Whole {
        let commands: [&[&str]; 2] = [&["audit", "verify"], &["projections", "diff", "all"]];
        faults.extend(commands.iter().filter_map(|command| complaint(site, command)));
    }
    faults
}

fn complaint(site: &Site, command: &[&str]) -> Option<String> {
    let output = site.run(command);
    let told = || String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned();
    (!output.status.success()).then(|| format!("hansard {}: {}", command.join(" "), told()))
}

/// Waits until the read models and the stream have come to the log's end.
async fn settle(site: &Site) -> Result<(), String> {
    for base in site.bases() {
        wait_for("the read models are at the log's end", async || has_no_lag(&base).await).await?;
    }
    wait_for("the stream ends where the log does", async || {
        let Ok(mut record) = Record::open(&site.endpoints()).await else { return false };
        let (head, last) = (record.head().await, record.last_sequence().await);
        head.is_ok() && head == last
    })
    .await
}

async fn has_no_lag(base: &str) -> bool {
    let Ok(answer) = reqwest::get(format!("{base}/ready")).await else { return false };
    let Ok(body) = answer.json::<Value>().await else { return false };
    body["status"] == "ready"
        && body["lag"].as_object().is_some_and(|lag| lag.values().all(|lag| lag["events"] == 0) && !lag.is_empty())
}

/// Each conversation as all its members see it.
async fn timelines(site: &Site, cast: &Cast) -> Result<Vec<Timeline>, String> {
    let (bases, mut seen) = (site.bases(), Vec::new());
    for (n, talk) in cast.talks.iter().enumerate() {
        for member in &talk.members {
            seen.push(Timeline::read(&bases[member % bases.len()], &cast.people[*member], n, &talk.id).await?);
        }
    }
    Ok(seen)
}

async fn difference(site: &Site) -> Result<Option<String>, String> {
    Record::open(&site.endpoints()).await?.difference().await
}
