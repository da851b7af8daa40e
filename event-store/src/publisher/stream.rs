//! A stream beside the log: made where there is none, and made anew where it is not the log's beginning, event by event.

use super::{consumers, edition::Edition};
use crate::{EventStore, StoreError, carried};
use async_nats::jetstream::{
    Context, ErrorCode,
    context::GetStreamErrorKind,
    stream::{Config, DiscardPolicy, Info, RetentionPolicy, StorageType, Stream},
};
use domain::Position;
use std::time::Duration;
use tracing::{info, warn};

/// As short as the server allows. Sequences keep repeats out; a memory of ids could only keep a refill out.
const DUPLICATE_WINDOW: Duration = Duration::from_millis(100);

/// Sees to it that the stream holds the log's first events, and nothing else. The last of them.
pub(super) async fn bring_in_step(
    jetstream: &Context,
    store: &EventStore,
    edition: &Edition,
) -> Result<i64, StoreError> {
    let last = match jetstream.get_stream(&edition.stream).await {
        Ok(stream) => keep_or_replace(jetstream, store, edition, &stream).await?,
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                make(jetstream, edition).await?;
                0
            }
            _ => return Err(StoreError::nats(error)),
        },
    };
    // Those of a stream that was replaced just now, or by a process that didn't live to do it.
    consumers::bring_back(jetstream, store, edition).await?;
    Ok(last)
}

async fn keep_or_replace(
    jetstream: &Context,
    store: &EventStore,
    edition: &Edition,
    stream: &Stream,
) -> Result<i64, StoreError> {
    let info = stream.cached_info();
    if let Some(fault) = fault(stream, store, edition).await? {
        warn!(stream = edition.stream, fault, "the stream is not the log and is made anew from it");
        if is_of_this_log(info, edition) {
            consumers::note(jetstream, store, edition).await?;
        }
        jetstream.delete_stream(&edition.stream).await.map_err(StoreError::nats)?;
        make(jetstream, edition).await?;
        return Ok(0);
    }
    if !is_configured(info, edition) {
        jetstream.update_stream(config(edition)).await.map_err(StoreError::nats)?;
    }
    Ok(last(info))
}

async fn make(jetstream: &Context, edition: &Edition) -> Result<(), StoreError> {
    jetstream.create_stream(config(edition)).await.map_err(StoreError::nats)?;
    info!(stream = edition.stream, "the stream was made");
    Ok(())
}

fn config(edition: &Edition) -> Config {
    Config {
        name: edition.stream.clone(),
        description: Some(edition.description.clone()),
        subjects: vec![format!("{}.>", edition.subjects)],
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::New,
        storage: StorageType::File,
        num_replicas: 1,
        duplicate_window: DUPLICATE_WINDOW,
        allow_direct: true,
        // No limits: the log has none.
        max_messages: -1,
        max_bytes: -1,
        ..Config::default()
    }
}

fn is_of_this_log(info: &Info, edition: &Edition) -> bool {
    info.config.description.as_deref() == Some(&*edition.description)
}

fn is_configured(info: &Info, edition: &Edition) -> bool {
    let wanted = config(edition);
    info.config.subjects == wanted.subjects
        && info.config.allow_direct == wanted.allow_direct
        && info.config.duplicate_window == wanted.duplicate_window
}

fn last(info: &Info) -> i64 {
    i64::try_from(info.state.last_sequence).unwrap_or(i64::MAX)
}

/// Why the stream can't be gone on with; none where it is the log's beginning.
async fn fault(stream: &Stream, store: &EventStore, edition: &Edition) -> Result<Option<&'static str>, StoreError> {
    let info = stream.cached_info();
    let (state, last) = (&info.state, last(info));
    if !is_of_this_log(info, edition) {
        return Ok(Some("it carries another log"));
    }
    if state.messages != state.last_sequence {
        return Ok(Some("messages are missing"));
    }
    if last == 0 {
        return Ok(None);
    }
    // Read after the stream was: what was published since is in the log.
    let Some(event) = store.event_at(Position(last)).await? else {
        return Ok(Some("it is longer than the log"));
    };
    let message = stream.get_raw_message(state.last_sequence).await.map_err(StoreError::nats)?;
    if carried::event_id(&message.headers) != Some(event.event_id.0) {
        return Ok(Some("its last message is another event"));
    }
    Ok(None)
}
