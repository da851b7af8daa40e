//! What happened in the channels of an export: joins and messages, day file by day file.

use super::{ALREADY_THERE, Progress, Slack, export};
use crate::import::{balance::Balance, text};
use anyhow::Result;
use commands::import::{Join, Post};
use domain::{
    ConversationId, MessageId, Timestamp, UserId,
    limits::CONTENT_CHARS_MAX,
    message::{MessageType, NewMessage},
};
use std::collections::HashSet;

/// Entries of a day file that go in one append, with what belongs to them.
const BATCH: usize = 1_000;

/// Subtypes that say what someone said; the others are notices of Slack's own.
const SPOKEN: [&str; 5] = ["bot_message", "file_share", "me_message", "thread_broadcast", "file_comment"];

/// A part of a day file, read.
#[derive(Default)]
struct Part {
    joins: Vec<Join>,
    posts: Vec<Post>,
    /// Of the posts, those that answer another, and all their reactions.
    replies: usize,
    reactions: usize,
    balance: Balance,
}

impl Slack {
    pub(super) async fn import_files(&mut self) -> Result<()> {
        let channels: Vec<(String, String)> =
            self.export.channels.iter().map(|channel| (channel.id.clone(), channel.name.clone())).collect();
        let mut number = 0;
        for (slack_id, name) in channels {
            self.import_members(&slack_id).await?;
            for file in self.export.days.get(&name).cloned().unwrap_or_default() {
                number += 1;
                self.bar.inc(1);
                if number > self.progress.files {
                    self.import_file(&slack_id, &file).await?;
                    self.progress.files = number;
                    self.progress.messages = 0;
                }
            }
        }
        Ok(())
    }

    /// Those who neither came in nor spoke while the export looks on were there from the start.
    async fn import_members(&mut self, slack_id: &str) -> Result<()> {
        let Some(channel) = self.export.channels.iter().find(|channel| channel.id == slack_id) else { return Ok(()) };
        let files = self.export.days.get(&channel.name).cloned().unwrap_or_default();
        let (members, joined_at) = (channel.members.clone(), Timestamp(channel.created * 1_000));
        let mut moving = HashSet::new();
        for file in &files {
            moving.extend(self.export.messages(file)?.into_iter().filter_map(|message| message.user));
        }
        let id = self.channel_id(slack_id);
        let still =
            members.iter().filter(|member| !moving.contains(*member)).filter_map(|member| self.people.get(member));
        let joins: Vec<Join> = still.map(|(user, _)| Join { user: *user, joined_at }).collect();
        let said = self.said();
        for batch in joins.chunks(BATCH) {
            self.import.history(id, batch, &[], &said).await?;
        }
        Ok(())
    }

    async fn import_file(&mut self, slack_id: &str, file: &str) -> Result<()> {
        let messages = self.export.messages(file)?;
        let id = self.channel_id(slack_id);
        for batch in messages.chunks(BATCH).skip(self.progress.messages / BATCH) {
            let Part { joins, posts, replies, reactions, balance } = self.read(id, slack_id, batch);
            let next = Progress { messages: self.progress.messages + BATCH, balance, ..self.progress.clone() };
            let written = self.import.history(id, &joins, &posts, &serde_json::to_string(&next)?).await?;
            self.progress = next;
            if written < posts.len() {
                self.recount(posts.len() - written, posts.len(), replies, reactions);
            }
        }
        Ok(())
    }

    /// What turned out to be there already was counted as written. A batch is as a rule known whole or not at all.
    fn recount(&mut self, known: usize, posts: usize, replies: usize, reactions: usize) {
        let balance = &mut self.progress.balance;
        let part = |count: usize| count * known / posts;
        for (tally, count) in [
            (&mut balance.messages, known),
            (&mut balance.replies, part(replies)),
            (&mut balance.reactions, part(reactions)),
        ] {
            tally.written -= count as u64;
            tally.refuse(count, ALREADY_THERE);
        }
    }

    fn read(&self, channel: ConversationId, slack_id: &str, messages: &[export::Message]) -> Part {
        let mut part = Part { balance: self.progress.balance.clone(), ..Part::default() };
        let mut inside = HashSet::new();
        for message in messages {
            let user = message.user.as_ref().and_then(|id| self.people.get(id)).map(|(user, _)| *user);
            let is_new = |user: UserId| !self.import.is_participant(channel, user);
            match message.subtype.as_deref() {
                Some("channel_join" | "group_join") => {
                    part.balance.joins.read += 1;
                    match user {
                        Some(user) if is_new(user) && inside.insert(user) => {
                            part.joins.push(Join { user, joined_at: time(&message.ts) });
                            part.balance.joins.wrote(1);
                        }
                        Some(_) => part.balance.joins.refuse(1, "was in the channel already"),
                        None => part.balance.joins.refuse(1, "the person is not in users.json"),
                    }
                }
                subtype => {
                    if let Some(post) = self.post(channel, slack_id, message, user, subtype, &mut part) {
                        // Whoever speaks is in, whether or not the export saw them come.
                        if is_new(post.sender) && inside.insert(post.sender) {
                            part.joins.push(Join { user: post.sender, joined_at: post.message.created_at });
                        }
                        part.posts.push(post);
                    }
                }
            }
        }
        part
    }

