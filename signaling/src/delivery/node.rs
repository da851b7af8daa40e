//! [`Node`]: who is connected to this process, where they are, and the ring. Kept by the events themselves, so that a
//! send asks no database who is to get it.

use super::{SubscriptionId, Transient, TransientAudience, queue::Queue, ring::Ring};
use crate::push::{Audience, Entry, Left, Moves};
use domain::{ConversationId, Position, UserId};
use projections::delivery::{Scope, Stay, Stays};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

pub(super) struct Node {
    pub ring: Ring,
    people: HashMap<UserId, Person>,
    /// Where somebody is who is connected.
    rooms: HashMap<Scope, Room>,
    next_id: u64,
    /// Up to here the views are known to be: what ended before is theirs to tell.
    settled: Position,
}

#[derive(Default)]
struct Room {
    /// Who of those connected is there now.
    present: HashSet<UserId>,
    /// All who are in the conversation, connected or not.
    participants: i64,
}

/// Somebody who is connected, by however many devices.
pub(super) struct Person {
    user: UserId,
    stays: HashMap<Scope, Vec<Stay>>,
    queues: Vec<Arc<Queue>>,
}

/// Somebody who is about to be connected, with where they are by the log up to a position.
pub(super) struct Registering {
    pub position: Position,
    person: Person,
    participants: HashMap<Scope, i64>,
}

impl Registering {
    pub fn new(user: UserId, found: Stays) -> Self {
        let mut stays: HashMap<Scope, Vec<Stay>> = HashMap::new();
        for stay in found.stays {
            stays.entry(stay.scope).or_default().push(stay);
        }
        let participants = found.participants.into_iter().map(|(id, count)| (Scope::Conversation(id), count)).collect();
        Self { position: found.position, person: Person { user, stays, queues: vec![] }, participants }
    }

    /// Takes in the next event.
    pub fn follow(&mut self, entry: &Entry) {
        if let Some(moves) = &entry.moves {
            self.person.join(moves, entry.position);
            self.person.leave(moves, entry.position);
            if self.person.is_in(moves.scope) {
                let count = self.participants.entry(moves.scope).or_default();
                *count = counted(*count, moves);
            }
        }
        self.position = entry.position;
    }
}

/// How many are there after an event.
fn counted(before: i64, moves: &Moves) -> i64 {
    let joined = i64::try_from(moves.joined.len()).unwrap_or(0);
    let left = match moves.left {
        Left::Nobody => 0,
        Left::One(_) => 1,
        Left::All => before,
    };
    moves.participants.unwrap_or(before + joined - left)
}

impl Person {
    fn join(&mut self, moves: &Moves, position: Position) {
        if let Some(is_shared) = moves.is_shared {
            for stay in self.stays.get_mut(&moves.scope).into_iter().flatten() {
                stay.is_shared = is_shared;
            }
        }
        if moves.joined.contains(&self.user) {
            let is_shared = moves.is_shared.unwrap_or(matches!(moves.scope, Scope::Workspace(_)));
            let stays = self.stays.entry(moves.scope).or_default();
            if stays.iter().all(|stay| stay.left.is_some()) {
                stays.push(Stay { scope: moves.scope, joined: position, left: None, is_shared });
            }
        }
    }

    fn leave(&mut self, moves: &Moves, position: Position) {
        let leaves = match moves.left {
            Left::Nobody => false,
            Left::One(user) => user == self.user,
            Left::All => true,
        };
        if leaves {
            for stay in self.stays.get_mut(&moves.scope).into_iter().flatten() {
                stay.left = stay.left.or(Some(position));
            }
        }
    }

    fn forget_before(&mut self, scope: Scope, position: Position) {
        if let Some(stays) = self.stays.get_mut(&scope) {
            stays.retain(|stay| stay.left.is_none_or(|left| left > position));
            if stays.is_empty() {
                self.stays.remove(&scope);
            }
        }
    }

    fn is_in(&self, scope: Scope) -> bool {
        self.stays.get(&scope).is_some_and(|stays| stays.iter().any(|stay| stay.left.is_none()))
    }

    fn may_see(&self, entry: &Entry) -> bool {
        let stays = match entry.audience {
            Audience::Nobody | Audience::Person(_) => None,
            Audience::Workspace(id) => self.stays.get(&Scope::Workspace(id)),
            Audience::Conversation { id, .. } | Audience::Readers { conversation: id, .. } => {
                self.stays.get(&Scope::Conversation(id))
            }
        };
        entry.is_for(self.user, stays.map_or(&[], Vec::as_slice))
    }
}

impl Node {
    pub fn at(position: Position) -> Self {
        Self {
            ring: Ring::after(position),
            people: HashMap::new(),
            rooms: HashMap::new(),
            next_id: 1,
            settled: Position(0),
        }
    }

    pub fn head(&self) -> Position {
        self.ring.head()
    }

    pub fn knows(&self, user: UserId) -> bool {
        self.people.contains_key(&user)
    }

    /// A queue for somebody who is known.
    pub fn subscribe(&mut self, user: UserId) -> Arc<Queue> {
        let queue = Arc::new(Queue::new(SubscriptionId(self.next_id), user));
        self.next_id += 1;
        if let Some(person) = self.people.get_mut(&user) {
            person.queues.push(queue.clone());
        }
        queue
    }

