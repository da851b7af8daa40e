//! [`Guest`]: whoever asks without having to be signed in, and from where.

use crate::{
    address::ClientAddress, envelope::Wrote, freshness, front::Front, layer::observe::Observed, problem::Problem,
};
use axum::{
    extract::{FromRef, FromRequestParts},
    http::{header, request::Parts},
};
use commands::{Origin, session::Visitor};
use domain::Position;
use std::net::IpAddr;

#[derive(Clone)]
pub(crate) struct Guest {
    observed: Observed,
    device: Option<String>,
    address: Option<IpAddr>,
    respond_async: bool,
    front: Front,
}

impl Guest {
    /// As commands know them.
    pub fn visitor(&self) -> Visitor {
        let Observed { request_id, traceparent, .. } = self.observed.clone();
        let mut visitor = Visitor::new(Origin::Rest, request_id, Some(traceparent).filter(|trace| !trace.is_empty()));
        if let Some(device) = &self.device {
            visitor = visitor.with_device(device);
        }
        if let Some(address) = self.address {
            visitor = visitor.at_address(address);
        }
        visitor
    }
    /// Waits for what was written, as [`crate::Caller::settle`] does.
    pub async fn settle(&self, position: Option<Position>, created: bool) -> Wrote {
        let applied = freshness::settle(&*self.front.backend, position, self.respond_async).await;
        Wrote { position, created, applied, respond_async: self.respond_async }
    }
}

impl<S> FromRequestParts<S> for Guest
where
    Front: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let device = parts.headers.get(header::USER_AGENT);
        Ok(Self {
            observed: parts.extensions.get().cloned().unwrap_or_default(),
            device: device.map(|name| String::from_utf8_lossy(name.as_bytes()).into_owned()),
            address: parts.extensions.get::<ClientAddress>().map(|address| address.0),
            respond_async: freshness::prefers_async(&parts.headers),
            front: Front::from_ref(state),
        })
    }
}
