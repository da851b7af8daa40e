//! [`State`]: what a stack remembers from one start to the next, in `stack.json`: ports and passwords.

use super::{DataDir, Endpoints, StackError, Wanted, port};
use runtime::id::{Ids, SystemIds};
use serde::{Deserialize, Serialize};
use std::{fmt::Write, fs, io};

pub(super) const FILE: &str = "stack.json";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    pub postgres_port: u16,
    pub owner_password: String,
    pub app_password: String,
    pub nats_port: u16,
    pub nats_password: String,
    /// Made up where an earlier version of this knew no such login.
    #[serde(default = "new_password")]
    pub nats_analytics_password: String,
    pub nats_system_password: String,
    /// The servers that the owner of the directory has ready, while it has.
    pub ready: Option<Wanted>,
}

impl State {
    /// What is remembered, or a new state; and whether it is new. The caller holds the directory's lock.
    pub fn open(dir: &DataDir) -> Result<(Self, bool), StackError> {
        let (mut state, is_new) = match Self::read(dir)? {
            Some(state) => (state, false),
            None => (Self::new(&SystemIds), true),
        };
        state.ready = None;
        state.write(dir)?;
        Ok((state, is_new))
    }

    /// None where nothing is remembered.
    pub fn read(dir: &DataDir) -> Result<Option<Self>, StackError> {
        let path = dir.path().join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StackError::file("the stack's state can't be read:", &path)(error)),
        };
        let read = serde_json::from_str(&text).map_err(io::Error::from);
        read.map(Some)
            .map_err(StackError::file("the stack's state can't be understood (delete it to have a new one):", &path))
    }

    pub fn write(&self, dir: &DataDir) -> Result<(), StackError> {
        dir.write_private(FILE, &serde_json::to_string_pretty(self).expect("text and numbers can be written as JSON"))
    }

    fn new(ids: &dyn Ids) -> Self {
        Self {
            postgres_port: port::draw(ids),
            owner_password: password(ids),
            app_password: password(ids),
            nats_port: port::draw(ids),
            nats_password: password(ids),
            nats_analytics_password: password(ids),
            nats_system_password: password(ids),
            ready: None,
        }
    }

    /// Keeps the ports of last time where they are free.
    pub fn choose_ports(&mut self) {
        self.postgres_port = port::free(self.postgres_port, &SystemIds);
        self.nats_port = port::free_beside(self.nats_port, self.postgres_port, &SystemIds);
    }

    /// Whether these servers are ready. The caller found the directory's lock taken, so that the note is no old one.
    pub fn has_ready(&self, wanted: Wanted) -> bool {
        let Some(ready) = self.ready else { return false };
        let serves = |wanted: bool, ready: bool, port: u16| !wanted || (ready && port::is_open(port));
        serves(wanted.postgres, ready.postgres, self.postgres_port) && serves(wanted.nats, ready.nats, self.nats_port)
    }

    pub fn endpoints(&self) -> Endpoints {
        let postgres = |role: &str, password: &str| {
            format!("postgres://{role}:{password}@127.0.0.1:{}/{}", self.postgres_port, super::postgres::DATABASE)
        };
        let nats = |user: &str, password: &str| format!("nats://{user}:{password}@127.0.0.1:{}", self.nats_port);
        Endpoints {
            database_url: postgres(super::postgres::APP, &self.app_password),
            database_admin_url: postgres(super::postgres::OWNER, &self.owner_password),
            nats_url: nats("hansard", &self.nats_password),
            nats_analytics_url: nats("analytics", &self.nats_analytics_password),
        }
    }
}

fn new_password() -> String {
    password(&SystemIds)
}

/// 192 bits in letters that need no escaping, in an address or in SQL.
fn password(ids: &dyn Ids) -> String {
    ids.random_bytes::<24>().iter().fold(String::with_capacity(48), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all text");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn passwords_are_remembered_in_a_file_that_only_its_owner_reads() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = DataDir::at(scratch.path());
        let (state, is_new) = State::open(&dir).unwrap();
        assert!(is_new);
        let (again, is_new) = State::open(&dir).unwrap();
        assert!(!is_new);
        assert!(again.endpoints() == state.endpoints());
        let mode = fs::metadata(scratch.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_state_from_before_data_teams_had_a_login_gets_one_for_good() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = DataDir::at(scratch.path());
        let (state, _) = State::open(&dir).unwrap();
        let mut old: serde_json::Value = serde_json::to_value(&state).unwrap();
        old.as_object_mut().unwrap().remove("natsAnalyticsPassword");
        dir.write_private(FILE, &old.to_string()).unwrap();
        let (first, is_new) = State::open(&dir).unwrap();
        assert!(!is_new && first.nats_password == state.nats_password);
        assert!(State::open(&dir).unwrap().0.endpoints() == first.endpoints());
    }

    #[test]
    fn a_broken_state_is_named() {
        let scratch = tempfile::tempdir().unwrap();
        fs::write(scratch.path().join(FILE), "{").unwrap();
        let error = State::read(&DataDir::at(scratch.path())).err().unwrap().to_string();
        assert!(error.contains("stack.json") && error.contains("delete it"), "{error}");
    }
}
