//! Timelines, threads, wordings and readers, asked as the routes ask for them.

use super::{Cursor, PageError, get, history, page, reads, thread};
use crate::{
    conversation::tests::{answer, group, join, say},
    testing::{NOON, World},
};
use domain::{
    Aggregate, ConversationId, MessageId, Personal, Sequence, UserId,
    conversation::{Conversation, ConversationChanges, ConversationEvent, History},
    inbox::{Direction, Inbox, InboxEvent, inbox_id},
    message::{Message, MessageEvent},
};

async fn read(world: &World, conversation_id: ConversationId, user_id: UserId, message_id: MessageId, sequence: i64) {
    let event = InboxEvent::ReadMarked {
        conversation_id,
        user_id,
        message_id,
        sequence: Sequence(sequence),
        direction: Direction::Read,
        read_at: NOON,
    };
    world.record::<Inbox>(inbox_id(conversation_id, user_id), vec![event]).await;
}

fn edited(text: &str, minutes: i64) -> MessageEvent {
    MessageEvent::Edited { content: Personal::plain(text), edited_at: NOON.plus_millis(minutes * 60_000) }
}

#[tokio::test]
async fn every_message_is_on_one_page_whichever_way_one_walks() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    let id = group(&world, "Long", &[alice]).await;
    let mut sent = Vec::new();
    for n in 0..25 {
        sent.push(say(&world, id, alice, &format!("n {n}")).await);
    }
    world.project(7).await;
    let newest_first: Vec<_> = sent.iter().rev().copied().collect();
    let ids = async |cursor, limit| {
        let page = page(&world.views, alice, id, cursor, limit).await.unwrap();
        (page.messages.iter().map(|m| m.id).collect::<Vec<_>>(), page.has_more)
    };
    let (mut seen, mut more) = ids(Cursor::Offset(0), 7).await;
    while more {
        let (next, has_more) = ids(Cursor::Before(*seen.last().unwrap()), 7).await;
        seen.extend(next);
        more = has_more;
    }
    assert_eq!(seen, newest_first);
    let mut forward = vec![sent[0]];
    loop {
        let (next, has_more) = ids(Cursor::After(*forward.last().unwrap()), 7).await;
        forward.extend(next.into_iter().rev());
        if !has_more {
            break;
        }
    }
    assert_eq!(forward, sent);
    assert_eq!(ids(Cursor::Around(sent[12]), 5).await.0, [14, 13, 12, 11, 10].map(|n| sent[n]));
    assert_eq!(ids(Cursor::Around(sent[24]), 5).await.0, [24, 23, 22, 21, 20].map(|n| sent[n]));
    assert_eq!(ids(Cursor::Offset(20), 10).await, (sent[..5].iter().rev().copied().collect(), false));
}

#[tokio::test]
async fn a_cursor_of_another_conversation_is_no_cursor() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    let (here, there) = (group(&world, "Here", &[alice]).await, group(&world, "There", &[alice]).await);
    let other = say(&world, there, alice, "x").await;
    world.project(10).await;
    for cursor in [Cursor::Before(other), Cursor::After(world.id()), Cursor::Around(other)] {
        let refused = page(&world.views, alice, here, cursor, 10).await;
        assert!(matches!(refused, Err(PageError::UnknownCursor)));
    }
    let absent = page(&world.views, alice, world.id(), Cursor::Offset(0), 10).await;
    assert!(matches!(absent, Err(PageError::NotFound)));
}

#[tokio::test]
async fn a_history_holds_the_earlier_wordings_until_the_message_is_deleted() {
    let world = World::new().await;
    let (alice, bob) = (world.register("alice").await, world.register("bob").await);
    let id = group(&world, "Plans", &[alice, bob]).await;
    let said = say(&world, id, alice, "first").await;
    world.record::<Message>(said, vec![edited("second", 1), edited("third", 2)]).await;
    world.project(2).await;
    let shown = get(&world.views, bob, said).await.unwrap().unwrap();
    assert_eq!((shown.content.as_deref(), shown.is_edited), (Some("third"), true));
    let versions = history(&world.views, bob, said).await.unwrap().unwrap();
    let versions: Vec<_> = versions.iter().map(|v| (v.content.as_str(), v.edited_at)).collect();
    assert_eq!(versions, [("first", NOON), ("second", NOON.plus_millis(60_000))]);
    let deleted = MessageEvent::Deleted { deleted_by: alice, deleted_at: NOON.plus_millis(180_000) };
    world.record::<Message>(said, vec![deleted]).await;
    world.project(2).await;
    assert!(history(&world.views, bob, said).await.unwrap().unwrap().is_empty());
    let tombstone = get(&world.views, bob, said).await.unwrap().unwrap();
    assert!(tombstone.content.is_none() && tombstone.deleted_at.is_some());
}

