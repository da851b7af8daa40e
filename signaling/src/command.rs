//! [`obey`]: what a client emits becomes a command and an ack. Everything is judged anew at every frame.

mod message;
mod own;

use crate::{
    connection::Socket,
    emitted::Emitted,
    fields::Fields,
    frame::AckId,
    server::{Port, Signaling},
};
use bytes::Bytes;
use commands::Problem;
use domain::{MessageId, Position};
use serde_json::value::RawValue;
use std::sync::{Arc, PoisonError};

/// What an order came to.
pub(crate) enum Answer {
    /// A JSON object or array.
    Data(Bytes),
    /// A message, to be told as its push tells it.
    Sent { message: MessageId, position: Option<Position> },
}

impl Answer {
    fn json(value: &impl serde::Serialize) -> Self {
        Self::Data(serde_json::to_vec(value).unwrap_or_default().into())
    }
    fn empty() -> Self {
        Self::Data(Bytes::from_static(b"{}"))
    }
}

/// What an order is given with.
pub(crate) struct Order<'a> {
    pub signaling: &'a Signaling,
    pub socket: &'a Socket,
    pub request_id: String,
    pub data: Option<&'a RawValue>,
}

impl<'a> Order<'a> {
    fn fields(&self) -> Result<Fields<'a>, Problem> {
        Fields::of(self.data)
    }
    fn caller(&self) -> commands::Caller {
        self.socket.caller(self.request_id.clone())
    }
}

/// Carries one frame out and sees to its ack. Frames of one socket are carried out one after another, so that they take
/// effect in the order in which they came; an ack that must wait for its message's push doesn't hold up the next frame.
pub(crate) async fn obey(
    signaling: &Signaling,
    socket: &Arc<Socket>,
    ack: AckId,
    event: &str,
    data: Option<&RawValue>,
) {
    let promise = socket.outbox.promise();
    let request_id = signaling.new_uuid().to_string();
    let order = Order { signaling, socket, request_id: request_id.clone(), data };
    let outcome = match admitted(socket) {
        Ok(()) => carry_out(order, event).await,
        Err(problem) => Err(problem),
    };
    metrics::counter!("hansard_socket_frames_total", "outcome" => if outcome.is_ok() { "done" } else { "refused" })
        .increment(1);
    match outcome {
        Ok(Answer::Data(data)) => promise.keep(ack, Ok(data)),
        Ok(Answer::Sent { message, position }) => {
            let (signaling, user) = (signaling.clone(), socket.user);
            tokio::spawn(async move {
                let told = message::told(&signaling, user, message, position).await;
                promise.keep(ack, told.map_err(|problem| (problem, request_id)));
            });
        }
        Err(problem) => promise.keep(ack, Err((problem, request_id))),
    }
}

fn admitted(socket: &Socket) -> Result<(), Problem> {
    let Some(bucket) = &socket.bucket else { return Ok(()) };
    bucket.lock().unwrap_or_else(PoisonError::into_inner).take().map_err(Problem::throttled)
}

/// What isn't even a frame is answered like one.
pub(crate) fn refuse(signaling: &Signaling, socket: &Socket, ack: AckId, problem: Problem) {
    socket.outbox.promise().keep(ack, Err((problem, signaling.new_uuid().to_string())));
}

async fn carry_out(order: Order<'_>, event: &str) -> Result<Answer, Problem> {
    let unknown = || Problem::new(400, "unknown_event", "there is no such event on this socket");
    let event = Emitted::of(event).ok_or_else(unknown)?;
    if order.socket.port == Port::Calls && !event.is_for_calls() {
        return Err(unknown());
    }
    match event {
        Emitted::AuthRefresh => own::refresh(order).await,
        Emitted::Resume => own::resume(&order),
        Emitted::MessageSend => message::send(order).await,
        Emitted::MessageEdit => message::edit(order).await,
        Emitted::MessageDelete => message::delete(order).await,
        Emitted::MessagePin => message::pin(order).await,
        Emitted::MessageUnpin => message::unpin(order).await,
        Emitted::MessageReact => message::react(order).await,
        Emitted::MessageUnreact => message::unreact(order).await,
        Emitted::MessageRead => message::read(order).await,
        Emitted::TypingStart => own::typing(order, true).await,
        Emitted::TypingStop => own::typing(order, false).await,
        Emitted::StatusUpdate | Emitted::PresenceUpdate => own::status(order).await,
        Emitted::PresenceSubscribe => own::watch(order).await,
        Emitted::ConversationView => own::show(&order),
    }
}