    /// A message as it is to be written, counted; none where it is refused.
    fn post(
        &self,
        channel: ConversationId,
        slack_id: &str,
        message: &export::Message,
        sender: Option<UserId>,
        subtype: Option<&str>,
        part: &mut Part,
    ) -> Option<Post> {
        let created_at = time(&message.ts);
        let thread = message.thread_ts.as_ref().filter(|thread| **thread != message.ts);
        let balance = &mut part.balance;
        let reactions = message.reactions.iter().map(|reaction| reaction.users.len()).sum::<usize>();
        balance.messages.read += 1;
        balance.replies.read += u64::from(thread.is_some());
        balance.reactions.read += reactions as u64;
        balance.files.read += message.files.len() as u64;
        balance.files.refuse(message.files.len(), "files are not imported");
        let said = text::read(&message.text, &self.people, &self.channels);
        let refused = match (sender, subtype) {
            (None, _) => Some("the sender is not in users.json".to_owned()),
            (Some(_), Some(subtype)) if !SPOKEN.contains(&subtype) => {
                Some(format!("a notice of Slack's own ({subtype})"))
            }
            (Some(_), _) if said.content.chars().count() > CONTENT_CHARS_MAX => Some("the text is too long".to_owned()),
            (Some(_), _) => None,
        };
        if let Some(reason) = refused {
            balance.messages.refuse(1, &reason);
            balance.replies.refuse(usize::from(thread.is_some()), &reason);
            balance.reactions.refuse(reactions, &reason);
            return None;
        }
        let reactions = self.reactions(&message.reactions, balance);
        balance.messages.wrote(1);
        balance.replies.wrote(usize::from(thread.is_some()));
        part.replies += usize::from(thread.is_some());
        part.reactions += reactions.len();
        let root: Option<MessageId> = thread.map(|ts| self.message_id(slack_id, ts));
        let is_in = |user: &UserId| self.import.is_participant(channel, *user);
        Some(Post {
            id: self.message_id(slack_id, &message.ts),
            sender: sender?,
            message: NewMessage {
                conversation: channel,
                content: said.content,
                r#type: MessageType::Text,
                reply_to: root,
                thread_root: root,
                mentions: said.mentions.into_iter().filter(is_in).collect(),
                broadcast: said.broadcast,
                client_message_id: None,
                created_at,
                may_be_empty: true,
            },
            edited_at: message.edited.as_ref().map(|edited| time(&edited.ts)),
            reactions,
        })
    }

    /// Who put which emoji, each once; those by people who are not known are refused.
    fn reactions(&self, reactions: &[export::Reaction], balance: &mut Balance) -> Vec<(UserId, String)> {
        let mut found = Vec::new();
        for reaction in reactions {
            let emoji = emoji(&reaction.name);
            for id in &reaction.users {
                match self.people.get(id) {
                    Some((user, _)) if found.contains(&(*user, emoji.clone())) => {
                        balance.reactions.refuse(1, "the same person reacted twice alike");
                    }
                    Some((user, _)) => {
                        found.push((*user, emoji.clone()));
                        balance.reactions.wrote(1);
                    }
                    None => balance.reactions.refuse(1, "the person is not in users.json"),
                }
            }
        }
        found
    }

    fn message_id(&self, slack_id: &str, ts: &str) -> MessageId {
        self.import.id("message", &format!("{slack_id}:{ts}"), time(ts))
    }
}

/// Slack's time stamp, seconds with microseconds, which also names a message.
fn time(ts: &str) -> Timestamp {
    let (seconds, fraction) = ts.split_once('.').unwrap_or((ts, "0"));
    let micros: i64 = format!("{fraction:0<6}").get(..6).and_then(|digits| digits.parse().ok()).unwrap_or(0);
    Timestamp(seconds.parse::<i64>().unwrap_or(0) * 1_000 + micros / 1_000)
}

/// The emoji of Slack's name for it; a name that is not common stands as a custom one. A skin tone is kept.
fn emoji(name: &str) -> String {
    let (base, tone) =
        name.split_once("::skin-tone-").map_or((name, None), |(base, tone)| (base, tone.parse::<usize>().ok()));
    let Some(found) = emojis::get_by_shortcode(base) else {
        let legal = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+') { c } else { '_' };
        return format!(":{}:", base.chars().map(legal).take(64).collect::<String>());
    };
    // Slack counts tones from 2 to 6, after Fitzpatrick's scale.
    let toned = tone.and_then(|tone| found.skin_tones()?.nth(tone.checked_sub(1)?));
    toned.unwrap_or(found).as_str().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_stamp_is_read_to_the_millisecond() {
        assert_eq!(time("1550463617.000100").to_string(), "2019-02-18T04:20:17.000Z");
        assert_eq!(time("1700000000.123456"), Timestamp(1_700_000_000_123));
        assert_eq!(time("nonsense"), Timestamp(0));
    }

    #[test]
    fn a_reaction_is_an_emoji() {
        assert_eq!(emoji("tada"), "🎉");
        assert_eq!(emoji("+1"), "👍");
        assert_eq!(emoji("+1::skin-tone-4"), "👍🏽");
        assert_eq!(emoji("party parrot!"), ":party_parrot_:");
    }
}
