//! Epoch keys: they wrap the data keys and lie in KEY_DIR, outside the database, each wrapped by MASTER_KEY. Destroying
//! one leaves every copy of the data keys it wrapped (in write-ahead logs, replicas, backups) useless.

use super::data_key::{decrypt, encrypt, random_key, random_name};
use crate::StoreError;
use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Where the epoch keys are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyDir {
    Directory(PathBuf),
}

/// `epoch-<number>.key`: its nonce, ciphertext and tag.
const PREFIX: &str = "epoch-";
const SUFFIX: &str = ".key";
const FIRST: u64 = 1;

pub(super) struct Epochs {
    keys: BTreeMap<u64, [u8; 32]>,
}

impl Epochs {
    /// `used`: the epochs that data keys are wrapped by. Each must be there: what they wrap is lost without them.
    pub fn open(dir: &KeyDir, master_key: &[u8; 32], used: &[String]) -> Result<Self, StoreError> {
        let KeyDir::Directory(path) = dir;
        let failed = |source| StoreError::KeyDir { path: path.display().to_string(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let mut numbers = numbers_in(path).map_err(failed)?;
        if numbers.is_empty() && used.is_empty() {
            make(path, FIRST, master_key).map_err(failed)?;
            numbers.push(FIRST);
        }
        let mut keys = BTreeMap::new();
        for number in numbers {
            let wrapped = fs::read(file_of(path, number)).map_err(failed)?;
            let key = decrypt(master_key, name(number).as_bytes(), &wrapped).ok_or(StoreError::WrongMasterKey)?;
            keys.insert(number, key.try_into().map_err(|_| StoreError::WrongMasterKey)?);
        }
        let epochs = Self { keys };
        for epoch in used {
            if epochs.key(epoch).is_none() {
                let why = format!("{epoch}{SUFFIX} wraps data keys and is not there");
                return Err(failed(io::Error::new(io::ErrorKind::NotFound, why)));
            }
        }
        Ok(epochs)
    }

    /// The epoch that new data keys are wrapped by: the latest.
    pub fn current(&self) -> (String, &[u8; 32]) {
        let (number, key) = self.keys.last_key_value().expect("an epoch key was read or made on opening");
        (name(*number), key)
    }

    pub fn key(&self, epoch: &str) -> Option<&[u8; 32]> {
        self.keys.get(&epoch.strip_prefix(PREFIX)?.parse().ok()?)
    }
}

fn name(number: u64) -> String {
    format!("{PREFIX}{number}")
}

fn file_of(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{}{SUFFIX}", name(number)))
}

fn numbers_in(dir: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir)? {
        let file = entry?.file_name();
        let number = |name: &str| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse::<u64>().ok();
        numbers.extend(file.to_str().and_then(number));
    }
    Ok(numbers)
}

/// Makes an epoch key, unless another process has just done so: then that one stands.
fn make(dir: &Path, number: u64, master_key: &[u8; 32]) -> io::Result<()> {
    let wrapped = encrypt(master_key, name(number).as_bytes(), &random_key());
    // Written whole under a name that nobody reads, then linked: a link is made once, and never half.
    let draft = dir.join(format!(".{}.{:x}", name(number), u128::from_ne_bytes(random_name())));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(&wrapped)?;
    file.sync_all()?;
    let linked = fs::hard_link(&draft, file_of(dir, number));
    fs::remove_file(&draft)?;
    File::open(dir)?.sync_all()?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Err(_) | Ok(()) => Ok(()),
    }
}
