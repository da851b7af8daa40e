//! [`restart_nats_when_stalled`]: once nats-server could not write to a stream's file, it takes nothing more for that
//! stream until it is started again, even where the disk has room again.

use crate::stack::Stack;
use async_nats::{Client, connection::State, jetstream::context::ContextBuilder};
use event_store::{EventStore, StreamNames};
use std::{
    convert::Infallible,
    time::{Duration, Instant},
};
use tokio::time::sleep;
use tracing::warn;

const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Longer than a publisher needs to try again.
const PATIENCE_FIRST: Duration = Duration::from_secs(15);
/// Where a start has not helped, the reason lasts: the next ones come ever later.
const PATIENCE_MAX: Duration = Duration::from_mins(10);

/// Watches the stream of the embedded server, where there is one, for as long as it is polled.
pub async fn restart_nats_when_stalled(stack: &Stack, store: &EventStore, nats: &Client) -> Infallible {
    if !stack.has_nats() {
        return std::future::pending().await;
    }
    let mut watch = Watch::new(Instant::now());
    loop {
        sleep(LOOK_EVERY).await;
        if nats.connection_state() != State::Connected {
            // It is being started, and may have much to read through.
            watch.look_away(Instant::now());
            continue;
        }
        let head = store.head_watch().borrow().0;
        let last = last_sequence(nats).await;
        if watch.is_stalled(head, last, Instant::now()) {
            warn!(log.head = head, stream.last = ?last, "the stream takes no events: nats-server is started again");
            stack.restart_nats();
        }
    }
}

/// None where the server doesn't say.
async fn last_sequence(nats: &Client) -> Option<i64> {
    let jetstream = ContextBuilder::new().timeout(LOOK_EVERY).build(nats.clone());
    let stream = jetstream.get_stream(StreamNames::default().stream).await.ok()?;
    i64::try_from(stream.cached_info().state.last_sequence).ok()
}

struct Watch {
    last: Option<i64>,
    /// Since when the stream has stood still.
    since: Instant,
    patience: Duration,
}

impl Watch {
    fn new(now: Instant) -> Self {
        Self { last: None, since: now, patience: PATIENCE_FIRST }
    }

    fn look_away(&mut self, now: Instant) {
        self.since = now;
    }

    /// Whether the stream has been behind the log, at the same place, for too long.
    fn is_stalled(&mut self, head: i64, last: Option<i64>, now: Instant) -> bool {
        let moves = last.is_some_and(|last| last >= head || self.last.is_some_and(|before| before != last));
        self.last = last.or(self.last);
        if moves {
            (self.since, self.patience) = (now, PATIENCE_FIRST);
            return false;
        }
        if now - self.since < self.patience {
            return false;
        }
        (self.since, self.patience) = (now, (self.patience * 2).min(PATIENCE_MAX));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_stream_that_moves_or_has_all_is_left_alone() {
        let start = Instant::now();
        let mut watch = Watch::new(start);
        assert!((0_u32..600).all(|n| !watch.is_stalled(1_000, Some(n.into()), start + SECOND * n)));
        assert!((600..1_200).all(|n| !watch.is_stalled(1_000, Some(1_000), start + SECOND * n)));
    }

    #[test]
    fn a_stream_that_stands_still_behind_the_log_is_stalled_ever_less_often() {
        let start = Instant::now();
        let mut watch = Watch::new(start);
        let stalled = (0..120).filter(|n| watch.is_stalled(7, Some(6), start + SECOND * *n));
        assert_eq!(stalled.collect::<Vec<_>>(), [15, 45, 105]);
        assert!(!watch.is_stalled(8, Some(8), start + SECOND * 120));
        assert!(watch.is_stalled(9, None, start + SECOND * 135), "one that says nothing stands still, too");
    }

    #[test]
    fn a_server_that_is_away_is_waited_for() {
        let start = Instant::now();
        let mut watch = Watch::new(start);
        assert!(!watch.is_stalled(7, Some(6), start));
        watch.look_away(start + SECOND * 14);
        assert!(!watch.is_stalled(7, None, start + SECOND * 28));
        assert!(watch.is_stalled(7, None, start + SECOND * 29));
    }
}
