//! `hansard admin`: what operators do to accounts, by e-mail address.

use crate::{
    cli::{Context, Outcome},
    output::print_line,
};
use clap::{Args, Subcommand};
use commands::{CommandError, Commands, session, user};
use domain::{SessionId, Timestamp, UserId, user::SystemRole};
use serde::Serialize;
use std::{fmt::Write, process::ExitCode};

/// What operators do to accounts
#[derive(Debug, Args)]
pub struct Admin {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Give someone a role
    Grant {
        email: String,
        /// admin or auditor
        #[arg(value_parser = role)]
        role: SystemRole,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Take a role from someone
    Revoke {
        email: String,
        /// admin or auditor
        #[arg(value_parser = role)]
        role: SystemRole,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List someone's open sessions, the last used first
    Sessions {
        email: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

impl Admin {
    pub async fn run(self, mut context: Context) -> Outcome {
        let (stores, process) = context.open_process().await?;
        let done = self.command.run(&process.commands).await;
        process.close().await;
        stores.close().await;
        done
    }
}

impl Command {
    async fn run(self, commands: &Commands) -> Outcome {
        match self {
            Self::Grant { email, role, json } => tell(&grant(commands, &email, role).await?, json),
            Self::Revoke { email, role, json } => tell(&revoke(commands, &email, role).await?, json),
            Self::Sessions { email, json } => {
                let found = sessions(commands, &email).await?;
                let text = if json { serde_json::to_string_pretty(&found)? } else { table(&found) };
                print_line(text.trim_end())?;
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

fn tell(change: &RoleChange, json: bool) -> Outcome {
    print_line(&if json { serde_json::to_string_pretty(change)? } else { change.sentence() })?;
    Ok(ExitCode::SUCCESS)
}

/// Sessions told of one person; more than anyone keeps open.
const SESSIONS_MAX: i64 = 10_000;

/// A role as it is written at the command line; to be parsed by clap, so that another word is wrong usage.
pub fn role(text: &str) -> Result<SystemRole, String> {
    match text {
        "admin" => Ok(SystemRole::Admin),
        "auditor" => Ok(SystemRole::Auditor),
        _ => Err("a role is admin or auditor".to_owned()),
    }
}

/// What a change of roles came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleChange {
    pub user_id: UserId,
    pub email: String,
    pub role: SystemRole,
    /// Whether they have the role now.
    pub has_role: bool,
    /// Whether that is new.
    pub changed: bool,
}

/// Gives a role. It stands in the person's next access token: after a refresh or a login.
pub async fn grant(commands: &Commands, email: &str, role: SystemRole) -> Result<RoleChange, CommandError> {
    let done = user::grant_role(commands, email, role).await?;
    Ok(RoleChange::new(email, role, true, done.value, done.position.is_some()))
}

/// Takes a role away. Access tokens that name it are good until they expire.
pub async fn revoke(commands: &Commands, email: &str, role: SystemRole) -> Result<RoleChange, CommandError> {
    let done = user::revoke_role(commands, email, role).await?;
    Ok(RoleChange::new(email, role, false, done.value, done.position.is_some()))
}

/// A person's living sessions, the last used first.
pub async fn sessions(commands: &Commands, email: &str) -> Result<Vec<Session>, CommandError> {
    let user = user::expect_by_email(commands, email).await?;
    let found = session::list(commands, user, SESSIONS_MAX, 0).await?;
    Ok(found.into_iter().map(Session::from).collect())
}

impl RoleChange {
    fn new(email: &str, role: SystemRole, has_role: bool, user_id: UserId, changed: bool) -> Self {
        Self { user_id, email: email.to_owned(), role, has_role, changed }
    }

    /// For people.
    pub fn sentence(&self) -> String {
        let role = match self.role {
            SystemRole::Admin => "admin",
            SystemRole::Auditor => "auditor",
        };
        let email = &self.email;
        match (self.has_role, self.changed) {
            (true, true) => format!("{email} is {role} from the next token on"),
            (true, false) => format!("{email} was {role} already"),
            (false, true) => format!("{email} is {role} no more from the next token on"),
            (false, false) => format!("{email} was not {role}"),
        }
    }
}

/// A session as operators see it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    pub id: SessionId,
    pub device: Option<String>,
    pub address: Option<String>,
    pub created_at: Timestamp,
    pub last_used_at: Timestamp,
}

impl From<session::Session> for Session {
    fn from(session: session::Session) -> Self {
        let session::Session { id, device, address, created_at, last_used_at } = session;
        Self { id, device, address, created_at, last_used_at }
    }
}

/// A table for people.
pub fn table(sessions: &[Session]) -> String {
    let mut text = String::new();
    for session in sessions {
        let (device, address) = (session.device.as_deref().unwrap_or("-"), session.address.as_deref().unwrap_or("-"));
        let Session { id, created_at, last_used_at, .. } = session;
        // Writing to a String never fails.
        let _ = writeln!(text, "{id}  since {created_at}  used {last_used_at}  {address}  {device}");
    }
    if sessions.is_empty() {
        text.push_str("no open session\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_admin_or_auditor_and_nothing_else() {
        assert_eq!(role("admin"), Ok(SystemRole::Admin));
        assert_eq!(role("auditor"), Ok(SystemRole::Auditor));
        for other in ["emperor", "Admin", "admin ", ""] {
            assert!(role(other).is_err(), "{other:?}");
        }
    }

    #[test]
    fn a_change_says_whether_it_was_one() {
        let change = |has_role, changed| {
            RoleChange::new("ada@example.org", SystemRole::Auditor, has_role, uuid::Uuid::nil().into(), changed)
                .sentence()
        };
        assert_eq!(change(true, true), "ada@example.org is auditor from the next token on");
        assert_eq!(change(true, false), "ada@example.org was auditor already");
        assert_eq!(change(false, false), "ada@example.org was not auditor");
    }

    #[test]
    fn no_session_is_said_in_words() {
        assert_eq!(table(&[]), "no open session\n");
    }
}
