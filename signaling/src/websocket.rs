//! [`open`]: `/ws`, plain WebSocket (RFC 6455) with a JSON object a frame.

use crate::{
    command,
    connection::{Ending, Gone, Sink, Socket, write},
    delivery::Start,
    frame::{AckId, Dialect, FRAME_BYTES_MAX},
    greeting::{Admitted, Hello, admit},
    problem,
    server::{Port, Signaling},
};
use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use commands::{Problem, WrongField};
use futures::{SinkExt, StreamExt, stream::SplitSink, stream::SplitStream};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use runtime::wire::WireCutter;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{sync::Arc, time::Duration};
use tokio::{io::AsyncReadExt, time::timeout};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Message,
        handshake::derive_accept_key,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};

const SUBPROTOCOL: &str = "hansard.v1";
/// What a browser puts its token behind, for it can set no header.
const BEARER_SUBPROTOCOL: &str = "bearer.";
/// Most frames of clients are smaller, and there is a buffer for each socket.
const READ_BUFFER_BYTES: usize = 2 * 1024;
/// So many bytes are gathered before they are handed to the system; a flush hands over whatever there is.
const WRITE_BUFFER_BYTES: usize = 16 * 1024;
/// Who is told why the socket closes gets so long to read it.
const CLOSE_MAX: Duration = Duration::from_secs(1);
/// Of a frame that is too large so much is read and forgotten, so that the other side gets to read why it is closed.
const DRAINED_BYTES_MAX: usize = 8 * 1024 * 1024;

type Stream = WebSocketStream<TokioIo<Upgraded>>;

pub(crate) async fn open(State((signaling, port)): State<(Signaling, Port)>, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    match upgrade(&signaling, port, &mut parts).await {
        Ok(response) => response,
        Err(problem) => refused(&signaling, &parts, &problem),
    }
}

/// Whoever has no valid token learns nothing more: that is judged first.
async fn upgrade(signaling: &Signaling, port: Port, parts: &mut Parts) -> Result<Response, Problem> {
    let offered = subprotocols(&parts.headers);
    let token = token(&parts.headers, &offered)
        .ok_or_else(|| Problem::new(401, "unauthenticated", "a bearer token is needed"))?
        .to_owned();
    let (start, device) = asked(parts.uri.query().unwrap_or_default())?;
    let key = handshake_key(&parts.headers);
    let speaks_ours = offered.contains(&SUBPROTOCOL);
    let admitted = admit(signaling, port, Hello { token, start, device }).await?;
    let malformed = || Problem::new(400, "no_upgrade", "this address takes WebSocket connections");
    let accept = derive_accept_key(key.ok_or_else(malformed)?.as_bytes());
    let on_upgrade = parts.extensions.remove::<OnUpgrade>().ok_or_else(malformed)?;
    let cutter = parts.extensions.get::<WireCutter>().cloned();
    tokio::spawn(talk(signaling.clone(), admitted, on_upgrade, cutter));
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&accept) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    if speaks_ours {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    }
    Ok(response)
}

