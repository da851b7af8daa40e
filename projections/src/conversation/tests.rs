//! What people see of conversations, asked as the routes ask it.

use super::{Filter, get, list, participants};
use crate::{
    message::{self, Cursor, PageError},
    testing::{NOON, World},
};
use domain::{
    ConversationId, MessageId, UserId, WorkspaceId,
    conversation::{Conversation, ConversationChanges, ConversationEvent, ConversationType, Founder, History, Role},
    message::{Message, MessageEvent, MessageType},
    workspace::{Workspace, WorkspaceEvent, WorkspaceRole},
};

/// Alice's, with others in it.
pub(crate) fn created(r#type: ConversationType, name: &str, people: &[UserId]) -> ConversationEvent {
    let role = |n| if n == 0 { Role::Owner } else { Role::Member };
    let participants = people.iter().enumerate().map(|(n, user_id)| Founder { user_id: *user_id, role: role(n) });
    ConversationEvent::Created {
        r#type,
        history: if r#type == ConversationType::Group { History::Joined } else { History::Shared },
        name: Some(name.to_owned()).filter(|name| !name.is_empty()),
        description: None,
        avatar_url: None,
        is_private: false,
        max_members: if r#type == ConversationType::Channel { u32::MAX } else { 100 },
        workspace_id: None,
        created_by: people[0],
        participants: participants.collect(),
        created_at: NOON,
    }
}

pub(crate) async fn group(world: &World, name: &str, people: &[UserId]) -> ConversationId {
    let id: ConversationId = world.id();
    world.record::<Conversation>(id, vec![created(ConversationType::Group, name, people)]).await;
    id
}

pub(crate) async fn channel(world: &World, workspace: WorkspaceId, owner: UserId, private: bool) -> ConversationId {
    let id: ConversationId = world.id();
    let mut event = created(ConversationType::Channel, "general", &[owner]);
    if let ConversationEvent::Created { workspace_id, is_private, .. } = &mut event {
        (*workspace_id, *is_private) = (Some(workspace), private);
    }
    world.record::<Conversation>(id, vec![event]).await;
    id
}

pub(crate) async fn join(world: &World, id: ConversationId, user_id: UserId, added_by: UserId) {
    let event = ConversationEvent::ParticipantAdded { user_id, role: Role::Member, added_by, joined_at: NOON };
    world.record::<Conversation>(id, vec![event]).await;
}

pub(crate) async fn say(world: &World, conversation_id: ConversationId, sender_id: UserId, text: &str) -> MessageId {
    answer(world, conversation_id, sender_id, text, None).await
}

pub(crate) async fn answer(
    world: &World,
    conversation_id: ConversationId,
    sender_id: UserId,
    text: &str,
    to: Option<MessageId>,
) -> MessageId {
    let id: MessageId = world.id();
    let sent = MessageEvent::Sent {
        conversation_id,
        sender_id,
        content: domain::Personal::plain(text),
        r#type: MessageType::Text,
        reply_to_id: to,
        thread_root_id: to,
        mentions: vec![],
        broadcast: None,
        client_message_id: None,
        created_at: NOON,
    };
    world.record::<Message>(id, vec![sent]).await;
    id
}

