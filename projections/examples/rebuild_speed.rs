//! How fast the views follow the log, and how fast they are rebuilt from it, on a made-up log in a throwaway database:
//! `cargo run --release -p projections --example rebuild_speed -- [messages] [people]`.
//!
//! Most events are messages of one channel that everybody is in; some are answered in threads, reacted to, edited.

use domain::{
    Aggregate, CommandId, ConversationId, MessageId, Personal, Position, Timestamp, UserId, WorkspaceId,
    conversation::{Conversation, ConversationEvent, ConversationType, Founder, History, Role},
    message::{Message, MessageEvent, MessageType},
    user::{User, UserEvent},
    workspace::{Workspace, WorkspaceEvent, WorkspaceRole},
};
use event_store::{Append, EventStore, Loaded, Metadata, Origin, testing::TestDatabase};
use projections::{Progress, ProjectionError, Runner, Views};
use runtime::{
    clock::SystemClock,
    id::{Ids, SystemIds},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

const START: Timestamp = Timestamp(1_700_000_000_000);
const STREAMS_AN_APPEND: usize = 1_000;
/// Of those who are in the channel, so many write in it.
const WRITERS_MAX: usize = 500;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), ProjectionError> {
    let number = |nth, default| std::env::args().nth(nth).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (messages, people) = (number(1, 100_000), number(2, 10_000));
    let database = TestDatabase::create().await;
    let store = database.store().await;
    let started = Instant::now();
    let head = fill(&store, messages, people).await;
    tell("appended", head, started);

    let views = Views::open(&database.app_url, 4, store, Arc::new(SystemClock)).await?;
    let progress = Progress::open(views.clone()).await?;
    let shutdown = CancellationToken::new();
    let started = Instant::now();
    let running = tokio::spawn(Runner::new(views.clone(), progress.clone(), None).run(shutdown.clone()));
    while !progress.wait_for(head, Duration::from_millis(500)).await {}
    tell("followed by the runner", head, started);

    let started = Instant::now();
    let rebuilt = projections::rebuild(&views, "all", |_| {}).await?;
    tell("rebuilt", rebuilt, started);
    let started = Instant::now();
    let tables = projections::diff(&views, "all", |_| {}).await?;
    tell("compared", rebuilt, started);
    assert!(tables.iter().all(projections::TableDiff::is_clean), "{tables:?}");
    shutdown.cancel();
    running.await.ok();
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what it measures is what it is for")]
#[expect(clippy::cast_precision_loss, reason = "a number of events")]
fn tell(what: &str, events: Position, since: Instant) {
    let seconds = since.elapsed().as_secs_f64();
    println!("{what}: {events} events in {seconds:.1} s, {:.0} a second", events.0 as f64 / seconds);
}

/// Collects streams into appends of a fair size.
struct Filler<'a> {
    store: &'a EventStore,
    append: Append,
    streams: usize,
}

impl<'a> Filler<'a> {
    fn new(store: &'a EventStore) -> Self {
        Self { store, append: Append::new(metadata()), streams: 0 }
    }

    async fn write<A: Aggregate>(&mut self, id: impl ToString, events: Vec<A::Event>) {
        self.append.write(&Loaded::<A>::fresh(id), events);
        self.streams += 1;
        if self.streams == STREAMS_AN_APPEND {
            self.flush().await;
        }
    }

    async fn flush(&mut self) {
        let append = std::mem::replace(&mut self.append, Append::new(metadata()));
        self.streams = 0;
        if !append.is_empty() {
            self.store.append(append).await.expect("appends");
        }
    }
}

fn metadata() -> Metadata {
    Metadata {
        actor_id: None,
        session_id: None,
        workspace_id: None,
        conversation_id: None,
        correlation_id: "rebuild-speed".to_owned(),
        causation_id: None,
        traceparent: None,
        command_id: CommandId(SystemIds.uuid()),
        origin: Origin::Cli,
    }
}

