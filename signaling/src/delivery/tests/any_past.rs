//! The law: whatever happens, and wherever clients are cut off and come back, each has been told in the end, in order
//! and once, what its person was there for; of a message that was deleted meanwhile perhaps its deletion alone.

use super::world::{Client, World};
use crate::delivery::Outgoing;
use domain::{
    ConversationId, MessageId, Position, ReactionId, UserId,
    conversation::{Conversation, ConversationChanges, ConversationEvent, History},
    message::{Message, MessageEvent},
};
use proptest::{prelude::*, test_runner::TestRunner};
use std::collections::{BTreeMap, BTreeSet, HashMap};

const PEOPLE: usize = 3;
const ROOMS: usize = 2;
const CASES: u32 = 12;

type Step = (u8, usize, usize, u16);

/// What should be told of an event.
struct Due {
    event: &'static str,
    to: BTreeSet<UserId>,
    message: Option<MessageId>,
}

struct Said {
    id: MessageId,
    at: Position,
    is_deleted: bool,
}

struct Room {
    id: ConversationId,
    history: History,
    members: BTreeMap<UserId, Position>,
    said: Vec<Said>,
}

/// Somebody who is connected, or was.
struct Reader {
    user: UserId,
    client: Option<Client>,
    /// Of the last push that it was given, or where it first began.
    position: Position,
    first: Position,
    told: Vec<(Position, &'static str)>,
    /// Where it came back, and what it was told until it was level.
    catching_up: bool,
    /// Deletions that were there when it came back: what they delete must not come.
    gone: BTreeSet<MessageId>,
}

struct Play<'a> {
    world: &'a World,
    people: Vec<UserId>,
    rooms: Vec<Room>,
    readers: Vec<Reader>,
    due: BTreeMap<Position, Due>,
    deleted: BTreeSet<MessageId>,
    by_position: HashMap<Position, MessageId>,
}

impl<'a> Play<'a> {
    async fn begin(world: &'a World) -> Self {
        let people = world.crowd(PEOPLE).await;
        let mut play = Self {
            world,
            people: people.clone(),
            rooms: vec![],
            readers: vec![],
            due: BTreeMap::new(),
            deleted: BTreeSet::new(),
            by_position: HashMap::new(),
        };
        for history in [History::Joined, History::Shared] {
            let id = world.group(&people[..2], history).await;
            let at = world.settled().await;
            let members = people[..2].iter().map(|user| (*user, at)).collect();
            play.rooms.push(Room { id, history, members, said: vec![] });
        }
        for user in people {
            let client = world.connect(user).await;
            let position = client.position();
            let (told, gone) = (vec![], BTreeSet::new());
            let client = Some(client);
            play.readers.push(Reader { user, client, position, first: position, told, catching_up: false, gone });
        }
        play
    }

    async fn step(&mut self, (kind, room, who, pick): Step) {
        let (room, user) = (room % ROOMS, self.people[who % PEOPLE]);
        match kind % 24 {
            0..=7 => self.say(room, user).await,
            8..=10 => self.change(room, user, pick, kind).await,
            11..=12 => self.delete(room, user, pick).await,
            13..=14 => self.come_or_go(room, user).await,
            15 => self.read(room, user, pick).await,
            16 => self.turn_history(room).await,
            17..=19 => self.turn(who % PEOPLE).await,
            20.. => self.listen(who % PEOPLE).await,
        }
    }

    fn note(&mut self, at: Position, event: &'static str, to: BTreeSet<UserId>, message: Option<MessageId>) {
        if let Some(message) = message {
            self.by_position.insert(at, message);
        }
        self.due.insert(at, Due { event, to, message });
    }

    async fn say(&mut self, room: usize, user: UserId) {
        if !self.rooms[room].members.contains_key(&user) {
            return;
        }
        let (id, at) = self.world.say(self.rooms[room].id, user, "something").await;
        let to = self.rooms[room].members.keys().copied().collect();
        self.rooms[room].said.push(Said { id, at, is_deleted: false });
        self.note(at, "message:new", to, Some(id));
    }

    /// A message, and who may read it.
    fn pick(&self, room: usize, pick: u16) -> Option<(usize, BTreeSet<UserId>)> {
        let room = &self.rooms[room];
        let n = usize::from(pick).checked_rem(room.said.len())?;
        let said = &room.said[n];
        let may_read = |joined: &Position| room.history == History::Shared || said.at > *joined;
        let to = room.members.iter().filter(|(_, joined)| may_read(joined)).map(|(user, _)| *user).collect();
        Some((n, to)).filter(|_| !said.is_deleted)
    }

    async fn change(&mut self, room: usize, user: UserId, pick: u16, kind: u8) {
        let Some((n, to)) = self.pick(room, pick) else { return };
        let id = self.rooms[room].said[n].id;
        let (name, event) = if kind.is_multiple_of(2) {
            ("message:updated", World::edited("something else"))
        } else {
            let reaction_id = ReactionId(uuid::Uuid::from_u128(pick.into()));
            let emoji = "👍".to_owned();
            ("message:reaction:added", MessageEvent::ReactionAdded { reaction_id, emoji, user_id: user })
        };
        let at = self.world.record::<Message>(id, vec![event]).await;
        self.note(at, name, to, Some(id));
    }

    async fn delete(&mut self, room: usize, user: UserId, pick: u16) {
        let Some((n, to)) = self.pick(room, pick) else { return };
        let said = &mut self.rooms[room].said[n];
        said.is_deleted = true;
        let id = said.id;
        let at = self.world.record::<Message>(id, vec![World::deleted(user)]).await;
        self.deleted.insert(id);
        self.note(at, "message:deleted", to, Some(id));
    }

