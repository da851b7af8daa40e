//! Snapshots and what is told of changes, asked as the route asks.

use super::{ChangesError, EVENTS_MAX, changes, snapshot};
use crate::{
    conversation::tests::{channel, group, join, say},
    testing::{NOON, World},
};
use domain::{
    ConversationId, Position, UserId,
    conversation::{Conversation, ConversationEvent},
    inbox::{Inbox, InboxEvent, inbox_id},
    message::{Message, MessageEvent},
    workspace::{Workspace, WorkspaceEvent},
};

async fn leave(world: &World, id: ConversationId, user_id: UserId) {
    let left = ConversationEvent::ParticipantRemoved { user_id, removed_by: user_id };
    world.record::<Conversation>(id, vec![left]).await;
}

async fn changed(world: &World, user: UserId, since: Position) -> Vec<ConversationId> {
    let found = changes(&world.views, user, since).await.unwrap().unwrap();
    found.conversations.iter().map(|conversation| conversation.id).collect()
}

#[tokio::test]
async fn a_snapshot_holds_what_a_person_is_in_and_where_it_stands() {
    let world = World::new().await;
    let (alice, bob) = (world.register("alice").await, world.register("bob").await);
    let workspace = world.workspace(alice, "Acme").await;
    let general = channel(&world, workspace, alice, false).await;
    let plans = group(&world, "Plans", &[bob, alice]).await;
    group(&world, "Others", &[bob]).await;
    say(&world, plans, bob, "news").await;
    world.project(3).await;
    let all = snapshot(&world.views, alice).await.unwrap().unwrap();
    assert_eq!(all.position, world.views.position().await.unwrap());
    assert_eq!((all.me.id, all.me.email.is_some()), (alice, true));
    assert_eq!(all.workspaces.iter().map(|w| w.id).collect::<Vec<_>>(), [workspace]);
    let mut ids: Vec<_> = all.conversations.iter().map(|c| (c.id, c.unread_count)).collect();
    ids.sort();
    let mut expected = vec![(general, 0), (plans, 1)];
    expected.sort();
    assert_eq!(ids, expected);
    let json = serde_json::to_value(&all).unwrap();
    for field in ["logId", "position", "me", "presence", "activeCalls"] {
        assert!(json.get(field).is_some(), "{field}");
    }
    assert_eq!(json["notifications"]["unreadCount"], 0);
    assert!(json.get("removed").is_none());
    assert!(snapshot(&world.views, world.id()).await.unwrap().is_none(), "nobody has this id");
}

#[tokio::test]
async fn only_what_changed_is_told() {
    let world = World::new().await;
    let (alice, bob) = (world.register("alice").await, world.register("bob").await);
    let (still, moving) = (group(&world, "Still", &[alice, bob]).await, group(&world, "Moving", &[alice, bob]).await);
    let first = say(&world, moving, alice, "first").await;
    world.project(10).await;
    let since = world.views.position().await.unwrap();
    assert!(changed(&world, bob, since).await.is_empty());

    say(&world, moving, alice, "news").await;
    world.project(10).await;
    assert_eq!(changed(&world, bob, since).await, [moving]);

    let since = world.views.position().await.unwrap();
    world.record::<Message>(first, vec![MessageEvent::Deleted { deleted_by: alice, deleted_at: NOON }]).await;
    world.project(10).await;
    assert_eq!(changed(&world, bob, since).await, [moving]);

    let since = world.views.position().await.unwrap();
    let muted =
        InboxEvent::PreferenceChanged { conversation_id: still, user_id: bob, is_muted: Some(true), is_pinned: None };
    world.record::<Inbox>(inbox_id(still, bob), vec![muted]).await;
    world.project(10).await;
    assert_eq!(changed(&world, bob, since).await, [still]);
    assert!(changed(&world, alice, since).await.is_empty(), "another's side is no change");
}

#[tokio::test]
async fn what_one_left_and_what_was_deleted_is_told_as_removed() {
    let world = World::new().await;
    let (alice, bob) = (world.register("alice").await, world.register("bob").await);
    let workspace = world.workspace(alice, "Acme").await;
    world.enrol(workspace, bob).await;
    let [left, gone, kept] = [
        group(&world, "Left", &[alice, bob]).await,
        group(&world, "Gone", &[alice, bob]).await,
        group(&world, "Kept", &[alice, bob]).await,
    ];
    world.project(50).await;
    let since = world.views.position().await.unwrap();
    leave(&world, left, bob).await;
    leave(&world, kept, bob).await;
    join(&world, kept, bob, alice).await;
    world.record::<Conversation>(gone, vec![ConversationEvent::Deleted { deleted_by: alice }]).await;
    world.record::<Workspace>(workspace, vec![WorkspaceEvent::Deleted { deleted_by: alice }]).await;
    world.project(50).await;
    let told = changes(&world.views, bob, since).await.unwrap().unwrap();
    let removed = told.removed.unwrap();
    assert_eq!(removed.conversations, [left, gone]);
    assert_eq!(removed.workspaces, [workspace]);
    assert!(told.workspaces.is_empty());
    assert_eq!(told.conversations.iter().map(|c| c.id).collect::<Vec<_>>(), [kept]);

    let now = world.views.position().await.unwrap();
    let later = changes(&world.views, bob, now).await.unwrap().unwrap().removed.unwrap();
    assert!(later.conversations.is_empty() && later.workspaces.is_empty());
}

#[tokio::test]
async fn a_position_past_the_head_or_too_long_ago_is_too_old() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    group(&world, "Plans", &[alice]).await;
    world.project(50).await;
    for since in [-1, i64::MAX] {
        let refused = changes(&world.views, alice, Position(since)).await;
        assert!(matches!(refused, Err(ChangesError::TooOld)), "{since}");
    }
    // As if so much had happened, first to others and then to Alice.
    let mut connection = world.views.pool().acquire().await.unwrap();
    sqlx::query("UPDATE checkpoint SET position = 100000").execute(&mut *connection).await.unwrap();
    assert!(changes(&world.views, alice, Position(1)).await.is_ok());
    let seen = "INSERT INTO activity_view SELECT $1, generate_series(10, 9 + $2::bigint)";
    sqlx::query(seen).bind(alice.0).bind(EVENTS_MAX + 1).execute(&mut *connection).await.unwrap();
    assert!(matches!(changes(&world.views, alice, Position(1)).await, Err(ChangesError::TooOld)));
    assert!(changes(&world.views, alice, Position(10)).await.is_ok(), "just inside the bound");
}