async fn fill(store: &EventStore, messages: usize, people: usize) -> Position {
    let users: Vec<UserId> = (0..people.max(1)).map(|_| UserId(SystemIds.uuid())).collect();
    let mut filler = Filler::new(store);
    for (number, user) in users.iter().enumerate() {
        filler.write::<User>(*user, vec![registered(number)]).await;
    }
    filler.flush().await;
    let channel = ConversationId(SystemIds.uuid());
    let place = WorkspaceId(SystemIds.uuid());
    filler.write::<Workspace>(place, found_workspace(&users)).await;
    filler.write::<Conversation>(channel, found_channel(&users, place)).await;
    filler.flush().await;
    let mut root = None;
    for number in 0..messages {
        let id = MessageId(SystemIds.uuid());
        let sender = users[number * 7 % users.len().min(WRITERS_MAX)];
        let thread = root.filter(|_| number % 12 == 5);
        filler.write::<Message>(id, written(channel, sender, number, thread)).await;
        if number % 50 == 0 {
            root = Some(id);
        }
    }
    filler.flush().await;
    store.head().await.expect("a head")
}

fn at(number: usize) -> Timestamp {
    START.plus_millis(i64::try_from(number).unwrap_or_default() * 10_000)
}

fn registered(number: usize) -> UserEvent {
    UserEvent::Registered {
        email: Personal::plain(format!("user{number}@example.org")),
        username: Personal::plain(format!("user{number}")),
        first_name: Personal::plain(format!("First{number}")),
        last_name: Personal::plain(format!("Last{number}")),
        created_at: START,
    }
}

fn found_workspace(users: &[UserId]) -> Vec<WorkspaceEvent> {
    let created = WorkspaceEvent::Created {
        name: "Speed".to_owned(),
        description: None,
        avatar_url: None,
        owner_id: users[0],
        created_at: START,
    };
    let joined = users[1..].iter().map(|user| WorkspaceEvent::MemberJoined {
        user_id: *user,
        role: WorkspaceRole::Member,
        invited_by: Some(users[0]),
        code_hash: None,
        joined_at: START,
    });
    std::iter::once(created).chain(joined).collect()
}

fn found_channel(users: &[UserId], place: WorkspaceId) -> Vec<ConversationEvent> {
    let created = ConversationEvent::Created {
        r#type: ConversationType::Channel,
        history: History::Shared,
        name: Some("general".to_owned()),
        description: None,
        avatar_url: None,
        is_private: false,
        max_members: u32::MAX,
        workspace_id: Some(place),
        created_by: users[0],
        participants: vec![Founder { user_id: users[0], role: Role::Owner }],
        created_at: START,
    };
    let joined = users[1..].iter().map(|user| ConversationEvent::ParticipantAdded {
        user_id: *user,
        role: Role::Member,
        added_by: users[0],
        joined_at: START,
    });
    std::iter::once(created).chain(joined).collect()
}

fn written(channel: ConversationId, sender: UserId, number: usize, thread: Option<MessageId>) -> Vec<MessageEvent> {
    let mut events = vec![MessageEvent::Sent {
        conversation_id: channel,
        sender_id: sender,
        content: Personal::plain(format!("message {number}, of about the length that messages in a channel have")),
        r#type: MessageType::Text,
        reply_to_id: thread,
        thread_root_id: thread,
        mentions: if number % 20 == 3 { vec![sender] } else { vec![] },
        broadcast: None,
        client_message_id: None,
        created_at: at(number),
    }];
    if number % 25 == 7 {
        let reaction_id = SystemIds.uuid().into();
        events.push(MessageEvent::ReactionAdded { reaction_id, emoji: "👍".to_owned(), user_id: sender });
    }
    if number % 40 == 9 {
        let content = Personal::plain(format!("message {number}, mended"));
        events.push(MessageEvent::Edited { content, edited_at: at(number) });
    }
    events
}