    async fn come_or_go(&mut self, room: usize, user: UserId) {
        let id = self.rooms[room].id;
        if self.rooms[room].members.contains_key(&user) {
            let at = self.world.leave(id, user).await;
            let to = self.rooms[room].members.keys().copied().collect();
            self.rooms[room].members.remove(&user);
            self.note(at, "participant:removed", to, None);
        } else {
            let at = self.world.join(id, user).await;
            self.rooms[room].members.insert(user, at);
            let to = self.rooms[room].members.keys().copied().collect();
            self.note(at, "participant:added", to, None);
        }
    }

    async fn read(&mut self, room: usize, user: UserId, pick: u16) {
        let Some((n, _)) = self.pick(room, pick) else { return };
        if self.rooms[room].members.contains_key(&user) {
            let message = self.rooms[room].said[n].id;
            let at = self.world.read(self.rooms[room].id, user, message).await;
            let to = self.rooms[room].members.keys().copied().collect();
            self.note(at, "message:read", to, None);
        }
    }

    /// What history is now holds for what is told late, too: so it only ever opens, and before anything was missed.
    async fn turn_history(&mut self, room: usize) {
        if self.rooms[room].history == History::Shared {
            return;
        }
        for n in 0..self.readers.len() {
            self.come_back(n).await;
            self.listen_to_all(n).await;
            // As a heartbeat would have told it: nothing before is asked for again.
            let reader = &mut self.readers[n];
            reader.position = reader.client.take().map_or(reader.position, |client| client.position());
        }
        let changes = ConversationChanges { history: Some(History::Shared), ..ConversationChanges::default() };
        let id = self.rooms[room].id;
        let at = self.world.record::<Conversation>(id, vec![ConversationEvent::Updated(changes)]).await;
        self.rooms[room].history = History::Shared;
        let to = self.rooms[room].members.keys().copied().collect();
        self.note(at, "conversation:updated", to, None);
    }

    /// Off, or back on.
    async fn turn(&mut self, reader: usize) {
        if self.readers[reader].client.is_some() {
            self.readers[reader].client = None;
        } else {
            self.come_back(reader).await;
        }
    }

    async fn come_back(&mut self, n: usize) {
        if self.readers[n].client.is_some() {
            return;
        }
        self.world.settled().await;
        let reader = &mut self.readers[n];
        reader.client = Some(self.world.resume(reader.user, reader.position).await);
        reader.catching_up = true;
        reader.gone.clone_from(&self.deleted);
    }

    async fn listen(&mut self, n: usize) {
        let Some(client) = &mut self.readers[n].client else { return };
        // Nothing may have come.
        if let Ok(told) = tokio::time::timeout(std::time::Duration::from_millis(2), client.subscription.recv()).await {
            self.take(n, told);
        }
    }

    async fn listen_to_all(&mut self, n: usize) {
        let head = self.world.settled().await;
        loop {
            let reader = &mut self.readers[n];
            let Some(client) = &mut reader.client else { return };
            if client.position() >= head && !reader.catching_up {
                return;
            }
            let told = client.once().await;
            self.take(n, told);
        }
    }

    fn take(&mut self, n: usize, told: Vec<Outgoing>) {
        let reader = &mut self.readers[n];
        for outgoing in told {
            match outgoing {
                Outgoing::Push { position, prev, event, more, .. } => {
                    assert_eq!(prev, reader.position, "prev names the push before");
                    assert!(position > reader.position && !more);
                    let message = self.by_position.get(&position).filter(|_| event != "message:deleted");
                    let is_gone = message.is_some_and(|message| reader.gone.contains(message));
                    assert!(!(reader.catching_up && is_gone), "{event} of a message deleted before it came back");
                    reader.position = position;
                    reader.told.push((position, event));
                }
                Outgoing::ResumeDone { .. } => reader.catching_up = false,
                Outgoing::Transient { .. } | Outgoing::ResumeReset { .. } => panic!("{outgoing:?}"),
            }
        }
    }

    async fn end(mut self) {
        for n in 0..self.readers.len() {
            self.come_back(n).await;
            self.listen_to_all(n).await;
        }
        for reader in &self.readers {
            let mut told = reader.told.iter().peekable();
            for (at, due) in self.due.range(Position(reader.first.0 + 1)..) {
                if !due.to.contains(&reader.user) {
                    continue;
                }
                if told.next_if(|(told_at, event)| told_at == at && *event == due.event).is_none() {
                    let was_deleted = due.message.is_some_and(|message| self.deleted.contains(&message));
                    assert!(
                        was_deleted && due.event != "message:deleted",
                        "{} at {at} was not told, {:?} was",
                        due.event,
                        told.peek()
                    );
                }
            }
            assert_eq!(told.next(), None, "told what was for others");
        }
    }
}

async fn holds_for_any_past(ring: usize, is_projected: bool) {
    let world = World::new().await;
    let _running = is_projected.then(|| world.run_views());
    world.shrink_ring(ring);
    let steps = proptest::collection::vec((any::<u8>(), 0..ROOMS, 0..PEOPLE, any::<u16>()), 20..120);
    let config = ProptestConfig { cases: CASES, failure_persistence: None, max_shrink_iters: 60, ..Default::default() };
    let result = TestRunner::new(config).run(&steps, |steps| {
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                let mut play = Play::begin(&world).await;
                for step in steps {
                    play.step(step).await;
                }
                play.end().await;
            });
        });
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_told_once_and_in_order_from_the_ring() {
    holds_for_any_past(65_536, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_told_once_and_in_order_by_the_views() {
    holds_for_any_past(3, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_told_once_and_in_order_while_the_views_stand_still() {
    holds_for_any_past(3, false).await;
}
