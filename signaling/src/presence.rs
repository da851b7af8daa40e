//! [`Presence`]: who is connected, on whichever node of the log. A person comes online with the first device, and goes
//! offline 10 s after the last has gone. [`run`] shares it with the other nodes and tells those who may know.
//!
//! Each node keeps who is connected to it in a key-value store in memory, and a lease of its own; each follows the store
//! and tells its own sockets what changes. A node whose lease is not renewed is taken for dead, with all who were there.

mod keeper;
mod tell;

pub(crate) use tell::seen_by;

use crate::server::Signaling;
use domain::UserId;
use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, sleep},
};
use uuid::Uuid;

/// Who comes back within this time was never away.
const GONE_AFTER: Duration = Duration::from_secs(10);
/// A node is dead that has not renewed its lease for so long.
const LEASE: Duration = Duration::from_secs(12);

pub(crate) struct Presence {
    node: Uuid,
    book: Mutex<Book>,
    /// People whose key of this node is to be written or deleted.
    dirty: Mutex<HashSet<UserId>>,
    soiled: Notify,
    changes: mpsc::UnboundedSender<Change>,
    heard: Mutex<Option<mpsc::UnboundedReceiver<Change>>>,
}

/// Someone came online or went offline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Change {
    user: UserId,
    is_online: bool,
}

#[derive(Default)]
struct Book {
    /// Open sockets of this process.
    open: HashMap<UserId, usize>,
    /// Since when somebody has no socket here any more, while they still count as being here.
    left: HashMap<UserId, Instant>,
    nodes: HashMap<Uuid, Node>,
    /// On how many nodes somebody is.
    online: HashMap<UserId, usize>,
}

struct Node {
    renewed: Instant,
    users: HashSet<UserId>,
}

