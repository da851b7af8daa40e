//! The people of an export: each is registered once, without a password.

use super::{ALREADY_THERE, Accounts, Progress, Slack, UNREADABLE, export};
use crate::import::names::{Usernames, fit};
use anyhow::Result;
use commands::{
    CommandError,
    import::{Person, Written},
};
use domain::{Timestamp, UserId, limits::NAME_CHARS_MAX, user::is_email};
use std::collections::HashSet;

const BATCH: usize = 500;

/// What the people before have taken.
#[derive(Default)]
struct Before {
    usernames: Usernames,
    ids: HashSet<String>,
    /// In lower case.
    emails: HashSet<String>,
}

/// Whose an e-mail address of the export is.
enum Address {
    Theirs(String),
    /// They have none, or not one that is an address.
    None,
    /// Somebody else's, for this reason.
    Other(&'static str),
    /// That of an account, which is used.
    Account(UserId),
}

impl Slack {
    pub(super) async fn import_people(&mut self) -> Result<()> {
        let mut before = Before::default();
        let users = std::mem::take(&mut self.export.users.readable);
        for (batch, users) in users.chunks(BATCH).enumerate() {
            let is_done = batch * BATCH < self.progress.people;
            self.import_batch(users, is_done, &mut before).await?;
            self.bar.inc(users.len() as u64);
        }
        self.export.users.readable = users;
        Ok(())
    }

    /// `is_done`: an earlier run wrote them; then only their names are found again.
    async fn import_batch(&mut self, users: &[export::User], is_done: bool, before: &mut Before) -> Result<()> {
        let emails: Vec<String> = users.iter().filter_map(email).collect();
        let holders = self.import.holders_of_emails(&emails).await?;
        let fitted: Vec<String> = users.iter().map(|user| fit(&user.name.to_lowercase())).collect();
        let mut taken = self.import.holders_of_usernames(&fitted).await?;
        let mut new = Vec::new();
        let mut balance = self.progress.balance.clone();
        for (user, fitted) in users.iter().zip(&fitted) {
            balance.users.read += 1;
            if !before.ids.insert(user.id.clone()) {
                let reason = "somebody with this id stands before them";
                balance.users.refuse(1, reason);
                balance.name("user", &user.id, reason);
                continue;
            }
            let id: UserId = self.import.id("user", &user.id, Timestamp::default());
            taken.retain(|_, holder| *holder != id);
            let (mut username, changes) = before.usernames.give(&user.name, |name| taken.contains_key(name));
            // Only names as they came were looked up; one with a number may be somebody's, too.
            while username != *fitted
                && let Some(holder) = self.holder_of_username(&username).await?.filter(|holder| *holder != id)
            {
                taken.insert(username, holder);
                username = before.usernames.give(&user.name, |name| taken.contains_key(name)).0;
            }
            let holder = email(user).and_then(|email| holders.get(&email).copied()).filter(|holder| *holder != id);
            let email = match self.address(user, holder, &mut before.emails) {
                Address::Theirs(email) => email,
                Address::None => self.made_up_email(user),
                Address::Other(reason) => {
                    *balance.readdressed.entry(reason.to_owned()).or_default() += 1;
                    balance.name("user", &user.id, &format!("has a made-up e-mail address: {reason}"));
                    self.made_up_email(user)
                }
                Address::Account(account) => {
                    balance.users.refuse(1, "the e-mail address has an account, which is used");
                    self.people.insert(user.id.clone(), (account, username));
                    continue;
                }
            };
            let (first_name, last_name) = names(user);
            let created_at = self.import.now();
            let person = Person { id, email, username, first_name, last_name, created_at };
            match self.import.check(&person) {
                Ok(()) => {}
                Err(CommandError::Refused(refusal)) => {
                    balance.users.refuse(1, &refusal.detail);
                    balance.name("user", &user.id, &refusal.detail);
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            for change in changes {
                *balance.renamed.entry(change.reason().to_owned()).or_default() += 1;
            }
            self.people.insert(user.id.clone(), (id, person.username.clone()));
            new.push(person);
        }
        if is_done {
            return Ok(());
        }
        let next = Progress { people: self.progress.people + users.len(), balance, ..self.progress.clone() };
        let after = |written: &Written| {
            let mut next = next.clone();
            let tally = &mut next.balance.users;
            tally.wrote(written.len());
            tally.refuse(new.len() - written.len(), ALREADY_THERE);
            next
        };
        let written = self.import.people(&new, |written| after(written).text()).await?;
        self.progress = after(&written);
        Ok(())
    }

    async fn holder_of_username(&self, username: &str) -> Result<Option<UserId>> {
        let found = self.import.holders_of_usernames(&[username.to_owned()]).await?;
        Ok(found.into_values().next())
    }

    /// `holder`: the account that has their address, if it isn't theirs from an earlier run. `before`: the addresses of
    /// those who stand before them.
    fn address(&self, user: &export::User, holder: Option<UserId>, before: &mut HashSet<String>) -> Address {
        let Some(email) = email(user) else { return Address::None };
        if !before.insert(email.to_lowercase()) {
            return Address::Other("somebody of the export has the same one, case not counted");
        }
        match (holder, self.accounts) {
            (None, _) => Address::Theirs(email),
            (Some(account), Accounts::Matched) => Address::Account(account),
            (Some(_), Accounts::Apart) => Address::Other("an account that is here already has theirs"),
        }
    }

    fn made_up_email(&self, user: &export::User) -> String {
        let label: String = user.id.chars().filter(char::is_ascii_alphanumeric).take(32).collect();
        self.import.made_up_email(&label.to_lowercase(), &user.id)
    }

    /// Those of whom nothing is known but that they stand in the file.
    pub(super) fn count_unreadable_people(&mut self) {
        let balance = &mut self.progress.balance;
        for entry in &self.export.users.unreadable {
            balance.users.read += 1;
            balance.users.refuse(1, UNREADABLE);
            balance.name("user", &entry.id, &format!("{UNREADABLE}: {}", entry.why));
        }
    }
}

fn names(user: &export::User) -> (String, String) {
    let whole = [&user.profile.real_name, &user.real_name].into_iter().flatten().find(|name| !name.trim().is_empty());
    let whole = whole.unwrap_or(&user.name).trim();
    let (first, last) = whole.split_once(char::is_whitespace).unwrap_or((whole, ""));
    let cut = |name: &str| name.trim().chars().take(NAME_CHARS_MAX).collect::<String>();
    let or_dash = |name: String| if name.is_empty() { "-".to_owned() } else { name };
    (or_dash(cut(first)), or_dash(cut(last)))
}

fn email(user: &export::User) -> Option<String> {
    user.profile.email.clone().filter(|email| is_email(email))
}
