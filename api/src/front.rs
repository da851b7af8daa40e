//! [`Front`]: what every route shares, whatever it is about: clock, ids, tokens, limits and the way down.

use crate::{address::Proxies, backend::Backend, idempotency::BodyKey};
use runtime::{clock::Clock, connections::Connections, id::Ids, settings::Origins};
use std::{
    ops::Deref,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

/// Cheap to clone.
#[derive(Clone)]
pub struct Front(Arc<Shared>);

pub struct Shared {
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    pub backend: Arc<dyn Backend>,
    pub(crate) body_key: BodyKey,
    pub(crate) cors_origins: Origins,
    pub(crate) proxies: Proxies,
    pub(crate) request_max: Duration,
    pub(crate) admission: Arc<Semaphore>,
    pub connections: Connections,
    started: Instant,
}

pub struct FrontConfig {
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    pub backend: Arc<dyn Backend>,
    /// Hashes bodies that came with an `Idempotency-Key`; [`crate::body_key`] of the log's keyring.
    pub body_key: [u8; 32],
    /// CORS_ORIGIN.
    pub cors_origins: Origins,
    /// TRUSTED_PROXIES.
    pub proxies: Proxies,
    /// A request that takes longer is answered 503.
    pub request_max: Duration,
    /// Requests carried out at once; more are answered 503.
    pub requests_at_once_max: usize,
}

impl FrontConfig {
    /// 30 s for a request, 1,024 of them at once, no origin, no proxy.
    pub fn new(clock: Arc<dyn Clock>, ids: Arc<dyn Ids>, backend: Arc<dyn Backend>, body_key: [u8; 32]) -> Self {
        Self {
            clock,
            ids,
            backend,
            body_key,
            cors_origins: Origins::These(vec![]),
            proxies: Proxies::default(),
            request_max: Duration::from_secs(30),
            requests_at_once_max: 1_024,
        }
    }
}

impl Front {
    pub fn new(config: FrontConfig) -> Self {
        Self(Arc::new(Shared {
            clock: config.clock,
            ids: config.ids,
            backend: config.backend,
            body_key: BodyKey(config.body_key),
            cors_origins: config.cors_origins,
            proxies: config.proxies,
            request_max: config.request_max,
            admission: Arc::new(Semaphore::new(config.requests_at_once_max)),
            connections: Connections::default(),
            started: Instant::now(),
        }))
    }
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }
}

impl Deref for Front {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.0
    }
}