impl Presence {
    pub fn new(node: Uuid) -> Self {
        let (changes, heard) = mpsc::unbounded_channel();
        Self {
            node,
            book: Mutex::default(),
            dirty: Mutex::default(),
            soiled: Notify::new(),
            changes,
            heard: Mutex::new(Some(heard)),
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn is_online(&self, user: UserId) -> bool {
        self.book().online.contains_key(&user)
    }

    /// A socket was opened here.
    pub fn arrive(&self, user: UserId) {
        let mut book = self.book();
        *book.open.entry(user).or_default() += 1;
        book.left.remove(&user);
        let change = book.add(self.node, user);
        drop(book);
        self.tell(change);
    }

    /// A socket was closed here.
    pub fn leave(&self, signaling: &Signaling, user: UserId) {
        let mut book = self.book();
        let Some(open) = book.open.get_mut(&user) else { return };
        *open -= 1;
        if *open > 0 {
            return;
        }
        book.open.remove(&user);
        book.left.insert(user, Instant::now());
        drop(book);
        let signaling = signaling.clone();
        tokio::spawn(async move {
            sleep(GONE_AFTER).await;
            signaling.presence().depart(user);
        });
    }

    fn depart(&self, user: UserId) {
        let mut book = self.book();
        // Who came back meanwhile has no such entry, or a younger one.
        if book.left.get(&user).is_none_or(|since| since.elapsed() < GONE_AFTER) {
            return;
        }
        book.left.remove(&user);
        let change = book.remove(self.node, user);
        drop(book);
        self.tell(change);
    }

    /// Of a change on this node; the others are to know.
    fn tell(&self, Moved { user, is_news, change }: Moved) {
        if is_news {
            self.dirty.lock().unwrap_or_else(PoisonError::into_inner).insert(user);
            self.soiled.notify_one();
        }
        self.announce(change);
    }

    fn announce(&self, change: Option<Change>) {
        if let Some(change) = change {
            // Nobody listens any more once the process ends.
            let _ = self.changes.send(change);
        }
    }
}

/// What adding or removing somebody came to.
struct Moved {
    user: UserId,
    /// They were not there before, or are not now.
    is_news: bool,
    change: Option<Change>,
}

impl Book {
    fn add(&mut self, node: Uuid, user: UserId) -> Moved {
        let entry = self.nodes.entry(node);
        let node = entry.or_insert_with(|| Node { renewed: Instant::now(), users: HashSet::new() });
        if !node.users.insert(user) {
            return Moved { user, is_news: false, change: None };
        }
        let count = self.online.entry(user).or_default();
        *count += 1;
        Moved { user, is_news: true, change: (*count == 1).then_some(Change { user, is_online: true }) }
    }

    fn remove(&mut self, node: Uuid, user: UserId) -> Moved {
        let was_there = self.nodes.get_mut(&node).is_some_and(|node| node.users.remove(&user));
        Moved { user, is_news: was_there, change: if was_there { self.uncount(user) } else { None } }
    }

    fn uncount(&mut self, user: UserId) -> Option<Change> {
        let count = self.online.get_mut(&user)?;
        *count -= 1;
        if *count > 0 {
            return None;
        }
        self.online.remove(&user);
        Some(Change { user, is_online: false })
    }

    fn renew(&mut self, node: Uuid) {
        let now = Instant::now();
        self.nodes.entry(node).or_insert_with(|| Node { renewed: now, users: HashSet::new() }).renewed = now;
    }

    /// Takes other nodes whose lease has run out off the book, with those who were there.
    fn bury(&mut self, own: Uuid) -> Vec<(Uuid, Vec<UserId>, Vec<Change>)> {
        let dead: Vec<Uuid> = self
            .nodes
            .iter()
            .filter(|(id, node)| **id != own && node.renewed.elapsed() > LEASE)
            .map(|(id, _)| *id)
            .collect();
        let mut buried = Vec::with_capacity(dead.len());
        for id in dead {
            let Some(node) = self.nodes.remove(&id) else { continue };
            let users: Vec<UserId> = node.users.into_iter().collect();
            let changes = users.iter().filter_map(|user| self.uncount(*user)).collect();
            buried.push((id, users, changes));
        }
        buried
    }
}

pub(crate) async fn run(signaling: Signaling) {
    let heard = signaling.presence().heard.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(heard) = heard else { return };
    tokio::join!(keeper::keep(&signaling), tell::changes(&signaling, heard), tell::statuses(&signaling));
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Uuid = Uuid::from_u128(1);
    const THERE: Uuid = Uuid::from_u128(2);
    const ALICE: UserId = UserId(Uuid::from_u128(7));

    fn change(is_online: bool) -> Change {
        Change { user: ALICE, is_online }
    }

    #[test]
    fn who_is_on_two_nodes_is_online_until_both_are_left() {
        let mut book = Book::default();
        assert_eq!(book.add(HERE, ALICE).change, Some(change(true)));
        assert_eq!(book.add(THERE, ALICE).change, None);
        assert_eq!(book.add(THERE, ALICE).change, None, "heard twice");
        assert_eq!(book.remove(HERE, ALICE).change, None);
        assert_eq!(book.remove(HERE, ALICE).change, None, "heard twice");
        assert_eq!(book.remove(THERE, ALICE).change, Some(change(false)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_renews_its_lease_no_more_takes_its_people_with_it() {
        let mut book = Book::default();
        book.add(HERE, ALICE);
        book.add(THERE, ALICE);
        tokio::time::advance(LEASE / 2).await;
        book.renew(THERE);
        tokio::time::advance(LEASE / 2 + Duration::from_secs(1)).await;
        assert!(book.bury(HERE).is_empty(), "it was renewed, and one's own is not judged");
        tokio::time::advance(LEASE).await;
        let buried = book.bury(HERE);
        assert_eq!(buried, [(THERE, vec![ALICE], vec![])], "they are here still");
        assert_eq!(book.remove(HERE, ALICE).change, Some(change(false)));
    }
}
