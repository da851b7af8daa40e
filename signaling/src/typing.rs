//! Who is typing: [`tell`] takes it in, every node of the log hears of it, and [`run`] ends it after 6 s.

use crate::{
    connection::Socket,
    delivery::{Transient, TransientAudience},
    server::Signaling,
};
use bytes::Bytes;
use domain::{ConversationId, UserId};
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use uuid::Uuid;

/// Who says nothing more has stopped.
const TYPING_MAX: Duration = Duration::from_secs(6);
const SWEEP_EVERY: Duration = Duration::from_millis(250);
const RETRY: Duration = Duration::from_secs(1);
/// In a larger conversation only sockets that show it are told.
const SMALL_MAX: usize = 50;

type Key = (ConversationId, UserId);

/// Whoever is typing somewhere, and until when that holds. Every node keeps time for itself, so that typing stops even
/// where the node of the typist has died.
#[derive(Default)]
pub(crate) struct Typing(Mutex<HashMap<Key, Until>>);

#[derive(Clone, Copy)]
struct Until {
    at: Instant,
    is_small: bool,
}

/// Between nodes.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Word {
    node: Uuid,
    conversation_id: ConversationId,
    user_id: UserId,
    username: String,
    /// Whether the conversation is small enough to tell everyone in it.
    is_small: bool,
    is_typing: bool,
}

/// Someone begins, goes on or stops typing.
pub(crate) fn tell(
    signaling: &Signaling,
    typist: &Socket,
    conversation: ConversationId,
    participants: usize,
    is_typing: bool,
) {
    let word = Word {
        node: signaling.node(),
        conversation_id: conversation,
        user_id: typist.user,
        username: typist.username.clone(),
        is_small: participants <= SMALL_MAX,
        is_typing,
    };
    heed(signaling, &word);
    if let Some(nats) = signaling.nats().cloned() {
        let (subject, payload) = (signaling.subject("typing"), serde_json::to_vec(&word).unwrap_or_default());
        // Lost where NATS is away: it is over in seconds.
        tokio::spawn(async move { nats.publish(subject, payload.into()).await });
    }
}

fn heed(signaling: &Signaling, word: &Word) {
    let key = (word.conversation_id, word.user_id);
    let was_typing = {
        let mut typing = signaling.typing().0.lock().unwrap_or_else(PoisonError::into_inner);
        let until = Until { at: Instant::now() + TYPING_MAX, is_small: word.is_small };
        if word.is_typing { typing.insert(key, until) } else { typing.remove(&key) }
    };
    if word.is_typing {
        let data = serde_json::json!({
            "conversationId": word.conversation_id, "userId": word.user_id, "username": word.username,
        });
        push(signaling, key, word.is_small, "typing:start", data.to_string().into());
    } else if was_typing.is_some() {
        push_stop(signaling, key, word.is_small);
    }
}

fn push_stop(signaling: &Signaling, key: Key, is_small: bool) {
    let data = serde_json::json!({"conversationId": key.0, "userId": key.1});
    push(signaling, key, is_small, "typing:stop", data.to_string().into());
}

/// To the others who take part now and are connected here.
fn push(signaling: &Signaling, (conversation, typist): Key, is_small: bool, event: &'static str, data: Bytes) {
    let delivery = signaling.delivery();
    let mut members = delivery.members_connected(conversation);
    members.retain(|member| *member != typist);
    let audience = if is_small {
        TransientAudience::Users(members)
    } else {
        let mut showing = signaling.sockets().showing(conversation);
        showing.retain(|(user, _)| members.contains(user));
        TransientAudience::Subscriptions(showing.into_iter().map(|(_, subscription)| subscription).collect())
    };
    delivery.send_transient(&Transient { audience, event, data }, None);
}

/// Hears the other nodes, and ends what nobody went on with.
pub(crate) async fn run(signaling: Signaling) {
    tokio::join!(sweep(&signaling), hear(&signaling));
}

async fn sweep(signaling: &Signaling) {
    let mut ticks = interval(SWEEP_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = Instant::now();
        let over: Vec<_> = {
            let mut typing = signaling.typing().0.lock().unwrap_or_else(PoisonError::into_inner);
            typing.extract_if(|_, until| until.at <= now).collect()
        };
        for (key, until) in over {
            push_stop(signaling, key, until.is_small);
        }
    }
}

async fn hear(signaling: &Signaling) {
    let Some(nats) = signaling.nats() else { return };
    loop {
        match nats.subscribe(signaling.subject("typing")).await {
            Ok(mut words) => {
                while let Some(message) = words.next().await {
                    match serde_json::from_slice::<Word>(&message.payload) {
                        Ok(word) if word.node != signaling.node() => heed(signaling, &word),
                        Ok(_) => {}
                        Err(error) => tracing::warn!(%error, "a word of typing can't be read"),
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "who types elsewhere can't be heard"),
        }
        sleep(RETRY).await;
    }
}
