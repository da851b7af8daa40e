//! The one order of everything, under writers that know nothing of each other.

use crate::cast::*;
use domain::{Position, Sequence, UserId, conversation::Conversation, user::User};
use event_store::{Append, AppendError, Claim, EventStore, Loaded, RecordedEvent, testing::TestDatabase};
use futures::future::join_all;
use proptest::prelude::*;
use std::{
    collections::HashMap,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

async fn whole_log(store: &EventStore) -> Vec<RecordedEvent> {
    let mut events = Vec::new();
    loop {
        let after = Position(i64::try_from(events.len()).unwrap());
        let batch = store.read_log(after, 1_000).await.unwrap();
        if batch.is_empty() {
            return events;
        }
        events.extend(batch);
    }
}

/// Positions, the numbers in each stream and the numbers in each conversation: each from 1, without a gap.
fn assert_gapless(events: &[RecordedEvent]) {
    let mut sequences: HashMap<(&str, &str), i64> = HashMap::new();
    let mut messages: HashMap<&str, i64> = HashMap::new();
    for (event, position) in events.iter().zip(1..) {
        assert_eq!(event.position, Position(position));
        let sequence = sequences.entry((&event.aggregate_type, &event.aggregate_id)).or_default();
        *sequence += 1;
        assert_eq!(event.sequence, Sequence(*sequence), "{} at {position}", event.aggregate_id);
        if event.event_type == "message.sent" {
            let count = messages.entry(event.payload["conversationId"].as_str().unwrap()).or_default();
            *count += 1;
            assert_eq!(event.message_sequence, Some(*count), "at {position}");
        }
    }
    assert!(events.is_sorted_by_key(|event| event.recorded_at));
}

/// What a writer of the property does next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Say { conversation: usize },
    Rename { conversation: usize },
    SayInTwo { first: usize, second: usize },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_usize).prop_map(|conversation| Step::Say { conversation }),
        2 => (0..3_usize).prop_map(|conversation| Step::Rename { conversation }),
        1 => (0..3_usize, 0..3_usize).prop_map(|(first, second)| Step::SayInTwo { first, second }),
    ]
}