    /// None where the ring doesn't reach back to what is known of them.
    pub fn register(&mut self, registering: &mut Registering) -> Option<Arc<Queue>> {
        let user = registering.person.user;
        if !self.knows(user) {
            if registering.position.0 + 1 < self.ring.start().0 {
                return None;
            }
            for entry in self.ring.after_position(registering.position) {
                registering.follow(entry);
            }
            let stays = std::mem::take(&mut registering.person.stays);
            let person = Person { user, stays, queues: vec![] };
            for scope in person.stays.keys().filter(|scope| person.is_in(**scope)) {
                let room = self.rooms.entry(*scope).or_default();
                if room.present.is_empty() {
                    room.participants = registering.participants.get(scope).copied().unwrap_or_default();
                }
                room.present.insert(user);
            }
            self.people.insert(user, person);
        }
        Some(self.subscribe(user))
    }

    pub fn unsubscribe(&mut self, queue: &Arc<Queue>) {
        let Some(person) = self.people.get_mut(&queue.user) else { return };
        person.queues.retain(|other| other.id != queue.id);
        if person.queues.is_empty()
            && let Some(person) = self.people.remove(&queue.user)
        {
            for scope in person.stays.keys() {
                self.remove(*scope, person.user);
            }
        }
    }

    fn remove(&mut self, scope: Scope, user: UserId) {
        if let Some(room) = self.rooms.get_mut(&scope) {
            room.present.remove(&user);
            if room.present.is_empty() {
                self.rooms.remove(&scope);
            }
        }
    }

    /// The next event of the log: those who join by it get it, and so do those who leave by it.
    pub fn deal(&mut self, entry: Entry) {
        let entry = Arc::new(entry);
        if let Some(moves) = &entry.moves {
            self.join(moves, entry.position);
        }
        if !entry.pushes.is_empty() {
            self.offer(&entry);
        }
        if let Some(moves) = &entry.moves {
            self.leave(moves, entry.position);
        }
        self.ring.push(entry);
    }

    /// The views have come this far.
    pub fn settle(&mut self, position: Position) {
        self.settled = position;
    }

    fn join(&mut self, moves: &Moves, position: Position) {
        for user in &moves.joined {
            if self.people.contains_key(user) {
                self.rooms.entry(moves.scope).or_default().present.insert(*user);
            }
        }
        let Some(room) = self.rooms.get_mut(&moves.scope) else { return };
        room.participants = counted(room.participants, moves);
        if moves.joined.is_empty() && moves.is_shared.is_none() {
            return;
        }
        for user in &room.present {
            if let Some(person) = self.people.get_mut(user) {
                person.join(moves, position);
            }
        }
    }

    fn leave(&mut self, moves: &Moves, position: Position) {
        let leaving: Vec<UserId> = match moves.left {
            Left::Nobody => return,
            Left::One(user) => vec![user],
            Left::All => self.connected(moves.scope),
        };
        let told = self.settled.min(Position(self.ring.start().0 - 1));
        for user in leaving {
            self.remove(moves.scope, user);
            if let Some(person) = self.people.get_mut(&user) {
                person.leave(moves, position);
                person.forget_before(moves.scope, told);
            }
        }
    }

    fn offer(&self, entry: &Arc<Entry>) {
        match entry.audience {
            Audience::Nobody => {}
            Audience::Person(user) => self.offer_to(user, entry),
            Audience::Workspace(id) => self.offer_to_all(Scope::Workspace(id), entry),
            Audience::Conversation { id, .. } | Audience::Readers { conversation: id, .. } => {
                self.offer_to_all(Scope::Conversation(id), entry);
            }
        }
    }

    fn offer_to_all(&self, scope: Scope, entry: &Arc<Entry>) {
        for user in self.present(scope) {
            self.offer_to(*user, entry);
        }
    }

    fn offer_to(&self, user: UserId, entry: &Arc<Entry>) {
        if let Some(person) = self.people.get(&user).filter(|person| person.may_see(entry)) {
            for queue in &person.queues {
                queue.offer(entry);
            }
        }
    }

    pub fn may_see(&self, user: UserId, entry: &Entry) -> bool {
        self.people.get(&user).is_some_and(|person| person.may_see(entry))
    }

    pub fn connected(&self, scope: Scope) -> Vec<UserId> {
        self.present(scope).copied().collect()
    }

    fn present(&self, scope: Scope) -> impl Iterator<Item = &UserId> {
        self.rooms.get(&scope).into_iter().flat_map(|room| &room.present)
    }

    /// None where nobody is connected who is in it.
    pub fn participants(&self, conversation: ConversationId) -> Option<i64> {
        self.rooms.get(&Scope::Conversation(conversation)).map(|room| room.participants)
    }

    pub fn conversations_of(&self, user: UserId) -> Vec<ConversationId> {
        let Some(person) = self.people.get(&user) else { return vec![] };
        let scopes = person.stays.keys().filter(|scope| person.is_in(**scope));
        scopes
            .filter_map(|scope| match scope {
                Scope::Conversation(id) => Some(*id),
                Scope::Workspace(_) => None,
            })
            .collect()
    }

    pub fn offer_transient(&self, transient: &Transient, except: Option<SubscriptionId>) {
        let offer = |queue: &Arc<Queue>| {
            if Some(queue.id) != except {
                queue.offer_transient(transient);
            }
        };
        let queues_of = |user: &UserId| self.people.get(user).into_iter().flat_map(|person| &person.queues);
        match &transient.audience {
            TransientAudience::Conversation(id) => {
                self.present(Scope::Conversation(*id)).flat_map(queues_of).for_each(offer);
            }
            TransientAudience::Users(users) => users.iter().flat_map(queues_of).for_each(offer),
            TransientAudience::Subscriptions(ids) => {
                let wanted: HashSet<SubscriptionId> = ids.iter().copied().collect();
                let queues = self.people.values().flat_map(|person| &person.queues);
                queues.filter(|queue| wanted.contains(&queue.id)).for_each(offer);
            }
        }
    }
}
