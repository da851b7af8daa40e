//! [`World`]: a log with delivery on it, and people who connect to it.

use crate::delivery::{Delivery, Outgoing, Start, Subscription, SubscriptionId};
use domain::{
    Aggregate, CommandId, ConversationId, MessageId, Personal, Position, Sequence, Timestamp, UserId,
    conversation::{Conversation, ConversationEvent, ConversationType, Founder, History, Role},
    inbox::{Direction, Inbox, InboxEvent, inbox_id},
    message::{Message, MessageEvent, MessageType},
    user::{User, UserEvent},
};
use event_store::{
    Append, EventStore, Loaded, Metadata, Origin, StoreConfig, publisher,
    testing::{TestDatabase, nats_url},
};
use projections::{Progress, Runner, Views};
use runtime::{
    clock::{Clock, FixedClock, SystemClock},
    id::{Ids, SystemIds},
};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::{CancellationToken, DropGuard};

pub const NOON: Timestamp = Timestamp(1_800_000_000_000);
/// For what should take milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// Events of one append.
const APPEND: usize = 1_000;

pub struct World {
    pub delivery: Delivery,
    pub store: EventStore,
    /// By which what was missed is too long ago.
    pub clock: Arc<FixedClock>,
    views: Views,
    progress: Progress,
    _running: DropGuard,
    database: TestDatabase,
}

pub struct Client {
    pub subscription: Subscription,
    /// Where it began.
    pub start: Position,
}

fn new_id<T: From<uuid::Uuid>>() -> T {
    SystemIds.uuid().into()
}

fn append() -> Append {
    Append::new(Metadata {
        actor_id: None,
        session_id: None,
        workspace_id: None,
        conversation_id: None,
        correlation_id: "test".to_owned(),
        causation_id: None,
        traceparent: None,
        command_id: new_id::<CommandId>(),
        origin: Origin::Rest,
    })
}

fn sent(conversation_id: ConversationId, sender_id: UserId, text: &str) -> MessageEvent {
    MessageEvent::Sent {
        conversation_id,
        sender_id,
        content: Personal::plain(text),
        r#type: MessageType::Text,
        reply_to_id: None,
        thread_root_id: None,
        mentions: vec![],
        broadcast: None,
        client_message_id: None,
        created_at: NOON,
    }
}

impl World {
    /// Without NATS, and with views that stand still until they are told to follow.
    pub async fn new() -> Self {
        Self::with(None).await
    }

    /// With a publisher.
    pub async fn published() -> Self {
        Self::with(Some(async_nats::connect(nats_url()).await.unwrap())).await
    }

    async fn with(nats: Option<async_nats::Client>) -> Self {
        let database = TestDatabase::create().await;
        let store = EventStore::open(StoreConfig { nats: nats.clone(), ..database.config().await }).await.unwrap();
        let clock = Arc::new(FixedClock::at(SystemClock.now()));
        let views = Views::open(&database.app_url, 5, store.clone(), clock.clone()).await.unwrap();
        let progress = Progress::open(views.clone()).await.unwrap();
        let delivery = Delivery::open(views.clone(), progress.clone(), nats.clone()).await.unwrap();
        let shutdown = CancellationToken::new();
        tokio::spawn(delivery.clone().run(shutdown.clone()));
        if let Some(nats) = nats {
            tokio::spawn(publisher::run(store.clone(), nats, None, shutdown.clone()));
        }
        Self { delivery, store, clock, views, progress, _running: shutdown.drop_guard(), database }
    }

    /// Of another process, which this one hears nothing of.
    pub async fn other_store(&self) -> EventStore {
        self.database.store().await
    }

    /// Until the guard is dropped.
    pub fn run_views(&self) -> DropGuard {
        let shutdown = CancellationToken::new();
        tokio::spawn(Runner::new(self.views.clone(), self.progress.clone(), None).run(shutdown.clone()));
        shutdown.drop_guard()
    }

    /// Brings the views up to the head.
    pub async fn project(&self) {
        let _running = self.run_views();
        let head = self.store.head().await.unwrap();
        while self.progress.position() < head {
            self.progress.wait_for(head, PATIENCE).await;
        }
    }

    /// Waits until all that was appended was dealt out.
    pub async fn settled(&self) -> Position {
        let head = self.store.head().await.unwrap();
        tokio::time::timeout(PATIENCE, self.delivery.reach(head)).await.expect("delivery follows the log");
        head
    }

    pub fn shrink_ring(&self, entries: usize) {
        self.delivery.node().ring.shrink(entries);
    }

    pub async fn record<A: Aggregate>(&self, id: impl ToString, events: Vec<A::Event>) -> Position {
        let loaded = self.store.load::<A>(id).await.unwrap();
        let mut append = append();
        append.write(&loaded, events);
        self.store.append(append).await.unwrap().position
    }

    pub async fn people<const N: usize>(&self, names: [&str; N]) -> [UserId; N] {
        let mut people = [UserId(uuid::Uuid::nil()); N];
        for (id, name) in people.iter_mut().zip(names) {
            *id = new_id();
            let personal = Personal::plain;
            let registered = UserEvent::Registered {
                email: personal(format!("{name}@example.org")),
                username: personal(name.to_owned()),
                first_name: personal(name.to_owned()),
                last_name: personal("Example".to_owned()),
                created_at: NOON,
            };
            self.record::<User>(*id, vec![registered]).await;
        }
        people
    }

