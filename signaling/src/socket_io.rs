//! [`router`]: `/socket.io`, Socket.IO's protocol 5 on Engine.IO, which brings polling, WebSocket and the step from one
//! to the other. Frames, orders and pushes are those of the plain WebSocket.

mod packet;
mod seat;

use crate::{
    connection::{Ending, Gone, Sink, Socket},
    frame::FRAME_BYTES_MAX,
    server::{Port, Signaling},
};
use axum::{
    Router,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::Response,
};
use bytes::Bytes;
use engineioxide::{
    DisconnectReason, Str, TransportType, config::EngineIoConfig, handler::EngineIoHandler, service::EngineIoService,
};
use runtime::wire::WireCutter;
use seat::Seat;
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};
use tokio::{sync::mpsc::error::TrySendError, time::sleep};

const PATH: &str = "/socket.io";
/// Frames that may wait for a client, besides those that wait in its subscription.
const WAITING_MAX: usize = 256;
const READ_BUFFER_BYTES: usize = 2 * 1024;
/// Who has opened a transport must ask to be let in within this time.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// A transport that can't be closed in good order within this time is cut.
const CLOSE_MAX: Duration = Duration::from_secs(2);
/// A writer that finds the transport full looks again after this time, and then after twice as long.
const FULL_PAUSE: Duration = Duration::from_millis(2);
const FULL_PAUSE_MAX: Duration = Duration::from_millis(100);

pub(crate) type Engine = engineioxide::Socket<Seat>;

pub(crate) fn router(signaling: Signaling, port: Port) -> Router {
    let handler = Arc::new(Handler { signaling, port, wires: Mutex::default() });
    let config = EngineIoConfig::builder()
        .req_path(PATH)
        .max_payload(FRAME_BYTES_MAX as u64)
        .max_buffer_size(WAITING_MAX)
        .ws_read_buffer_size(READ_BUFFER_BYTES)
        .ws_max_message_size(FRAME_BYTES_MAX)
        .ws_max_frame_size(FRAME_BYTES_MAX)
        .build();
    let service = EngineIoService::with_config(handler.clone(), config);
    Router::new()
        .route_service("/socket.io", service.clone())
        .route_service("/socket.io/", service)
        .layer(from_fn_with_state(handler, note_wire))
}

/// Where a session steps up from polling, its wire is another one than that of its first request.
async fn note_wire(State(handler): State<Arc<Handler>>, request: Request, next: Next) -> Response {
    let query = request.uri().query().unwrap_or_default();
    if query.contains("transport=websocket")
        && let Some((_, sid)) = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "sid")
        && let Some(cutter) = request.extensions().get::<WireCutter>()
        && let Some(wire) = handler.wires().get(&*sid)
    {
        let _ = wire.set(cutter.clone());
    }
    next.run(request).await
}

/// The wire of a session's WebSocket, once it has one.
pub(crate) type WireSlot = Arc<OnceLock<WireCutter>>;

pub(crate) struct Handler {
    pub signaling: Signaling,
    pub port: Port,
    wires: Mutex<HashMap<String, WireSlot>>,
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handler").field("port", &self.port).finish_non_exhaustive()
    }
}

impl Handler {
    fn wires(&self) -> std::sync::MutexGuard<'_, HashMap<String, WireSlot>> {
        self.wires.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EngineIoHandler for Handler {
    type Data = Seat;

    fn on_connect(self: Arc<Self>, engine: Arc<Engine>) {
        let wire = WireSlot::default();
        if engine.transport_type() == TransportType::Websocket
            && let Some(cutter) = engine.req_parts.extensions.get::<WireCutter>()
        {
            let _ = wire.set(cutter.clone());
        }
        self.wires().insert(engine.id.to_string(), wire.clone());
        engine.data.place(wire);
        tokio::spawn(async move {
            sleep(CONNECT_MAX).await;
            if !engine.data.is_taken() {
                engine.close(DisconnectReason::TransportClose);
            }
        });
    }

    fn on_disconnect(&self, engine: Arc<Engine>, _: DisconnectReason) {
        self.wires().remove(&engine.id.to_string());
        engine.data.end();
    }

    fn on_message(self: &Arc<Self>, message: Str, engine: Arc<Engine>) {
        seat::hear(self, &engine, message);
    }

    /// Attachments of binary packets: no frame of ours has any.
    fn on_binary(self: &Arc<Self>, _: Bytes, _: Arc<Engine>) {}
}

pub(crate) struct EngineSink {
    pub engine: Arc<Engine>,
    pub socket: Arc<Socket>,
}

impl Sink for EngineSink {
    async fn write(&mut self, frames: Vec<String>) -> Result<(), Gone> {
        for frame in frames {
            let mut pause = FULL_PAUSE;
            loop {
                match self.engine.reserve() {
                    Ok(permit) => {
                        permit.emit(frame.into());
                        break;
                    }
                    Err(TrySendError::Closed(())) => return Err(Gone),
                    Err(TrySendError::Full(())) => {}
                }
                sleep(pause).await;
                pause = (pause * 2).min(FULL_PAUSE_MAX);
            }
        }
        Ok(())
    }

    /// Engine.IO asks for signs of life itself, and ends sessions that give none.
    async fn ping(&mut self) -> Result<(), Gone> {
        self.socket.heard();
        Ok(())
    }
}

/// Closes a session. On a WebSocket the client is told why by the close frame's code; where there is none, Socket.IO's
/// own word for it keeps clients from coming back with a token that is no good any more.
pub(crate) fn close(engine: &Engine, wire: &WireSlot, ending: Ending) {
    metrics::counter!("hansard_sockets_closed_total", "code" => ending.code().to_string()).increment(1);
    match (ending, wire.get()) {
        (Ending::Left, _) | (Ending::TooLarge | Ending::Silent | Ending::Draining, None) => {}
        (_, Some(cutter)) => {
            cutter.name_close(ending.code());
            let cutter = cutter.clone();
            tokio::spawn(async move {
                sleep(CLOSE_MAX).await;
                cutter.cut();
            });
        }
        (Ending::Expired | Ending::Revoked, None) => {
            let _ = engine.emit(packet::DISCONNECT);
        }
    }
    engine.close(DisconnectReason::ClosingServer);
}
