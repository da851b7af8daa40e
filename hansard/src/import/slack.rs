//! [`run`]: brings a Slack [`Export`] into a workspace. It can be killed at any point and taken up again.

mod export;
mod history;
mod people;
mod post;

pub use export::Export;

use super::{
    balance::Balance,
    text::{ChannelNames, People},
};
use anyhow::{Context, Result, bail};
use commands::{
    CommandError, Commands,
    import::{self, Import},
};
use domain::{ConversationId, MessageId, Timestamp, UserId, WorkspaceId, limits::NAME_CHARS_MAX};
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};

/// Whose a person of the export is whose e-mail address an account here has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accounts {
    /// Their own: addresses are not verified here, so that whoever registered one need not be the person.
    Apart,
    /// The account's, by the operator's word.
    Matched,
}

/// How far the import has come: kept with what it wrote, in the same transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Progress {
    /// The fingerprint of the export that the counts below are about.
    export: String,
    people: usize,
    has_workspace: bool,
    channels: usize,
    /// Day files done, over all channels in order.
    files: usize,
    /// Messages done of the next day file.
    messages: usize,
    balance: Balance,
}

impl Progress {
    fn text(&self) -> String {
        serde_json::to_string(self).expect("numbers and texts can be written as JSON")
    }
}

/// A channel that is there.
#[derive(Clone, Copy)]
struct Opened {
    id: ConversationId,
    created_at: Timestamp,
}

struct Slack {
    export: Export,
    import: Import,
    progress: Progress,
    bar: ProgressBar,
    workspace: WorkspaceId,
    accounts: Accounts,
    people: People,
    channels: ChannelNames,
    /// For each of the export's channels; none where it was refused.
    opened: Vec<Option<Opened>>,
    /// Folder of a refused channel → why.
    refused: HashMap<String, String>,
    /// Messages of the channel at hand.
    seen: HashSet<MessageId>,
}

/// Imports the export into the workspace `name`, and tells what was read, written and refused.
pub async fn run(
    commands: Commands,
    export: Export,
    name: &str,
    accounts: Accounts,
    bar: ProgressBar,
) -> Result<Balance> {
    if !domain::limits::is_name(name) {
        bail!("the workspace's name has 1 to {NAME_CHARS_MAX} characters");
    }
    let namespace = format!("slack:{}", name.to_lowercase());
    let import = Import::new(commands.clone(), namespace.clone(), UserId(uuid::Uuid::nil()));
    let workspace = import.id("workspace", "", Timestamp::default());
    let progress = match import.progress().await? {
        Some(said) => serde_json::from_str(&said).context("what an earlier run said of its progress can't be read")?,
        None => Progress::default(),
    };
    let channels = export.channels.readable.iter().map(|channel| (channel.id.clone(), channel.name.clone())).collect();
    let mut slack = Slack {
        export,
        import,
        progress,
        bar,
        workspace,
        accounts,
        people: People::new(),
        channels,
        opened: vec![],
        refused: HashMap::new(),
        seen: HashSet::new(),
    };
    if slack.progress.export != slack.export.fingerprint || slack.progress.files >= slack.files() {
        // Another export, one that has grown, or the same once more: what is there already is found by its ids.
        slack.progress = Progress { export: slack.export.fingerprint.clone(), ..Progress::default() };
    }
    slack.all(namespace, name, commands).await
}

impl Slack {
    async fn all(mut self, namespace: String, name: &str, commands: Commands) -> Result<Balance> {
        self.bar.set_length((self.export.users.readable.len() + self.files()) as u64);
        self.import_people().await?;
        let owner = match self.import.owner(self.workspace).await? {
            Some(owner) => owner,
            None => self.founder()?,
        };
        self.import = Import::new(commands, namespace, owner);
        self.import_workspace(owner, name).await?;
        self.import_channels(owner).await?;
        let folders = self.import_files().await?;
        self.count_left_out(&folders);
        self.bar.finish_and_clear();
        Ok(self.progress.balance)
    }

    /// Day files of all channels, those of two channels of one name counted for both.
    fn files(&self) -> usize {
        let days = |channel: &export::Channel| self.export.days.get(&channel.name).map_or(0, Vec::len);
        self.export.channels.readable.iter().map(days).sum()
    }

