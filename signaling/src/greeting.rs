//! [`admit`]: who may have a socket. What is told here is told alike by a refused upgrade and a refused connect.

use crate::{
    connection::{Ending, Socket},
    delivery::{DeliveryError, Start, Subscription},
    problem,
    rate::Bucket,
    server::{Port, Signaling},
};
use commands::{Claims, Problem, WrongField, session};
use runtime::connections::CountedConnection;
use std::sync::Arc;

const DEVICE_CHARS_MAX: usize = 128;

/// What a client says when it connects.
pub(crate) struct Hello {
    pub token: String,
    pub start: Start,
    pub device: Option<String>,
}

/// A socket that is open from now until this is dropped.
pub(crate) struct Admitted {
    pub socket: Arc<Socket>,
    pub subscription: Option<Subscription>,
    signaling: Signaling,
    _counted: CountedConnection,
}

pub(crate) async fn admit(signaling: &Signaling, port: Port, hello: Hello) -> Result<Admitted, Problem> {
    if signaling.is_draining() {
        return Err(Problem::unavailable("draining", "this server goes away, connect again"));
    }
    let Hello { token, start, device } = hello;
    let claims = authenticate(signaling, &token).await?;
    let device = device_of(signaling, device)?;
    let subscription = match port {
        Port::Messaging => Some(signaling.delivery().subscribe(claims.sub, start).await.map_err(unreadable)?),
        Port::Calls => None,
    };
    enter(signaling, port, claims, device, subscription)
}

/// Whose the token is; whatever is wrong with it, the code is the same.
pub(crate) async fn authenticate(signaling: &Signaling, token: &str) -> Result<Claims, Problem> {
    let claims = session::authenticate(signaling.commands(), token).await.map_err(|error| {
        let problem = Problem::from(error);
        if problem.status == 401 { Problem { code: "unauthenticated", ..problem } } else { problem }
    })?;
    if signaling.revoked().contains(claims.sid) { Err(session_ended()) } else { Ok(claims) }
}

fn unreadable(error: DeliveryError) -> Problem {
    match error {
        DeliveryError::Projection(error) => problem::of_views(error),
        DeliveryError::Store(error) => error.into(),
    }
}

fn session_ended() -> Problem {
    Problem::new(401, "unauthenticated", "the session of this token has ended")
}

fn device_of(signaling: &Signaling, given: Option<String>) -> Result<String, Problem> {
    let Some(device) = given.filter(|device| !device.is_empty()) else { return Ok(signaling.new_uuid().to_string()) };
    if device.len() <= DEVICE_CHARS_MAX && device.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(device);
    }
    let message = "a device id has 1 to 128 printable characters without spaces".into();
    Err(Problem::invalid(vec![WrongField { field: "deviceId".to_owned(), code: "invalid", message }]))
}

fn enter(
    signaling: &Signaling,
    port: Port,
    claims: Claims,
    device: String,
    subscription: Option<Subscription>,
) -> Result<Admitted, Problem> {
    let id = subscription.as_ref().map(Subscription::id);
    let bucket = signaling.rate_limit().map(Bucket::new);
    let socket = Arc::new(Socket::new(signaling.next_socket(), port, claims, device, id, bucket));
    if !signaling.sockets().add(&socket, signaling.sockets_of_user_max()) {
        return Err(Problem::new(429, "too_many_sockets", "this person has too many sockets open"));
    }
    let admitted =
        Admitted { socket, subscription, signaling: signaling.clone(), _counted: signaling.connections().count() };
    signaling.presence().arrive(admitted.socket.user);
    metrics::gauge!("hansard_sockets_open").increment(1.0);
    // What ended between the look and the entry has found no socket to close.
    if signaling.revoked().contains(admitted.socket.session) {
        return Err(session_ended());
    }
    if signaling.is_draining() {
        admitted.socket.end(Ending::Draining);
    }
    Ok(admitted)
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.socket.end(Ending::Left);
        self.signaling.sockets().remove(&self.socket);
        self.signaling.presence().leave(&self.signaling, self.socket.user);
        metrics::gauge!("hansard_sockets_open").decrement(1.0);
    }
}
