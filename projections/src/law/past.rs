//! [`Past`]: a random but lawful past of two groups and four people, and what is to be seen of it by definition.

use crate::batch::{Event, Fact};
use domain::{
    ConversationId, MessageId, Personal, Position, ReactionId, Sequence, Timestamp, UserId,
    conversation::{ConversationChanges, ConversationEvent, ConversationType, Founder, History, Role},
    inbox::{Direction, InboxEvent, inbox_id},
    message::{Broadcast, MessageEvent, MessageType},
};
use std::collections::BTreeMap;
use uuid::Uuid;

pub(crate) const PEOPLE: u8 = 4;
pub(crate) const CONVERSATIONS: u8 = 2;

/// What may happen next; numbers choose among what is there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub kind: u8,
    pub conversation: u8,
    pub who: u8,
    pub pick: u16,
}

#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub id: MessageId,
    pub sequence: i64,
    pub sender: UserId,
    pub mentions: Vec<UserId>,
    pub is_broadcast: bool,
    pub root: Option<MessageId>,
    pub is_deleted: bool,
    pub reactions: Vec<(String, UserId, ReactionId)>,
    pub wordings: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub role: Role,
    pub joined: i64,
    pub mark: i64,
    pub read: i64,
}

#[derive(Clone, Debug)]
pub(crate) struct Talk {
    pub id: ConversationId,
    pub history: History,
    pub said: Vec<Said>,
    pub members: BTreeMap<UserId, Member>,
    pub is_deleted: bool,
    pub preferences: BTreeMap<UserId, (bool, bool)>,
}

#[derive(Debug, Default)]
pub(crate) struct Past {
    /// What is said, sealed.
    texts: Vec<String>,
    pub facts: Vec<Fact>,
    pub talks: Vec<Talk>,
}

pub(crate) fn person(n: u8) -> UserId {
    UserId(Uuid::from_u128(0xa000 + u128::from(n % PEOPLE)))
}

impl Past {
    pub(crate) fn of(steps: &[Step], texts: &[String]) -> Self {
        let mut past = Self { texts: texts.to_vec(), ..Self::default() };
        for n in 0..CONVERSATIONS {
            past.create(n);
        }
        for step in steps {
            past.step(*step);
        }
        past
    }

    fn create(&mut self, n: u8) {
        let id = ConversationId(Uuid::from_u128(0xc000 + u128::from(n)));
        let history = if n == 0 { History::Joined } else { History::Shared };
        let founders =
            [Founder { user_id: person(0), role: Role::Owner }, Founder { user_id: person(1), role: Role::Member }];
        self.record(
            id.to_string(),
            None,
            Event::Conversation(ConversationEvent::Created {
                r#type: ConversationType::Group,
                history,
                name: Some(format!("group {n}")),
                description: Some(String::new()),
                avatar_url: None,
                is_private: false,
                max_members: 1_000,
                workspace_id: None,
                created_by: person(0),
                participants: founders.to_vec(),
                created_at: at(n.into()),
            }),
        );
        let members = founders.map(|f| (f.user_id, Member { role: f.role, joined: 0, mark: 0, read: 0 })).into();
        self.talks.push(Talk { id, history, said: vec![], members, is_deleted: false, preferences: BTreeMap::new() });
    }

    fn step(&mut self, step: Step) {
        let n = usize::from(step.conversation % CONVERSATIONS);
        let who = person(step.who);
        if self.talks[n].is_deleted {
            return;
        }
        if !self.talks[n].members.contains_key(&who) {
            return self.join(n, who);
        }
        match step.kind % 32 {
            0..=9 => self.send(n, who, step.pick),
            10..=14 => self.read(n, who, step.pick, Direction::Read),
            15..=16 => self.read(n, who, step.pick, Direction::Unread),
            17..=19 => self.delete(n, step.pick),
            20..=21 => self.edit(n, step.pick),
            22..=24 => self.react(n, who, step.pick),
            25 => self.prefer(n, who, step.pick),
            26..=27 => self.leave(n, who),
            28 => self.rename(n, step.pick),
            29 => self.change_history(n, step.pick),
            30 => self.change_role(n, who, step.pick),
            // Seldom, for nothing happens after it.
            31 if step.pick.is_multiple_of(8) => self.end(n),
            31.. => {}
        }
    }

    fn join(&mut self, n: usize, who: UserId) {
        let joined_at = at(self.now());
        let event =
            ConversationEvent::ParticipantAdded { user_id: who, role: Role::Member, added_by: person(0), joined_at };
        self.record(self.talks[n].id.to_string(), None, Event::Conversation(event));
        let joined = self.talks[n].last();
        self.talks[n].members.insert(who, Member { role: Role::Member, joined, mark: joined, read: 0 });
    }

