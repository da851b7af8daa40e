//! [`Caller`]: who gives a command, by which way, and what goes into its events' metadata.

use domain::{CommandId, Context, SessionId, Timestamp, UserId, user::SystemRole};
use event_store::Metadata;
pub use event_store::Origin;

#[derive(Clone, Debug)]
pub struct Caller {
    pub user: UserId,
    pub session: Option<SessionId>,
    pub roles: Vec<SystemRole>,
    pub origin: Origin,
    pub correlation_id: String,
    pub traceparent: Option<String>,
    pub idempotency: Option<Idempotency>,
}

/// A request that may come twice.
#[derive(Clone, Debug)]
pub struct Idempotency {
    /// Method, path and key, hashed: the claim's name beside the person's id.
    pub scope: String,
    /// Keyed hash of the body.
    pub body_hash: String,
}

impl Caller {
    /// An operator at the command line, or the system itself, acting as `user`.
    pub fn operator(user: UserId, correlation_id: String) -> Self {
        Self {
            user,
            session: None,
            roles: vec![SystemRole::Admin],
            origin: Origin::Cli,
            correlation_id,
            traceparent: None,
            idempotency: None,
        }
    }
    pub(crate) const fn context(&self, now: Timestamp) -> Context {
        Context { actor: self.user, now }
    }
    pub(crate) fn metadata(&self, command_id: CommandId) -> Metadata {
        Metadata {
            actor_id: Some(self.user),
            session_id: self.session,
            workspace_id: None,
            conversation_id: None,
            correlation_id: self.correlation_id.clone(),
            causation_id: None,
            traceparent: self.traceparent.clone(),
            command_id,
            origin: self.origin,
        }
    }
}
