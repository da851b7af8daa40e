//! [`Delivery::catch_up`]: brings a subscription that is behind nearer to the head, step by step, at its owner's pace.
//!
//! What the ring holds is read from it. What lies before is found by the views, which know where people were and what
//! happened there; and where they are behind themselves, by reading the log.

use super::{Delivery, DeliveryError, as_of::AsOf, follow, node::Node, queue::Queue, subscription::Start};
use crate::push::Entry;
use domain::{MessageId, Position, UserId, message::Message};
use projections::delivery::{self as views, Missed};
use std::{sync::Arc, time::Duration};

/// Whoever has missed more events than this starts again.
const MISSED_MAX: usize = 10_000;
/// Positions that are asked of the views at once, for a client that is not coming back but slow.
const LISTED: usize = 2_000;
/// Events that are fetched and rendered at once.
const PAGE: usize = 128;
/// Entries of the ring that are looked at while everybody else waits.
const SCAN: usize = 4_096;
const FRAMES: usize = 256;
const BYTES: usize = 1024 * 1024;
/// What views that are behind are given to catch up, before the log is read in their stead.
const PATIENCE: Duration = Duration::from_secs(2);

/// How far somebody is who reads by themselves.
pub(super) struct Behind {
    /// All up to here has been handed out.
    cursor: Position,
    is_resuming: bool,
    /// What comes next, as the views found it, and how much of it has been handed out.
    missed: Option<(Missed, usize)>,
}

pub(super) enum Step {
    /// Goes on from there.
    From(Behind),
    /// What is visible of what lies between the last step and the position.
    Entries(Vec<Arc<Entry>>, Position),
    /// The queue is open: what comes after `head` is in it.
    Level { head: Position, is_resuming: bool },
    /// Too far back, or not of this log.
    Reset,
    /// From now on.
    Fresh,
}

impl Behind {
    pub fn after(cursor: Position) -> Self {
        Self { cursor, is_resuming: false, missed: None }
    }

    pub fn cursor(&self) -> Position {
        self.cursor
    }

    fn advance(&mut self, entries: Vec<Arc<Entry>>, cursor: Position) -> Step {
        self.cursor = cursor;
        Step::Entries(entries, cursor)
    }
}

impl Delivery {
    /// Whether, and from where, a client may go on.
    pub(super) async fn start(&self, user: UserId, start: &Start) -> Result<Step, DeliveryError> {
        let Some(position) = start.position else { return Ok(Step::Fresh) };
        let is_other = start.log_id.as_ref().is_some_and(|log_id| *log_id != self.0.log_id);
        let Ok(position) = i64::try_from(position) else { return Ok(Step::Reset) };
        let position = Position(position);
        let head = self.head();
        if is_other || (position > head && position > self.0.views.store().head().await?) {
            return Ok(Step::Reset);
        }
        let mut behind = Behind { cursor: position, is_resuming: true, missed: None };
        if position < head
            && (self.is_too_long_ago(position).await? || self.is_too_much(user, &mut behind, head).await?)
        {
            return Ok(Step::Reset);
        }
        Ok(Step::From(behind))
    }

    async fn is_too_long_ago(&self, position: Position) -> Result<bool, DeliveryError> {
        let first = Position(position.0 + 1);
        let in_ring = self.node().ring.get(first).map(|entry| entry.recorded_at);
        let recorded_at = match in_ring {
            Some(recorded_at) => Some(recorded_at),
            None => self.0.views.store().event_at(first).await?.map(|event| event.recorded_at),
        };
        Ok(recorded_at.is_some_and(|recorded_at| views::is_too_long_ago(&self.0.views, recorded_at)))
    }

    /// Keeps what it found in counting.
    async fn is_too_much(&self, user: UserId, behind: &mut Behind, head: Position) -> Result<bool, DeliveryError> {
        // No more of them can be seen than there are.
        if usize::try_from(head.0 - behind.cursor.0).unwrap_or(0) <= MISSED_MAX {
            return Ok(false);
        }
        let before_ring = Position(self.node().ring.start().0 - 1);
        let mut count = 0;
        if behind.cursor < before_ring {
            let missed = views::visible(&self.0.views, user, behind.cursor, before_ring, MISSED_MAX + 1).await?;
            count = missed.positions.len();
            behind.missed = Some((missed, 0));
        }
        let mut cursor = behind.cursor.max(before_ring);
        while count <= MISSED_MAX {
            let node = self.node();
            let scanned = scan(&node, user, cursor);
            if scanned.cursor == cursor {
                break;
            }
            (count, cursor) = (count + scanned.entries.len(), scanned.cursor);
        }
        Ok(count > MISSED_MAX)
    }

