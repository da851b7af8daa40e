//! The law of the index: wherever batches are cut and whenever its process dies, it says what the log says.

use crate::{
    Keeper, Writer,
    contents::Contents,
    document::Document,
    search::{Order, Question, Readable, Scope},
    testing::{Log, NOON, find, is_on_disk, question},
};
use domain::{
    ConversationId, MessageId, Personal, ReactionId, UserId,
    conversation::{Conversation, ConversationEvent},
    message::{Message, MessageEvent},
};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRng, TestRunner},
};
use runtime::id::{Ids, SystemIds};
use std::{collections::BTreeMap, time::Duration};
use tokio_util::sync::CancellationToken;

const WORDS: [&str; 6] = ["alpha", "beta", "gamma", "東京", "https://example.org", "🎉"];
const QUARTER_MS: i64 = 92 * 24 * 3_600_000;

#[derive(Clone, Debug)]
enum Act {
    Send {
        room: usize,
        words: Vec<usize>,
        quarters_ago: i64,
    },
    Edit {
        which: usize,
        words: Vec<usize>,
    },
    Delete {
        which: usize,
    },
    React {
        which: usize,
    },
    Unreact {
        which: usize,
    },
    Pin {
        which: usize,
    },
    DropRoom {
        room: usize,
    },
    /// The index follows, in batches of this size; it dies before this commit of the first one, if it has so many.
    Follow {
        size: usize,
        dies_at: Option<usize>,
    },
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let words = || prop::collection::vec(0..WORDS.len(), 1..4);
    let act = prop_oneof![
        6 => (0..4_usize, words(), 0..3_i64).prop_map(|(room, words, quarters_ago)| Act::Send { room, words, quarters_ago }),
        3 => (any::<usize>(), words()).prop_map(|(which, words)| Act::Edit { which, words }),
        2 => any::<usize>().prop_map(|which| Act::Delete { which }),
        2 => any::<usize>().prop_map(|which| Act::React { which }),
        1 => any::<usize>().prop_map(|which| Act::Unreact { which }),
        1 => any::<usize>().prop_map(|which| Act::Pin { which }),
        1 => (0..4_usize).prop_map(|room| Act::DropRoom { room }),
        4 => (1..12_usize, prop::option::of(0..5_usize)).prop_map(|(size, dies_at)| Act::Follow { size, dies_at }),
    ];
    prop::collection::vec(act, 20..60)
}

/// What is true, by the acts alone.
#[derive(Default)]
struct Model {
    rooms: Vec<(ConversationId, bool)>,
    /// Room, text and reactions of what was sent and not deleted.
    messages: BTreeMap<MessageId, (usize, String, Vec<ReactionId>)>,
}

impl Model {
    fn message(&self, which: usize) -> Option<MessageId> {
        let living: Vec<_> =
            self.messages.iter().filter(|(_, (room, ..))| self.rooms[*room].1).map(|(id, _)| *id).collect();
        (!living.is_empty()).then(|| living[which % living.len()])
    }

    async fn act(&mut self, log: &Log, person: UserId, act: &Act) {
        let text = |words: &[usize]| words.iter().map(|word| WORDS[*word]).collect::<Vec<_>>().join(" ");
        match act {
            Act::Send { room, words, quarters_ago } if self.rooms[*room].1 => {
                let at = NOON.plus_millis(-quarters_ago * QUARTER_MS);
                let id = log.say_at(self.rooms[*room].0, person, &text(words), at).await;
                self.messages.insert(id, (*room, text(words), vec![]));
            }
            Act::DropRoom { room } if self.rooms[*room].1 && self.rooms.iter().filter(|room| room.1).count() > 1 => {
                let deleted = ConversationEvent::Deleted { deleted_by: person };
                log.record::<Conversation>(self.rooms[*room].0, vec![deleted]).await;
                self.rooms[*room].1 = false;
            }
            Act::Edit { which, .. }
            | Act::Delete { which }
            | Act::React { which }
            | Act::Unreact { which }
            | Act::Pin { which } => {
                let Some(id) = self.message(*which) else { return };
                let Some((_, known, reactions)) = self.messages.get_mut(&id) else { return };
                let event = match act {
                    Act::Edit { words, .. } => {
                        *known = text(words);
                        MessageEvent::Edited { content: Personal::plain(text(words)), edited_at: NOON }
                    }
                    Act::React { .. } => {
                        reactions.push(ReactionId(SystemIds.uuid()));
                        let reaction_id = reactions[reactions.len() - 1];
                        MessageEvent::ReactionAdded { reaction_id, emoji: "👍".to_owned(), user_id: person }
                    }
                    Act::Unreact { .. } => {
                        let Some(reaction_id) = reactions.pop() else { return };
                        MessageEvent::ReactionRemoved { reaction_id, emoji: "👍".to_owned(), user_id: person }
                    }
                    Act::Pin { .. } => MessageEvent::Pinned { pinned_by: person, pinned_at: NOON },
                    _ => {
                        self.messages.remove(&id);
                        MessageEvent::Deleted { deleted_by: person, deleted_at: NOON }
                    }
                };
                log.record::<Message>(id, vec![event]).await;
            }
            Act::Send { .. } | Act::DropRoom { .. } | Act::Follow { .. } => {}
        }
    }

