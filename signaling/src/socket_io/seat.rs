//! [`Seat`]: a Socket.IO session from its transport's opening to its end.

use super::{
    Engine, EngineSink, Handler, WireSlot, close,
    packet::{self, Packet},
};
use crate::{
    command,
    connection::{Ending, Socket, write},
    delivery::Start,
    frame::{AckId, Dialect},
    greeting::{Admitted, Hello, admit},
    problem,
    server::Signaling,
    websocket,
};
use commands::Problem;
use engineioxide::{DisconnectReason, Str};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// Engine.IO doesn't let one wait before reading on, so what comes faster than it is carried out is refused.
const QUEUED_MAX: usize = 1_024;
const QUEUED_BYTES_MAX: usize = 1024 * 1024;

#[derive(Default)]
pub(crate) struct Seat {
    state: Mutex<State>,
    wire: Mutex<WireSlot>,
}

#[derive(Default)]
enum State {
    /// Nobody has asked to be let in.
    #[default]
    Free,
    /// Someone has, and waits.
    Asked,
    Taken(Arc<Taken>),
    Over,
}

struct Taken {
    socket: Arc<Socket>,
    queue: Mutex<(VecDeque<Str>, usize)>,
    filled: Notify,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Auth {
    token: Value,
    position: Value,
    log_id: Value,
    device_id: Value,
}

impl Seat {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
    pub fn place(&self, wire: WireSlot) {
        *self.wire.lock().unwrap_or_else(PoisonError::into_inner) = wire;
    }
    fn wire(&self) -> WireSlot {
        self.wire.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
    pub fn is_taken(&self) -> bool {
        matches!(*self.state(), State::Taken(_))
    }
    /// The transport is gone.
    pub fn end(&self) {
        if let State::Taken(taken) = std::mem::replace(&mut *self.state(), State::Over) {
            taken.socket.end(Ending::Left);
        }
    }
}

/// A packet has come. Called in the order in which they come, and never waits.
pub(crate) fn hear(handler: &Arc<Handler>, engine: &Arc<Engine>, message: Str) {
    match Packet::parse(&message) {
        Some(Packet::Connect(auth)) => {
            let mut state = engine.data.state();
            // Whoever asks twice is let in once.
            if matches!(*state, State::Free) {
                *state = State::Asked;
                drop(state);
                tokio::spawn(enter(handler.clone(), engine.clone(), auth.to_owned()));
            }
        }
        Some(Packet::Event { id, .. }) => {
            let taken = match &*engine.data.state() {
                State::Taken(taken) => taken.clone(),
                // Before one is let in there is nobody to speak.
                State::Free | State::Asked | State::Over => return,
            };
            taken.socket.heard();
            if !taken.queue(message) {
                let ack = id.map_or(AckId::NONE, AckId::of_number);
                command::refuse(&handler.signaling, &taken.socket, ack, Problem::throttled(1));
            }
        }
        Some(Packet::Disconnect) => {
            engine.data.end();
            engine.close(DisconnectReason::TransportClose);
        }
        Some(Packet::Elsewhere { namespace, is_connect: true }) => {
            let _ = engine.emit(packet::unknown_namespace(namespace));
        }
        Some(Packet::Elsewhere { is_connect: false, .. } | Packet::Ack) => {}
        None => engine.close(DisconnectReason::PacketParsingError),
    }
}

impl Taken {
    fn queue(&self, message: Str) -> bool {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.0.len() >= QUEUED_MAX || queue.1 + message.len() > QUEUED_BYTES_MAX {
            return false;
        }
        queue.1 += message.len();
        queue.0.push_back(message);
        drop(queue);
        self.filled.notify_one();
        true
    }

    async fn next(&self) -> Str {
        loop {
            {
                let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(message) = queue.0.pop_front() {
                    queue.1 -= message.len();
                    return message;
                }
            }
            self.filled.notified().await;
        }
    }
}

async fn enter(handler: Arc<Handler>, engine: Arc<Engine>, auth: String) {
    let admitted = match hello(&auth) {
        Ok(hello) => admit(&handler.signaling, handler.port, hello).await,
        Err(problem) => Err(problem),
    };
    match admitted {
        Ok(admitted) => talk(&handler.signaling, &engine, admitted).await,
        Err(problem) => {
            let body = problem::body(&problem, &handler.signaling.new_uuid().to_string());
            let _ = engine.emit(packet::connect_error(&problem.detail, &body));
            // Who is refused may ask again.
            let mut state = engine.data.state();
            if matches!(*state, State::Asked) {
                *state = State::Free;
            }
        }
    }
}

fn hello(auth: &str) -> Result<Hello, Problem> {
    let auth: Auth = if auth.is_empty() { Auth::default() } else { serde_json::from_str(auth).unwrap_or_default() };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let position = match &auth.position {
        Value::Null => None,
        position => Some(position.as_u64().ok_or_else(websocket::wrong_position)?),
    };
    Ok(Hello {
        token: text(&auth.token).unwrap_or_default(),
        start: Start { position, log_id: text(&auth.log_id) },
        device: text(&auth.device_id),
    })
}

/// From being let in to the end.
async fn talk(signaling: &Signaling, engine: &Arc<Engine>, mut admitted: Admitted) {
    let socket = admitted.socket.clone();
    let taken = Arc::new(Taken { socket: socket.clone(), queue: Mutex::default(), filled: Notify::new() });
    {
        let mut state = engine.data.state();
        if !matches!(*state, State::Asked) {
            return;
        }
        *state = State::Taken(taken.clone());
    }
    if engine.emit(packet::connected(&engine.id.to_string())).is_err() {
        return engine.close(DisconnectReason::TransportClose);
    }
    let subscription = admitted.subscription.take();
    let sink = EngineSink { engine: engine.clone(), socket: socket.clone() };
    let writing = write(signaling, &socket, subscription, Dialect::SocketIo, sink);
    let ending = tokio::select! {
        (ending, _) = writing => ending,
        () = obey_all(signaling, &taken) => return,
    };
    close(engine, &engine.data.wire(), ending);
}

async fn obey_all(signaling: &Signaling, taken: &Taken) {
    loop {
        let message = taken.next().await;
        obey(signaling, &taken.socket, &message).await;
        taken.socket.outbox.room().await;
    }
}

async fn obey(signaling: &Signaling, socket: &Arc<Socket>, message: &str) {
    let Some(Packet::Event { id, array }) = Packet::parse(message) else { return };
    let ack = id.map_or(AckId::NONE, AckId::of_number);
    let read: Option<(String, Option<&RawValue>)> = packet::event(array);
    if let Some((event, data)) = read {
        // Boxed, so that idle sockets don't keep room for every command there is.
        Box::pin(command::obey(signaling, socket, ack, &event, data)).await;
    } else {
        let problem = Problem::new(400, "malformed_frame", "an event is an array of its name and its data");
        command::refuse(signaling, socket, ack, problem);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_auth_payload_says_who_and_where_to_begin() {
        let said = hello(r#"{"token":"t","position":7,"logId":"l","deviceId":"d"}"#).expect("right");
        assert_eq!((said.token.as_str(), said.start.position), ("t", Some(7)));
        assert_eq!((said.start.log_id.as_deref(), said.device.as_deref()), (Some("l"), Some("d")));
        for strange in ["", "null", "[]", "7", "{\"token\":7}", "{not json"] {
            assert_eq!(hello(strange).expect("nobody").token, "", "{strange}");
        }
        assert_eq!(hello(r#"{"position":-1}"#).err().map(|problem| problem.code), Some("validation_failed"));
    }
}
