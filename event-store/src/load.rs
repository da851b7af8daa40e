//! [`Loaded`]: an aggregate as its stream made it, up to a sequence.

use crate::{EventStore, RecordedEvent, StoreError, event::EventRow};
use domain::{Aggregate, Position, Sequence};
use std::sync::Arc;

/// State of one stream. What is decided on it is written, or guarded, with `sequence`: it must still be the last then.
pub struct Loaded<A> {
    pub id: String,
    /// Of the last event that is folded in; zero for a stream without any.
    pub sequence: Sequence,
    pub state: Arc<A>,
    /// Of a message.sent among the events: its number in its conversation.
    pub message_sequence: Option<Sequence>,
    /// Of the last event that is folded in.
    pub last_position: Position,
    /// Of the last event in the stream's newest snapshot, as far as is known here.
    pub(crate) kept: Sequence,
}

impl<A> Clone for Loaded<A> {
    fn clone(&self) -> Self {
        Self { id: self.id.clone(), state: self.state.clone(), ..*self }
    }
}

impl<A: Aggregate> Loaded<A> {
    /// A stream that nothing was written to yet, as one that is to be made is. If there is something, its append is
    /// refused.
    #[expect(clippy::needless_pass_by_value, reason = "ids are small and mostly made on the spot")]
    pub fn fresh(id: impl ToString) -> Self {
        let id = id.to_string();
        let state = Arc::new(A::new(&id));
        Self { id, sequence: Sequence(0), state, message_sequence: None, last_position: Position(0), kept: Sequence(0) }
    }

    /// Folds one more event in.
    pub fn fold(&mut self, recorded: &RecordedEvent) -> Result<(), StoreError> {
        let event = recorded.decode::<A::Event>()?;
        Arc::make_mut(&mut self.state).apply(&event, recorded.position);
        self.sequence = recorded.sequence;
        self.last_position = recorded.position;
        self.message_sequence = recorded.message_sequence.map(Sequence).or(self.message_sequence);
        Ok(())
    }
}

impl EventStore {
    /// The state that the whole stream makes.
    pub async fn load<A: Aggregate>(&self, id: impl ToString) -> Result<Loaded<A>, StoreError> {
        let mut loaded = Loaded::fresh(id);
        self.refresh(&mut loaded).await?;
        Ok(loaded)
    }

    /// Folds in what came after.
    pub async fn refresh<A: Aggregate>(&self, loaded: &mut Loaded<A>) -> Result<(), StoreError> {
        let rows: Vec<EventRow> = if loaded.sequence.0 == 0 {
            match A::snapshots() {
                Some(snapshots) => self.resume(loaded, snapshots).await?,
                None => self.stream_rows(A::TYPE, &loaded.id, 0).await?,
            }
        } else {
            // What follows stands after what is known, so that older partitions aren't opened.
            sqlx::query_as(&format!(
                "SELECT {} FROM events WHERE aggregate_id = $1 AND aggregate_type = $2 AND position > $3 ORDER BY position",
                EventRow::COLUMNS
            ))
            .bind(&loaded.id)
            .bind(A::TYPE)
            .bind(loaded.last_position.0)
            .fetch_all(self.pool())
            .await?
        };
        for row in rows {
            loaded.fold(&row.try_into()?)?;
        }
        self.keep_where_due(loaded);
        Ok(())
    }
}
