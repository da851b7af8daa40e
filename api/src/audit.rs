//! The record, for auditors. Every reading is itself an event, and what is read ends before it.

use crate::{
    App,
    caller::Auditor,
    envelope::{Listed, Read},
    extract::{Path, Query},
    fields::{Fault, query},
    freshness,
    problem::Problem,
    slice::Slice,
};
use axum::extract::State;
use domain::{ConversationId, Position, Timestamp, UserId, audit::Resource};
use event_store::record::{AuditedEvent, EventFilter};
use projections::record::{self, ConversationRecord};
use utoipa_axum::routes;

/// Events a page.
const EVENTS_MAX: u32 = 1_000;
/// Messages of a conversation's record.
const MESSAGES_MAX: u32 = 10_000;

pub(crate) fn slice() -> Slice<App> {
    Slice::new("audit", "The record, for auditors").with(routes!(events)).with(routes!(conversation))
}

query! {
    /// Which events.
    pub struct Events {
        /// Those after this position.
        #[param(minimum = 0, default = 0)]
        after: Option<Position>,
        #[param(minimum = 1, maximum = 1000, default = 100)]
        limit: Option<u32> => events_limit,
        aggregate_type: Option<String>,
        aggregate_id: Option<String>,
        /// Such as `message.sent`.
        r#type: Option<String>,
        actor_id: Option<UserId>,
        conversation_id: Option<ConversationId>,
        /// Recorded then or later.
        from: Option<Timestamp>,
        /// Recorded before.
        to: Option<Timestamp>,
    }
}

fn events_limit(limit: &(impl Copy + Into<Option<u32>>)) -> Result<(), Fault> {
    match (*limit).into() {
        Some(limit) if !(1..=EVENTS_MAX).contains(&limit) => {
            Err(Fault { code: "out_of_range", message: "a page holds 1 to 1,000 events" })
        }
        Some(_) | None => Ok(()),
    }
}

/// The log, in its order, with personal fields opened.
#[utoipa::path(get, path = "/audit/events", params(Events), responses(
    (status = 200, description = "Events in order of position, up to this reading", body = Listed<AuditedEvent>),
))]
async fn events(
    State(app): State<App>,
    Auditor(caller): Auditor,
    Query(ask): Query<Events>,
) -> Result<Listed<AuditedEvent>, Problem> {
    let after = ask.after.unwrap_or_default();
    let own =
        commands::audit::access(&app.commands, &caller.order(), Resource::Events, ask.conversation_id, Some(after))
            .await?;
    let limit = ask.limit.unwrap_or(100);
    let filter = EventFilter {
        aggregate_type: ask.aggregate_type,
        aggregate_id: ask.aggregate_id,
        event_type: ask.r#type,
        actor: ask.actor_id,
        conversation: ask.conversation_id,
        from: ask.from,
        to: ask.to,
    };
    let mut events = app.commands.store().audited(after, own, i64::from(limit) + 1, &filter).await?;
    let has_more = events.len() > limit as usize;
    events.truncate(limit as usize);
    Ok(Listed::cursor(events, limit, has_more))
}

query! {
    /// When, and how much.
    pub struct AsOf {
        /// As of this position; the newest where neither it nor `at` is given.
        position: Option<Position>,
        /// As of this time.
        at: Option<Timestamp>,
        #[param(minimum = 1, maximum = 10000, default = 100)]
        limit: Option<u32> => messages_limit,
        /// Messages before this one, by its `sequence`.
        before: Option<i64>,
    }
}

fn messages_limit(limit: &(impl Copy + Into<Option<u32>>)) -> Result<(), Fault> {
    match (*limit).into() {
        Some(limit) if !(1..=MESSAGES_MAX).contains(&limit) => {
            Err(Fault { code: "out_of_range", message: "a page holds 1 to 10,000 messages" })
        }
        Some(_) | None => Ok(()),
    }
}

/// A conversation with members, messages and reactions exactly as they stood at a position, taken from the log.
#[utoipa::path(get, path = "/audit/conversations/{id}", params(("id" = ConversationId, Path), AsOf), responses(
    (status = 200, description = "As it stood", body = Read<ConversationRecord>),
))]
async fn conversation(
    State(app): State<App>,
    Auditor(caller): Auditor,
    Path(id): Path<ConversationId>,
    Query(ask): Query<AsOf>,
) -> Result<Read<ConversationRecord>, Problem> {
    if ask.position.is_some() && ask.at.is_some() {
        return Err(Problem::invalid_field("at", "exclusive", "give a position or a time, not both"));
    }
    let own =
        commands::audit::access(&app.commands, &caller.order(), Resource::Conversation, Some(id), ask.position).await?;
    let newest = Position(own.0 - 1);
    let position = match (ask.position, ask.at) {
        (Some(position), _) => position.min(newest),
        (None, Some(at)) => app.commands.store().position_at(at).await?.min(newest),
        (None, None) => newest,
    };
    // The views tell which messages there are: while they lag, the answer would be short of some, and look whole.
    freshness::require(&*app.front.backend, position).await?;
    let limit = ask.limit.unwrap_or(100);
    let found = record::conversation(&app.views, id, position, limit.into(), ask.before).await?;
    found.map(Read::of).ok_or_else(|| Problem::not_found("there was no such conversation then"))
}
