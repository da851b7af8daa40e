//! [`run`]: brings a Slack export into a workspace. It can be killed at any point and taken up again.

mod export;
mod history;

use super::{
    balance::Balance,
    names::Usernames,
    text::{ChannelNames, People},
};
use anyhow::{Context, Result, bail};
use commands::{
    Commands,
    import::{self, Import},
};
use domain::{ConversationId, Timestamp, UserId, WorkspaceId, limits::NAME_CHARS_MAX, user::is_email};
use export::Export;
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use std::path::Path;

const PEOPLE_BATCH: usize = 500;

/// How far the import has come: kept with what it wrote, in the same transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Progress {
    people: usize,
    has_workspace: bool,
    channels: usize,
    /// Day files done, over all channels in order.
    files: usize,
    /// Messages done of the next day file.
    messages: usize,
    balance: Balance,
}

struct Slack {
    export: Export,
    import: Import,
    progress: Progress,
    bar: ProgressBar,
    workspace: WorkspaceId,
    people: People,
    channels: ChannelNames,
}

/// Imports the export at `path` into the workspace `name`, and tells what was read, written and refused.
pub async fn run(commands: Commands, path: &Path, name: &str, bar: ProgressBar) -> Result<Balance> {
    let export = Export::open(path)?;
    if !domain::limits::is_name(name) {
        bail!("the workspace's name has 1 to {NAME_CHARS_MAX} characters");
    }
    let namespace = format!("slack:{}", name.to_lowercase());
    let root = Import::new(commands.clone(), namespace.clone(), UserId(uuid::Uuid::nil()));
    let workspace = root.id("workspace", "", Timestamp::default());
    let progress = match root.progress().await? {
        Some(said) => serde_json::from_str(&said).context("what an earlier run said of its progress can't be read")?,
        None => Progress::default(),
    };
    let channels = export.channels.iter().map(|channel| (channel.id.clone(), channel.name.clone())).collect();
    let mut slack = Slack { export, import: root, progress, bar, workspace, people: People::new(), channels };
    if slack.progress.files >= slack.export.days.values().map(Vec::len).sum() {
        // The same export again, or one that has grown: what is there already is found by its ids.
        slack.progress = Progress::default();
    }
    slack.all(namespace, name, commands).await
}

impl Slack {
    async fn all(mut self, namespace: String, name: &str, commands: Commands) -> Result<Balance> {
        self.bar.set_length((self.export.users.len() + self.export.days.values().map(Vec::len).sum::<usize>()) as u64);
        self.import_people().await?;
        let owner = self.owner()?;
        self.import = Import::new(commands, namespace, owner);
        self.import_workspace(owner, name).await?;
        self.import_channels(owner).await?;
        self.import_files().await?;
        self.bar.finish_and_clear();
        Ok(self.progress.balance)
    }

    fn said(&self) -> String {
        serde_json::to_string(&self.progress).unwrap_or_default()
    }

    /// Whoever made the first channel that has a maker owns the workspace, else the first person.
    fn owner(&self) -> Result<UserId> {
        let creators = self.export.channels.iter().filter_map(|channel| channel.creator.as_ref());
        let first = creators.chain(self.export.users.first().map(|user| &user.id)).find_map(|id| self.people.get(id));
        first.map(|(user, _)| *user).context("the export has no people")
    }

    async fn import_people(&mut self) -> Result<()> {
        let mut usernames = Usernames::default();
        let users = std::mem::take(&mut self.export.users);
        for (batch, users) in users.chunks(PEOPLE_BATCH).enumerate() {
            let start = batch * PEOPLE_BATCH;
            self.import_people_batch(users, start < self.progress.people, &mut usernames).await?;
            self.bar.inc(users.len() as u64);
        }
        self.export.users = users;
        Ok(())
    }

