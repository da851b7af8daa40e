//! Whose an event was, found by the views.

use super::{Scope, stays, visible};
use crate::{
    conversation::tests::{created, group, join, say},
    testing::{NOON, World},
};
use domain::{
    ConversationId, MessageId, Position, Sequence, UserId,
    conversation::{Conversation, ConversationEvent, ConversationType},
    inbox::{Direction, Inbox, InboxEvent, inbox_id},
};

async fn leave(world: &World, id: ConversationId, user_id: UserId) -> Position {
    let left = ConversationEvent::ParticipantRemoved { user_id, removed_by: user_id };
    world.record::<Conversation>(id, vec![left]).await
}

async fn read(world: &World, conversation_id: ConversationId, user_id: UserId, message_id: MessageId) -> Position {
    let marked = InboxEvent::ReadMarked {
        conversation_id,
        user_id,
        message_id,
        sequence: Sequence(1),
        direction: Direction::Read,
        read_at: NOON,
    };
    world.record::<Inbox>(inbox_id(conversation_id, user_id), vec![marked]).await
}

async fn seen(world: &World, user: UserId) -> Vec<Position> {
    visible(&world.views, user, Position(0), Position(i64::MAX), 1_000).await.unwrap().positions
}

#[tokio::test]
async fn stays_that_ended_are_kept_wherever_batches_are_cut() {
    for batch_size in [1, 3, 100] {
        let world = World::new().await;
        let (alice, bob) = (world.register("alice").await, world.register("bob").await);
        let room = group(&world, "Plans", &[alice, bob]).await;
        let began = world.store.head().await.unwrap();
        let first = leave(&world, room, bob).await;
        say(&world, room, alice, "without bob").await;
        join(&world, room, bob, alice).await;
        let back = world.store.head().await.unwrap();
        say(&world, room, alice, "with bob").await;
        let second = leave(&world, room, bob).await;
        join(&world, room, bob, alice).await;
        let now = world.store.head().await.unwrap();
        world.project(batch_size).await;
        let found = stays(&world.views, bob, Position(0)).await.unwrap();
        let mut spans: Vec<_> = found.stays.iter().map(|stay| (stay.joined, stay.left)).collect();
        spans.sort();
        assert_eq!(spans, [(began, Some(first)), (back, Some(second)), (now, None)]);
        assert!(found.stays.iter().all(|stay| stay.scope == Scope::Conversation(room) && !stay.is_shared));
        assert_eq!((found.position, found.participants[&room]), (now, 2));
        let said = Position(back.0 + 1);
        assert_eq!(seen(&world, bob).await, [began, first, back, said, second, now]);
        assert_eq!(stays(&world.views, bob, second).await.unwrap().stays.len(), 1);
    }
}

#[tokio::test]
async fn a_page_of_what_is_visible_tells_how_far_it_reaches() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    let room = group(&world, "Plans", &[alice]).await;
    for n in 0..5 {
        say(&world, room, alice, &n.to_string()).await;
    }
    world.register("bob").await;
    world.project(100).await;
    let page = async |after: i64, until: i64, limit| {
        let missed = visible(&world.views, alice, Position(after), Position(until), limit).await.unwrap();
        (missed.positions.iter().map(|position| position.0).collect::<Vec<_>>(), missed.until.0)
    };
    assert_eq!(page(2, 100, 3).await, (vec![3, 4, 5], 5));
    assert_eq!(page(5, 100, 3).await, (vec![6, 7], 8));
    assert_eq!(page(2, 6, 10).await, (vec![3, 4, 5, 6], 6));
    assert_eq!(page(8, 100, 3).await, (vec![], 8));
}

#[tokio::test]
async fn a_read_mark_is_for_all_where_there_were_fifty_at_most_at_that_event() {
    for batch_size in [1, 4, 1_000] {
        let world = World::new().await;
        let people: Vec<UserId> = (0..51).map(|_| world.id()).collect();
        let (alice, bob, last) = (people[0], people[1], people[50]);
        let room: ConversationId = world.id();
        let founded = created(ConversationType::Group, "Plans", &people[..50]);
        world.record::<Conversation>(room, vec![founded]).await;
        let message = say(&world, room, alice, "read me").await;
        let small = read(&world, room, bob, message).await;
        join(&world, room, last, alice).await;
        let large = read(&world, room, bob, message).await;
        leave(&world, room, last).await;
        let again = read(&world, room, bob, message).await;
        let deleted = world.record::<Conversation>(room, vec![ConversationEvent::Deleted { deleted_by: alice }]).await;
        world.project(batch_size).await;
        let reads = |seen: Vec<Position>| -> Vec<Position> {
            seen.into_iter().filter(|at| [small, large, again].contains(at)).collect()
        };
        let told = seen(&world, alice).await;
        assert_eq!(told.last(), Some(&deleted));
        assert_eq!(reads(told), [small, again], "in batches of {batch_size}");
        assert_eq!(reads(seen(&world, bob).await), [small, large, again]);
        assert_eq!(reads(seen(&world, last).await), []);
    }
}