    /// People who never signed up: only their ids matter.
    #[expect(clippy::unused_async, reason = "so that it reads as all else that a test asks of its world")]
    pub async fn crowd(&self, number: usize) -> Vec<UserId> {
        (0..number).map(|_| new_id()).collect()
    }

    pub async fn group(&self, people: &[UserId], history: History) -> ConversationId {
        let id: ConversationId = new_id();
        let role = |n| if n == 0 { Role::Owner } else { Role::Member };
        let founder = |(n, user_id): (usize, &UserId)| Founder { user_id: *user_id, role: role(n) };
        let created = ConversationEvent::Created {
            r#type: ConversationType::Group,
            history,
            name: Some("Plans".to_owned()),
            description: None,
            avatar_url: None,
            is_private: true,
            max_members: 1_000,
            workspace_id: None,
            created_by: people[0],
            participants: people.iter().enumerate().map(founder).collect(),
            created_at: NOON,
        };
        self.record::<Conversation>(id, vec![created]).await;
        self.settled().await;
        id
    }

    pub async fn join(&self, id: ConversationId, user_id: UserId) -> Position {
        let added =
            ConversationEvent::ParticipantAdded { user_id, role: Role::Member, added_by: user_id, joined_at: NOON };
        self.record::<Conversation>(id, vec![added]).await
    }

    pub async fn leave(&self, id: ConversationId, user_id: UserId) -> Position {
        self.record::<Conversation>(id, vec![ConversationEvent::ParticipantRemoved { user_id, removed_by: user_id }])
            .await
    }

    pub async fn say(&self, room: ConversationId, by: UserId, text: &str) -> (MessageId, Position) {
        let id: MessageId = new_id();
        (id, self.record::<Message>(id, vec![sent(room, by, text)]).await)
    }

    pub async fn say_by(store: &EventStore, room: ConversationId, by: UserId, text: &str) -> Position {
        let mut append = append();
        append.write(&Loaded::<Message>::fresh(new_id::<MessageId>()), vec![sent(room, by, text)]);
        store.append(append).await.unwrap().position
    }

    /// At once. All their positions.
    pub async fn say_many(&self, room: ConversationId, by: UserId, text: &str, number: usize) -> Vec<Position> {
        let mut append = append();
        for _ in 0..number {
            append.write(&Loaded::<Message>::fresh(new_id::<MessageId>()), vec![sent(room, by, text)]);
        }
        let last = self.store.append(append).await.unwrap().position.0;
        (last + 1 - i64::try_from(number).unwrap()..=last).map(Position).collect()
    }

    pub async fn change_many(&self, room: ConversationId, events: Vec<ConversationEvent>) {
        for events in events.chunks(APPEND) {
            self.record::<Conversation>(room, events.to_vec()).await;
        }
    }

    pub fn edited(text: &str) -> MessageEvent {
        MessageEvent::Edited { content: Personal::plain(text), edited_at: NOON }
    }

    pub fn deleted(deleted_by: UserId) -> MessageEvent {
        MessageEvent::Deleted { deleted_by, deleted_at: NOON }
    }

    pub async fn read(&self, conversation_id: ConversationId, user_id: UserId, message_id: MessageId) -> Position {
        let marked = InboxEvent::ReadMarked {
            conversation_id,
            user_id,
            message_id,
            sequence: Sequence(1),
            direction: Direction::Read,
            read_at: NOON,
        };
        self.record::<Inbox>(inbox_id(conversation_id, user_id), vec![marked]).await
    }

    pub async fn mute(&self, conversation_id: ConversationId, user_id: UserId) -> Position {
        let muted = InboxEvent::PreferenceChanged { conversation_id, user_id, is_muted: Some(true), is_pinned: None };
        self.record::<Inbox>(inbox_id(conversation_id, user_id), vec![muted]).await
    }

    pub async fn connect(&self, user: UserId) -> Client {
        self.settled().await;
        self.start(user, Start::default()).await
    }

    pub async fn resume(&self, user: UserId, position: Position) -> Client {
        let position = Some(u64::try_from(position.0).unwrap());
        self.start(user, Start { position, log_id: None }).await
    }

    pub async fn start(&self, user: UserId, start: Start) -> Client {
        let subscription = self.delivery.subscribe(user, start).await.unwrap();
        Client { start: subscription.position(), subscription }
    }
}

impl Client {
    pub fn id(&self) -> SubscriptionId {
        self.subscription.id()
    }

    pub fn position(&self) -> Position {
        self.subscription.position()
    }

    /// What is handed out next.
    pub async fn once(&mut self) -> Vec<Outgoing> {
        let told = tokio::time::timeout(PATIENCE, self.subscription.recv()).await.expect("something comes");
        assert!(!told.is_empty());
        told
    }

    /// What is handed out up to a push at this position.
    pub async fn until(&mut self, position: Position) -> Vec<Outgoing> {
        self.until_some(|outgoing| matches!(outgoing, Outgoing::Push { position: at, .. } if *at >= position)).await
    }

    pub async fn until_done(&mut self) -> Vec<Outgoing> {
        self.until_some(|outgoing| matches!(outgoing, Outgoing::ResumeDone { .. })).await
    }

    async fn until_some(&mut self, is_last: impl Fn(&Outgoing) -> bool) -> Vec<Outgoing> {
        let mut told = Vec::new();
        while !told.iter().any(&is_last) {
            told.extend(self.once().await);
        }
        told
    }
}