    /// `is_done`: an earlier run wrote them; then only their names are found again.
    async fn import_people_batch(
        &mut self,
        users: &[export::User],
        is_done: bool,
        usernames: &mut Usernames,
    ) -> Result<()> {
        let emails: Vec<String> = users.iter().map(email).collect();
        let known = self.import.holders_of_emails(&emails).await?;
        let fitted: Vec<String> = users.iter().map(|user| super::names::fit(&user.name.to_lowercase())).collect();
        let mut taken = self.import.holders_of_usernames(&fitted).await?;
        let mut new = Vec::new();
        let mut balance = self.progress.balance.clone();
        for (user, email) in users.iter().zip(&emails) {
            let id: UserId = self.import.id("user", &user.id, Timestamp::default());
            taken.retain(|_, holder| *holder != id);
            balance.users.read += 1;
            let (username, changes) = usernames.give(&user.name, |name| taken.contains_key(name));
            if let Some(holder) = known.get(email).filter(|holder| **holder != id) {
                balance.users.refuse(1, "the e-mail address has an account, which is used");
                self.people.insert(user.id.clone(), (*holder, username));
                continue;
            }
            for change in changes {
                *balance.renamed.entry(change.reason().to_owned()).or_default() += 1;
            }
            let (first_name, last_name) = names(user);
            self.people.insert(user.id.clone(), (id, username.clone()));
            let created_at = self.import.now();
            new.push(import::Person { id, email: email.clone(), username, first_name, last_name, created_at });
        }
        if !is_done {
            self.write_people(&new, balance, users.len()).await?;
        }
        Ok(())
    }
}

impl Slack {
    async fn write_people(&mut self, new: &[import::Person], mut balance: Balance, read: usize) -> Result<()> {
        balance.users.wrote(new.len());
        let next = Progress { people: self.progress.people + read, balance, ..self.progress.clone() };
        let written = self.import.people(new, &serde_json::to_string(&next)?).await?;
        self.progress = next;
        // Those that an earlier import brought in were counted as written before it was known.
        let known = new.len() - written;
        self.progress.balance.users.written -= known as u64;
        self.progress.balance.users.refuse(known, ALREADY_THERE);
        Ok(())
    }

    async fn import_workspace(&mut self, owner: UserId, name: &str) -> Result<()> {
        if self.progress.has_workspace {
            return Ok(());
        }
        let mut members: Vec<UserId> =
            self.people.values().map(|(user, _)| *user).filter(|user| *user != owner).collect();
        members.sort_unstable();
        let next = Progress { has_workspace: true, ..self.progress.clone() };
        self.import.workspace(self.workspace, name, &members, &serde_json::to_string(&next)?).await?;
        self.progress = next;
        Ok(())
    }

    /// Channels are opened in each run, for what follows asks who is in them; they are counted once.
    async fn import_channels(&mut self, owner: UserId) -> Result<()> {
        for at in 0..self.export.channels.len() {
            let channel = self.channel(at, owner);
            let is_counted = at < self.progress.channels;
            let mut next = self.progress.clone();
            if !is_counted {
                next.channels += 1;
                next.balance.channels.read += 1;
                next.balance.channels.wrote(1);
            }
            let is_new = self.import.channel(self.workspace, &channel, &serde_json::to_string(&next)?).await?;
            if !is_counted && !is_new {
                next.balance.channels.written -= 1;
                next.balance.channels.refuse(1, ALREADY_THERE);
            }
            self.progress = next;
        }
        Ok(())
    }

    fn channel(&self, at: usize, owner: UserId) -> import::Channel {
        let channel = &self.export.channels[at];
        let known = |id: &String| self.people.get(id).map(|(user, _)| *user);
        import::Channel {
            id: self.channel_id(&channel.id),
            name: channel.name.clone(),
            description: Some(channel.purpose.value.chars().take(1_000).collect::<String>())
                .filter(|text| !text.is_empty()),
            is_private: false,
            creator: channel.creator.as_ref().and_then(known).unwrap_or(owner),
            created_at: Timestamp(channel.created * 1_000),
        }
    }

    fn channel_id(&self, slack_id: &str) -> ConversationId {
        self.import.id("channel", slack_id, Timestamp::default())
    }
}

/// What was counted as read, but had been written by an earlier import.
const ALREADY_THERE: &str = "already there from an earlier import";

fn names(user: &export::User) -> (String, String) {
    let whole = [&user.profile.real_name, &user.real_name].into_iter().flatten().find(|name| !name.trim().is_empty());
    let whole = whole.unwrap_or(&user.name).trim();
    let (first, last) = whole.split_once(char::is_whitespace).unwrap_or((whole, ""));
    let cut = |name: &str| name.trim().chars().take(NAME_CHARS_MAX).collect::<String>();
    let or_dash = |name: String| if name.is_empty() { "-".to_owned() } else { name };
    (or_dash(cut(first)), or_dash(cut(last)))
}

fn email(user: &export::User) -> String {
    match &user.profile.email {
        Some(email) if is_email(email) => email.clone(),
        Some(_) | None => format!("{}@slack.invalid", user.id.to_lowercase()),
    }
}
