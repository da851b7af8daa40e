//! [`Line`]: a way by which messages go out. [`Rest`] is one.

use crate::{cast::Person, crowd::Acked};
use serde_json::{Value, json};
use std::{future::Future, time::Duration};

/// A message as its sender keeps it until it is acked: sent again, it is the same one.
#[derive(Clone, Debug)]
pub struct Draft {
    pub talk: usize,
    pub conversation: String,
    /// Unlike any other's.
    pub content: String,
    pub client_message_id: Option<String>,
    pub idempotency_key: Option<String>,
}

/// What the sender was told. An answer that comes before the read models have it tells less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    pub id: String,
    pub sequence: Option<i64>,
    pub position: Option<i64>,
}

pub enum Answer {
    Acked(Ack),
    /// It may be in the log or not: to be sent again.
    Unknown,
    /// Nobody should have been told this.
    Wrong(String),
}

/// What is done to a message that is there. It is not known whether it came about where nothing is answered.
#[derive(Clone, Copy, Debug)]
pub enum Touch {
    React,
    Read,
    Pin,
}

pub trait Line: Send + Sync + 'static {
    fn send(&mut self, person: &Person, draft: &Draft) -> impl Future<Output = Answer> + Send;

    /// Tells what nobody should have been told.
    fn touch(&mut self, person: &Person, to: &Acked, touch: Touch) -> impl Future<Output = Option<String>> + Send;
}

/// Goes to the next process where one doesn't answer.
pub struct Rest {
    http: reqwest::Client,
    bases: Vec<String>,
    current: usize,
}

impl Rest {
    pub fn new(bases: Vec<String>, first: usize) -> Self {
        // Longer than the servers themselves wait for PostgreSQL.
        let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().unwrap();
        Self { http, current: first % bases.len(), bases }
    }
}

impl Line for Rest {
    async fn send(&mut self, person: &Person, draft: &Draft) -> Answer {
        let mut body = json!({"conversationId": draft.conversation, "content": draft.content});
        if let Some(id) = &draft.client_message_id {
            body["clientMessageId"] = json!(id);
        }
        let mut request = self.http.post(format!("{}/api/messages", self.bases[self.current]));
        request = request.bearer_auth(&person.token).json(&body);
        if let Some(key) = &draft.idempotency_key {
            request = request.header("idempotency-key", key);
        }
        let answer = read(request).await;
        if matches!(answer, Answer::Unknown) {
            self.current = (self.current + 1) % self.bases.len();
        }
        answer
    }

    async fn touch(&mut self, person: &Person, to: &Acked, touch: Touch) -> Option<String> {
        let (id, conversation) = (&to.ack.id, &to.draft.conversation);
        let (route, body) = match touch {
            Touch::React => (format!("messages/{id}/react"), json!({"emoji": "👍"})),
            Touch::Pin => (format!("messages/{id}/pin"), json!({})),
            Touch::Read => (format!("conversations/{conversation}/read"), json!({"messageId": id})),
        };
        let url = format!("{}/api/{route}", self.bases[self.current]);
        let answer = self.http.post(url).bearer_auth(&person.token).json(&body).send().await.ok()?;
        let status = answer.status().as_u16();
        (!matches!(status, 200 | 201 | 429 | 503)).then(|| format!("{touch:?} was answered {status}"))
    }
}

async fn read(request: reqwest::RequestBuilder) -> Answer {
    let Ok(answer) = request.send().await else { return Answer::Unknown };
    let status = answer.status().as_u16();
    let Ok(body) = answer.json::<Value>().await else { return Answer::Unknown };
    match (status, body["data"]["id"].as_str()) {
        (200 | 201, Some(id)) => Answer::Acked(Ack {
            id: id.to_owned(),
            sequence: body["data"]["sequence"].as_i64(),
            position: body["data"]["position"].as_i64(),
        }),
        (429 | 503, _) => Answer::Unknown,
        _ => Answer::Wrong(format!("a send was answered {status}: {}", body["code"])),
    }
}
