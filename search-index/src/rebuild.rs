//! [`rebuild`] makes the index of a directory anew from the log, beside the running one; [`diff`] compares it with one
//! that was made so; [`position`] tells how far it is.

use crate::{
    Index, SearchError, Writer,
    change::Batch,
    contents::Contents,
    keeper::home::{Home, LIVE, NEXT, READY, lock, remove},
};
use domain::Position;
use event_store::EventStore;
use std::{
    fs::File,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{task::spawn_blocking, time::sleep};

const BATCH: i64 = 20_000;
const POLL: Duration = Duration::from_millis(100);
/// How often it is looked whether the process that keeps the index has taken the new one.
const TAKEN_TRIES: u32 = 600;
/// An index that is written to is seldom at rest; it is read when it is.
const READ_TRIES: u32 = 200;
/// Held by a rebuild or a diff from beginning to end.
const MAINTENANCE: &str = "maintenance";
const SCRATCH: &str = "diff";
/// Messages that are named of those that differ.
const SAMPLE_MAX: usize = 10;

/// What of an index is not as the log has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexDiff {
    /// Messages that are absent, or indexed by something else than what they say.
    pub missing: u64,
    /// Messages that are there and should not be, or more than once, or by something else than what they say.
    pub extra: u64,
    /// Ids of the first ones.
    pub missing_messages: Vec<String>,
    pub extra_messages: Vec<String>,
    /// Whether reactions and pins are those of the log.
    pub marks_are_equal: bool,
}

/// Up to where the index of a directory is; None where there is none.
pub fn position(dir: &Path) -> Result<Option<Position>, SearchError> {
    Ok(Index::open(dir)?.map(|index| index.position()))
}

/// Makes an index beside the one in the directory, and has it swapped in by the process that keeps that one; where none
/// does, it is swapped in here. `step` is told how far it is, and how far it is to come.
pub async fn rebuild(
    store: &EventStore,
    dir: &Path,
    mut step: impl FnMut(Position, Position),
) -> Result<Position, SearchError> {
    std::fs::create_dir_all(dir).map_err(SearchError::file(dir))?;
    let _alone = lock(&dir.join(MAINTENANCE))?;
    let next = dir.join(NEXT);
    let target = store.head().await?;
    let writer = build(store, &next, target, &mut step).await?;
    spawn_blocking(move || writer.close()).await.map_err(|error| SearchError::task(&error))??;
    File::create(next.join(READY)).map_err(SearchError::file(next.join(READY)))?;
    for _ in 0..TAKEN_TRIES {
        match Home::take(dir) {
            Ok(_) => return Ok(target),
            Err(SearchError::InUse(_)) if !next.exists() => return Ok(target),
            Err(SearchError::InUse(_)) => sleep(POLL).await,
            Err(error) => return Err(error),
        }
    }
    Err(SearchError::InUse(dir.to_owned()))
}

/// Compares the index of a directory with one that is made anew up to the same position.
pub async fn diff(
    store: &EventStore,
    dir: &Path,
    mut step: impl FnMut(Position, Position),
) -> Result<IndexDiff, SearchError> {
    let _alone = lock(&dir.join(MAINTENANCE))?;
    let live = at_rest(dir.join(LIVE)).await?;
    let scratch = dir.join(SCRATCH);
    let anew = build(store, &scratch, live.position(), &mut step).await?;
    let compared = spawn_blocking(move || Ok(compare(&Contents::of(&live)?, &Contents::of(anew.index())?))).await;
    remove(&scratch).map_err(SearchError::file(scratch))?;
    compared.map_err(|error| SearchError::task(&error))?
}

async fn at_rest(live: PathBuf) -> Result<Index, SearchError> {
    for _ in 0..READ_TRIES {
        // Files that were there a moment ago may have been merged into others.
        match Index::read(&live) {
            Ok(Some(index)) => return Ok(index),
            Ok(None) | Err(SearchError::Index(_) | SearchError::File { .. }) => sleep(POLL / 4).await,
            Err(error) => return Err(error),
        }
    }
    Err(SearchError::InUse(live))
}

async fn build(
    store: &EventStore,
    dir: &Path,
    target: Position,
    step: &mut impl FnMut(Position, Position),
) -> Result<Writer, SearchError> {
    remove(dir).map_err(SearchError::file(dir))?;
    let mut writer = Writer::open(dir, store.log_id(), Index::default())?;
    while writer.position() < target {
        let size = usize::try_from(BATCH.min(target.0 - writer.position().0)).unwrap_or_default();
        let events = store.read_log(writer.position(), size).await?;
        let Some(batch) = Batch::of(store, &events).await? else { break };
        let applying = spawn_blocking(move || writer.apply(&batch).map(|()| writer));
        writer = applying.await.map_err(|error| SearchError::task(&error))??;
        step(writer.position(), target);
    }
    Ok(writer)
}

fn compare(live: &Contents, anew: &Contents) -> IndexDiff {
    let differ = |one: &Contents, other: &Contents| -> Vec<String> {
        let differing = one.messages.iter().filter(|(id, print)| other.messages.get(id) != Some(print));
        differing.map(|(id, _)| id.to_string()).collect()
    };
    let (mut missing, mut extra) = (differ(anew, live), differ(live, anew));
    let counts = (missing.len() as u64, extra.len() as u64 + live.doubled);
    missing.truncate(SAMPLE_MAX);
    extra.truncate(SAMPLE_MAX);
    IndexDiff {
        missing: counts.0,
        extra: counts.1,
        missing_messages: missing,
        extra_messages: extra,
        marks_are_equal: live.marks == anew.marks,
    }
}

impl IndexDiff {
    pub fn is_clean(&self) -> bool {
        self.missing == 0 && self.extra == 0 && self.marks_are_equal
    }
}
