//! [`Client`] on the plain WebSocket, and [`SocketIoClient`], which speaks Socket.IO's packets by hand.

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::{collections::VecDeque, net::SocketAddr, time::Duration};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{
        self, Message,
        client::IntoClientRequest,
        http::{HeaderValue, Response, header},
    },
};

/// For what should take milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Why an upgrade was refused.
pub type Refused = Box<Response<Option<Vec<u8>>>>;

pub struct Client {
    pub stream: Stream,
    pub ready: Value,
    /// What came while something else was waited for.
    kept: VecDeque<Value>,
    next_id: u64,
}

async fn open(request: impl IntoClientRequest + Unpin) -> Result<(Stream, Option<HeaderValue>), Refused> {
    match timeout(PATIENCE, connect_async(request)).await.expect("an answer") {
        Ok((stream, response)) => Ok((stream, response.headers().get(header::SEC_WEBSOCKET_PROTOCOL).cloned())),
        Err(tungstenite::Error::Http(response)) => Err(response),
        Err(error) => panic!("{error}"),
    }
}

impl Client {
    pub async fn connect(address: SocketAddr, token: &str, query: &str) -> Result<Self, Refused> {
        let mut request = format!("ws://{address}/ws{query}").into_client_request().unwrap();
        if !token.is_empty() {
            let bearer = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
            request.headers_mut().insert(header::AUTHORIZATION, bearer);
        }
        let (stream, _) = open(request).await?;
        Ok(Self::greeted(stream).await)
    }

    /// As a browser does; tells the subprotocol that was chosen too.
    pub async fn connect_by_subprotocol(address: SocketAddr, token: &str) -> (Self, Option<HeaderValue>) {
        let mut request = format!("ws://{address}/ws").into_client_request().unwrap();
        let offered = HeaderValue::from_str(&format!("hansard.v1, bearer.{token}")).unwrap();
        request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, offered);
        let (stream, chosen) = open(request).await.unwrap();
        (Self::greeted(stream).await, chosen)
    }

    async fn greeted(stream: Stream) -> Self {
        let mut client = Self { stream, ready: Value::Null, kept: VecDeque::new(), next_id: 0 };
        let first = client.frame().await;
        assert_eq!(first["event"], "ready", "{first}");
        client.ready = first["data"].clone();
        client
    }

    /// The next frame, whatever it is.
    pub async fn frame(&mut self) -> Value {
        if let Some(kept) = self.kept.pop_front() {
            return kept;
        }
        self.receive().await
    }

    /// The next frame that has a position: who comes online meanwhile is told at any time.
    pub async fn durable(&mut self) -> Value {
        loop {
            let frame = self.frame().await;
            if frame.get("position").is_some() {
                return frame;
            }
        }
    }

    async fn receive(&mut self) -> Value {
        loop {
            match timeout(PATIENCE, self.stream.next()).await.expect("a frame in time") {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("a frame was awaited: {other:?}"),
            }
        }
    }

    /// The next frame of this event; what comes before is kept.
    pub async fn event(&mut self, event: &str) -> Value {
        if let Some(at) = self.kept.iter().position(|frame| frame["event"] == event) {
            return self.kept.remove(at).unwrap();
        }
        loop {
            let frame = self.receive().await;
            if frame["event"] == event {
                return frame;
            }
            self.kept.push_back(frame);
        }
    }

    pub async fn send(&mut self, text: &str) {
        self.stream.send(Message::text(text)).await.unwrap();
    }

    /// Emits and waits for the ack: the whole frame.
    pub async fn emit(&mut self, event: &str, data: Value) -> Value {
        self.next_id += 1;
        let id = self.next_id;
        self.send(&json!({"id": id, "event": event, "data": data}).to_string()).await;
        let ack = self.event("ack").await;
        assert_eq!(ack["id"], id, "{ack}");
        ack
    }
    #[track_caller]
    pub fn is_refused(ack: &Value, status: u16, code: &str) {
        assert_eq!((&ack["error"]["status"], &ack["error"]["code"]), (&json!(status), &json!(code)), "{ack}");
    }

    /// The code with which the server closes; frames before that are kept.
    pub async fn closed(&mut self) -> u16 {
        closed(&mut self.stream, |text| self.kept.push_back(serde_json::from_str(&text).unwrap())).await
    }
}

async fn closed(stream: &mut Stream, mut keep: impl FnMut(String)) -> u16 {
    loop {
        match timeout(PATIENCE, stream.next()).await.expect("closed in time") {
            Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
            Some(Ok(Message::Text(text))) => keep(text.to_string()),
            Some(Ok(_)) => {}
            other => panic!("a close frame was awaited: {other:?}"),
        }
    }
}

pub struct SocketIoClient {
    stream: Stream,
    pub ready: Value,
    kept: VecDeque<String>,
}

impl SocketIoClient {
    /// By WebSocket at once. What the server answers to a refused connect is the error.
    pub async fn connect(address: SocketAddr, auth: &Value) -> Result<Self, String> {
        let (stream, _) = open(format!("ws://{address}/socket.io/?EIO=4&transport=websocket")).await.unwrap();
        let mut client = Self { stream, ready: Value::Null, kept: VecDeque::new() };
        assert!(client.receive().await.starts_with('0'), "engine.io opens");
        client.send(&format!("40{auth}")).await;
        let answer = client.receive().await;
        if !answer.starts_with("40") {
            return Err(answer);
        }
        client.ready = client.event("ready").await;
        Ok(client)
    }

    async fn receive(&mut self) -> String {
        loop {
            match timeout(PATIENCE, self.stream.next()).await.expect("a packet in time") {
                Some(Ok(Message::Text(text))) if text.as_str() == "2" => self.send("3").await,
                Some(Ok(Message::Text(text))) => return text.to_string(),
                other => panic!("a packet was awaited: {other:?}"),
            }
        }
    }

    async fn find(&mut self, beginning: &str) -> String {
        if let Some(at) = self.kept.iter().position(|packet| packet.starts_with(beginning)) {
            return self.kept.remove(at).unwrap();
        }
        loop {
            let packet = self.receive().await;
            if packet.starts_with(beginning) {
                return packet;
            }
            self.kept.push_back(packet);
        }
    }

    pub async fn send(&mut self, packet: &str) {
        self.stream.send(Message::text(packet)).await.unwrap();
    }

    /// The payload of the next event of this name.
    pub async fn event(&mut self, event: &str) -> Value {
        let packet = self.find(&format!("42[\"{event}\"")).await;
        serde_json::from_str::<Value>(&packet[2..]).unwrap()[1].take()
    }

    /// Emits and waits for the ack's payload.
    pub async fn emit(&mut self, event: &str, data: Value) -> Value {
        self.send(&format!("427{}", json!([event, data]))).await;
        let packet = self.find("437[").await;
        serde_json::from_str::<Value>(&packet[3..]).unwrap()[0].take()
    }

    pub async fn closed(&mut self) -> u16 {
        closed(&mut self.stream, |text| self.kept.push_back(text)).await
    }
}
