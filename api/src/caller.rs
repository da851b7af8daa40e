//! [`Caller`]: who asks, proven by a bearer token, and [`Auditor`]: one who may read the record.

use crate::{
    address::ClientAddress, envelope::Wrote, freshness, front::Front, idempotency::Repeatable,
    layer::observe::Observed, problem::Problem,
};
use axum::{
    extract::{FromRef, FromRequestParts, OriginalUri},
    http::{HeaderMap, header, request::Parts},
};
use commands::{Idempotency, Origin};
use domain::{Position, SessionId, UserId, user::SystemRole};
use std::net::IpAddr;

/// Someone who is signed in. As a handler's first argument it makes its route one that needs a token.
#[derive(Clone)]
pub struct Caller {
    pub user: UserId,
    pub username: String,
    pub session: SessionId,
    pub roles: Vec<SystemRole>,
    pub address: Option<IpAddr>,
    /// The request's id, which its events carry as `correlationId`.
    pub request_id: String,
    pub traceparent: String,
    repeatable: Option<Repeatable>,
    respond_async: bool,
    front: Front,
}

impl Caller {
    /// Waits until the read models show what was written, within the bounds that the contract sets.
    pub async fn settle(&self, position: Option<Position>, created: bool) -> Wrote {
        let applied = freshness::settle(&*self.front.backend, position, self.respond_async).await;
        Wrote { position, created, applied, respond_async: self.respond_async }
    }
    /// As commands know them. To be asked for once the body is read, for its hash belongs to the idempotency key.
    pub fn order(&self) -> commands::Caller {
        let repeatable = self.repeatable.as_ref().map(Repeatable::scope_and_body_hash);
        commands::Caller {
            user: self.user,
            session: Some(self.session),
            roles: self.roles.clone(),
            origin: Origin::Rest,
            correlation_id: self.request_id.clone(),
            traceparent: Some(self.traceparent.clone()),
            idempotency: repeatable.map(|(scope, body_hash)| Idempotency { scope, body_hash }),
        }
    }
    pub fn has_role(&self, role: SystemRole) -> bool {
        self.roles.contains(&role)
    }
}

impl<S> FromRequestParts<S> for Caller
where
    Front: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let front = Front::from_ref(state);
        let bearer = front.backend.authenticate(token(&parts.headers)?).await?;
        let path = parts.extensions.get::<OriginalUri>().map_or_else(|| parts.uri.path(), |uri| uri.0.path());
        let repeatable = Repeatable::of(&parts.method, path, &parts.headers, &front.body_key)?;
        freshness::await_position(&*front.backend, &parts.method, &parts.headers).await?;
        if let Some(repeatable) = &repeatable {
            parts.extensions.insert(repeatable.body());
        }
        let Observed { request_id, traceparent, .. } = parts.extensions.get().cloned().unwrap_or_default();
        Ok(Self {
            user: bearer.user,
            username: bearer.username,
            session: bearer.session,
            roles: bearer.roles,
            address: parts.extensions.get::<ClientAddress>().map(|address| address.0),
            request_id,
            traceparent,
            repeatable,
            respond_async: freshness::prefers_async(&parts.headers),
            front,
        })
    }
}

fn token(headers: &HeaderMap) -> Result<&str, Problem> {
    let absent = || Problem::unauthenticated("unauthenticated", "a bearer token is needed");
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).ok_or_else(absent)?;
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() => Ok(token.trim()),
        _ => Err(absent()),
    }
}

/// A caller who may read the record: an auditor or an administrator.
#[derive(Clone)]
pub struct Auditor(pub Caller);

impl<S> FromRequestParts<S> for Auditor
where
    Front: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        if caller.has_role(SystemRole::Auditor) || caller.has_role(SystemRole::Admin) {
            Ok(Self(caller))
        } else {
            Err(Problem::forbidden("not_allowed", "this is for auditors and administrators"))
        }
    }
}