/// Does a step until it stands, as commands do. The events that it appended.
async fn take(store: &EventStore, ids: &[String], alice: UserId, step: Step) -> usize {
    loop {
        let load = async |n: usize| store.load::<Conversation>(&ids[n]).await.unwrap();
        let append = match step {
            Step::Say { conversation } => saying(&load(conversation).await, alice, "hello"),
            Step::Rename { conversation } => {
                let loaded = load(conversation).await;
                let mut append = append_by(alice);
                // A name that is there already makes no event: each is another.
                append.write(&loaded, renamed(&loaded, alice, &format!("name {}", new_id::<uuid::Uuid>())));
                append
            }
            Step::SayInTwo { first, second } => {
                let (first, second) = (load(first).await, load(second).await);
                let mut append = saying(&first, alice, "one");
                let id = second.id.parse().unwrap();
                append
                    .write(&Loaded::<domain::message::Message>::fresh(new_id::<uuid::Uuid>()), said(id, alice, "two"));
                append.guard(&second);
                append
            }
        };
        let events = append.len();
        match store.append(append).await {
            Ok(_) => return events,
            Err(AppendError::Conflict { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn positions_and_sequences_have_no_gaps_whoever_writes(
        writers in prop::collection::vec(prop::collection::vec(step(), 1..12), 2..6)
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let database = TestDatabase::create().await;
            let stores = [database.store().await, database.store().await];
            let alice = new_id();
            let mut ids = Vec::new();
            for _ in 0..3 {
                ids.push(found(&stores[0], alice).await.id);
            }
            let work = writers.iter().enumerate().map(|(n, steps)| {
                let (store, ids) = (&stores[n % 2], &ids);
                async move {
                    let mut appended = 0;
                    for step in steps {
                        appended += take(store, ids, alice, *step).await;
                    }
                    appended
                }
            });
            let appended: usize = join_all(work).await.into_iter().sum();
            let events = whole_log(&stores[0]).await;
            assert_eq!(events.len(), appended + 3);
            assert_gapless(&events);
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_never_sees_a_gap_that_closes_later() {
    let database = TestDatabase::create().await;
    let stores = [database.store().await, database.store().await];
    let alice = new_id();
    let conversation = found(&stores[0], alice).await;
    let written = AtomicUsize::new(1);
    let write = async |store: &EventStore| {
        for _ in 0..30 {
            let says = (0..10).map(|_| say(store, &conversation, alice, "hello"));
            written.fetch_add(join_all(says).await.len(), Ordering::Relaxed);
        }
    };
    let read = async {
        let mut position = 0;
        while position < 601 {
            for event in stores[1].read_log(Position(position), 1_000).await.unwrap() {
                position += 1;
                assert_eq!(event.position, Position(position));
            }
        }
    };
    tokio::join!(write(&stores[0]), write(&stores[1]), read);
    assert_eq!(written.into_inner(), 601);
    assert_gapless(&whole_log(&stores[0]).await);
}

/// Appends that overlap in streams written, streams guarded, claims and counters, each naming them in an order of its own.
fn tangled(
    chance: &mut u64,
    streams: &[Loaded<User>],
    conversations: &[Loaded<Conversation>],
    alice: UserId,
) -> Append {
    let mut pick = |n: usize| {
        // xorshift: the hunt is the same each time.
        *chance ^= *chance << 13;
        *chance ^= *chance >> 7;
        *chance ^= *chance << 17;
        usize::try_from(*chance % u64::try_from(n).unwrap()).unwrap()
    };
    let mut append = append_by(alice);
    // Each is named once: what is written or taken twice in one append is refused before PostgreSQL hears of it.
    let mut named = std::collections::HashSet::new();
    for _ in 0..=pick(3) {
        let user = &streams[pick(streams.len())];
        if !named.insert(user.id.clone()) {
            continue;
        }
        if pick(2) == 0 {
            append.guard(user);
        } else if user.sequence.0 > 0 {
            let status = domain::user::UserCommand::GrantRole { role: domain::user::SystemRole::Admin };
            let context = domain::Context { actor: alice, now: NOW };
            append.write(user, domain::Aggregate::decide(&*user.state, status, &context).unwrap_or_default());
        }
    }
    for _ in 0..=pick(2) {
        let conversation = &conversations[pick(conversations.len())];
        let id = conversation.id.parse().unwrap();
        append.write(&Loaded::<domain::message::Message>::fresh(new_id::<uuid::Uuid>()), said(id, alice, "hello"));
        if !named.insert(conversation.id.clone()) {
            continue;
        }
        if pick(2) == 0 {
            append.guard(conversation);
        } else if pick(3) == 0 {
            append.write(conversation, renamed(conversation, alice, &format!("name {}", new_id::<uuid::Uuid>())));
        }
    }
    for _ in 0..pick(4) {
        let key = format!("key {}", pick(6));
        if !named.insert(key.clone()) {
            continue;
        }
        append.claim(match pick(4) {
            0 => Claim::take("tangle", key, "x"),
            1 => Claim::release("tangle", key),
            2 => Claim::set("tangle", key, "x"),
            _ => Claim::hold("tangle", key, "x"),
        });
    }
    append
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_two_appends_wait_for_each_other_for_ever() {
    let database = TestDatabase::create().await;
    let mut stores = Vec::new();
    for _ in 0..4 {
        stores.push(database.store().await);
    }
    let alice = new_id();
    let (mut users, mut conversations) = (Vec::new(), Vec::new());
    for n in 0..5 {
        conversations.push(found(&stores[0], alice).await.id);
        let user: UserId = new_id();
        let mut append = append_by(user);
        append.write(&Loaded::<User>::fresh(user), registered(user, &format!("user{n}")));
        stores[0].append(append).await.unwrap();
        users.push(user.to_string());
    }
    let hunt = stores.iter().zip(1..).map(|(store, seed)| {
        let (users, conversations) = (&users, &conversations);
        async move {
            let mut chance = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed);
            let mut stood = 0;
            for _ in 0..25 {
                let mut streams = Vec::new();
                for id in users {
                    streams.push(store.load::<User>(id).await.unwrap());
                }
                let mut loaded = Vec::new();
                for id in conversations {
                    loaded.push(store.load::<Conversation>(id).await.unwrap());
                }
                let tangle = (0..8).map(|_| store.append(tangled(&mut chance, &streams, &loaded, alice)));
                for result in join_all(tangle.collect::<Vec<_>>()).await {
                    match result {
                        Ok(_) => stood += 1,
                        Err(AppendError::Conflict { .. } | AppendError::Claimed { .. }) => {}
                        // A deadlock would come as an error of PostgreSQL.
                        Err(error) => panic!("{error}"),
                    }
                }
            }
            stood
        }
    });
    let stood = tokio::time::timeout(Duration::from_mins(2), join_all(hunt)).await.expect("nothing waits for ever");
    assert!(stood.iter().sum::<usize>() > 100, "{stood:?}");
    let deadlocks: i64 =
        sqlx::query_scalar("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
            .fetch_one(&database.admin)
            .await
            .unwrap();
    assert_eq!(deadlocks, 0);
    assert_gapless(&whole_log(&stores[0]).await);
}
