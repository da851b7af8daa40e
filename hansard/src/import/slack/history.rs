//! What happened in the channels of an export: joins and messages, day file by day file.

use super::{ALREADY_THERE, Opened, Progress, Slack, UNREADABLE, export, post};
use crate::import::balance::Balance;
use anyhow::Result;
use commands::import::{Join, Post, Written};
use domain::UserId;
use std::collections::HashSet;

/// Entries of a day file that go in one append, with what belongs to them.
const BATCH: usize = 1_000;

/// A part of a day file, read.
#[derive(Default)]
struct Part {
    joins: Vec<Join>,
    posts: Vec<Post>,
    /// With all that was read and refused; not with what is to be written of the posts.
    balance: Balance,
}

impl Part {
    /// The balance once it is known which of the posts are new.
    fn balance_after(&self, written: &Written) -> Balance {
        let mut balance = self.balance.clone();
        for post in &self.posts {
            let is_new = written.contains(&post.id.to_string());
            for (tally, count) in [
                (&mut balance.messages, 1),
                (&mut balance.replies, usize::from(post.message.thread_root.is_some())),
                (&mut balance.reactions, post.reactions.len()),
                (&mut balance.edits, usize::from(post.edited_at.is_some())),
            ] {
                if is_new { tally.wrote(count) } else { tally.refuse(count, ALREADY_THERE) }
            }
        }
        balance
    }
}

impl Slack {
    /// Returns the folders whose files were imported.
    pub(super) async fn import_files(&mut self) -> Result<HashSet<String>> {
        let mut folders = HashSet::new();
        let mut number = 0;
        for at in 0..self.export.channels.readable.len() {
            let folder = self.export.channels.readable[at].name.clone();
            let files = self.export.days.get(&folder).cloned().unwrap_or_default();
            let Some(channel) = self.opened[at].filter(|_| folders.insert(folder)) else {
                number += files.len();
                continue;
            };
            self.seen.clear();
            self.import_members(at, channel, &files).await?;
            for file in files {
                number += 1;
                self.bar.inc(1);
                if number > self.progress.files {
                    self.import_file(at, channel, &file, number).await?;
                }
            }
        }
        Ok(folders)
    }

    /// Those who neither came in nor spoke while the export looks on were there from the start.
    async fn import_members(&mut self, at: usize, channel: Opened, files: &[String]) -> Result<()> {
        let mut moving = HashSet::new();
        for file in files {
            moving.extend(self.export.senders(file));
        }
        let members = &self.export.channels.readable[at].members;
        let still =
            members.iter().filter(|member| !moving.contains(*member)).filter_map(|member| self.people.get(member));
        let joins: Vec<Join> = still.map(|(user, _)| Join { user: *user, joined_at: channel.created_at }).collect();
        let said = self.progress.text();
        for batch in joins.chunks(BATCH) {
            self.import.history(channel.id, batch, &[], |_| said.clone()).await?;
        }
        Ok(())
    }

    /// `number`: which of all day files it is, from 1.
    async fn import_file(&mut self, at: usize, channel: Opened, file: &str, number: usize) -> Result<()> {
        let read = match self.export.messages(file) {
            Ok(read) => read,
            Err(error) => {
                let balance = &mut self.progress.balance;
                refuse_file(balance, file, &error);
                (self.progress.files, self.progress.messages) = (number, 0);
                return Ok(());
            }
        };
        let slack_id = self.export.channels.readable[at].id.clone();
        let batches = read.readable.len().div_ceil(BATCH).max(1);
        for n in self.progress.messages / BATCH..batches {
            let batch = read.readable.chunks(BATCH).nth(n).unwrap_or_default();
            let mut part = self.read(channel, &slack_id, batch);
            if n == 0 {
                refuse_unreadable(&mut part.balance, &slack_id, &read.unreadable);
            }
            let is_last = n + 1 == batches;
            let (files, messages) = if is_last { (number, 0) } else { (self.progress.files, (n + 1) * BATCH) };
            let progress = &self.progress;
            let after = |written: &Written| Progress {
                files,
                messages,
                balance: part.balance_after(written),
                export: progress.export.clone(),
                ..*progress
            };
            let written = self.import.history(channel.id, &part.joins, &part.posts, |written| after(written).text());
            let written = written.await?;
            self.progress = after(&written);
        }
        Ok(())
    }

