//! [`Account`]: who the embedded servers run as. PostgreSQL refuses to run as root; then both run as an account without
//! rights, which may not even enter the directories above its own.

use super::StackError;
use nix::unistd::{Uid, User};
use std::{
    ffi::OsStr,
    fs::{self, DirBuilder},
    os::unix::{
        fs::{DirBuilderExt, MetadataExt, chown},
        process::CommandExt,
    },
    path::Path,
    process::{Command, Stdio},
};

/// What a server's command line calls its directory: an open descriptor is a way in that passes no directory above.
pub const DIRECTORY: &str = "/proc/self/fd/9";

/// Opens the directory that it is started in as descriptor 9, and then runs what follows.
const ENTER: &str = r#"exec 9<. && cd / && exec "$@""#;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    identity: Identity,
    /// Whether a server can be told to end when its parent does.
    can_leash: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Identity {
    /// The one that this process runs as.
    Own,
    /// Another one, which owns the servers' directories.
    Other { uid: u32, gid: u32 },
    /// Nobody's, in a user namespace where that stands for this process's own: where root may not change accounts.
    Mapped,
}

impl Account {
    /// The owner of the directory where it exists; else, for root, `postgres` where there is one, or `nobody`.
    pub fn for_directory(directory: &Path) -> Result<Self, StackError> {
        let candidates = match fs::metadata(directory) {
            _ if !Uid::effective().is_root() => vec![Identity::Own],
            Ok(found) if found.uid() == 0 => vec![Identity::Mapped],
            Ok(found) => vec![Identity::Other { uid: found.uid(), gid: found.gid() }],
            Err(_) => {
                ["postgres", "nobody"].into_iter().filter_map(Identity::named).chain([Identity::Mapped]).collect()
            }
        };
        let leashes = candidates.into_iter().flat_map(|identity| [(identity.clone(), true), (identity, false)]);
        let mut accounts = leashes.map(|(identity, can_leash)| Self { identity, can_leash });
        accounts.find(Self::works).ok_or_else(|| {
            StackError::Account(
                "PostgreSQL refuses to run as root, and neither setpriv nor unshare can change to another account here: \
                 run this as an ordinary user"
                    .to_owned(),
            )
        })
    }

    fn works(&self) -> bool {
        let mut probe = self.command(Path::new("/"), Some("KILL"), "true");
        let tried = probe.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        tried.is_ok_and(|status| status.success())
    }

    /// The program as this account, out of reach of the terminal's Ctrl-C, with [`DIRECTORY`] leading to the directory.
    /// The leash is the signal that it gets when the thread that started it is gone.
    pub fn command(&self, directory: &Path, leash: Option<&str>, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("/bin/sh");
        command.current_dir(directory).process_group(0).args(["-c", ENTER, "sh"]);
        match self.identity {
            Identity::Own => {}
            Identity::Other { uid, gid } => {
                command.args(["setpriv", "--reuid", &uid.to_string(), "--regid", &gid.to_string(), "--clear-groups"]);
            }
            Identity::Mapped => {
                command.args(["unshare", "--user", "--map-user=65534", "--map-group=65534"]);
            }
        }
        // A change of identity undoes a leash, so it comes after.
        if let Some(signal) = leash.filter(|_| self.can_leash) {
            command.args(["setpriv", "--pdeathsig", signal]);
        }
        command.arg(program);
        command
    }

    /// Makes a directory that only this account enters.
    pub fn make_directory(&self, path: &Path) -> Result<(), StackError> {
        let made = DirBuilder::new().mode(0o700).create(path);
        made.map_err(StackError::file("a directory can't be made:", path))?;
        self.give(path)
    }

    /// Makes the file or directory this account's.
    pub fn give(&self, path: &Path) -> Result<(), StackError> {
        match self.identity {
            Identity::Own | Identity::Mapped => Ok(()),
            Identity::Other { uid, gid } => {
                chown(path, Some(uid), Some(gid)).map_err(StackError::file("the owner can't be changed of", path))
            }
        }
    }
}

impl Identity {
    fn named(name: &str) -> Option<Self> {
        let user = User::from_name(name).ok().flatten()?;
        Some(Self::Other { uid: user.uid.as_raw(), gid: user.gid.as_raw() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_enters_a_directory_whose_parents_are_closed_to_it() {
        let scratch = tempfile::tempdir().unwrap();
        let inner = scratch.path().join("inner");
        let account = Account::for_directory(&inner).unwrap();
        account.make_directory(&inner).unwrap();
        let mut command = account.command(&inner, Some("KILL"), "touch");
        assert!(command.arg(format!("{DIRECTORY}/made")).status().unwrap().success());
        assert_eq!(Account::for_directory(&inner).unwrap(), account, "the owner is known again");
        let made = fs::metadata(inner.join("made")).unwrap();
        assert_eq!(made.uid(), fs::metadata(&inner).unwrap().uid());
    }
}
