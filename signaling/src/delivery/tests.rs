//! Live delivery and resuming on a real log, against what each person should have been told.

mod any_past;
mod world;

use super::{Outgoing, Start, Transient, TransientAudience};
use chrono::TimeDelta;
use domain::{
    Position,
    conversation::{ConversationChanges, ConversationEvent, History},
    message::{Message, MessageEvent},
};
use world::{Client, NOON, World};

const RESET_PAST: usize = 10_000;

#[tokio::test]
async fn a_member_is_told_of_a_message_as_it_stands_and_a_stranger_of_nothing() {
    let world = World::published().await;
    let [alice, bob, carol] = world.people(["alice", "bob", "carol"]).await;
    let room = world.group(&[alice, bob], History::Joined).await;
    let (mut to_alice, mut to_bob) = (world.connect(alice).await, world.connect(bob).await);
    let mut to_carol = world.connect(carol).await;
    let (message, position) = world.say(room, alice, "hello").await;
    for client in [&mut to_alice, &mut to_bob] {
        let told = client.until(position).await;
        let Outgoing::Push { event: "message:new", data, more: false, .. } = &told[0] else { panic!("{told:?}") };
        let data: serde_json::Value = serde_json::from_slice(data).unwrap();
        assert_eq!(data["message"]["id"], message.to_string());
        assert_eq!(data["message"]["content"], "hello");
        assert_eq!(data["message"]["position"], position.0);
        assert_eq!(data["message"]["sequence"], 1);
        assert_eq!(data["message"]["sender"]["username"], "alice");
        assert_eq!(data["message"]["reactions"], serde_json::json!([]));
        let bare = world.delivery.message(position).await.unwrap();
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&bare).unwrap(), data["message"]);
    }
    let (_, last) = world.say(world.group(&[carol], History::Joined).await, carol, "alone").await;
    let told = to_carol.until(last).await;
    assert!(!format!("{told:?}").contains(&room.to_string()), "{told:?}");
}

#[tokio::test]
async fn what_another_process_appends_comes_without_nats() {
    let world = World::new().await;
    let [alice] = world.people(["alice"]).await;
    let room = world.group(&[alice], History::Joined).await;
    let mut client = world.connect(alice).await;
    let elsewhere = world.other_store().await;
    let position = World::say_by(&elsewhere, room, alice, "from afar").await;
    assert_eq!(client.until(position).await.len(), 1);
}

#[tokio::test]
async fn who_is_removed_is_told_of_that_and_of_nothing_after() {
    let world = World::new().await;
    let [alice, bob] = world.people(["alice", "bob"]).await;
    let room = world.group(&[alice, bob], History::Shared).await;
    let mut client = world.connect(bob).await;
    let removed = world.leave(room, bob).await;
    world.say(room, alice, "without bob").await;
    let back = world.join(room, bob).await;
    world.leave(room, bob).await;
    world.say(room, alice, "without bob again").await;
    let last = world.join(room, bob).await;
    let told = client.until(last).await;
    let told: Vec<(Position, &str)> = pushes(&told);
    let gone = Position(back.0 + 1);
    let (added, removed_event) = ("participant:added", "participant:removed");
    assert_eq!(told, [(removed, removed_event), (back, added), (gone, removed_event), (last, added)]);
}

#[tokio::test]
async fn what_is_about_a_message_from_before_goes_only_to_who_may_read_it() {
    for (history, expected) in [(History::Joined, 0), (History::Shared, 2)] {
        let world = World::new().await;
        let [alice, bob] = world.people(["alice", "bob"]).await;
        let room = world.group(&[alice], history).await;
        let (old, _) = world.say(room, alice, "before bob").await;
        let start = world.delivery.head();
        let mut client = world.connect(bob).await;
        let joined = world.join(room, bob).await;
        world.record::<Message>(old, vec![World::edited("before bob, changed")]).await;
        world.record::<Message>(old, vec![MessageEvent::Pinned { pinned_by: alice, pinned_at: NOON }]).await;
        let (_, last) = world.say(room, alice, "after").await;
        let about = |told: &[Outgoing]| {
            let told = pushes(told).into_iter().filter(|(at, _)| *at > joined && *at < last);
            told.count()
        };
        assert_eq!(about(&client.until(last).await), expected);
        world.project().await;
        for ring in [1_000, 1] {
            world.shrink_ring(ring);
            let mut again = world.resume(bob, start).await;
            assert_eq!(about(&again.until(last).await), expected, "with a ring of {ring}");
        }
    }
}