fn refused(signaling: &Signaling, parts: &Parts, problem: &Problem) -> Response {
    let given = parts.headers.get("x-request-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let request_id = given.unwrap_or_else(|| signaling.new_uuid().to_string());
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = problem::body(problem, &request_id);
    let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(seconds) = problem.retry_after_s {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

fn subprotocols(headers: &HeaderMap) -> Vec<&str> {
    let lines = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).collect()
}

fn token<'a>(headers: &'a HeaderMap, offered: &[&'a str]) -> Option<&'a str> {
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = header.and_then(|value| value.split_once(' '));
    let bearer = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
    bearer.or_else(|| offered.iter().find_map(|name| name.strip_prefix(BEARER_SUBPROTOCOL)))
}

fn handshake_key(headers: &HeaderMap) -> Option<HeaderValue> {
    let has = |name, word: &str| {
        let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
        lines.flat_map(|line| line.split(',')).any(|one| one.trim().eq_ignore_ascii_case(word))
    };
    let is_ours = has(header::CONNECTION, "upgrade")
        && has(header::UPGRADE, "websocket")
        && headers.get(header::SEC_WEBSOCKET_VERSION).is_some_and(|version| version == "13");
    headers.get(header::SEC_WEBSOCKET_KEY).filter(|_| is_ours).cloned()
}

/// What the address asks for. A token in it is no token: addresses end up in logs.
fn asked(query: &str) -> Result<(Start, Option<String>), Problem> {
    let (mut start, mut device) = (Start::default(), None);
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "position" => start.position = Some(value.parse().map_err(|_| wrong_position())?),
            "logId" => start.log_id = Some(value.into_owned()),
            "deviceId" => device = Some(value.into_owned()),
            _ => {}
        }
    }
    Ok((start, device))
}

pub(crate) fn wrong_position() -> Problem {
    let message = "a position is a whole number from 0".into();
    Problem::invalid(vec![WrongField { field: "position".to_owned(), code: "malformed", message }])
}

async fn talk(signaling: Signaling, mut admitted: Admitted, on_upgrade: OnUpgrade, cutter: Option<WireCutter>) {
    let Ok(upgraded) = on_upgrade.await else { return };
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_message_size(Some(FRAME_BYTES_MAX))
        .max_frame_size(Some(FRAME_BYTES_MAX));
    let stream = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
    let socket = admitted.socket.clone();
    let subscription = admitted.subscription.take();
    let (sink, mut frames) = stream.split();
    let writing = write(&signaling, &socket, subscription, Dialect::Plain, PlainSink(sink));
    let reading = async {
        let ending = read(&signaling, &socket, &mut frames).await;
        socket.end(ending);
        // The writer sees that, and gives the sink back.
        std::future::pending::<()>().await;
    };
    let (ending, sink) = tokio::select! { written = writing => written, () = reading => return };
    metrics::counter!("hansard_sockets_closed_total", "code" => ending.code().to_string()).increment(1);
    if let Ok(mut stream) = frames.reunite(sink.0)
        && timeout(CLOSE_MAX, Box::pin(close(&mut stream, ending))).await.is_err()
        && let Some(cutter) = cutter
    {
        cutter.cut();
    }
}

struct PlainSink(SplitSink<Stream, Message>);

impl Sink for PlainSink {
    async fn write(&mut self, frames: Vec<String>) -> Result<(), Gone> {
        for frame in frames {
            self.0.feed(Message::text(frame)).await.map_err(|_| Gone)?;
        }
        self.0.flush().await.map_err(|_| Gone)
    }
    async fn ping(&mut self) -> Result<(), Gone> {
        self.0.send(Message::Ping(bytes::Bytes::new())).await.map_err(|_| Gone)
    }
}

#[derive(Deserialize)]
struct ClientFrame<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    event: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

async fn read(signaling: &Signaling, socket: &Arc<Socket>, frames: &mut SplitStream<Stream>) -> Ending {
    while let Some(message) = frames.next().await {
        socket.heard();
        match message {
            Ok(Message::Text(text)) => obey(signaling, socket, &text).await,
            Ok(Message::Binary(_)) => malformed(signaling, socket, AckId::NONE),
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
            Err(tungstenite::Error::Capacity(_)) => return Ending::TooLarge,
            Ok(Message::Close(_)) | Err(_) => return Ending::Left,
        }
        socket.outbox.room().await;
    }
    Ending::Left
}

async fn obey(signaling: &Signaling, socket: &Arc<Socket>, text: &str) {
    let Ok(ClientFrame { id, event, data }) = serde_json::from_str(text) else {
        return malformed(signaling, socket, AckId::NONE);
    };
    let ack = AckId::of_json(id);
    match event.and_then(|event| serde_json::from_str::<String>(event.get()).ok()) {
        // Boxed, so that idle sockets don't keep room for every command there is.
        Some(event) => Box::pin(command::obey(signaling, socket, ack, &event, data)).await,
        None => malformed(signaling, socket, ack),
    }
}

fn malformed(signaling: &Signaling, socket: &Socket, ack: AckId) {
    let detail = "a frame is a JSON object with event, data and id";
    command::refuse(signaling, socket, ack, Problem::new(400, "malformed_frame", detail));
}

async fn close(stream: &mut Stream, ending: Ending) {
    let frame = CloseFrame { code: CloseCode::from(ending.code()), reason: ending.reason().into() };
    // Where the other side closed first, this answers it; where it is gone, nothing can be told.
    let _ = stream.close(Some(frame)).await;
    let _ = stream.flush().await;
    // A connection that is closed on unread bytes is reset, and what was said last is lost.
    let (mut drained, mut buffer) = (0, [0; 4096]);
    while drained < DRAINED_BYTES_MAX
        && let Ok(read @ 1..) = stream.get_mut().read(&mut buffer).await
    {
        drained += read;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(of: &[(&'static str, &'static str)]) -> HeaderMap {
        of.iter().map(|(name, value)| (name.parse().expect("name"), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_token_comes_in_a_header_or_as_a_subprotocol_and_never_in_the_address() {
        let in_header = headers(&[("authorization", "Bearer a.b.c")]);
        assert_eq!(token(&in_header, &subprotocols(&in_header)), Some("a.b.c"));
        let offered = headers(&[("sec-websocket-protocol", "hansard.v1, bearer.a.b.c")]);
        assert_eq!(token(&offered, &subprotocols(&offered)), Some("a.b.c"));
        let none = headers(&[("authorization", "Basic YTpi")]);
        assert_eq!(token(&none, &subprotocols(&none)), None);
    }

    #[test]
    fn the_address_says_where_to_begin_and_on_which_device() {
        let (start, device) = asked("position=7&logId=l&deviceId=d&token=x").expect("right");
        assert_eq!((start.position, start.log_id.as_deref(), device.as_deref()), (Some(7), Some("l"), Some("d")));
        assert_eq!(asked("position=-1").expect_err("wrong").code, "validation_failed");
    }

    #[test]
    fn only_a_request_for_an_upgrade_is_one() {
        let right = [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        assert!(handshake_key(&headers(&right)).is_some());
        for missing in 0..right.len() {
            let mut wrong = right.to_vec();
            wrong.remove(missing);
            assert!(handshake_key(&headers(&wrong)).is_none(), "without {}", right[missing].0);
        }
    }
}