#[tokio::test]
async fn a_list_holds_the_own_conversations_the_newest_message_first() {
    let world = World::new().await;
    let (alice, bob) = (world.register("alice").await, world.register("bob").await);
    let plans = group(&world, "Plans 2030", &[alice, bob]).await;
    let lunch = group(&world, "Lunch", &[alice]).await;
    let last = say(&world, plans, bob, "news").await;
    world.project(1).await;
    let listed = list(&world.views, alice, &Filter::default(), 50, 0).await.unwrap();
    let ids: Vec<_> = listed.items.iter().map(|c| c.id).collect();
    assert_eq!(ids.len(), 2);
    assert!(ids.contains(&plans) && ids.contains(&lunch));
    let found = listed.items.iter().find(|c| c.id == plans).unwrap();
    let shown = found.last_message.as_ref().unwrap();
    assert_eq!((shown.id, shown.content.as_deref()), (last, Some("news")));
    assert_eq!(shown.sender.as_ref().unwrap().username, "bob");
    assert_eq!((found.unread_count, found.participant_count, found.role), (1, 2, Some(Role::Owner)));

    let narrowed = Filter { search: Some("pLAN".to_owned()), ..Filter::default() };
    assert_eq!(list(&world.views, alice, &narrowed, 50, 0).await.unwrap().items.len(), 1);
    let direct = Filter { r#type: Some(ConversationType::Direct), ..Filter::default() };
    assert!(list(&world.views, alice, &direct, 50, 0).await.unwrap().items.is_empty());
    let page = list(&world.views, alice, &Filter::default(), 1, 0).await.unwrap();
    assert!(page.has_more && page.items.len() == 1);
}

#[tokio::test]
async fn a_direct_conversation_is_found_by_the_name_of_the_other() {
    let world = World::new().await;
    let alice = world.register_as("alice", "Alice", "Liddell").await;
    let bob = world.register_as("bob", "Robert", "Ross").await;
    let id = ConversationId::direct(alice, bob);
    world.record::<Conversation>(id, vec![created(ConversationType::Direct, "", &[alice, bob])]).await;
    world.project(10).await;
    for (search, found) in [("bert ro", 1), ("BOB", 1), ("alice", 0)] {
        let filter = Filter { search: Some(search.to_owned()), ..Filter::default() };
        assert_eq!(list(&world.views, alice, &filter, 50, 0).await.unwrap().items.len(), found, "{search}");
    }
}

#[tokio::test]
async fn what_was_said_before_one_joined_a_group_is_nowhere() {
    let world = World::new().await;
    let (alice, bob) = (world.register("alice").await, world.register("bob").await);
    let id = group(&world, "Plans", &[alice]).await;
    let secret = say(&world, id, alice, "before").await;
    join(&world, id, bob, alice).await;
    world.project(2).await;
    let seen = get(&world.views, bob, id).await.unwrap().unwrap();
    assert!(seen.last_message.is_none() && seen.last_message_at.is_none());
    assert!(message::get(&world.views, bob, secret).await.unwrap().is_none());
    assert!(message::history(&world.views, bob, secret).await.unwrap().is_none());
    assert!(message::reads(&world.views, bob, secret, 50, 0).await.unwrap().is_none());
    let before = message::page(&world.views, bob, id, Cursor::Before(secret), 10).await;
    assert!(matches!(before, Err(PageError::UnknownCursor)));

    let quoting = answer(&world, id, alice, "after", Some(secret)).await;
    world.project(2).await;
    let page = message::page(&world.views, bob, id, Cursor::Offset(0), 10).await.unwrap();
    assert_eq!(page.messages.iter().map(|m| m.id).collect::<Vec<_>>(), [quoting]);
    assert_eq!(page.messages[0].reply_to_id, Some(secret));
    assert!(page.messages[0].reply_to.is_none());
    assert!(message::get(&world.views, alice, quoting).await.unwrap().unwrap().reply_to.is_some());

    let shared = ConversationChanges { history: Some(History::Shared), ..ConversationChanges::default() };
    world.record::<Conversation>(id, vec![ConversationEvent::Updated(shared)]).await;
    world.project(2).await;
    assert!(message::get(&world.views, bob, secret).await.unwrap().is_some());
}

#[tokio::test]
async fn a_public_channel_is_read_by_members_of_its_workspace_and_by_nobody_else() {
    let world = World::new().await;
    let people = ["alice", "bob", "carol", "dave"];
    let [alice, bob, carol, dave] = [
        world.register(people[0]).await,
        world.register(people[1]).await,
        world.register(people[2]).await,
        world.register(people[3]).await,
    ];
    let workspace = world.workspace(alice, "Acme").await;
    world.enrol(workspace, bob).await;
    world.enrol(workspace, carol).await;
    let guest = WorkspaceEvent::MemberRoleChanged { user_id: carol, role: WorkspaceRole::Guest };
    world.record::<Workspace>(workspace, vec![guest]).await;
    let open = channel(&world, workspace, alice, false).await;
    let closed = channel(&world, workspace, alice, true).await;
    say(&world, open, alice, "hello").await;
    world.project(50).await;
    let seen = get(&world.views, bob, open).await.unwrap().unwrap();
    assert_eq!((seen.role, seen.unread_count, seen.max_members), (None, 0, None));
    assert_eq!(message::page(&world.views, bob, open, Cursor::Offset(0), 10).await.unwrap().messages.len(), 1);
    assert_eq!(participants(&world.views, bob, open, 50, 0).await.unwrap().unwrap().items.len(), 1);
    for (stranger, id) in [(carol, open), (dave, open), (bob, closed), (carol, closed), (dave, closed)] {
        assert!(get(&world.views, stranger, id).await.unwrap().is_none());
        assert!(participants(&world.views, stranger, id, 50, 0).await.unwrap().is_none());
        let page = message::page(&world.views, stranger, id, Cursor::Offset(0), 10).await;
        assert!(matches!(page, Err(PageError::NotFound)));
    }
    let listed = list(&world.views, bob, &Filter::default(), 50, 0).await.unwrap();
    assert!(listed.items.is_empty(), "who only looks in has it in no list");
    world.record::<Conversation>(open, vec![ConversationEvent::Deleted { deleted_by: alice }]).await;
    world.project(50).await;
    assert!(get(&world.views, bob, open).await.unwrap().is_none());
}

#[tokio::test]
async fn a_conversation_shows_its_first_twenty_participants() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    let others: Vec<UserId> = (0..23).map(|_| world.id()).collect();
    let everyone: Vec<UserId> = [alice].into_iter().chain(others).collect();
    let id = group(&world, "Many", &everyone).await;
    world.project(50).await;
    let group = get(&world.views, alice, id).await.unwrap().unwrap();
    assert_eq!(group.participant_count, 24);
    let shown: Vec<UserId> = group.participants.iter().map(|p| p.user_id).collect();
    assert_eq!(shown, everyone[..20]);
    let rest = participants(&world.views, alice, id, 20, 20).await.unwrap().unwrap();
    assert_eq!(rest.items.iter().map(|p| p.user_id).collect::<Vec<_>>(), everyone[20..]);
    assert_eq!((rest.has_more, rest.total), (false, Some(24)));
}