    fn leave(&mut self, n: usize, who: UserId) {
        let event = ConversationEvent::ParticipantRemoved { user_id: who, removed_by: who };
        self.record(self.talks[n].id.to_string(), None, Event::Conversation(event));
        self.talks[n].members.remove(&who);
    }

    fn send(&mut self, n: usize, sender: UserId, pick: u16) {
        let now = self.now();
        let id = MessageId(Uuid::from_u128(0xd00_0000 + u128::from(now.unsigned_abs())));
        let talk = &self.talks[n];
        let named = person(u8::try_from(pick / 7 % 4).unwrap_or_default());
        let mentions = if pick % 7 == 1 && talk.members.contains_key(&named) { vec![named] } else { vec![] };
        let is_broadcast = pick % 11 == 3;
        let answered = talk.said.get(usize::from(pick) % (talk.said.len() + 4));
        let root = answered.map(|said| said.root.unwrap_or(said.id));
        let sequence = talk.last() + 1;
        let event = MessageEvent::Sent {
            conversation_id: talk.id,
            sender_id: sender,
            content: self.text(),
            r#type: MessageType::Text,
            reply_to_id: answered.map(|said| said.id),
            thread_root_id: root,
            mentions: mentions.clone(),
            broadcast: is_broadcast.then_some(Broadcast::Channel),
            client_message_id: (pick.is_multiple_of(3)).then(|| format!("client-{now}")),
            created_at: at(now),
        };
        self.record(id.to_string(), Some(sequence), Event::Message(event));
        self.talks[n].said.push(Said {
            id,
            sequence,
            sender,
            mentions,
            is_broadcast,
            root,
            is_deleted: false,
            reactions: vec![],
            wordings: 1,
        });
    }

    fn read(&mut self, n: usize, who: UserId, pick: u16, direction: Direction) {
        let talk = &self.talks[n];
        let floor = talk.floor(who);
        let visible: Vec<&Said> = talk.said.iter().filter(|said| said.sequence > floor).collect();
        if visible.is_empty() {
            return;
        }
        let said = visible[usize::from(pick) % visible.len()];
        let (conversation_id, message_id) = (talk.id, said.id);
        let sequence = match direction {
            Direction::Read => said.sequence,
            Direction::Unread => said.sequence - 1,
        };
        let read_at = at(self.now());
        self.record(
            inbox_id(conversation_id, who),
            None,
            Event::Inbox(InboxEvent::ReadMarked {
                conversation_id,
                user_id: who,
                message_id,
                sequence: Sequence(sequence),
                direction,
                read_at,
            }),
        );
        if let Some(member) = self.talks[n].members.get_mut(&who) {
            match direction {
                Direction::Read => (member.mark, member.read) = (member.mark.max(sequence), member.read.max(sequence)),
                Direction::Unread => {
                    (member.mark, member.read) = (member.mark.min(sequence), member.read.min(sequence));
                }
            }
        }
    }

    fn living(&self, n: usize, pick: u16) -> Option<usize> {
        let living: Vec<usize> =
            (0..self.talks[n].said.len()).filter(|at| !self.talks[n].said[*at].is_deleted).collect();
        living.get(usize::from(pick) % living.len().max(1)).copied()
    }

    fn delete(&mut self, n: usize, pick: u16) {
        let Some(which) = self.living(n, pick) else { return };
        let event = MessageEvent::Deleted { deleted_by: person(0), deleted_at: at(self.now()) };
        self.record(self.talks[n].said[which].id.to_string(), None, Event::Message(event));
        let said = &mut self.talks[n].said[which];
        (said.is_deleted, said.wordings) = (true, 0);
        said.reactions.clear();
    }

    fn edit(&mut self, n: usize, pick: u16) {
        let Some(which) = self.living(n, pick) else { return };
        let event = MessageEvent::Edited { content: self.text(), edited_at: at(self.now()) };
        self.record(self.talks[n].said[which].id.to_string(), None, Event::Message(event));
        self.talks[n].said[which].wordings += 1;
    }

    fn react(&mut self, n: usize, user_id: UserId, pick: u16) {
        let Some(which) = self.living(n, pick) else { return };
        let emoji = ["👍", "🎉"][usize::from(pick / 5 % 2)].to_owned();
        let stream = self.talks[n].said[which].id.to_string();
        let before =
            self.talks[n].said[which].reactions.iter().position(|(e, user, _)| *e == emoji && *user == user_id);
        if let Some(before) = before {
            let (emoji, user_id, reaction_id) = self.talks[n].said[which].reactions.remove(before);
            self.record(stream, None, Event::Message(MessageEvent::ReactionRemoved { reaction_id, emoji, user_id }));
        } else {
            let reaction_id = ReactionId(Uuid::from_u128(0xe00_0000 + u128::from(self.now().unsigned_abs())));
            self.talks[n].said[which].reactions.push((emoji.clone(), user_id, reaction_id));
            self.record(stream, None, Event::Message(MessageEvent::ReactionAdded { reaction_id, emoji, user_id }));
        }
    }

