//! [`ReaderCounts`]: how many have read how far. [`readers!`] asks it of one message.

use crate::{ProjectionError, conversation::ParticipantRow};
use domain::{ConversationId, conversation::History};
use sqlx::PgConnection;
use std::collections::BTreeMap;

/// Each level's slots are 64 of the level below.
const SLOT_BITS: i16 = 6;
const LEVELS: std::ops::RangeInclusive<i16> = 0..=2;

/// What a batch adds to and takes from `reader_count_view`.
#[derive(Debug, Default)]
pub(crate) struct ReaderCounts(BTreeMap<(ConversationId, i16, i64), i64>);

impl ReaderCounts {
    /// Takes a participant into the counts (`times` 1) or out of them (-1).
    pub(crate) fn count(&mut self, id: ConversationId, history: History, participant: &ParticipantRow, times: i64) {
        self.add(id, participant.read_sequence, times);
        match history {
            History::Shared => {}
            History::Joined => self.add(id, participant.joined_sequence.min(participant.read_sequence), -times),
        }
    }

    /// Slot 0 is before every message: nobody asks for it.
    fn add(&mut self, conversation: ConversationId, sequence: i64, readers: i64) {
        if sequence > 0 {
            for level in LEVELS {
                *self.0.entry((conversation, level, sequence >> (SLOT_BITS * level))).or_default() += readers;
            }
        }
    }

    pub(crate) async fn save(self, tx: &mut PgConnection) -> Result<(), ProjectionError> {
        let changes: Vec<_> = self.0.into_iter().filter(|(_, readers)| *readers != 0).collect();
        if changes.is_empty() {
            return Ok(());
        }
        let conversations: Vec<_> = changes.iter().map(|((conversation, ..), _)| conversation.0).collect();
        let levels: Vec<_> = changes.iter().map(|((_, level, _), _)| *level).collect();
        let slots: Vec<_> = changes.iter().map(|((.., slot), _)| *slot).collect();
        sqlx::query(
            "INSERT INTO reader_count_view (conversation_id, level, slot, readers) \
             SELECT * FROM unnest($1::uuid[], $2::smallint[], $3::bigint[], $4::bigint[]) \
             ON CONFLICT (conversation_id, level, slot) DO UPDATE SET readers = reader_count_view.readers + excluded.readers",
        )
        .bind(&conversations)
        .bind(&levels)
        .bind(&slots)
        .bind(changes.iter().map(|(_, readers)| *readers).collect::<Vec<_>>())
        .execute(&mut *tx)
        .await?;
        // A slot that has come to nothing is as one that never was, or tables would hang on where batches were cut.
        sqlx::query(
            "DELETE FROM reader_count_view r USING unnest($1::uuid[], $2::smallint[], $3::bigint[]) AS changed (id, level, slot) \
             WHERE r.conversation_id = changed.id AND r.level = changed.level AND r.slot = changed.slot AND r.readers = 0",
        )
        .bind(&conversations)
        .bind(&levels)
        .bind(&slots)
        .execute(tx)
        .await?;
        Ok(())
    }
}

/// The number of people other than its sender who have read message `m` (message_view) of conversation `m_c`
/// (conversation_view), as an SQL expression. It reads at most 126 slots and those of the top level, and one participant.
macro_rules! readers {
    () => {
        "((SELECT coalesce(sum(r.readers), 0)::bigint FROM ( \
             SELECT readers FROM reader_count_view WHERE conversation_id = m.conversation_id AND level = 0 \
               AND slot BETWEEN m.sequence AND (m.sequence | 63) \
             UNION ALL SELECT readers FROM reader_count_view WHERE conversation_id = m.conversation_id AND level = 1 \
               AND slot BETWEEN (m.sequence >> 6) + 1 AND ((m.sequence >> 6) | 63) \
             UNION ALL SELECT readers FROM reader_count_view WHERE conversation_id = m.conversation_id AND level = 2 \
               AND slot > (m.sequence >> 12)) r) \
          - (SELECT count(*) FROM participant_view s WHERE s.conversation_id = m.conversation_id AND s.user_id = m.sender_id \
               AND s.read_sequence >= m.sequence \
               AND (m_c.history = 'shared' OR s.joined_sequence < m.sequence)))"
    };
}
pub(crate) use readers;
