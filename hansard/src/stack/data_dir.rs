//! [`DataDir`]: where everything of one stack is kept, and the [`Lock`] by which one process owns it.

use super::StackError;
use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// The data directory's paths. It need not exist.
#[derive(Clone, Debug)]
pub struct DataDir(PathBuf);

/// Held for as long as it isn't dropped; the kernel drops it with its process, however that ends.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the lock is the open file")] File);

impl DataDir {
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
    pub fn postgres(&self) -> PathBuf {
        self.0.join("postgres")
    }
    pub fn nats(&self) -> PathBuf {
        self.0.join("nats")
    }
    /// Whether a stack was made here, running or not.
    pub fn has_stack(&self) -> bool {
        self.0.join(super::state::FILE).exists() || self.postgres().exists()
    }
    pub(super) fn log_of(&self, server: &str) -> PathBuf {
        self.0.join(format!("{server}.log"))
    }

    /// Makes the directory where it is missing, for its owner's eyes only.
    pub(super) fn make(&self) -> Result<(), StackError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.0);
        made.map_err(StackError::file("the data directory can't be made:", &self.0))
    }

    /// Takes the directory, which is made where it is missing; refuses where another process has it.
    pub fn lock(&self) -> Result<Lock, StackError> {
        self.make()?;
        let path = self.0.join("lock");
        let failed = |what| StackError::file(what, &path);
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut file = opened.map_err(failed("the lock can't be opened:"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let _ = file.read_to_string(&mut pid);
                let pid = if pid.is_empty() { "(unknown)".to_owned() } else { pid };
                return Err(StackError::InUse { dir: self.0.clone(), pid });
            }
            Err(TryLockError::Error(error)) => return Err(failed("the lock can't be taken:")(error)),
        }
        let written = file.set_len(0).and_then(|()| file.rewind());
        let written = written.and_then(|()| write!(file, "{}", std::process::id()));
        written.map_err(failed("the lock can't be written:"))?;
        Ok(Lock(file))
    }

    /// A name that this directory's servers carry on their command lines, so that they are known by it when their
    /// parent is gone. Made of what stays when the directory is moved and differs when it is copied.
    pub(super) fn tag(&self) -> Result<String, StackError> {
        let found = fs::metadata(&self.0).map_err(StackError::file("the data directory can't be read:", &self.0))?;
        Ok(format!("hansard-{:x}-{:x}", found.dev(), found.ino()))
    }

    /// Puts the file in place whole or not at all, readable by its owner only.
    pub(super) fn write_private(&self, name: &str, text: &str) -> Result<(), StackError> {
        let (path, draft) = (self.0.join(name), self.0.join(format!("{name}.new")));
        let write = || {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&draft, &path)?;
            File::open(&self.0)?.sync_all()
        };
        write().map_err(StackError::file("a file can't be written:", &path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_owner_at_a_time() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = DataDir::at(&scratch.path().join("data"));
        let lock = dir.lock().unwrap();
        let refused = dir.lock().expect_err("it is locked").to_string();
        assert!(refused.ends_with(&format!("is in use by process {}", std::process::id())), "{refused}");
        drop(lock);
        dir.lock().unwrap();
    }

    #[test]
    fn a_tag_stays_with_its_directory() {
        let scratch = tempfile::tempdir().unwrap();
        let (old, new) = (DataDir::at(&scratch.path().join("old")), DataDir::at(&scratch.path().join("new")));
        old.make().unwrap();
        let tag = old.tag().unwrap();
        fs::rename(old.path(), new.path()).unwrap();
        assert_eq!(new.tag().unwrap(), tag);
        old.make().unwrap();
        assert_ne!(old.tag().unwrap(), tag);
    }
}
