//! [`SearchClient`]: asks an index, in this process or over NATS. [`serve`] answers those who ask over NATS.

use crate::{
    Index, SearchError,
    search::{Answer, Question},
};
use async_nats::{Client, Message, client::RequestErrorKind, connection::State};
use domain::Position;
use event_store::EventStore;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use std::{sync::Arc, thread::available_parallelism, time::Duration};
use tokio::{
    sync::Semaphore,
    task::spawn_blocking,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// What a search may wait for its turn.
const TURN_MAX: Duration = Duration::from_secs(1);
/// What an answer from another process may take.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// A process whose index is further behind the log leaves answering to others.
const BEHIND_MAX: i64 = 10_000;
const RETRY: Duration = Duration::from_millis(500);
/// Of several search processes each question goes to one.
const QUEUE: &str = "search";

/// Cheap to clone.
#[derive(Clone)]
pub struct SearchClient(Way);

#[derive(Clone)]
enum Way {
    Here { index: Index, turns: Arc<Semaphore> },
    Nats { client: Client, subject: String },
}

/// What is sent back. Faults are told by their kind alone; the process that had them logs them.
#[derive(Serialize, Deserialize)]
enum Reply {
    Answer(Answer),
    TooSlow,
    Busy,
    Failed,
}

impl SearchClient {
    /// Asks an index of this process.
    pub fn here(index: Index) -> Self {
        // Searches are work, not waiting: more at once only make each other late.
        let turns = available_parallelism().map_or(2, std::num::NonZeroUsize::get);
        Self(Way::Here { index, turns: Arc::new(Semaphore::new(turns)) })
    }

    /// Asks whichever search process of this log hears it.
    pub fn over_nats(store: &EventStore, client: Client) -> Self {
        Self(Way::Nats { client, subject: subject(store) })
    }

    pub async fn ask(&self, question: Question) -> Result<Answer, SearchError> {
        match &self.0 {
            Way::Here { index, turns } => {
                let turn = timeout(TURN_MAX, turns.clone().acquire_owned()).await;
                let Ok(Ok(turn)) = turn else { return Err(SearchError::Busy) };
                let index = index.clone();
                let searching = spawn_blocking(move || {
                    let answer = index.search(&question);
                    drop(turn);
                    answer
                });
                searching.await.map_err(|error| SearchError::task(&error))?
            }
            Way::Nats { client, subject } => ask_over_nats(client, subject.clone(), &question).await,
        }
    }
}

async fn ask_over_nats(client: &Client, subject: String, question: &Question) -> Result<Answer, SearchError> {
    // A client without a connection would keep the question until there is one.
    if client.connection_state() != State::Connected {
        return Err(SearchError::Away);
    }
    let message = |error: &dyn std::error::Error| SearchError::Message(error.to_string());
    let bytes = serde_json::to_vec(question).map_err(|error| message(&error))?;
    if bytes.len() > client.server_info().max_payload {
        return Err(SearchError::Message(format!("a question of {} bytes is too large", bytes.len())));
    }
    let asked = timeout(ANSWER_MAX, client.request(subject, bytes.into())).await;
    let reply = match asked {
        Ok(Ok(reply)) => reply,
        Ok(Err(error)) => match error.kind() {
            RequestErrorKind::NoResponders | RequestErrorKind::TimedOut => return Err(SearchError::Away),
            _ => return Err(message(&error)),
        },
        Err(_) => return Err(SearchError::Away),
    };
    match serde_json::from_slice(&reply.payload).map_err(|error| message(&error))? {
        Reply::Answer(answer) => Ok(answer),
        Reply::TooSlow => Err(SearchError::TooSlow),
        Reply::Busy => Err(SearchError::Busy),
        Reply::Failed => Err(SearchError::Message("the search process has failed".to_owned())),
    }
}

/// Answers until the shutdown, from when the index has caught up with the log.
pub async fn serve(store: EventStore, index: Index, client: Client, shutdown: CancellationToken) {
    let answering = async {
        while !has_caught_up(&store, index.position()).await {
            sleep(RETRY).await;
        }
        info!(position = %index.position(), "answering searches");
        let here = SearchClient::here(index.clone());
        loop {
            match client.queue_subscribe(subject(&store), QUEUE.to_owned()).await {
                Ok(mut questions) => {
                    while let Some(question) = questions.next().await {
                        tokio::spawn(answer(here.clone(), client.clone(), question));
                    }
                }
                Err(error) => warn!(%error, "searches can't be listened for"),
            }
            sleep(RETRY).await;
        }
    };
    tokio::select! { () = shutdown.cancelled() => {}, () = answering => {} }
}

async fn has_caught_up(store: &EventStore, position: Position) -> bool {
    match store.head().await {
        Ok(head) => head.0 - position.0 <= BEHIND_MAX,
        Err(error) => {
            warn!(%error, "how far the log is can't be asked");
            false
        }
    }
}

async fn answer(here: SearchClient, client: Client, message: Message) {
    let Some(to) = message.reply else { return };
    let reply = match serde_json::from_slice(&message.payload) {
        Ok(question) => reply(here.ask(question).await),
        Err(error) => {
            warn!(%error, "a search can't be read");
            Reply::Failed
        }
    };
    let sent = match serde_json::to_vec(&reply) {
        Ok(bytes) => client.publish(to, bytes.into()).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = sent {
        warn!(%error, "a search could not be answered");
    }
}

fn reply(answer: Result<Answer, SearchError>) -> Reply {
    match answer {
        Ok(answer) => Reply::Answer(answer),
        Err(SearchError::TooSlow) => Reply::TooSlow,
        Err(SearchError::Busy) => Reply::Busy,
        Err(error) => {
            warn!(%error, "a search has failed");
            Reply::Failed
        }
    }
}

/// A question is about one log: processes of another don't hear it.
fn subject(store: &EventStore) -> String {
    format!("hansard.search.{}", store.log_id())
}