    /// Whoever made the first channel that has a maker makes the workspace, else the first person.
    fn founder(&self) -> Result<UserId> {
        let creators = self.export.channels.readable.iter().filter_map(|channel| channel.creator.as_ref());
        let all = creators.chain(self.export.users.readable.iter().map(|user| &user.id));
        all.filter_map(|id| self.people.get(id)).map(|(user, _)| *user).next().context("the export has no people")
    }

    async fn import_workspace(&mut self, owner: UserId, name: &str) -> Result<()> {
        if self.progress.has_workspace {
            return Ok(());
        }
        let mut members: Vec<UserId> =
            self.people.values().map(|(user, _)| *user).filter(|user| *user != owner).collect();
        members.sort_unstable();
        let next = Progress { has_workspace: true, ..self.progress.clone() };
        self.import.workspace(self.workspace, name, &members, &next.text()).await?;
        self.progress = next;
        Ok(())
    }

    /// Channels are opened in each run, for what follows asks who is in them; they are counted once.
    async fn import_channels(&mut self, owner: UserId) -> Result<()> {
        let mut ids = HashSet::new();
        for at in 0..self.export.channels.readable.len() {
            let channel = self.channel(at, owner);
            let is_repeated = !ids.insert(channel.id);
            let mut next = self.progress.clone();
            next.channels += 1;
            next.balance.channels.read += 1;
            let (mut written, mut known) = (next.clone(), next.clone());
            written.balance.channels.wrote(1);
            known.balance.channels.refuse(1, ALREADY_THERE);
            let said = if at < self.progress.channels { self.progress.text() } else { written.text() };
            let opened = match (is_repeated, &said) {
                (true, _) => Err("a channel with this id stands before it".to_owned()),
                (false, said) => self.open(&channel, said).await?,
            };
            let counted = match &opened {
                Ok(true) => written,
                Ok(false) => known,
                Err(reason) => {
                    let export::Channel { id, name, .. } = &self.export.channels.readable[at];
                    next.balance.channels.refuse(1, reason);
                    next.balance.name("channel", &format!("{id} {name}"), reason);
                    self.refused.insert(name.clone(), format!("their channel was refused: {reason}"));
                    next
                }
            };
            self.opened.push(opened.is_ok().then_some(Opened { id: channel.id, created_at: channel.created_at }));
            if at >= self.progress.channels {
                self.progress = counted;
                self.name_time_of_creation(at);
            }
        }
        Ok(())
    }

    /// Whether the channel is new; or why it is refused.
    async fn open(&mut self, channel: &import::Channel, said: &str) -> Result<Result<bool, String>> {
        match self.import.channel(self.workspace, channel, said).await {
            Ok(is_new) => Ok(Ok(is_new)),
            Err(CommandError::Refused(refusal)) => Ok(Err(refusal.detail.into_owned())),
            Err(error) => Err(error.into()),
        }
    }

    fn name_time_of_creation(&mut self, at: usize) {
        let channel = &self.export.channels.readable[at];
        if channel.created.and_then(export::seconds_since_1970).is_none() {
            let why = "when it was made can't be read: the time of the import stands instead";
            self.progress.balance.name("channel", &format!("{} {}", channel.id, channel.name), why);
        }
    }

    fn channel(&self, at: usize, owner: UserId) -> import::Channel {
        let channel = &self.export.channels.readable[at];
        let known = |id: &String| self.people.get(id).map(|(user, _)| *user);
        import::Channel {
            id: self.channel_id(&channel.id),
            name: channel.name.clone(),
            description: Some(channel.purpose.value.chars().take(1_000).collect::<String>())
                .filter(|text| !text.is_empty()),
            is_private: channel.is_private,
            creator: channel.creator.as_ref().and_then(known).unwrap_or(owner),
            created_at: channel.created.and_then(export::seconds_since_1970).unwrap_or_else(|| self.import.now()),
        }
    }

    fn channel_id(&self, slack_id: &str) -> ConversationId {
        self.import.id("channel", slack_id, Timestamp::default())
    }
}

/// What was counted as read, but had been written by an earlier import.
const ALREADY_THERE: &str = "already there from an earlier import";
/// Why an entry that is no JSON of the right kind is refused.
const UNREADABLE: &str = "it can't be read";
