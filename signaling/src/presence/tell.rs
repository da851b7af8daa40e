//! Whoever may know is told: who shares a conversation of at most 50 with that person, and who asked and may see them.

use super::{Change, Presence};
use crate::{
    delivery::{Transient, TransientAudience},
    server::Signaling,
};
use bytes::Bytes;
use domain::{
    Personal, Timestamp, UserId,
    user::{Status, UserEvent},
};
use event_store::RecordedEvent;
use projections::{ProjectionError, presence, user::UserView};
use serde::Serialize;
use serde_json::json;
use std::collections::HashSet;
use tokio::sync::{broadcast::error::RecvError, mpsc};

/// Somebody's presence as others see it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "clients know these fields")]
pub(crate) struct Seen {
    user_id: UserId,
    status: Status,
    status_text: Option<String>,
    last_seen: Option<Timestamp>,
}

impl Seen {
    /// Whoever has no device connected is offline, whatever they say; and who is connected and has said nothing is
    /// online.
    fn of(user: UserView, presence: &Presence) -> Self {
        let status = match (presence.is_online(user.id), user.status) {
            (false, _) => Status::Offline,
            (true, Status::Offline) => Status::Online,
            (true, status) => status,
        };
        Self { user_id: user.id, status, status_text: user.status_text, last_seen: user.last_seen }
    }
}

/// The presence of those of these people whom the viewer may see.
pub(crate) async fn seen_by(
    signaling: &Signaling,
    viewer: UserId,
    users: &[UserId],
) -> Result<Vec<Seen>, ProjectionError> {
    let visible = presence::acquainted(signaling.views(), viewer, users).await?;
    let said = presence::said(signaling.views(), &visible).await?;
    Ok(said.into_iter().map(|user| Seen::of(user, signaling.presence())).collect())
}

/// Tells of whoever comes and goes.
pub(super) async fn changes(signaling: &Signaling, mut changes: mpsc::UnboundedReceiver<Change>) {
    while let Some(Change { user, is_online }) = changes.recv().await {
        // Who came and went meanwhile is told of by what comes next.
        if signaling.presence().is_online(user) != is_online {
            continue;
        }
        if let Err(error) = tell_change(signaling, user, is_online).await {
            tracing::warn!(%error, user.id = %user, "nobody was told of a presence");
        }
    }
}

async fn tell_change(signaling: &Signaling, user: UserId, is_online: bool) -> Result<(), ProjectionError> {
    if signaling.sockets().is_empty() {
        return Ok(());
    }
    if !is_online {
        let data = json!({"userId": user});
        return tell(signaling, user, "user:offline", data.to_string().into()).await;
    }
    let Some(said) = presence::said(signaling.views(), &[user]).await?.pop() else { return Ok(()) };
    let data = json!({"userId": user, "username": said.username});
    tell(signaling, user, "user:online", data.to_string().into()).await
}

/// Tells of what people say of themselves, by whichever way they said it.
pub(super) async fn statuses(signaling: &Signaling) {
    let mut facts = signaling.delivery().facts();
    loop {
        match facts.recv().await {
            Ok(event) => {
                if let Err(error) = hear(signaling, &event).await {
                    tracing::warn!(%error, "nobody was told of a status");
                }
            }
            // A status that was not told is seen when somebody asks.
            Err(RecvError::Lagged(missed)) => tracing::warn!(events.missed = missed, "statuses were not told"),
            Err(RecvError::Closed) => return,
        }
    }
}

async fn hear(signaling: &Signaling, event: &RecordedEvent) -> Result<(), ProjectionError> {
    let (status, status_text) = match event.decode::<UserEvent>()? {
        UserEvent::StatusChanged { status, status_text } => (status, status_text),
        UserEvent::Registered { .. }
        | UserEvent::ProfileUpdated { .. }
        | UserEvent::LoggedIn { .. }
        | UserEvent::LoginFailed { .. }
        | UserEvent::SessionRevoked { .. }
        | UserEvent::RoleGranted { .. }
        | UserEvent::RoleRevoked { .. } => return Ok(()),
    };
    let Ok(user) = event.aggregate_id.parse::<UserId>() else { return Ok(()) };
    if !signaling.presence().is_online(user) || signaling.sockets().is_empty() {
        return Ok(());
    }
    let Some(said) = presence::said(signaling.views(), &[user]).await?.pop() else { return Ok(()) };
    // The views may be behind the event; what it says counts.
    let status_text = match status_text {
        None => said.status_text,
        Some(Personal::Plain(text)) => Some(text),
        Some(Personal::Sealed(sealed)) => signaling.views().keyring().open(&sealed).await?,
    };
    let status_text = status_text.filter(|text| !text.is_empty());
    let seen = Seen { user_id: user, status, status_text, last_seen: said.last_seen };
    let data = serde_json::to_vec(&seen).unwrap_or_default();
    tell(signaling, user, "presence:update", data.into()).await
}

async fn tell(signaling: &Signaling, user: UserId, event: &'static str, data: Bytes) -> Result<(), ProjectionError> {
    let delivery = signaling.delivery();
    let conversations = presence::small_conversations(signaling.views(), user).await?;
    // By who is in them now: the views may be behind.
    let mut told: HashSet<UserId> = conversations.into_iter().flat_map(|id| delivery.members_connected(id)).collect();
    told.remove(&user);
    let watching: Vec<_> = signaling.sockets().watching(user);
    let watching: Vec<_> =
        watching.into_iter().filter(|(viewer, _)| !told.contains(viewer) && *viewer != user).collect();
    if !watching.is_empty() {
        let viewers: Vec<UserId> = watching.iter().map(|(viewer, _)| *viewer).collect();
        let may: HashSet<UserId> = presence::acquainted(signaling.views(), user, &viewers).await?.into_iter().collect();
        let subscriptions = watching.into_iter().filter(|(viewer, _)| may.contains(viewer)).map(|(_, id)| id).collect();
        let audience = TransientAudience::Subscriptions(subscriptions);
        delivery.send_transient(&Transient { audience, event, data: data.clone() }, None);
    }
    let audience = TransientAudience::Users(told.into_iter().collect());
    delivery.send_transient(&Transient { audience, event, data }, None);
    Ok(())
}