    fn with(&self, keep: impl Fn(&str, &[ReactionId]) -> bool) -> Vec<MessageId> {
        let living = self.messages.iter().filter(|(_, (room, ..))| self.rooms[*room].1);
        living.filter(|(_, (_, text, reactions))| keep(text, reactions)).map(|(id, _)| *id).collect()
    }

    /// Searches find what a reader of all texts would find.
    fn check(&self, writer: &Writer) {
        let rooms: Vec<ConversationId> = self.rooms.iter().map(|(id, _)| *id).collect();
        let found = |query: &str| {
            let mut found = find(writer.index(), query, &rooms);
            found.sort_unstable();
            found
        };
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        for word in ["alpha", "beta", "東京", "🎉"] {
            assert_eq!(found(word), self.with(|text, _| text.contains(word)), "{word}");
        }
        assert_eq!(found("al*"), self.with(|text, _| text.contains("alpha")));
        assert_eq!(found("京"), self.with(|text, _| text.contains('京')));
        assert_eq!(found("has:link"), self.with(|text, _| text.contains("https")));
        assert_eq!(found("has:reaction"), self.with(|_, reactions| !reactions.is_empty()));
        assert_eq!(found("alpha -beta"), self.with(|text, _| text.contains("alpha") && !text.contains("beta")));
        let next_to = |text: &str| words(text).windows(2).any(|pair| pair == ["alpha", "beta"]);
        assert_eq!(found("\"alpha beta\""), self.with(|text, _| next_to(text)));
        assert_eq!(found("-\"alpha beta\""), self.with(|text, _| !next_to(text)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_the_index_says_what_the_log_says() {
    let config = Config { failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config.clone(), TestRng::from_seed(config.rng_algorithm, &[7; 32]));
    for case in 0..6 {
        let acts = acts().new_tree(&mut runner).expect("acts").current();
        let (log, person, mut model) = (Log::new().await, UserId(SystemIds.uuid()), Model::default());
        for _ in 0..4 {
            model.rooms.push((log.conversation(person).await, true));
        }
        let mut writer = log.writer("live");
        for act in &acts {
            model.act(&log, person, act).await;
            if let Act::Follow { size, dies_at } = act {
                writer.dies_at = *dies_at;
                if log.follow(&mut writer, *size).await.is_err() {
                    drop(writer);
                    writer = log.writer("live");
                    continue;
                }
                model.check(&writer);
            }
        }
        writer.dies_at = None;
        log.follow(&mut writer, 5).await.expect("follows");
        model.check(&writer);
        let mut anew = log.writer("anew");
        log.follow(&mut anew, 1_000).await.expect("follows");
        let (kept, made) = (Contents::of(writer.index()).unwrap(), Contents::of(anew.index()).unwrap());
        assert_eq!(kept.doubled, 0, "case {case}: {acts:?}");
        assert_eq!(kept, made, "case {case}: {acts:?}");
    }
}

#[tokio::test]
async fn nothing_outside_the_scope_or_below_its_floor_is_found_or_counted() {
    let (log, person) = (Log::new().await, UserId(SystemIds.uuid()));
    let (mine, other) = (log.conversation(person).await, log.conversation(person).await);
    let early = log.say(mine, person, "word early").await;
    let late = log.say(mine, person, "word late").await;
    log.say(other, person, "word elsewhere").await;
    let mut writer = log.writer("live");
    log.follow(&mut writer, 100).await.unwrap();
    let ask = |floor| {
        let scope = Scope::of([Readable { conversation: mine, floor }]);
        let answer = writer.index().search(&question("word", scope)).unwrap();
        (answer.hits.iter().map(|found| found.id).collect::<Vec<_>>(), answer.total)
    };
    assert_eq!(ask(1), (vec![late], 1));
    assert_eq!(ask(2), (vec![], 0));
    let (mut found, total) = ask(0);
    found.sort_unstable();
    assert_eq!((found, total), (vec![early, late], 2));
    // More conversations than are looked up as terms.
    let many = (0..100).map(|n| Readable { conversation: ConversationId(uuid::Uuid::from_u128(n)), floor: 0 });
    let scope = Scope::of(many.chain([Readable { conversation: mine, floor: 1 }]));
    assert_eq!(writer.index().search(&question("word", scope)).unwrap().total, 1);
    assert_eq!(writer.index().search(&question("word", Scope::default())).unwrap().total, 0);
}

#[tokio::test]
async fn pages_by_a_cursor_hold_everything_once_whatever_is_sent_meanwhile() {
    let (log, person) = (Log::new().await, UserId(SystemIds.uuid()));
    let room = log.conversation(person).await;
    let mut sent = Vec::new();
    for n in 0..10 {
        sent.push(log.say_at(room, person, "word", NOON.plus_millis(n / 2)).await);
    }
    let mut writer = log.writer("live");
    log.follow(&mut writer, 3).await.unwrap();
    let scope = Scope::of([Readable { conversation: room, floor: 0 }]);
    let first = Question { order: Order::Newest, limit: 3, ..question("word", scope) };
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = writer.index().search(&Question { after, ..first.clone() }).unwrap().hits;
        let Some(last) = page.last() else { break };
        after = Some(*last);
        seen.extend(page.iter().map(|found| found.id));
        log.say_at(room, person, "word", NOON.plus_millis(1_000)).await;
        log.follow(&mut writer, 3).await.unwrap();
    }
    sent.reverse();
    assert_eq!(seen.len(), 10);
    assert_eq!(seen.iter().collect::<std::collections::BTreeSet<_>>(), sent.iter().collect());
}

#[tokio::test]
async fn what_is_forgotten_leaves_no_byte_behind() {
    let (log, alice, bob) = (Log::new().await, UserId(SystemIds.uuid()), UserId(SystemIds.uuid()));
    let room = log.conversation(alice).await;
    let mut writer = log.writer("live");
    for (sender, text) in [(alice, "secretofalice"), (bob, "wordofbob"), (alice, "anothersecret")] {
        log.say(room, sender, text).await;
        log.follow(&mut writer, 1).await.unwrap();
    }
    let bucket = log.dir("live").join(NOON.quarter().to_string());
    let index = writer.index().clone();
    assert!(is_on_disk(&index, &bucket, "secretofalice") && is_on_disk(&index, &bucket, "wordofbob"));
    writer.forget(NOON.quarter(), alice, None).unwrap();
    for secret in ["secretofalice", "anothersecret"] {
        assert!(!is_on_disk(&index, &bucket, secret), "{secret}");
    }
    assert!(is_on_disk(&index, &bucket, "wordofbob"));
    assert_eq!(find(writer.index(), "wordofbob", &[room]).len(), 1);
    assert!(find(writer.index(), "secretofalice", &[room]).is_empty());
    // It is still written to.
    log.say(room, bob, "more").await;
    log.follow(&mut writer, 1).await.unwrap();
    assert_eq!(find(writer.index(), "more", &[room]).len(), 1);
}

#[tokio::test]
async fn an_index_of_another_log_is_made_anew() {
    let (log, person) = (Log::new().await, UserId(SystemIds.uuid()));
    let room = log.conversation(person).await;
    log.say(room, person, "word").await;
    let mut writer = log.writer("live");
    log.follow(&mut writer, 10).await.unwrap();
    drop(writer);
    assert_eq!(log.writer("live").position(), log.store.head().await.unwrap());
    let other = Writer::open(&log.dir("live"), SystemIds.uuid(), crate::Index::default()).unwrap();
    assert_eq!(other.position().0, 0);
    assert!(find(other.index(), "word", &[room]).is_empty());
}

#[tokio::test]
async fn a_keeper_follows_the_log_and_one_at_a_time_has_a_directory() {
    let (log, person) = (Log::new().await, UserId(SystemIds.uuid()));
    let room = log.conversation(person).await;
    let keeper = |size| Keeper::new(log.store.clone(), None, log.dir("home")).with_batches_of(size);
    let first = keeper(3);
    let (index, shutdown) = (first.index(), CancellationToken::new());
    let running = tokio::spawn(first.run(shutdown.clone()));
    let message = log.say(room, person, "word").await;
    let found = async |index: &crate::Index| {
        tokio::time::timeout(Duration::from_secs(10), async {
            while find(index, "word", &[room]) != [message] {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .expect("it is found");
    };
    found(&index).await;
    // The second waits until the first is gone.
    let second = keeper(100);
    let waiting = second.index();
    let end = CancellationToken::new();
    let standing_by = tokio::spawn(second.run(end.clone()));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(waiting.position().0, 0);
    shutdown.cancel();
    running.await.unwrap();
    found(&waiting).await;
    end.cancel();
    standing_by.await.unwrap();
}

#[tokio::test]
async fn a_rebuild_takes_over_from_a_running_keeper_and_a_diff_tells_what_is_wrong() {
    let (log, person) = (Log::new().await, UserId(SystemIds.uuid()));
    let room = log.conversation(person).await;
    let first = log.say(room, person, "word").await;
    let dir = log.dir("home");
    let rebuilt = crate::rebuild(&log.store, &dir, |_, _| {}).await.unwrap();
    assert_eq!(crate::position(&dir).unwrap(), Some(rebuilt));
    assert!(crate::diff(&log.store, &dir, |_, _| {}).await.unwrap().is_clean());

    let keeper = Keeper::new(log.store.clone(), None, dir.clone());
    let (index, shutdown) = (keeper.index(), CancellationToken::new());
    let running = tokio::spawn(keeper.run(shutdown.clone()));
    let second = log.say(room, person, "word too").await;
    assert_eq!(crate::rebuild(&log.store, &dir, |_, _| {}).await.unwrap(), log.store.head().await.unwrap());
    let both = async {
        while find(&index, "word", &[room]).len() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), both).await.expect("both are found");
    shutdown.cancel();
    running.await.unwrap();

    // An index that lost one message and holds another twice.
    let mut writer = log.writer("home/live");
    let doubled = Document {
        id: second,
        conversation: room,
        sender: person,
        sequence: 2,
        position: writer.position(),
        created_at: NOON,
        text: String::new(),
        has_file: false,
    };
    writer.spoil(first, doubled);
    drop(writer);
    let wrong = crate::diff(&log.store, &dir, |_, _| {}).await.unwrap();
    assert!(wrong.missing_messages.contains(&first.to_string()) && wrong.extra >= 1, "{wrong:?}");
}

#[tokio::test]
async fn a_search_process_answers_those_who_ask_over_nats() {
    let (log, person) = (Log::new().await, UserId(SystemIds.uuid()));
    let room = log.conversation(person).await;
    let message = log.say(room, person, "word").await;
    let nats = async_nats::connect(event_store::testing::nats_url()).await.unwrap();
    let client = crate::SearchClient::over_nats(&log.store, nats.clone());
    let ask = async || client.ask(question("word", Scope::of([Readable { conversation: room, floor: 0 }]))).await;
    assert!(matches!(ask().await, Err(crate::SearchError::Away)));
    let mut writer = log.writer("live");
    log.follow(&mut writer, 10).await.unwrap();
    let shutdown = CancellationToken::new();
    let serving = crate::serve(log.store.clone(), writer.index().clone(), nats, shutdown.clone());
    let serving = tokio::spawn(serving);
    let answered = async {
        loop {
            match ask().await {
                Ok(answer) => break answer,
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    let answer = tokio::time::timeout(Duration::from_secs(10), answered).await.expect("it is answered");
    assert_eq!((answer.hits[0].id, answer.total, answer.position), (message, 1, writer.position()));
    shutdown.cancel();
    serving.await.unwrap();
}