#[tokio::test]
async fn others_read_marks_are_told_in_small_conversations_and_ones_own_in_all() {
    let world = World::new().await;
    let people = world.crowd(51).await;
    let (alice, bob) = (people[0], people[1]);
    let room = world.group(&people[..50], History::Joined).await;
    let (message, start) = world.say(room, alice, "read me").await;
    world.delivery.reach(start).await;
    let (mut to_alice, mut to_bob) = (world.connect(alice).await, world.connect(bob).await);
    assert_eq!(world.delivery.participant_count(room), Some(50));
    let small = world.read(room, bob, message).await;
    world.join(room, people[50]).await;
    let large = world.read(room, bob, message).await;
    world.leave(room, people[50]).await;
    let again = world.read(room, bob, message).await;
    let end = world.say(room, alice, "end").await.1;
    let reads = |told: &[Outgoing]| -> Vec<Position> {
        pushes(told).into_iter().filter(|(_, event)| *event == "message:read").map(|(at, _)| at).collect()
    };
    assert_eq!(reads(&to_alice.until(end).await), [small, again]);
    assert_eq!(reads(&to_bob.until(end).await), [small, large, again]);
    assert_eq!(world.delivery.participant_count(room), Some(50));
    world.project().await;
    for ring in [1_000, 1] {
        world.shrink_ring(ring);
        let (mut to_alice, mut to_bob) = (world.resume(alice, start).await, world.resume(bob, start).await);
        assert_eq!(reads(&to_alice.until(end).await), [small, again], "with a ring of {ring}");
        assert_eq!(reads(&to_bob.until(end).await), [small, large, again], "with a ring of {ring}");
    }
}

#[tokio::test]
async fn a_preference_is_told_to_oneself_alone() {
    let world = World::new().await;
    let [alice, bob] = world.people(["alice", "bob"]).await;
    let room = world.group(&[alice, bob], History::Joined).await;
    let (mut to_alice, mut to_bob) = (world.connect(alice).await, world.connect(bob).await);
    let muted = world.mute(room, bob).await;
    let end = world.say(room, alice, "end").await.1;
    assert_eq!(pushes(&to_alice.until(end).await), [(end, "message:new")]);
    let told = to_bob.until(end).await;
    assert_eq!(pushes(&told), [(muted, "participant:updated"), (end, "message:new")]);
    assert!(format!("{told:?}").contains("isMuted"));
}

#[tokio::test]
async fn a_deletion_is_all_that_is_told_late_of_a_deleted_message() {
    let world = World::new().await;
    let [alice] = world.people(["alice"]).await;
    let room = world.group(&[alice], History::Joined).await;
    let start = world.settled().await;
    let (message, _) = world.say(room, alice, "regret").await;
    world.record::<Message>(message, vec![World::edited("more regret")]).await;
    let deleted = world.record::<Message>(message, vec![World::deleted(alice)]).await;
    world.settled().await;
    world.project().await;
    for ring in [1_000, 1] {
        world.shrink_ring(ring);
        let told = world.resume(alice, start).await.until_done().await;
        assert_eq!(pushes(&told), [(deleted, "message:deleted")], "with a ring of {ring}");
        assert!(!format!("{told:?}").contains("regret"));
    }
}

#[tokio::test]
async fn a_client_that_reads_nothing_meanwhile_gets_everything_in_the_end() {
    for (ring, size) in [(65_536, 20_000), (65_536, 10), (100, 10)] {
        let world = World::new().await;
        let running = world.run_views();
        let [alice, bob] = world.people(["alice", "bob"]).await;
        let room = world.group(&[alice, bob], History::Joined).await;
        let (mut slow, mut quick) = (world.connect(alice).await, world.connect(bob).await);
        world.shrink_ring(ring);
        let text = "x".repeat(size);
        let mut sent = Vec::new();
        for _ in 0..3 {
            sent.extend(world.say_many(room, alice, &text, 200).await);
            quick.until(*sent.last().unwrap()).await;
        }
        assert!(slow.queued() <= 256, "its queue is bounded");
        let (mut told, mut prev) = (Vec::new(), slow.start);
        for outgoing in slow.until(*sent.last().unwrap()).await {
            let Outgoing::Push { position, prev: before, .. } = outgoing else { panic!("{outgoing:?}") };
            assert_eq!(before, prev);
            prev = position;
            told.push(position);
        }
        assert_eq!(told, sent, "with a ring of {ring}");
        // And is level again.
        let live = world.say(room, alice, "live").await.1;
        assert_eq!(pushes(&slow.until(live).await), [(live, "message:new")]);
        drop(running);
    }
}

