//! One message of an export as it is to be written, counted; or why it is refused.

use super::{Slack, export};
use crate::import::{balance::Balance, text};
use commands::import::Post;
use domain::{
    ConversationId, MessageId, Timestamp, UserId,
    limits::CONTENT_CHARS_MAX,
    message::{MessageType, NewMessage, REACTIONS_PER_PERSON_MAX},
};

/// Subtypes that say what someone said; the others are notices of Slack's own.
const SPOKEN: [&str; 5] = ["bot_message", "file_share", "me_message", "thread_broadcast", "file_comment"];

pub(super) const NO_TIME: &str = "its time can't be read";

/// Why a message is refused, and whether that is a fault of the export that is told by name.
struct Refused {
    reason: String,
    is_fault: bool,
}

impl Slack {
    /// The message, or none where it is refused. What is to be written is counted when it is known to be new.
    pub(super) fn post(
        &mut self,
        channel: ConversationId,
        slack_id: &str,
        message: &export::Message,
        sender: Option<UserId>,
        balance: &mut Balance,
    ) -> Option<Post> {
        count(balance, message);
        let said = text::read(&message.text, &self.people, &self.channels);
        let (id, sender, created_at) = match self.accept(slack_id, message, sender, &said) {
            Ok(accepted) => accepted,
            Err(Refused { reason, is_fault }) => {
                refuse(balance, message, &reason);
                if is_fault {
                    balance.name("message", &format!("{slack_id} {}", message.ts), &reason);
                }
                return None;
            }
        };
        let root = self.root(slack_id, message, balance);
        let is_in = |user: &UserId| self.import.is_participant(channel, *user);
        Some(Post {
            id,
            sender,
            edited_at: edited_at(slack_id, message, said.content.is_empty(), balance),
            reactions: self.reactions(&message.reactions, balance),
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
        })
    }

    fn accept(
        &mut self,
        slack_id: &str,
        message: &export::Message,
        sender: Option<UserId>,
        said: &text::Text,
    ) -> Result<(MessageId, UserId, Timestamp), Refused> {
        let fault = |reason: &str| Refused { reason: reason.to_owned(), is_fault: true };
        let usual = |reason: String| Refused { reason, is_fault: false };
        let sender = sender.ok_or_else(|| usual("the sender is not in users.json, or was refused".to_owned()))?;
        if let Some(subtype) = message.subtype.as_deref().filter(|subtype| !SPOKEN.contains(subtype)) {
            return Err(usual(format!("a notice of Slack's own ({subtype})")));
        }
        let created_at = export::time(&message.ts).ok_or_else(|| fault(NO_TIME))?;
        if said.content.chars().count() > CONTENT_CHARS_MAX {
            return Err(fault("the text is too long"));
        }
        let id = self.message_id(slack_id, &message.ts, created_at);
        // Slack names a message by its time: what comes again with the same one is the same message.
        if !self.seen.insert(id) {
            return Err(fault("a message with the same time stamp stands before it"));
        }
        Ok((id, sender, created_at))
    }

    fn root(&self, slack_id: &str, message: &export::Message, balance: &mut Balance) -> Option<MessageId> {
        let ts = thread(message)?;
        let root = export::time(ts).map(|time| self.message_id(slack_id, ts, time));
        if root.is_none() {
            let reason = "the time of its thread can't be read: it stands by itself";
            balance.replies.refuse(1, reason);
            balance.name("message", &format!("{slack_id} {}", message.ts), reason);
        }
        root
    }

