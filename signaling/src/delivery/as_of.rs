//! [`AsOf`]: what is to be known of a conversation as it stood at an event, and not as it is now.

use super::DeliveryError;
use crate::push::{Audience, Entry, Left, Moves};
use domain::{
    Aggregate, ConversationId, Position, Sequence,
    conversation::{Conversation, ConversationEvent, History},
};
use event_store::EventStore;
use projections::delivery::{SMALL_PARTICIPANTS_MAX, Scope};
use std::collections::HashMap;

/// Conversations of which it is remembered, at some 50 bytes each; past it, all are forgotten.
const KNOWN_MAX: usize = 100_000;

/// Follows entries in the order of the log.
#[derive(Default)]
pub(super) struct AsOf {
    known: HashMap<ConversationId, Standing>,
}

#[derive(Clone, Copy)]
struct Standing {
    participants: i64,
    is_shared: bool,
}

impl AsOf {
    /// Decides for the next entry whom it is for, where that hangs on how many there are; and says to who joins
    /// whether history is shared.
    pub async fn settle(&mut self, store: &EventStore, entry: &mut Entry) -> Result<(), DeliveryError> {
        if let Audience::Readers { conversation, reader } = entry.audience {
            let standing = self.standing(store, conversation, entry.position).await?;
            entry.audience = if standing.participants <= SMALL_PARTICIPANTS_MAX {
                Audience::Conversation { id: conversation, about: None }
            } else {
                Audience::Person(reader)
            };
        }
        let position = entry.position;
        if let Some(moves) = &mut entry.moves
            && let Scope::Conversation(id) = moves.scope
        {
            if moves.participants.is_none() && !moves.joined.is_empty() {
                let before = self.standing(store, id, position).await?;
                moves.is_shared = Some(before.is_shared);
                moves.participants = i64::try_from(moves.joined.len()).ok().map(|joined| before.participants + joined);
            }
            self.follow(id, moves);
        }
        Ok(())
    }

    /// Just before the event at a position.
    async fn standing(
        &mut self,
        store: &EventStore,
        id: ConversationId,
        position: Position,
    ) -> Result<Standing, DeliveryError> {
        if let Some(standing) = self.known.get(&id) {
            return Ok(*standing);
        }
        let loaded = store.refresh_cached::<Conversation>(id).await?;
        let mut conversation = loaded.state;
        if loaded.last_position >= position {
            let mut past = Conversation::default();
            for recorded in store.read_stream(Conversation::TYPE, &id.to_string(), Sequence(0)).await? {
                if recorded.position >= position {
                    break;
                }
                past.apply(&recorded.decode::<ConversationEvent>()?, recorded.position);
            }
            conversation = past.into();
        }
        let standing = Standing {
            participants: i64::try_from(conversation.participant_count()).unwrap_or(i64::MAX),
            is_shared: conversation.history == History::Shared,
        };
        if self.known.len() >= KNOWN_MAX {
            self.known.clear();
        }
        self.known.insert(id, standing);
        Ok(standing)
    }

    fn follow(&mut self, id: ConversationId, moves: &Moves) {
        let Some(standing) = self.known.get_mut(&id) else { return };
        standing.is_shared = moves.is_shared.unwrap_or(standing.is_shared);
        standing.participants += i64::try_from(moves.joined.len()).unwrap_or(0);
        match moves.left {
            Left::Nobody => {}
            Left::One(_) => standing.participants -= 1,
            Left::All => standing.participants = 0,
        }
    }
}
