//! [`Home`]: the directory of an index, which one process at a time has. In `live` lies the index in use.

use crate::{Index, SearchError, Writer};
use runtime::id::{Ids, SystemIds};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    path::{Path, PathBuf},
};
use tracing::error;
use uuid::Uuid;

pub(crate) const LIVE: &str = "live";
/// Where a rebuild puts an index, to take the live one's place.
pub(crate) const NEXT: &str = "next";
/// What a swap has replaced.
const OLD: &str = "old";
/// In `next`: it is whole, and waits for being swapped in.
pub(crate) const READY: &str = "ready";
const LOCK: &str = "lock";

/// The lock on the directory is held for as long as this lives; the system takes it from a process that dies.
pub(crate) struct Home {
    dir: PathBuf,
    _lock: File,
    name: String,
}

impl Home {
    /// Takes the directory, unless another process has it. What a rebuild left to be swapped in is swapped in.
    pub fn take(dir: &Path) -> Result<Self, SearchError> {
        fs::create_dir_all(dir).map_err(SearchError::file(dir))?;
        let path = dir.join(LOCK);
        let mut lock = lock(&path)?;
        let name = name(&mut lock).map_err(SearchError::file(path))?;
        let home = Self { dir: dir.to_owned(), _lock: lock, name };
        home.swap_where_due()?;
        Ok(home)
    }

    /// Takes the directory and opens the index in it. One that can't be read is made anew: all of it is in the log.
    pub fn open(dir: &Path, log_id: Uuid, index: Index) -> Result<(Self, Writer), SearchError> {
        let home = Self::take(dir)?;
        let writer = match Writer::open(&dir.join(LIVE), log_id, index.clone()) {
            Err(SearchError::Index(error)) => {
                error!(%error, "the search index can't be read and is made anew");
                let live = dir.join(LIVE);
                fs::remove_dir_all(&live).map_err(SearchError::file(live.clone()))?;
                Writer::open(&live, log_id, index)?
            }
            other => other?,
        };
        Ok((home, writer))
    }

    /// Whether a rebuilt index waits for being swapped in.
    pub fn has_successor(&self) -> bool {
        self.dir.join(NEXT).join(READY).exists()
    }

    /// By renames, each of which leaves what the next start can go on with.
    fn swap_where_due(&self) -> Result<(), SearchError> {
        let [live, next, old] = [LIVE, NEXT, OLD].map(|name| self.dir.join(name));
        let swapped = (|| {
            remove(&old)?;
            if self.has_successor() {
                if live.exists() {
                    fs::rename(&live, &old)?;
                }
                fs::rename(&next, &live)?;
                fs::remove_file(live.join(READY))?;
                remove(&old)?;
            }
            Ok(())
        })();
        swapped.map_err(SearchError::file(self.dir.clone()))
    }

    /// Of the durable consumer: no other directory's has it.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The lock of a file, which is held until it is dropped.
pub(crate) fn lock(path: &Path) -> Result<File, SearchError> {
    let mut options = OpenOptions::new();
    let file =
        options.read(true).write(true).create(true).truncate(false).open(path).map_err(SearchError::file(path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(SearchError::InUse(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(SearchError::file(path)(error)),
    }
}

/// A directory that isn't there is removed already.
pub(crate) fn remove(dir: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed,
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
