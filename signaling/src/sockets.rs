//! [`Sockets`]: the open sockets of this process, found by person, by session, by what they show and whom they watch.

use crate::{connection::Socket, delivery::SubscriptionId};
use domain::{ConversationId, SessionId, UserId};
use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

#[derive(Default)]
pub(crate) struct Sockets {
    book: Mutex<Book>,
    emptied: Notify,
}

#[derive(Default)]
struct Book {
    all: HashMap<u64, Arc<Socket>>,
    of_user: HashMap<UserId, Vec<u64>>,
    of_session: HashMap<SessionId, Vec<u64>>,
    showing: HashMap<ConversationId, Vec<u64>>,
    watching: HashMap<UserId, Vec<u64>>,
}

impl Sockets {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// False where the person has `max` open here already.
    pub fn add(&self, socket: &Arc<Socket>, max: usize) -> bool {
        let mut book = self.book();
        let of_user = book.of_user.entry(socket.user).or_default();
        if of_user.len() >= max {
            return false;
        }
        of_user.push(socket.id);
        book.of_session.entry(socket.session).or_default().push(socket.id);
        book.all.insert(socket.id, socket.clone());
        true
    }

    pub fn remove(&self, socket: &Socket) {
        let mut book = self.book();
        if book.all.remove(&socket.id).is_none() {
            return;
        }
        strike(&mut book.of_user, &socket.user, socket.id);
        strike(&mut book.of_session, &socket.session, socket.id);
        for conversation in socket.shown.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            strike(&mut book.showing, conversation, socket.id);
        }
        for user in socket.watched.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            strike(&mut book.watching, user, socket.id);
        }
        if book.all.is_empty() {
            self.emptied.notify_waiters();
        }
    }

    pub fn is_empty(&self) -> bool {
        self.book().all.is_empty()
    }
    pub fn all(&self) -> Vec<Arc<Socket>> {
        self.book().all.values().cloned().collect()
    }
    pub fn of_session(&self, session: SessionId) -> Vec<Arc<Socket>> {
        let book = self.book();
        let ids = book.of_session.get(&session).map(Vec::as_slice).unwrap_or_default();
        ids.iter().filter_map(|id| book.all.get(id).cloned()).collect()
    }
    pub fn sessions(&self) -> Vec<SessionId> {
        self.book().of_session.keys().copied().collect()
    }

    /// The socket shows these conversations now, and no others.
    pub fn show(&self, socket: &Socket, conversations: Vec<ConversationId>) {
        let mut book = self.book();
        let mut shown = socket.shown.lock().unwrap_or_else(PoisonError::into_inner);
        replace(&mut book, |book| &mut book.showing, socket.id, &mut shown, conversations);
    }
    /// The socket is told of these people now, and of no others.
    pub fn watch(&self, socket: &Socket, users: Vec<UserId>) {
        let mut book = self.book();
        let mut watched = socket.watched.lock().unwrap_or_else(PoisonError::into_inner);
        replace(&mut book, |book| &mut book.watching, socket.id, &mut watched, users);
    }

    /// The sockets that show a conversation, each with its person.
    pub fn showing(&self, conversation: ConversationId) -> Vec<(UserId, SubscriptionId)> {
        let book = self.book();
        subscriptions(&book, book.showing.get(&conversation))
    }
    /// The sockets that asked for someone's presence, each with its person.
    pub fn watching(&self, user: UserId) -> Vec<(UserId, SubscriptionId)> {
        let book = self.book();
        subscriptions(&book, book.watching.get(&user))
    }

    /// Once no socket is open.
    pub async fn emptied(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.book().all.is_empty() {
                return;
            }
            emptied.await;
        }
    }
}

fn subscriptions(book: &Book, ids: Option<&Vec<u64>>) -> Vec<(UserId, SubscriptionId)> {
    let sockets = ids.into_iter().flatten().filter_map(|id| book.all.get(id));
    sockets.filter_map(|socket| Some((socket.user, socket.subscription?))).collect()
}

fn strike<K: Hash + Eq>(index: &mut HashMap<K, Vec<u64>>, key: &K, id: u64) {
    if let Some(ids) = index.get_mut(key) {
        ids.retain(|one| *one != id);
        if ids.is_empty() {
            index.remove(key);
        }
    }
}

fn replace<K: Hash + Eq + Copy + Ord>(
    book: &mut Book,
    index: impl Fn(&mut Book) -> &mut HashMap<K, Vec<u64>>,
    id: u64,
    current: &mut Arc<[K]>,
    mut next: Vec<K>,
) {
    for key in current.iter() {
        strike(index(book), key, id);
    }
    next.sort_unstable();
    next.dedup();
    // One that was closed meanwhile would never be struck again.
    if book.all.contains_key(&id) {
        for key in &next {
            index(book).entry(*key).or_default().push(id);
        }
    }
    *current = next.into();
}
