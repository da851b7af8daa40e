//! [`Socket`]: one connection of one person's device, whatever its transport; [`write()`] is its writer.

use crate::{
    delivery::{Outgoing, Subscription, SubscriptionId},
    frame::{Dialect, Place},
    outbox::{Item, Outbox},
    problem,
    rate::Bucket,
    server::{Port, Signaling},
};
use commands::{Caller, Claims, Origin};
use domain::{ConversationId, Position, SessionId, UserId, user::SystemRole};
use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// How often a client hears from an idle socket.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(25);
/// A client that nothing is heard of for so long, not even the answer to a ping, is gone.
const SILENCE_MAX: Duration = Duration::from_secs(90);
/// A token that has expired closes nothing for so long.
const GRACE_MILLIS: i64 = 60_000;
/// What is said to a client before its socket is closed waits so long for it to read.
const FAREWELL_MAX: Duration = Duration::from_millis(500);
/// Frames are handed to the transport in portions of so many bytes, so that a burst isn't held twice.
const PORTION_BYTES: usize = 64 * 1024;

/// Why a socket ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ending {
    /// The client closed it, or the connection broke.
    Left,
    /// A frame was over 256 KiB.
    TooLarge,
    /// Nothing was heard of it for too long.
    Silent,
    /// Its token has expired a minute ago.
    Expired,
    /// Its session has ended.
    Revoked,
    /// This process is going away.
    Draining,
}

impl Ending {
    /// The WebSocket close code (RFC 6455, section 7.4; 1012 of IANA's registry; 4000 and up are our own).
    pub const fn code(self) -> u16 {
        match self {
            Self::Left => 1000,
            Self::TooLarge => 1009,
            Self::Silent => 1001,
            Self::Expired => 4401,
            Self::Revoked => 4403,
            Self::Draining => 1012,
        }
    }
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Left => "bye",
            Self::TooLarge => "a frame has at most 256 KiB",
            Self::Silent => "nothing was heard for too long",
            Self::Expired => "the token has expired",
            Self::Revoked => "the session has ended",
            Self::Draining => "the server goes away, connect again",
        }
    }
}

pub(crate) struct Socket {
    pub id: u64,
    pub port: Port,
    pub user: UserId,
    pub username: String,
    pub session: SessionId,
    pub device: String,
    roles: Mutex<Arc<[SystemRole]>>,
    /// None on the port of calls, which has no pushes of the log.
    pub subscription: Option<SubscriptionId>,
    pub outbox: Arc<Outbox>,
    pub bucket: Option<Mutex<Bucket>>,
    /// What the client shows, and whose presence it asked for; both change by replacing.
    pub shown: Mutex<Arc<[ConversationId]>>,
    pub watched: Mutex<Arc<[UserId]>>,
    expires_at_millis: AtomicI64,
    opened: Instant,
    /// Milliseconds since `opened`.
    heard_at: AtomicU64,
    ending: OnceLock<Ending>,
    ended: CancellationToken,
}

impl Socket {
    pub fn new(
        id: u64,
        port: Port,
        claims: Claims,
        device: String,
        subscription: Option<SubscriptionId>,
        bucket: Option<Bucket>,
    ) -> Self {
        Self {
            id,
            port,
            user: claims.sub,
            username: claims.username,
            session: claims.sid,
            device,
            roles: Mutex::new(claims.roles.into()),
            subscription,
            outbox: Arc::default(),
            bucket: bucket.map(Mutex::new),
            shown: Mutex::new(Arc::from([])),
            watched: Mutex::new(Arc::from([])),
            expires_at_millis: AtomicI64::new(claims.exp.saturating_mul(1_000)),
            opened: Instant::now(),
            heard_at: AtomicU64::new(0),
            ending: OnceLock::new(),
            ended: CancellationToken::new(),
        }
    }