    fn prefer(&mut self, n: usize, user_id: UserId, pick: u16) {
        let conversation_id = self.talks[n].id;
        let (is_muted, is_pinned) =
            ((!pick.is_multiple_of(3)).then_some(pick.is_multiple_of(2)), (pick % 3 != 1).then_some(pick % 4 < 2));
        let event = InboxEvent::PreferenceChanged { conversation_id, user_id, is_muted, is_pinned };
        self.record(inbox_id(conversation_id, user_id), None, Event::Inbox(event));
        let preferences = self.talks[n].preferences.entry(user_id).or_default();
        *preferences = (is_muted.unwrap_or(preferences.0), is_pinned.unwrap_or(preferences.1));
    }

    fn rename(&mut self, n: usize, pick: u16) {
        let topic = Some(if pick.is_multiple_of(2) { String::new() } else { format!("topic {pick}") });
        self.update(n, ConversationChanges { topic, ..ConversationChanges::default() });
    }

    fn change_history(&mut self, n: usize, pick: u16) {
        let history = if pick.is_multiple_of(2) { History::Joined } else { History::Shared };
        self.update(n, ConversationChanges { history: Some(history), ..ConversationChanges::default() });
        self.talks[n].history = history;
    }

    fn update(&mut self, n: usize, changes: ConversationChanges) {
        self.record(self.talks[n].id.to_string(), None, Event::Conversation(ConversationEvent::Updated(changes)));
    }

    fn change_role(&mut self, n: usize, user_id: UserId, pick: u16) {
        let role = if pick.is_multiple_of(2) { Role::Admin } else { Role::Owner };
        let event = ConversationEvent::ParticipantRoleChanged { user_id, role };
        self.record(self.talks[n].id.to_string(), None, Event::Conversation(event));
        if let Some(member) = self.talks[n].members.get_mut(&user_id) {
            member.role = role;
        }
    }

    fn end(&mut self, n: usize) {
        let event = ConversationEvent::Deleted { deleted_by: person(0) };
        self.record(self.talks[n].id.to_string(), None, Event::Conversation(event));
        self.talks[n].is_deleted = true;
        self.talks[n].members.clear();
    }

    fn text(&self) -> Personal {
        Personal::Sealed(self.texts[self.facts.len() % self.texts.len()].clone())
    }

    fn now(&self) -> i64 {
        i64::try_from(self.facts.len()).unwrap_or(i64::MAX) + 1
    }

    fn record(&mut self, aggregate_id: String, message_sequence: Option<i64>, event: Event) {
        let position = self.now();
        let recorded_at = at(position);
        self.facts.push(Fact { position: Position(position), aggregate_id, recorded_at, message_sequence, event });
    }
}

impl Talk {
    fn last(&self) -> i64 {
        self.said.last().map_or(0, |said| said.sequence)
    }

    /// The number of the last message hidden from a member.
    pub(crate) fn floor(&self, who: UserId) -> i64 {
        match self.history {
            History::Shared => 0,
            History::Joined => self.members.get(&who).map_or(0, |member| member.joined),
        }
    }

    /// Sends after the read mark, by others, not deleted, that may be read; and those of them that mention the person.
    pub(crate) fn unread(&self, who: UserId) -> Option<(Vec<MessageId>, Vec<MessageId>)> {
        let member = self.members.get(&who)?;
        let from = member.mark.max(self.floor(who));
        let unread = self.said.iter().filter(|said| said.sequence > from && said.sender != who && !said.is_deleted);
        let mentions = unread.clone().filter(|said| {
            if said.is_broadcast { said.sequence > member.joined } else { said.mentions.contains(&who) }
        });
        Some((unread.map(|said| said.id).collect(), mentions.map(|said| said.id).collect()))
    }

    /// Who has read a message: others who marked it or a later one, and could see it.
    pub(crate) fn readers(&self, said: &Said) -> usize {
        let others = self.members.iter().filter(|(who, _)| **who != said.sender);
        others.filter(|(who, member)| member.read >= said.sequence && said.sequence > self.floor(**who)).count()
    }

    /// Answers in the thread that a message begins.
    pub(crate) fn answers(&self, id: MessageId) -> usize {
        self.said.iter().filter(|said| said.root == Some(id) && !said.is_deleted).count()
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp(1_800_000_000_000 + seconds * 1_000)
}
