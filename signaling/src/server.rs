//! [`Signaling`]: all that the sockets of a process share. [`Signaling::router`] takes them in, [`Signaling::run`] keeps
//! pushes, presence, typing and revocations going, and at the end lets all sockets know before it closes them.

use crate::{
    delivery::{Delivery, DeliveryError},
    presence::Presence,
    revocation::Revoked,
    socket_io,
    sockets::Sockets,
    typing::Typing,
    websocket,
};
use axum::{Router, routing::get};
use commands::Commands;
use projections::{Progress, Views};
use runtime::{clock::Clock, connections::Connections, id::Ids, settings::RateLimit};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

/// Sockets that one person may have open in one process; without rate limits there is no bound.
const SOCKETS_OF_USER_MAX: usize = 100;
/// Sockets get so long to be told and closed at the end.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// The two doors: the same handshake and the same frames, but pushes of the log come by the first alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// PORT.
    Messaging,
    /// REALTIME_PORT.
    Calls,
}

pub struct SignalingConfig {
    pub commands: Commands,
    pub views: Views,
    pub progress: Progress,
    /// None: this process is alone.
    pub nats: Option<async_nats::Client>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    pub connections: Connections,
    /// RATE_LIMIT_SOCKET: frames of one socket. None lifts all limits.
    pub rate_limit: Option<RateLimit>,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Signaling(Arc<Shared>);

struct Shared {
    config: SignalingConfig,
    delivery: Delivery,
    sockets: Sockets,
    presence: Presence,
    typing: Typing,
    revoked: Revoked,
    /// This process, among those on the same log.
    node: Uuid,
    sockets_opened: AtomicU64,
    is_draining: AtomicBool,
}

impl Signaling {
    pub async fn open(config: SignalingConfig) -> Result<Self, DeliveryError> {
        let delivery = Delivery::open(config.views.clone(), config.progress.clone(), config.nats.clone()).await?;
        let node = config.ids.uuid();
        Ok(Self(Arc::new(Shared {
            delivery,
            sockets: Sockets::default(),
            presence: Presence::new(node),
            typing: Typing::default(),
            revoked: Revoked::default(),
            node,
            sockets_opened: AtomicU64::new(0),
            is_draining: AtomicBool::new(false),
            config,
        })))
    }

    /// `/ws` and `/socket.io` of one port.
    pub fn router(&self, port: Port) -> Router {
        let socket_io = socket_io::router(self.clone(), port);
        Router::new().route("/ws", get(websocket::open)).with_state((self.clone(), port)).merge(socket_io)
    }

    /// Until the shutdown, and then until all sockets are closed.
    pub async fn run(self, shutdown: CancellationToken) {
        let (ending, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(self.delivery().clone().run(ending.clone()));
        for task in [
            tokio::spawn(crate::revocation::run(self.clone())),
            tokio::spawn(crate::typing::run(self.clone())),
            tokio::spawn(crate::presence::run(self.clone())),
        ] {
            let ending = ending.clone();
            tasks.spawn(async move {
                let abort = task.abort_handle();
                tokio::select! {
                    ended = task => if let Err(error) = ended { tracing::error!(%error, "a task of the sockets ended") },
                    () = ending.cancelled() => abort.abort(),
                }
            });
        }
        shutdown.cancelled().await;
        self.drain().await;
        ending.cancel();
        tasks.close();
        tasks.wait().await;
    }

    async fn drain(&self) {
        self.0.is_draining.store(true, Ordering::Release);
        for socket in self.sockets().all() {
            socket.end(crate::connection::Ending::Draining);
        }
        if tokio::time::timeout(DRAIN_MAX, self.sockets().emptied()).await.is_err() {
            tracing::warn!(sockets.open = self.sockets().all().len(), "some sockets did not close in time");
        }
    }

    pub(crate) fn commands(&self) -> &Commands {
        &self.0.config.commands
    }
    pub(crate) fn views(&self) -> &Views {
        &self.0.config.views
    }
    pub(crate) fn progress(&self) -> &Progress {
        &self.0.config.progress
    }
    pub(crate) fn nats(&self) -> Option<&async_nats::Client> {
        self.0.config.nats.as_ref()
    }
    pub(crate) fn delivery(&self) -> &Delivery {
        &self.0.delivery
    }
    pub(crate) fn sockets(&self) -> &Sockets {
        &self.0.sockets
    }
    pub(crate) fn presence(&self) -> &Presence {
        &self.0.presence
    }
    pub(crate) fn typing(&self) -> &Typing {
        &self.0.typing
    }
    pub(crate) fn revoked(&self) -> &Revoked {
        &self.0.revoked
    }
    pub(crate) fn connections(&self) -> &Connections {
        &self.0.config.connections
    }
    pub(crate) fn rate_limit(&self) -> Option<RateLimit> {
        self.0.config.rate_limit
    }
    pub(crate) fn sockets_of_user_max(&self) -> usize {
        if self.rate_limit().is_some() { SOCKETS_OF_USER_MAX } else { usize::MAX }
    }
    pub(crate) fn node(&self) -> Uuid {
        self.0.node
    }
    pub(crate) fn is_draining(&self) -> bool {
        self.0.is_draining.load(Ordering::Acquire)
    }
    pub(crate) fn now_millis(&self) -> i64 {
        self.0.config.clock.now().timestamp_millis()
    }
    pub(crate) fn new_uuid(&self) -> Uuid {
        self.0.config.ids.uuid()
    }
    pub(crate) fn next_socket(&self) -> u64 {
        self.0.sockets_opened.fetch_add(1, Ordering::Relaxed)
    }
    /// Where the nodes on this log tell each other what is not durable.
    pub(crate) fn subject(&self, what: &str) -> String {
        format!("hansard.live.{}.{what}", self.delivery().log_id())
    }
}