#[tokio::test]
async fn what_is_not_durable_is_dropped_first() {
    let world = World::new().await;
    let [alice, bob] = world.people(["alice", "bob"]).await;
    let room = world.group(&[alice, bob], History::Joined).await;
    let (mut to_alice, mut to_bob) = (world.connect(alice).await, world.connect(bob).await);
    let typing =
        Transient { audience: TransientAudience::Conversation(room), event: "typing:start", data: "{}".into() };
    for _ in 0..300 {
        world.delivery.send_transient(&typing, Some(to_alice.id()));
    }
    let told = to_bob.once().await;
    assert!(told.len() < 256 && told.iter().all(|outgoing| matches!(outgoing, Outgoing::Transient { .. })));
    let said = world.say(room, bob, "hello").await.1;
    assert_eq!(to_alice.until(said).await.len(), 1, "who is left out gets none");
}

#[tokio::test]
async fn the_first_push_after_a_start_names_where_it_began() {
    let world = World::new().await;
    let [alice] = world.people(["alice"]).await;
    let room = world.group(&[alice], History::Joined).await;
    let start = world.settled().await;
    let mut client = world.resume(alice, start).await;
    assert_eq!(client.until_done().await, [Outgoing::ResumeDone { position: start }]);
    world.people(["bob", "carol"]).await;
    let said = world.say(room, alice, "hello").await.1;
    let told = client.until(said).await;
    assert!(matches!(told[..], [Outgoing::Push { position, prev, .. }] if position == said && prev == start));
    assert_eq!(client.position(), said);
}

#[tokio::test]
async fn another_log_and_a_position_past_the_head_start_again() {
    let world = World::new().await;
    let [alice] = world.people(["alice"]).await;
    let room = world.group(&[alice], History::Joined).await;
    let head = world.settled().await;
    let at = |position: i64| Some(u64::try_from(position).unwrap());
    let strange = Start { position: at(1), log_id: Some("another".to_owned()) };
    let past = Start { position: at(head.0 + 1_000), log_id: None };
    let own = Start { position: at(head.0), log_id: Some(world.delivery.log_id().to_owned()) };
    for start in [strange, past] {
        let mut client = world.start(alice, start).await;
        let told = client.once().await;
        let Outgoing::ResumeReset { log_id, position } = &told[0] else { panic!("{told:?}") };
        assert_eq!(log_id, world.delivery.log_id());
        let said = world.say(room, alice, "live").await.1;
        let live = client.until(said).await;
        assert!(matches!(live[..], [Outgoing::Push { prev, .. }] if prev == *position), "{live:?}");
    }
    let told = world.start(alice, own).await.until_done().await;
    assert!(matches!(told.last(), Some(Outgoing::ResumeDone { .. })));
}

#[tokio::test]
async fn what_was_missed_for_over_seven_days_starts_again() {
    let world = World::new().await;
    let [alice] = world.people(["alice"]).await;
    let room = world.group(&[alice], History::Joined).await;
    world.say(room, alice, "long ago").await;
    let head = world.settled().await;
    let before = Position(head.0 - 1);
    let done = world.resume(alice, before).await.until_done().await;
    assert_eq!(done.len(), 2);
    world.clock.advance(TimeDelta::days(7) + TimeDelta::minutes(1));
    for ring in [1_000, 0] {
        world.shrink_ring(ring);
        let told = world.resume(alice, before).await.once().await;
        assert!(matches!(told[..], [Outgoing::ResumeReset { .. }]), "{told:?}");
        // Who has missed nothing has missed nothing for long.
        let told = world.resume(alice, head).await.once().await;
        assert!(matches!(told[..], [Outgoing::ResumeDone { .. }]), "{told:?}");
    }
}

#[tokio::test]
async fn more_than_ten_thousand_missed_events_start_again() {
    let world = World::new().await;
    let [alice] = world.people(["alice"]).await;
    let room = world.group(&[alice], History::Joined).await;
    let start = world.settled().await;
    let named = |n: usize| {
        let name = Some(format!("name {n}"));
        ConversationEvent::Updated(ConversationChanges { name, ..ConversationChanges::default() })
    };
    world.change_many(room, (0..=RESET_PAST).map(named).collect()).await;
    world.settled().await;
    world.project().await;
    for ring in [65_536, 10] {
        world.shrink_ring(ring);
        let told = world.resume(alice, start).await.once().await;
        assert!(matches!(told[..], [Outgoing::ResumeReset { .. }]), "{told:?}");
        let told = world.resume(alice, Position(start.0 + 1)).await.until_done().await;
        assert_eq!(pushes(&told).len(), RESET_PAST);
    }
}

/// Positions and names, which rise and are in a chain.
fn pushes(told: &[Outgoing]) -> Vec<(Position, &'static str)> {
    let mut pushes = Vec::new();
    for outgoing in told {
        if let Outgoing::Push { position, prev, event, .. } = outgoing {
            assert!(prev < position);
            pushes.push((*position, *event));
        }
    }
    assert!(pushes.is_sorted_by_key(|(position, _)| *position));
    pushes
}

impl Client {
    fn queued(&self) -> usize {
        self.subscription.queued()
    }
}
