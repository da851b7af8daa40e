//! What loading the largest channel of a real community costs, folded whole and from its snapshot:
//! `scripts/test-servers cargo bench -p event-store --bench load`.

#![expect(clippy::print_stdout, reason = "figures are what a benchmark is for")]

use domain::{
    Aggregate, CommandId, Sequence, Timestamp, UserId,
    conversation::{Conversation, ConversationEvent, ConversationType, Founder, History, Role},
};
use event_store::{Append, EventStore, Loaded, Metadata, Origin, testing::TestDatabase};
use runtime::id::{Ids, SystemIds};
use std::time::{Duration, Instant};

/// People who are in the channel when it is made, and people who join after.
const FOUNDERS: usize = 13_493;
const JOINS: usize = 10_208;
const JOINS_AN_APPEND: usize = 100;
const ROUNDS: usize = 15;
const AT: Timestamp = Timestamp(1_769_846_400_000);

#[tokio::main]
async fn main() {
    let database = TestDatabase::create().await;
    let store = database.store().await;
    let id = make_channel(&store).await;
    // The order in which a process meets them: nothing is kept at first, for nobody has loaded it yet.
    let mut whole = Vec::new();
    let mut resumed = Vec::new();
    for _ in 0..ROUNDS {
        sqlx::query("DELETE FROM snapshots").execute(&database.app).await.expect("snapshots may go");
        whole.push(load(&store, &id).await);
        wait_for_snapshot(&database).await;
        resumed.push(load(&store, &id).await);
    }
    let bytes: i64 = sqlx::query_scalar("SELECT octet_length(state)::bigint FROM snapshots")
        .fetch_one(&database.app)
        .await
        .expect("there is one");
    tell("folded whole", &mut whole);
    tell("from its snapshot", &mut resumed);
    println!("the snapshot has {} kB", bytes / 1_000);
}

async fn load(store: &EventStore, id: &str) -> Duration {
    let started = Instant::now();
    let loaded: Loaded<Conversation> = store.load(id).await.expect("it is loaded");
    assert_eq!(loaded.state.participant_count(), FOUNDERS + JOINS);
    started.elapsed()
}

async fn wait_for_snapshot(database: &TestDatabase) {
    let at = i64::try_from(JOINS + 1).expect("a few");
    let is_there = || {
        sqlx::query_scalar::<_, bool>("SELECT EXISTS (SELECT FROM snapshots WHERE sequence = $1)")
            .bind(at)
            .fetch_one(&database.app)
    };
    while !is_there().await.expect("it is told") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn make_channel(store: &EventStore) -> String {
    let owner = new_id();
    let members = (1..FOUNDERS).map(|_| Founder { user_id: new_id(), role: Role::Member });
    let created = ConversationEvent::Created {
        r#type: ConversationType::Group,
        history: History::Shared,
        name: Some("general".to_owned()),
        description: None,
        avatar_url: None,
        is_private: true,
        max_members: 100_000,
        workspace_id: None,
        created_by: owner,
        participants: std::iter::once(Founder { user_id: owner, role: Role::Owner }).chain(members).collect(),
        created_at: AT,
    };
    let mut channel: Loaded<Conversation> = Loaded::fresh(SystemIds.uuid());
    write(store, &mut channel, owner, vec![created]).await;
    let joins: Vec<UserId> = (0..JOINS).map(|_| new_id()).collect();
    for some in joins.chunks(JOINS_AN_APPEND) {
        let joined = |user: &UserId| ConversationEvent::ParticipantAdded {
            user_id: *user,
            role: Role::Member,
            added_by: owner,
            joined_at: AT,
        };
        write(store, &mut channel, owner, some.iter().map(joined).collect()).await;
    }
    assert_eq!(channel.sequence, Sequence(i64::try_from(JOINS + 1).expect("a few")));
    channel.id
}

async fn write<A: Aggregate>(store: &EventStore, loaded: &mut Loaded<A>, actor: UserId, events: Vec<A::Event>) {
    let mut append = Append::new(Metadata {
        actor_id: Some(actor),
        session_id: None,
        workspace_id: None,
        conversation_id: None,
        correlation_id: "a-benchmark".to_owned(),
        causation_id: None,
        traceparent: None,
        command_id: new_id::<CommandId>(),
        origin: Origin::Cli,
    });
    append.write(loaded, events);
    store.append(append).await.expect("the append stands");
    store.refresh(loaded).await.expect("it is read");
}

fn tell(what: &str, taken: &mut [Duration]) {
    taken.sort_unstable();
    let [least, median, most] = [0, taken.len() / 2, taken.len() - 1].map(|at| taken[at]);
    println!("{what}: {median:.1?} (from {least:.1?} to {most:.1?})");
}

fn new_id<T: From<uuid::Uuid>>() -> T {
    SystemIds.uuid().into()
}
