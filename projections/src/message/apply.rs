//! [`apply`]: brings messages and what hangs on them up to the end of a batch.

use super::{fold::Touched, store};
use crate::{ProjectionError, batch::Fact};
use event_store::Keyring;
use sqlx::PgConnection;

pub(crate) async fn apply(tx: &mut PgConnection, batch: &[Fact], _: &Keyring) -> Result<(), ProjectionError> {
    let touched = Touched::by(batch)?;
    if touched.messages.is_empty() && touched.senders.is_empty() {
        return Ok(());
    }
    let mut fold = store::load(tx, &touched).await?;
    fold.apply(batch)?;
    store::insert_sent(tx, &fold).await?;
    store::insert_mentions(tx, &fold).await?;
    store::update_changed(tx, &fold).await?;
    store::erase_deleted(tx, &fold).await?;
    store::insert_versions(tx, &fold).await?;
    store::save_reactions(tx, &fold).await?;
    store::count_answers(tx, &fold).await?;
    store::tell_conversations(tx, &fold).await
}