    fn read(&mut self, channel: Opened, slack_id: &str, messages: &[export::Message]) -> Part {
        let mut part = Part { balance: self.progress.balance.clone(), ..Part::default() };
        let mut inside = HashSet::new();
        for message in messages {
            let user = message.user.as_ref().and_then(|id| self.people.get(id)).map(|(user, _)| *user);
            if matches!(message.subtype.as_deref(), Some("channel_join" | "group_join")) {
                self.join(channel, slack_id, message, user, &mut inside, &mut part);
            } else if let Some(post) = self.post(channel.id, slack_id, message, user, &mut part.balance) {
                // Whoever speaks is in, whether or not the export saw them come.
                if !self.import.is_participant(channel.id, post.sender) && inside.insert(post.sender) {
                    part.joins.push(Join { user: post.sender, joined_at: post.message.created_at });
                }
                part.posts.push(post);
            }
        }
        part
    }

    fn join(
        &self,
        channel: Opened,
        slack_id: &str,
        message: &export::Message,
        user: Option<UserId>,
        inside: &mut HashSet<UserId>,
        part: &mut Part,
    ) {
        let joins = &mut part.balance.joins;
        joins.read += 1;
        let Some(user) = user else { return joins.refuse(1, "the person is not in users.json") };
        let Some(joined_at) = export::time(&message.ts) else {
            joins.refuse(1, post::NO_TIME);
            return part.balance.name("join", &format!("{slack_id} {}", message.ts), post::NO_TIME);
        };
        if self.import.is_participant(channel.id, user) || !inside.insert(user) {
            return joins.refuse(1, "was in the channel already");
        }
        joins.wrote(1);
        part.joins.push(Join { user, joined_at });
    }

    /// What no append tells of: entries that can't be read, and folders that are not imported. Counted at the end of
    /// each run, for progress that is kept doesn't count them.
    pub(super) fn count_left_out(&mut self, imported: &HashSet<String>) {
        self.count_unreadable_people();
        let balance = &mut self.progress.balance;
        for entry in &self.export.channels.unreadable {
            balance.channels.read += 1;
            balance.channels.refuse(1, UNREADABLE);
            balance.name("channel", &entry.id, &format!("{UNREADABLE}: {}", entry.why));
        }
        balance.channels.read += self.export.direct.len() as u64;
        balance.channels.refuse(self.export.direct.len(), DIRECT);
        let left: Vec<String> = self.export.days.keys().filter(|folder| !imported.contains(*folder)).cloned().collect();
        for folder in left {
            self.count_folder(&folder);
        }
    }

    fn count_folder(&mut self, folder: &str) {
        let reason = match self.refused.get(folder) {
            Some(reason) => reason.as_str(),
            None if self.export.direct.contains(folder) => DIRECT,
            None => "no channel of the export has their folder",
        };
        let balance = &mut self.progress.balance;
        balance.name("folder", folder, reason);
        for file in self.export.days.get(folder).cloned().unwrap_or_default() {
            match self.export.messages(&file) {
                Ok(read) => {
                    for message in &read.readable {
                        post::count(balance, message);
                        post::refuse(balance, message, reason);
                    }
                    balance.messages.read += read.unreadable.len() as u64;
                    balance.messages.refuse(read.unreadable.len(), reason);
                }
                Err(error) => refuse_file(balance, &file, &error),
            }
        }
    }
}

const DIRECT: &str = "direct messages are not imported";

/// How many messages a file would have had nobody knows: it counts as one.
fn refuse_file(balance: &mut Balance, file: &str, error: &anyhow::Error) {
    balance.messages.read += 1;
    balance.messages.refuse(1, "a whole day file can't be read");
    balance.name("file", file, &format!("{error:#}"));
}

fn refuse_unreadable(balance: &mut Balance, slack_id: &str, entries: &[export::Unreadable]) {
    for entry in entries {
        balance.messages.read += 1;
        balance.messages.refuse(1, UNREADABLE);
        balance.name("message", &format!("{slack_id} {}", entry.id), &format!("{UNREADABLE}: {}", entry.why));
    }
}