#[tokio::test]
async fn a_quoted_message_that_was_deleted_shows_no_text() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    let id = group(&world, "Plans", &[alice]).await;
    let root = say(&world, id, alice, "secret").await;
    let reply = answer(&world, id, alice, "indeed", Some(root)).await;
    world.project(10).await;
    let quoted = get(&world.views, alice, reply).await.unwrap().unwrap().reply_to.unwrap();
    assert_eq!((quoted.content.as_deref(), quoted.sender.unwrap().id), (Some("secret"), alice));
    world.record::<Message>(root, vec![MessageEvent::Deleted { deleted_by: alice, deleted_at: NOON }]).await;
    world.project(10).await;
    let quoted = get(&world.views, alice, reply).await.unwrap().unwrap().reply_to.unwrap();
    assert!(quoted.content.is_none() && quoted.deleted_at.is_some());
}

#[tokio::test]
async fn a_thread_is_paged_from_its_beginning() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    let id = group(&world, "Plans", &[alice]).await;
    let root = say(&world, id, alice, "root").await;
    let other = say(&world, id, alice, "other").await;
    let mut answers = Vec::new();
    for n in 0..5 {
        answers.push(answer(&world, id, alice, &format!("r {n}"), Some(root)).await);
    }
    world.project(3).await;
    let first = thread(&world.views, alice, root, 3, None).await.unwrap();
    assert_eq!(first.messages.iter().map(|m| m.id).collect::<Vec<_>>(), [answers[2], answers[1], answers[0]]);
    assert!(first.has_more);
    let rest = thread(&world.views, alice, root, 3, Some(answers[2])).await.unwrap();
    assert_eq!(rest.messages.iter().map(|m| m.id).collect::<Vec<_>>(), [answers[4], answers[3]]);
    assert!(!rest.has_more);
    assert_eq!(get(&world.views, alice, root).await.unwrap().unwrap().thread_count, 5);
    let strange = thread(&world.views, alice, root, 3, Some(other)).await;
    assert!(matches!(strange, Err(PageError::UnknownCursor)));
    let hidden = thread(&world.views, world.id(), root, 3, None).await;
    assert!(matches!(hidden, Err(PageError::NotFound)));
}

#[tokio::test]
async fn readers_are_those_who_marked_it_read_and_could_see_it() {
    let world = World::new().await;
    let (alice, bob, carol) =
        (world.register("alice").await, world.register("bob").await, world.register("carol").await);
    let id = group(&world, "Plans", &[alice, bob]).await;
    let (first, second) = (say(&world, id, alice, "1").await, say(&world, id, alice, "2").await);
    join(&world, id, carol, alice).await;
    let third = say(&world, id, alice, "3").await;
    read(&world, id, bob, second, 2).await;
    read(&world, id, carol, third, 3).await;
    world.project(1).await;
    let readers = async |message| {
        let listed = reads(&world.views, alice, message, 50, 0).await.unwrap().unwrap().items;
        let mut users: Vec<_> = listed.iter().map(|read| read.user_id).collect();
        users.sort();
        let count = get(&world.views, alice, message).await.unwrap().unwrap().read_by;
        assert_eq!(usize::try_from(count).unwrap(), users.len(), "the count and the list agree");
        users
    };
    assert_eq!(readers(first).await, [bob]);
    assert_eq!(readers(second).await, [bob]);
    assert_eq!(readers(third).await, [carol]);
    let shared = ConversationChanges { history: Some(History::Shared), ..ConversationChanges::default() };
    world.record::<Conversation>(id, vec![ConversationEvent::Updated(shared)]).await;
    world.project(1).await;
    assert_eq!(readers(first).await.len(), 2);
}

#[tokio::test]
async fn of_a_message_that_the_log_has_sent_twice_the_first_stays_and_all_goes_on() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    let id = group(&world, "Twice", &[alice]).await;
    let message = say(&world, id, alice, "once").await;
    let sent = world.store.read_stream(Message::TYPE, &message.to_string(), Sequence(0)).await.unwrap();
    world.record::<Message>(message, vec![sent[0].decode().unwrap()]).await;
    let later = say(&world, id, alice, "later").await;
    world.project(2).await;
    let page = page(&world.views, alice, id, Cursor::Offset(0), 10).await.unwrap();
    assert_eq!(page.messages.iter().map(|message| message.id).collect::<Vec<_>>(), [later, message]);
    assert_eq!(page.messages[1].sequence, Sequence(1));
}
