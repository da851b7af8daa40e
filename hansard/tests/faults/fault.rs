//! [`Fault`]: what a round does to a site.

use crate::{
    leader,
    process::{Frozen, children, signal},
    rot::Rot,
    site::{Site, wait_for},
};
use rand::{
    Rng, SeedableRng,
    rngs::StdRng,
    seq::{IndexedRandom, SliceRandom},
};
use sqlx::PgConnection;
use std::{ops::Range, time::Duration};
use tokio::time::sleep;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    ServerKilled,
    ServerFrozen,
    ServerRestarted,
    PostgresKilled,
    BackendKilled,
    PostgresFrozen,
    PostgresRestarted,
    NatsKilled,
    NatsFrozen,
    NatsRestarted,
    StoreRotten,
    TwoLeaders,
    DiskFull,
}

const ALL: [Fault; 13] = [
    Fault::ServerKilled,
    Fault::ServerFrozen,
    Fault::ServerRestarted,
    Fault::PostgresKilled,
    Fault::BackendKilled,
    Fault::PostgresFrozen,
    Fault::PostgresRestarted,
    Fault::NatsKilled,
    Fault::NatsFrozen,
    Fault::NatsRestarted,
    Fault::StoreRotten,
    Fault::TwoLeaders,
    Fault::DiskFull,
];

/// How long something is frozen, in milliseconds: shorter and longer than clients and acks wait.
const FROZEN_MS: Range<u64> = 500..6_000;
/// How long what was killed is away before it is started again.
const AWAY_MS: Range<u64> = 0..1_500;
const FULL_MS: Range<u64> = 2_000..5_000;

impl Fault {
    /// Seeds that follow on each other have all kinds within as many rounds as there are, in an order of their own.
    pub fn of(seed: u64) -> Self {
        let count = ALL.len() as u64;
        let mut deck = ALL;
        deck.shuffle(&mut StdRng::seed_from_u64(seed / count));
        deck[usize::try_from(seed % count).unwrap()]
    }

    /// Does it, undoes what doesn't mend itself, and tells what it was.
    pub async fn strike(self, site: &mut Site, random: &mut StdRng) -> Result<String, String> {
        match self {
            Self::ServerKilled | Self::ServerFrozen | Self::ServerRestarted => self.strike_server(site, random).await,
            Self::PostgresKilled | Self::NatsKilled => self.signal_store(site, "KILL").await,
            Self::PostgresRestarted => self.signal_store(site, "INT").await,
            Self::NatsRestarted => self.signal_store(site, "TERM").await,
            Self::BackendKilled => {
                let backends = children(site.embedded("postgres").await?, "postgres");
                let backend = backends.choose(random).ok_or("PostgreSQL serves nobody")?;
                signal("KILL", *backend);
                Ok("kill -9 of one process of PostgreSQL".to_owned())
            }
            Self::PostgresFrozen | Self::NatsFrozen => {
                let name = self.store();
                let frozen = Frozen::with_children(site.embedded(name).await?, name);
                let long = pause(random, FROZEN_MS).await;
                drop(frozen);
                Ok(format!("{name} stood still for {long} ms"))
            }
            Self::StoreRotten => rot(site, random).await,
            Self::TwoLeaders => two_leaders(site, random).await,
            Self::DiskFull => fill_disk(site, random).await,
        }
    }