    /// Changes `behind` only once it has all it needs.
    pub(super) async fn catch_up(&self, queue: &Queue, behind: &mut Behind) -> Result<Step, DeliveryError> {
        if let Some((missed, handed_out)) = &behind.missed {
            let page: Vec<Position> = missed.positions.iter().skip(*handed_out).take(PAGE).copied().collect();
            let entries = self.listed(queue.user, missed, &page).await?;
            return Ok(behind.hand_out_listed(entries, page.len()));
        }
        let before_ring = {
            let node = self.node();
            if behind.cursor >= node.head() {
                queue.open(behind.cursor);
                return Ok(Step::Level { head: behind.cursor, is_resuming: behind.is_resuming });
            }
            let before_ring = Position(node.ring.start().0 - 1);
            if behind.cursor >= before_ring {
                let scanned = scan(&node, queue.user, behind.cursor);
                return Ok(behind.advance(scanned.entries, scanned.cursor));
            }
            before_ring
        };
        let missed = views::visible(&self.0.views, queue.user, behind.cursor, before_ring, LISTED).await?;
        if missed.until > behind.cursor {
            behind.missed = Some((missed, 0));
            return Ok(Step::Entries(vec![], behind.cursor));
        }
        if self.0.progress.wait_for(before_ring, PATIENCE).await {
            return Ok(Step::Entries(vec![], behind.cursor));
        }
        let (entries, cursor) = self.read_log(queue.user, behind.cursor, before_ring).await?;
        Ok(behind.advance(entries, cursor))
    }

    /// Of the positions that the views have found, the entries that are to be told.
    async fn listed(&self, user: UserId, missed: &Missed, page: &[Position]) -> Result<Vec<Arc<Entry>>, DeliveryError> {
        if page.is_empty() {
            return Ok(vec![]);
        }
        let recorded = self.0.views.store().events_at(page).await?;
        let mut entries = self.0.renderer.render(&recorded).await?;
        entries.retain(|entry| entry.is_for(user, &missed.stays));
        self.without_deleted(entries).await
    }

    /// In the views' stead: all events, of which some are the person's.
    async fn read_log(
        &self,
        user: UserId,
        cursor: Position,
        until: Position,
    ) -> Result<(Vec<Arc<Entry>>, Position), DeliveryError> {
        let mut recorded = self.0.views.store().read_log(cursor, PAGE).await?;
        recorded.retain(|event| event.position <= until);
        let reached = recorded.last().map_or(cursor, |event| event.position);
        let mut entries = follow::render(self, &mut AsOf::default(), &recorded).await?;
        {
            let node = self.node();
            entries.retain(|entry| node.may_see(user, entry));
        }
        // The views may not have heard of a deletion, and it may lie before the ring.
        let mut told = Vec::with_capacity(entries.len());
        for entry in entries {
            let message = entry.message.filter(|_| !entry.is_deletion);
            if !matches!(message, Some(message) if self.is_deleted_in_log(message).await?) {
                told.push(Arc::new(entry));
            }
        }
        Ok((told, reached))
    }

    async fn is_deleted_in_log(&self, message: MessageId) -> Result<bool, DeliveryError> {
        Ok(self.0.views.store().load::<Message>(message).await?.state.is_deleted())
    }

    /// A message that was deleted meanwhile is told only as that.
    async fn without_deleted(&self, mut entries: Vec<Entry>) -> Result<Vec<Arc<Entry>>, DeliveryError> {
        let messages: Vec<MessageId> =
            entries.iter().filter(|entry| !entry.is_deletion).filter_map(|entry| entry.message).collect();
        if !messages.is_empty() {
            let deleted = views::deleted(&self.0.views, &messages).await?;
            entries
                .retain(|entry| entry.is_deletion || entry.message.is_none_or(|message| !deleted.contains(&message)));
        }
        let node = self.node();
        Ok(entries.into_iter().filter(|entry| !node.ring.is_obsolete(entry)).map(Arc::new).collect())
    }
}

impl Behind {
    /// The next of what was listed.
    fn hand_out_listed(&mut self, entries: Vec<Arc<Entry>>, taken: usize) -> Step {
        let Some((missed, handed_out)) = &mut self.missed else { return Step::Entries(entries, self.cursor) };
        *handed_out += taken;
        let cursor = if *handed_out >= missed.positions.len() {
            let until = missed.until;
            self.missed = None;
            until
        } else {
            missed.positions[*handed_out - 1]
        };
        self.advance(entries, cursor.max(self.cursor))
    }
}

struct Scanned {
    entries: Vec<Arc<Entry>>,
    cursor: Position,
}

/// A part of the ring after a position that it reaches back to.
fn scan(node: &Node, user: UserId, cursor: Position) -> Scanned {
    let mut scanned = Scanned { entries: vec![], cursor };
    let (mut frames, mut bytes) = (0, 0);
    for entry in node.ring.after_position(cursor).take(SCAN) {
        scanned.cursor = entry.position;
        if entry.pushes.is_empty() || node.ring.is_obsolete(entry) || !node.may_see(user, entry) {
            continue;
        }
        scanned.entries.push(entry.clone());
        frames += entry.pushes.len();
        bytes += entry.bytes();
        if frames >= FRAMES || bytes >= BYTES {
            break;
        }
    }
    scanned
}
