//! Sockets of sessions that have ended are closed: [`run`] hears of the ends by the log, whichever process wrote them.
//!
//! The log and not a message of its own tells of them: it is heard within milliseconds, in order and without holes, and
//! while NATS is away it is still read from PostgreSQL.

use crate::{connection::Ending, server::Signaling};
use domain::{SessionId, user::UserEvent};
use event_store::RecordedEvent;
use moka::sync::Cache;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;

/// Longer than a memory that a session lives may be believed, and than a handshake takes.
const REMEMBERED: Duration = Duration::from_mins(2);
const ENTRIES_MAX: u64 = 100_000;

/// Sessions whose end was heard of lately: a handshake under way may still believe in them.
pub(crate) struct Revoked(Cache<SessionId, ()>);

impl Default for Revoked {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(ENTRIES_MAX).time_to_live(REMEMBERED).build())
    }
}

impl Revoked {
    pub fn contains(&self, session: SessionId) -> bool {
        self.0.contains_key(&session)
    }
}

pub(crate) async fn run(signaling: Signaling) {
    let mut facts = signaling.delivery().facts();
    loop {
        match facts.recv().await {
            Ok(event) => hear(&signaling, &event),
            Err(RecvError::Lagged(missed)) => {
                tracing::warn!(events.missed = missed, "ends of sessions may have been missed, all are asked for");
                ask_all(&signaling).await;
            }
            Err(RecvError::Closed) => return,
        }
    }
}

fn hear(signaling: &Signaling, event: &RecordedEvent) {
    match event.decode::<UserEvent>() {
        Ok(UserEvent::SessionRevoked { session_id, .. }) => revoke(signaling, session_id),
        Ok(
            UserEvent::Registered { .. }
            | UserEvent::ProfileUpdated { .. }
            | UserEvent::StatusChanged { .. }
            | UserEvent::LoggedIn { .. }
            | UserEvent::LoginFailed { .. }
            | UserEvent::RoleGranted { .. }
            | UserEvent::RoleRevoked { .. },
        ) => {}
        Err(error) => tracing::error!(%error, "an event can't be read"),
    }
}

fn revoke(signaling: &Signaling, session: SessionId) {
    // First the memory, then the look: a handshake enters first and then asks the memory.
    signaling.revoked().0.insert(session, ());
    for socket in signaling.sockets().of_session(session) {
        socket.end(Ending::Revoked);
    }
}

async fn ask_all(signaling: &Signaling) {
    for session in signaling.sockets().sessions() {
        match signaling.commands().sessions().is_active(session).await {
            Ok(true) => {}
            Ok(false) => revoke(signaling, session),
            Err(error) => tracing::warn!(%error, session.id = %session, "whether a session lives is not known"),
        }
    }
}