    fn store(self) -> &'static str {
        match self {
            Self::PostgresKilled | Self::PostgresFrozen | Self::PostgresRestarted | Self::BackendKilled => "postgres",
            Self::NatsKilled | Self::NatsFrozen | Self::NatsRestarted | Self::StoreRotten => "nats-server",
            Self::ServerKilled | Self::ServerFrozen | Self::ServerRestarted | Self::TwoLeaders | Self::DiskFull => {
                unreachable!("it is not done to a store")
            }
        }
    }

    async fn signal_store(self, site: &Site, name: &str) -> Result<String, String> {
        signal(name, site.embedded(self.store()).await?);
        Ok(format!("SIG{name} to {}", self.store()))
    }

    async fn strike_server(self, site: &mut Site, random: &mut StdRng) -> Result<String, String> {
        let victim = random.random_range(0..site.servers.len());
        let server = &mut site.servers[victim];
        let role = server.role;
        match self {
            Self::ServerFrozen => {
                let frozen = Frozen::new(server.pid().into_iter().collect());
                let long = pause(random, FROZEN_MS).await;
                drop(frozen);
                return Ok(format!("hansard {role} stood still for {long} ms"));
            }
            Self::ServerRestarted => server.terminate().await?,
            _ => server.kill(),
        }
        let long = pause(random, AWAY_MS).await;
        server.start_again();
        let how = if self == Self::ServerRestarted { "SIGTERM to" } else { "kill -9 of" };
        Ok(format!("{how} hansard {role}, away for {long} ms"))
    }
}

async fn pause(random: &mut StdRng, millis: Range<u64>) -> u64 {
    let long = random.random_range(millis);
    sleep(Duration::from_millis(long)).await;
    long
}

/// The files change while the server stands still; it is then killed, so that it starts on what is left.
async fn rot(site: &Site, random: &mut StdRng) -> Result<String, String> {
    let nats = site.embedded("nats-server").await?;
    let frozen = Frozen::new(vec![nats]);
    let rot = Rot::draw(random);
    let touched = rot.befall(&site.jetstream(), random).map_err(|error| error.to_string())?;
    signal("KILL", nats);
    drop(frozen);
    Ok(format!("the stream's files lost something ({rot:?}): {touched}"))
}

/// The one that publishes stands still and loses its lease, another takes over, the first goes on.
async fn two_leaders(site: &Site, random: &mut StdRng) -> Result<String, String> {
    let mut owner = leader::connect(site).await?;
    let first = until_led(&mut owner, None).await?;
    let pid = first.holder(site).ok_or("nobody is known to hold the publisher's lease")?;
    let role = site.servers.iter().find(|server| server.pid() == Some(pid)).map_or("", |server| server.role);
    // Before it would look whether it still leads, or after.
    let long = [0, 2_000].choose(random).copied().unwrap_or_default();
    let frozen = Frozen::new(vec![pid]);
    first.take_away(&mut owner).await?;
    until_led(&mut owner, Some(first)).await?;
    sleep(Duration::from_millis(long)).await;
    drop(frozen);
    Ok(format!("hansard {role} was replaced as publisher while it stood still, and went on {long} ms later"))
}

/// Until somebody leads who isn't that one.
async fn until_led(owner: &mut PgConnection, but: Option<leader::Lease>) -> Result<leader::Lease, String> {
    let mut found = None;
    wait_for("somebody publishes", async || {
        found = leader::lease(owner).await.ok().flatten().filter(|lease| Some(*lease) != but);
        found.is_some()
    })
    .await?;
    Ok(found.unwrap())
}

async fn fill_disk(site: &mut Site, random: &mut StdRng) -> Result<String, String> {
    let mut owner = leader::connect(site).await?;
    let Some(disk) = site.disk.take() else { return Ok("(a full disk is left out)".to_owned()) };
    let full = disk.fill()?;
    // What PostgreSQL has set aside for its own log is used up, or not.
    let is_dry = random.random();
    for _ in 0..if is_dry { 8 } else { 0 } {
        let _ =
            sqlx::query("SELECT pg_switch_wal() FROM pg_logical_emit_message(true, '', 'x')").execute(&mut owner).await;
    }
    let until = tokio::time::Instant::now() + Duration::from_millis(random.random_range(FULL_MS));
    while tokio::time::Instant::now() < until {
        site.tend();
        sleep(Duration::from_millis(50)).await;
    }
    drop(full);
    site.disk = Some(disk);
    Ok(format!("the disk was full, {} PostgreSQL's own log", if is_dry { "also for" } else { "not at once for" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_rounds_as_there_are_kinds_have_them_all() {
        let kinds: Vec<Fault> = (26..39).map(Fault::of).collect();
        assert!(ALL.iter().all(|kind| kinds.contains(kind)), "{kinds:?}");
    }
}
