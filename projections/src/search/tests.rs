//! Who may search what, and see what was found.

use super::{messages, people, people_named, readable};
use crate::{
    conversation::tests::{channel, group, join, say},
    testing::{NOON, World},
};
use domain::{
    ConversationId, UserId,
    conversation::{Conversation, ConversationEvent},
    message::{Message, MessageEvent},
};

async fn reach(world: &World, user: UserId) -> Vec<(ConversationId, i64)> {
    let mut found: Vec<_> =
        readable(&world.views, user).await.unwrap().into_iter().map(|one| (one.id, one.floor)).collect();
    found.sort_unstable();
    found
}

#[tokio::test]
async fn one_can_search_where_one_takes_part_from_when_one_came_and_public_channels_of_ones_workspaces() {
    let world = World::new().await;
    let (alice, bob, carol) =
        (world.register("alice").await, world.register("bob").await, world.register("carol").await);
    let workspace = world.workspace(alice, "Acme").await;
    world.enrol(workspace, bob).await;
    let (open, closed) =
        (channel(&world, workspace, alice, false).await, channel(&world, workspace, alice, true).await);
    let plans = group(&world, "Plans", &[alice]).await;
    for id in [open, closed, plans] {
        say(&world, id, alice, "before").await;
    }
    join(&world, plans, bob, alice).await;
    say(&world, plans, alice, "after").await;
    world.project(100).await;
    let mut all = vec![(open, 0), (closed, 0), (plans, 0)];
    all.sort_unstable();
    assert_eq!(reach(&world, alice).await, all);
    let mut of_bob = vec![(open, 0), (plans, 1)];
    of_bob.sort_unstable();
    assert_eq!(reach(&world, bob).await, of_bob);
    assert_eq!(reach(&world, carol).await, []);

    let removed = ConversationEvent::ParticipantRemoved { user_id: bob, removed_by: alice };
    world.record::<Conversation>(plans, vec![removed]).await;
    world.record::<Conversation>(open, vec![ConversationEvent::Deleted { deleted_by: alice }]).await;
    world.project(100).await;
    assert_eq!(reach(&world, bob).await, []);
}

#[tokio::test]
async fn of_what_was_found_only_what_may_be_read_now_is_shown() {
    let world = World::new().await;
    let (alice, bob) = (world.register("alice").await, world.register("bob").await);
    let plans = group(&world, "Plans", &[alice]).await;
    let before = say(&world, plans, alice, "before").await;
    join(&world, plans, bob, alice).await;
    let (after, deleted) = (say(&world, plans, alice, "after").await, say(&world, plans, alice, "deleted").await);
    world.record::<Message>(deleted, vec![MessageEvent::Deleted { deleted_by: alice, deleted_at: NOON }]).await;
    world.project(100).await;
    let ids = [before, after, deleted];
    let shown = messages(&world.views, bob, &ids).await.unwrap();
    assert_eq!(shown.keys().collect::<Vec<_>>(), [&after]);
    assert_eq!(shown[&after].content.as_deref(), Some("after"));
    assert_eq!(messages(&world.views, alice, &ids).await.unwrap().len(), 2);
    assert!(messages(&world.views, world.id(), &ids).await.unwrap().is_empty());
}

#[tokio::test]
async fn people_are_found_and_counted_by_the_beginnings_of_their_names() {
    let world = World::new().await;
    let anna = world.register_as("anna", "Anna", "Berg").await;
    world.register_as("anne", "Anne", "Berg").await;
    world.project(100).await;
    let (found, total) = people(&world.views, "ann", 1, 0).await.unwrap();
    assert_eq!((found.len(), total), (1, 2));
    assert_eq!(people(&world.views, "ann", 10, 2).await.unwrap().1, 2);
    assert_eq!(people(&world.views, "  ", 10, 0).await.unwrap().1, 0);
    let named = people_named(&world.views, &["anna".to_owned(), "nobody".to_owned()]).await.unwrap();
    assert_eq!(named.into_iter().collect::<Vec<_>>(), [("anna".to_owned(), anna)]);
}
