//! [`apply`]: brings conversations and their participants up to the end of a batch.

use super::{
    fold::{Fold, Touched},
    store,
};
use crate::{ProjectionError, batch::Fact, delivery, inbox::ReaderCounts};
use domain::{ConversationId, conversation::History};
use event_store::Keyring;
use sqlx::PgConnection;
use std::collections::HashMap;

pub(crate) async fn apply(tx: &mut PgConnection, batch: &[Fact], _: &Keyring) -> Result<(), ProjectionError> {
    let touched = Touched::by(batch)?;
    if touched.conversations.is_empty() {
        return Ok(());
    }
    let mut fold = store::load(tx, &touched).await?;
    let mut readers = ReaderCounts::default();
    count(&mut readers, &fold, -1);
    let before: Vec<_> = fold.participants.keys().copied().collect();
    fold.apply(batch)?;
    count(&mut readers, &fold, 1);

    store::save_conversations(tx, &fold).await?;
    let gone: Vec<_> = before.into_iter().filter(|seat| !fold.participants.contains_key(seat)).collect();
    store::remove_participants(tx, &gone).await?;
    store::save_participants(tx, &fold).await?;
    store::save_former(tx, &fold).await?;
    delivery::save_ended(tx, &fold.ended).await?;
    readers.save(tx).await
}

/// Takes the readers among the rows at hand into the counts, or out of them.
fn count(readers: &mut ReaderCounts, fold: &Fold, times: i64) {
    let histories: HashMap<ConversationId, History> =
        fold.conversations.iter().map(|(id, row)| (*id, row.history)).collect();
    for ((conversation, _), participant) in &fold.participants {
        if let Some(history) = histories.get(conversation) {
            readers.count(*conversation, *history, participant, times);
        }
    }
}
