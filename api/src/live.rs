//! [`Live`]: the way down to the real commands, read models and stores.

use crate::{
    backend::{Backend, Bearer, Condition, Lag},
    problem::Problem,
};
use async_nats::{Client, connection::State};
use commands::{Commands, session};
use domain::Position;
use futures::{FutureExt, StreamExt, future::BoxFuture};
use projections::{Progress, Views};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use tokio::{sync::Mutex, time::timeout};

/// A store that takes longer to answer counts as away.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// So long one look at the stores serves all who ask, for anyone may.
const CONDITION_TTL: Duration = Duration::from_millis(500);

pub struct Live {
    commands: Commands,
    views: Views,
    progress: Progress,
    nats: Option<Client>,
    seen: Mutex<Option<(Instant, Condition)>>,
}

impl Live {
    pub fn new(commands: Commands, views: Views, progress: Progress, nats: Option<Client>) -> Self {
        Self { commands, views, progress, nats, seen: Mutex::default() }
    }

    async fn look(&self) -> Condition {
        let ((postgres, lag), schema_is_current, nats) =
            tokio::join!(self.lag(), self.schema_is_current(), self.nats_answers());
        Condition { postgres, schema_is_current, nats, lag }
    }

    /// Whether PostgreSQL answers, and what it says of the read models.
    async fn lag(&self) -> (bool, BTreeMap<String, Lag>) {
        let states = match timeout(ANSWER_MAX, projections::status(&self.views)).await {
            Ok(Ok(states)) => states,
            Ok(Err(error)) => {
                tracing::warn!(error = %error, "postgresql doesn't answer");
                return (false, BTreeMap::new());
            }
            Err(_) => return (false, BTreeMap::new()),
        };
        let lag = |lag: projections::Lag| Lag { events: u64::try_from(lag.events).unwrap_or(0), seconds: lag.seconds };
        (true, states.into_iter().map(|state| (state.name.to_owned(), lag(state.lag))).collect())
    }

    async fn schema_is_current(&self) -> bool {
        let current = event_store::schema_is_current(self.commands.store().pool());
        matches!(timeout(ANSWER_MAX, current).await, Ok(Ok(true)))
    }

    /// A word sent to ourselves comes back. That a connection stands says nothing: the server may hang.
    async fn nats_answers(&self) -> bool {
        let Some(nats) = self.nats.as_ref().filter(|nats| nats.connection_state() == State::Connected) else {
            return false;
        };
        let round_trip = async {
            let inbox = nats.new_inbox();
            let mut heard = nats.subscribe(inbox.clone()).await.ok()?;
            nats.publish(inbox, "".into()).await.ok()?;
            heard.next().await
        };
        timeout(ANSWER_MAX, round_trip).await.is_ok_and(|heard| heard.is_some())
    }
}

impl Backend for Live {
    fn authenticate<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Bearer, Problem>> {
        async move {
            let claims = session::authenticate(&self.commands, token).await?;
            Ok(Bearer { user: claims.sub, username: claims.username, session: claims.sid, roles: claims.roles })
        }
        .boxed()
    }
    fn head(&self) -> Position {
        *self.commands.store().head_watch().borrow()
    }
    fn applied(&self) -> Position {
        self.progress.position()
    }
    fn is_known_to_lag(&self) -> bool {
        self.progress.is_known_to_lag()
    }
    fn wait_for(&self, position: Position, at_most: Duration) -> BoxFuture<'_, bool> {
        self.progress.wait_for(position, at_most).boxed()
    }
    fn condition(&self) -> BoxFuture<'_, Condition> {
        async move {
            let mut seen = self.seen.lock().await;
            if let Some((at, condition)) = &*seen
                && at.elapsed() < CONDITION_TTL
            {
                return condition.clone();
            }
            let condition = self.look().await;
            *seen = Some((Instant::now(), condition.clone()));
            condition
        }
        .boxed()
    }
}