    /// Ends it, for this reason unless it ends for another already.
    pub fn end(&self, ending: Ending) {
        let _ = self.ending.set(ending);
        self.ended.cancel();
    }
    pub async fn ended(&self) -> Ending {
        self.ended.cancelled().await;
        self.ending.get().copied().unwrap_or(Ending::Left)
    }
    /// The client lives: something came from it.
    pub fn heard(&self) {
        let since = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.heard_at.store(since, Ordering::Relaxed);
    }
    fn silence(&self) -> Duration {
        self.opened.elapsed().saturating_sub(Duration::from_millis(self.heard_at.load(Ordering::Relaxed)))
    }
    /// A newer token of the same person's.
    pub fn renew(&self, claims: &Claims) {
        self.expires_at_millis.store(claims.exp.saturating_mul(1_000), Ordering::Relaxed);
        *self.roles.lock().unwrap_or_else(PoisonError::into_inner) = claims.roles.clone().into();
        self.outbox.push(Item::Renewed);
    }
    /// As commands know the person. `request_id` is the frame's.
    pub fn caller(&self, request_id: String) -> Caller {
        let roles = self.roles.lock().unwrap_or_else(PoisonError::into_inner).to_vec();
        let origin = match self.port {
            Port::Messaging => Origin::Socket,
            Port::Calls => Origin::Signaling,
        };
        Caller {
            user: self.user,
            session: Some(self.session),
            roles,
            origin,
            correlation_id: request_id,
            traceparent: None,
            idempotency: None,
        }
    }
}

/// The connection broke.
pub(crate) struct Gone;

/// Where a writer's frames go.
pub(crate) trait Sink: Send {
    /// Hands over all frames and flushes once.
    fn write(&mut self, frames: Vec<String>) -> impl Future<Output = Result<(), Gone>> + Send;
    /// Asks the client for a sign of life, where the transport doesn't by itself.
    fn ping(&mut self) -> impl Future<Output = Result<(), Gone>> + Send;
}

/// What a writer writes from.
pub(crate) struct Writer<'a, S> {
    signaling: &'a Signaling,
    socket: &'a Socket,
    subscription: Option<Subscription>,
    dialect: Dialect,
    sink: S,
    heartbeat: Instant,
}

/// Greets, then writes pushes, acks and heartbeats until the socket is to end, and tells why. The sink is given back.
pub(crate) async fn write<S: Sink>(
    signaling: &Signaling,
    socket: &Socket,
    subscription: Option<Subscription>,
    dialect: Dialect,
    sink: S,
) -> (Ending, S) {
    let heartbeat = Instant::now() + HEARTBEAT;
    let mut writer = Writer { signaling, socket, subscription, dialect, sink, heartbeat };
    let ending = tokio::select! {
        biased;
        ending = socket.ended() => ending,
        ending = writer.run() => ending,
    };
    if ending == Ending::Draining {
        let farewell = vec![dialect.plain("server:draining", "{}")];
        // Who doesn't read it is closed all the same.
        let _ = timeout(FAREWELL_MAX, writer.sink.write(farewell)).await;
    }
    (ending, writer.sink)
}

enum Woken {
    Outbox(std::collections::VecDeque<Item>),
    Pushes(Vec<Outgoing>),
    Time,
}

