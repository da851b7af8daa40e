use super::*;
use crate::testing::{NOON, World};
use domain::workspace::{Workspace, WorkspaceEvent};

fn link(code_hash: &str, by: UserId) -> WorkspaceEvent {
    WorkspaceEvent::InviteLinkCreated {
        code_hash: code_hash.to_owned(),
        role: WorkspaceRole::Guest,
        expires_at: Some(NOON),
        max_uses: Some(3),
        created_by: by,
    }
}

fn joined(user: UserId, by: UserId, code_hash: &str) -> WorkspaceEvent {
    WorkspaceEvent::MemberJoined {
        user_id: user,
        role: WorkspaceRole::Guest,
        invited_by: Some(by),
        code_hash: Some(code_hash.to_owned()),
        joined_at: NOON.plus_millis(1),
    }
}

#[tokio::test]
async fn a_workspace_is_shown_to_its_members_and_to_nobody_else() {
    let world = World::new().await;
    let (alice, bob) = (world.register("alice").await, world.register("bob").await);
    let crew = world.workspace(alice, "Crew").await;
    world.project(10).await;

    let shown = get(&world.views, alice, crew).await.expect("read").expect("a member asks");
    let expected = WorkspaceView {
        id: crew,
        name: "Crew".to_owned(),
        description: None,
        avatar_url: None,
        owner_id: alice,
        role: WorkspaceRole::Owner,
        member_count: 1,
        created_at: NOON,
    };
    assert_eq!(shown, expected);
    assert_eq!(get(&world.views, bob, crew).await.expect("read"), None);
    assert!(members(&world.views, bob, crew, 10, 0).await.expect("read").is_none());
    assert_eq!(role_of(&world.views, crew, bob).await.expect("read"), None);
    assert!(list_of(&world.views, bob, 10, 0).await.expect("read").items.is_empty());
}

#[tokio::test]
async fn members_are_listed_as_they_came_in_with_who_invited_them() {
    let world = World::new().await;
    let (alice, bob, carol) =
        (world.register("alice").await, world.register("bob").await, world.register("carol").await);
    let crew = world.workspace(alice, "Crew").await;
    let promoted = WorkspaceEvent::MemberRoleChanged { user_id: carol, role: WorkspaceRole::Admin };
    let events = vec![link("h", alice), joined(carol, alice, "h"), joined(bob, alice, "h"), promoted];
    world.record::<Workspace>(crew, events).await;
    world.project(2).await;

    let page = members(&world.views, bob, crew, 2, 0).await.expect("read").expect("a member asks");
    assert_eq!((page.total, page.has_more), (Some(3), true));
    let shown: Vec<_> =
        page.items.iter().map(|m| (m.user.username.as_str(), m.role, m.invited_by, m.joined_at)).collect();
    assert_eq!(shown[0], ("alice", WorkspaceRole::Owner, None, NOON));
    assert_eq!(shown[1], ("carol", WorkspaceRole::Admin, Some(alice), NOON.plus_millis(1)));
    let rest = members(&world.views, bob, crew, 2, 2).await.expect("read").expect("a member asks");
    assert_eq!((rest.items[0].user_id, rest.items[0].role, rest.has_more), (bob, WorkspaceRole::Guest, false));
    assert_eq!(role_of(&world.views, crew, carol).await.expect("read"), Some(WorkspaceRole::Admin));
}

#[tokio::test]
async fn who_joins_again_is_counted_once() {
    let world = World::new().await;
    let (alice, bob) = (world.register("alice").await, world.register("bob").await);
    let crew = world.workspace(alice, "Crew").await;
    for _ in 0..2 {
        world.enrol(crew, bob).await;
        world.project(10).await;
    }
    let shown = get(&world.views, bob, crew).await.expect("read").expect("a member asks");
    assert_eq!(shown.member_count, 2);
}

#[tokio::test]
async fn a_link_counts_its_uses_until_it_is_revoked() {
    let world = World::new().await;
    let (alice, bob) = (world.register("alice").await, world.register("bob").await);
    let crew = world.workspace(alice, "Crew").await;
    world
        .record::<Workspace>(crew, vec![link("first", alice), link("second", alice), joined(bob, alice, "first")])
        .await;
    world.project(10).await;

    let links = invite_links(&world.views, crew, 10, 0).await.expect("read").items;
    let uses: Vec<_> = links.iter().map(|link| (link.code_hash.as_str(), link.uses)).collect();
    assert_eq!(uses, [("second", 0), ("first", 1)], "the newest first");
    assert_eq!((links[1].max_uses, links[1].expires_at, links[1].role), (Some(3), Some(NOON), WorkspaceRole::Guest));
    assert!(!serde_json::to_string(&links).expect("json").contains("first"), "a hash is nobody's business");

    world.record::<Workspace>(crew, vec![WorkspaceEvent::InviteLinkRevoked { code_hash: "first".to_owned() }]).await;
    world.project(10).await;
    let links = invite_links(&world.views, crew, 10, 0).await.expect("read").items;
    assert_eq!(links.iter().map(|link| link.code_hash.as_str()).collect::<Vec<_>>(), ["second"]);
}

#[tokio::test]
async fn a_deleted_workspace_is_gone_for_all() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    let (crew, club) = (world.workspace(alice, "Crew").await, world.workspace(alice, "Club").await);
    world.record::<Workspace>(crew, vec![link("h", alice), WorkspaceEvent::Deleted { deleted_by: alice }]).await;
    world.project(10).await;

    assert_eq!(get(&world.views, alice, crew).await.expect("read"), None);
    assert_eq!(role_of(&world.views, crew, alice).await.expect("read"), None);
    assert!(members(&world.views, alice, crew, 10, 0).await.expect("read").is_none());
    assert!(invite_links(&world.views, crew, 10, 0).await.expect("read").items.is_empty());
    let left = list_of(&world.views, alice, 10, 0).await.expect("read").items;
    assert_eq!(left.iter().map(|workspace| workspace.id).collect::<Vec<_>>(), [club]);
}
