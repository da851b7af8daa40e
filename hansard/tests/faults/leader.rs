//! Who publishes: the holder of the publisher's lock, as PostgreSQL knows it.

use crate::{process::has_local_port, site::Site};
use sqlx::{Connection, PgConnection};

/// A session of PostgreSQL, and the port at the other end of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lease {
    session: i32,
    port: u16,
}

pub async fn connect(site: &Site) -> Result<PgConnection, String> {
    PgConnection::connect(&site.endpoints().database_admin_url).await.map_err(|error| error.to_string())
}

/// None while nobody leads.
pub async fn lease(owner: &mut PgConnection) -> Result<Option<Lease>, String> {
    let found: Option<(i32, i32)> = sqlx::query_as(
        "SELECT pid, client_port FROM pg_locks JOIN pg_stat_activity USING (pid)
         WHERE locktype = 'advisory' AND granted
           AND (classid::bigint << 32) | objid::bigint = hashtextextended('hansard.publisher', 0)",
    )
    .fetch_optional(owner)
    .await
    .map_err(|error| error.to_string())?;
    Ok(found.map(|(session, port)| Lease { session, port: u16::try_from(port).unwrap() }))
}

impl Lease {
    /// The process that holds it.
    pub fn holder(self, site: &Site) -> Option<u32> {
        site.servers.iter().filter_map(crate::server::Server::pid).find(|pid| has_local_port(*pid, self.port))
    }

    /// Takes it from its holder, who doesn't learn of it before it looks.
    pub async fn take_away(self, owner: &mut PgConnection) -> Result<(), String> {
        let ended = sqlx::query("SELECT pg_terminate_backend($1)").bind(self.session).execute(owner).await;
        ended.map(|_| ()).map_err(|error| error.to_string())
    }
}