impl<S: Sink> Writer<'_, S> {
    async fn run(&mut self) -> Ending {
        let ready = self.ready();
        if self.sink.write(vec![ready]).await.is_err() {
            return Ending::Left;
        }
        loop {
            let wake = self.heartbeat.min(self.expiry());
            let woken = tokio::select! {
                biased;
                items = self.socket.outbox.take() => Woken::Outbox(items),
                pushes = next(&mut self.subscription) => Woken::Pushes(pushes),
                () = sleep_until(wake) => Woken::Time,
            };
            let written = match woken {
                Woken::Outbox(items) => self.write_items(items).await,
                Woken::Pushes(pushes) => self.write_pushes(pushes).await,
                Woken::Time => match self.on_time() {
                    Some(ending) => return ending,
                    None => self.beat().await,
                },
            };
            if written.is_err() {
                return Ending::Left;
            }
        }
    }

    fn position(&self) -> Position {
        self.subscription.as_ref().map_or_else(|| self.signaling.delivery().head(), Subscription::position)
    }

    fn ready(&self) -> String {
        let Socket { user, session, device, .. } = self.socket;
        let device = serde_json::to_string(device).unwrap_or_default();
        let (log_id, position) = (self.signaling.delivery().log_id(), self.position());
        let heartbeat = HEARTBEAT.as_millis();
        let data = format!(
            r#"{{"userId":"{user}","sessionId":"{session}","deviceId":{device},"logId":"{log_id}","position":{position},"heartbeatMs":{heartbeat}}}"#
        );
        self.dialect.plain("ready", &data)
    }

    /// When the token's grace is over.
    fn expiry(&self) -> Instant {
        let now = self.signaling.now_millis();
        let left = self.socket.expires_at_millis.load(Ordering::Relaxed).saturating_add(GRACE_MILLIS) - now;
        Instant::now() + Duration::from_millis(u64::try_from(left).unwrap_or(0)).min(HEARTBEAT * 2)
    }

    fn on_time(&self) -> Option<Ending> {
        let now = self.signaling.now_millis();
        if self.socket.expires_at_millis.load(Ordering::Relaxed).saturating_add(GRACE_MILLIS) <= now {
            return Some(Ending::Expired);
        }
        (self.socket.silence() > SILENCE_MAX).then_some(Ending::Silent)
    }

    async fn beat(&mut self) -> Result<(), Gone> {
        if Instant::now() < self.heartbeat {
            return Ok(());
        }
        self.heartbeat = Instant::now() + HEARTBEAT;
        let data = format!(r#"{{"position":{}}}"#, self.position());
        self.sink.write(vec![self.dialect.plain("heartbeat", &data)]).await?;
        self.sink.ping().await
    }

    async fn write_items(&mut self, items: std::collections::VecDeque<Item>) -> Result<(), Gone> {
        let mut frames = Vec::with_capacity(items.len());
        let mut acks = 0;
        for item in items {
            match item {
                Item::Ack(id, outcome) => {
                    acks += 1;
                    frames.extend(self.ack(&id, &outcome));
                }
                Item::Resume(start) => {
                    if let Some(subscription) = &mut self.subscription {
                        subscription.resume(start);
                    }
                }
                Item::Renewed => {}
            }
        }
        let written = self.sink.write(frames).await;
        self.socket.outbox.written(acks);
        written
    }

    fn ack(
        &self,
        id: &crate::frame::AckId,
        outcome: &Result<bytes::Bytes, (commands::Problem, String)>,
    ) -> Option<String> {
        match outcome {
            Ok(data) => self.dialect.ack(id, Ok(text(data))),
            Err((problem, request_id)) => self.dialect.ack(id, Err(&problem::body(problem, request_id))),
        }
    }

    async fn write_pushes(&mut self, pushes: Vec<Outgoing>) -> Result<(), Gone> {
        let (mut frames, mut bytes) = (Vec::with_capacity(pushes.len()), 0);
        metrics::counter!("hansard_socket_pushes_total").increment(pushes.len() as u64);
        for push in pushes {
            let frame = self.encode(push);
            bytes += frame.len();
            frames.push(frame);
            if bytes >= PORTION_BYTES {
                self.sink.write(std::mem::take(&mut frames)).await?;
                bytes = 0;
            }
        }
        if frames.is_empty() { Ok(()) } else { self.sink.write(frames).await }
    }

    fn encode(&self, push: Outgoing) -> String {
        match push {
            Outgoing::Push { position, prev, more, event, data } => {
                self.dialect.push(event, Place { position, prev, more }, text(&data))
            }
            Outgoing::Transient { event, data } => self.dialect.plain(event, text(&data)),
            Outgoing::ResumeDone { position } => {
                self.dialect.plain("resume:done", &format!(r#"{{"position":{position}}}"#))
            }
            Outgoing::ResumeReset { log_id, position } => {
                self.dialect.plain("resume:reset", &format!(r#"{{"logId":"{log_id}","position":{position}}}"#))
            }
        }
    }
}

/// What this crate has encoded is text.
fn text(data: &bytes::Bytes) -> &str {
    std::str::from_utf8(data).unwrap_or("{}")
}

async fn next(subscription: &mut Option<Subscription>) -> Vec<Outgoing> {
    match subscription {
        Some(subscription) => subscription.recv().await,
        None => std::future::pending().await,
    }
}