    /// Who put which emoji, each once; those by people who are not known are refused.
    fn reactions(&self, reactions: &[export::Reaction], balance: &mut Balance) -> Vec<(UserId, String)> {
        let mut found: Vec<(UserId, String)> = Vec::new();
        for reaction in reactions {
            let emoji = emoji(&reaction.name);
            for id in &reaction.users {
                let Some((user, _)) = self.people.get(id) else {
                    balance.reactions.refuse(1, "the person is not in users.json, or was refused");
                    continue;
                };
                let of_theirs = found.iter().filter(|(other, _)| other == user).count();
                let refused = match &emoji {
                    None => Some("the emoji has no name"),
                    Some(emoji) if found.iter().any(|known| known.0 == *user && known.1 == *emoji) => {
                        Some("the same person reacted twice alike")
                    }
                    Some(_) if of_theirs >= REACTIONS_PER_PERSON_MAX => Some("more than one person may put"),
                    Some(_) => None,
                };
                match (refused, &emoji) {
                    (None, Some(emoji)) => found.push((*user, emoji.clone())),
                    (Some(reason), _) => balance.reactions.refuse(1, reason),
                    (None, None) => {}
                }
            }
        }
        found
    }

    fn message_id(&self, slack_id: &str, ts: &str, at: Timestamp) -> MessageId {
        self.import.id("message", &format!("{slack_id}:{ts}"), at)
    }
}

fn edited_at(slack_id: &str, message: &export::Message, is_empty: bool, balance: &mut Balance) -> Option<Timestamp> {
    let edited = message.edited.as_ref()?;
    let at = export::time(&edited.ts);
    if at.is_none() {
        balance.edits.refuse(1, NO_TIME);
        balance.name("edit", &format!("{slack_id} {}", message.ts), NO_TIME);
    } else if is_empty {
        balance.edits.refuse(1, "its text is empty");
    }
    at.filter(|_| !is_empty)
}

/// The time stamp of the message that it answers.
fn thread(message: &export::Message) -> Option<&String> {
    message.thread_ts.as_ref().filter(|thread| **thread != message.ts)
}

fn reactions_of(message: &export::Message) -> usize {
    message.reactions.iter().map(|reaction| reaction.users.len()).sum()
}

/// Counts a message as read, with all that hangs on it.
pub(super) fn count(balance: &mut Balance, message: &export::Message) {
    balance.messages.read += 1;
    balance.replies.read += u64::from(thread(message).is_some());
    balance.reactions.read += reactions_of(message) as u64;
    balance.edits.read += u64::from(message.edited.is_some());
    balance.files.read += message.files.len() as u64;
    balance.files.refuse(message.files.len(), "files are not imported");
}

/// Counts a message as refused, with all that hangs on it.
pub(super) fn refuse(balance: &mut Balance, message: &export::Message, reason: &str) {
    balance.messages.refuse(1, reason);
    balance.replies.refuse(usize::from(thread(message).is_some()), reason);
    balance.reactions.refuse(reactions_of(message), reason);
    balance.edits.refuse(usize::from(message.edited.is_some()), reason);
}

/// The emoji of Slack's name for it; a name that is not common stands as a custom one. A skin tone is kept.
fn emoji(name: &str) -> Option<String> {
    let (base, tone) =
        name.split_once("::skin-tone-").map_or((name, None), |(base, tone)| (base, tone.parse::<usize>().ok()));
    if base.is_empty() {
        return None;
    }
    let Some(found) = emojis::get_by_shortcode(base) else {
        let legal = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+') { c } else { '_' };
        return Some(format!(":{}:", base.chars().map(legal).take(64).collect::<String>()));
    };
    // Slack counts tones from 2 to 6, after Fitzpatrick's scale.
    let toned = tone.and_then(|tone| found.skin_tones()?.nth(tone.checked_sub(1)?));
    Some(toned.unwrap_or(found).as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reaction_is_an_emoji() {
        let emoji = |name| emoji(name).unwrap_or_default();
        assert_eq!(emoji("tada"), "🎉");
        assert_eq!(emoji("+1"), "👍");
        assert_eq!(emoji("+1::skin-tone-4"), "👍🏽");
        assert_eq!(emoji("party parrot!"), ":party_parrot_:");
        assert_eq!(emoji(""), "");
    }
}
