//! [`Home`]: the directory of an index, which one process at a time has. In `live` lies the index in use.

use crate::{Index, SearchError, Writer};
use runtime::id::{Ids, SystemIds};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    path::Path,
};
use tracing::error;
use uuid::Uuid;

const LIVE: &str = "live";
const LOCK: &str = "lock";

/// The lock on the directory is held for as long as this lives; the system takes it from a process that dies.
pub(super) struct Home {
    _lock: File,
    name: String,
}

impl Home {
    /// Takes the directory and opens the index in it. One that can't be read is made anew: all of it is in the log.
    pub fn open(dir: &Path, log_id: Uuid, index: Index) -> Result<(Self, Writer), SearchError> {
        fs::create_dir_all(dir).map_err(SearchError::file(dir))?;
        let mut options = OpenOptions::new();
        let path = dir.join(LOCK);
        let mut lock = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(SearchError::file(&path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(SearchError::InUse(dir.to_owned())),
            Err(TryLockError::Error(error)) => return Err(SearchError::file(path)(error)),
        }
        let name = name(&mut lock).map_err(SearchError::file(path))?;
        let writer = match Writer::open(&dir.join(LIVE), log_id, index.clone()) {
            Err(SearchError::Index(error)) => {
                error!(%error, "the search index can't be read and is made anew");
                let live = dir.join(LIVE);
                fs::remove_dir_all(&live).map_err(SearchError::file(live.clone()))?;
                Writer::open(&live, log_id, index)?
            }
            other => other?,
        };
        Ok((Self { _lock: lock, name }, writer))
    }

    /// Of the durable consumer: no other directory's has it.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// It stands in the lock's file, and is made when that is.
fn name(file: &mut File) -> std::io::Result<String> {
    let mut name = String::new();
    file.read_to_string(&mut name)?;
    if name.is_empty() {
        name = format!("search-{}", SystemIds.uuid().simple());
        file.rewind()?;
        file.write_all(name.as_bytes())?;
    }
    Ok(name)
}
