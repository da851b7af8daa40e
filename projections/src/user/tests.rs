use super::*;
use crate::testing::{NOON, World};
use domain::{
    Personal, SessionId,
    user::{SystemRole, User, UserEvent},
};

async fn found(world: &World, text: &str) -> Vec<UserId> {
    let found = search(&world.views, text, 50, 0).await.expect("found");
    found.items.into_iter().map(|user| user.id).collect()
}

#[tokio::test]
async fn others_see_a_person_without_the_address_and_they_themselves_with_it() {
    let world = World::new().await;
    let alice = world.register_as("alice", "Alice", "Liddell").await;
    world.project(1).await;

    let shown = get(&world.views, alice).await.expect("read").expect("registered");
    assert_eq!(
        (shown.username.as_str(), shown.first_name.as_str(), shown.last_name.as_str()),
        ("alice", "Alice", "Liddell")
    );
    assert_eq!((shown.status, shown.last_seen, shown.created_at), (Status::Offline, None, NOON));
    assert!(!serde_json::to_string(&shown).expect("json").contains("email"));
    let own = own(&world.views, alice).await.expect("read").expect("registered");
    assert_eq!(own.email.as_deref(), Some("alice@example.org"));
    assert_eq!(UserView { email: None, ..own }, shown);
    assert_eq!(get(&world.views, world.id()).await.expect("read"), None);
}

#[tokio::test]
async fn changes_of_a_profile_are_shown_and_empty_texts_clear() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    let change = async |event| {
        let _ = world.record::<User>(alice, vec![event]).await;
        world.project(1).await;
        get(&world.views, alice).await.expect("read").expect("registered")
    };
    let updated = UserEvent::ProfileUpdated {
        first_name: Some(Personal::plain("Grace")),
        last_name: None,
        avatar_url: Some("https://example.org/a.png".to_owned()),
    };
    let shown = change(updated).await;
    assert_eq!((shown.first_name.as_str(), shown.last_name.as_str()), ("Grace", "Example"));
    assert_eq!(shown.avatar_url.as_deref(), Some("https://example.org/a.png"));
    assert_eq!(found(&world, "grace ex").await, [alice], "people are found by their new names");
    assert_eq!(found(&world, "alice ex").await, []);

    let busy = UserEvent::StatusChanged { status: Status::Busy, status_text: Some(Personal::plain("at sea")) };
    let shown = change(busy).await;
    assert_eq!((shown.status, shown.status_text.as_deref()), (Status::Busy, Some("at sea")));
    assert!(shown.last_seen.is_some());
    let cleared = UserEvent::StatusChanged { status: Status::Away, status_text: Some(Personal::plain("")) };
    let shown = change(cleared).await;
    assert_eq!((shown.status, shown.status_text), (Status::Away, None));
    let bare = UserEvent::ProfileUpdated { first_name: None, last_name: None, avatar_url: Some(String::new()) };
    assert_eq!(change(bare).await.avatar_url, None);
}

#[tokio::test]
async fn roles_and_sign_ins_follow_the_log() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    let events = vec![
        UserEvent::RoleGranted { role: SystemRole::Auditor },
        UserEvent::RoleGranted { role: SystemRole::Admin },
        UserEvent::RoleRevoked { role: SystemRole::Auditor },
        UserEvent::LoggedIn { session_id: world.id::<SessionId>(), device: None, address: None },
        UserEvent::LoginFailed { email_hash: None, address: None },
    ];
    world.record::<User>(alice, events).await;
    // On a stream that is nobody's.
    world
        .record::<User>("5f2a", vec![UserEvent::LoginFailed { email_hash: Some("5f2a".to_owned()), address: None }])
        .await;
    world.project(2).await;
    let roles: Vec<String> =
        sqlx::query_scalar("SELECT roles FROM user_view").fetch_one(world.views.pool()).await.expect("one person");
    assert_eq!(roles, ["admin"]);
    assert!(get(&world.views, alice).await.expect("read").expect("registered").last_seen.is_some());
}

#[tokio::test]
async fn people_are_found_by_the_beginnings_of_their_names_without_case() {
    let world = World::new().await;
    let ada = world.register_as("countess", "Ada", "Lovelace").await;
    let adam = world.register_as("adam.smith", "Adam", "Smith").await;
    let hoepper = world.register_as("grace", "Grace", "Höpper 🚀").await;
    let lova = world.register_as("ada", "Lova", "Drake").await;
    world.project(10).await;

    assert_eq!(found(&world, "ADA").await, [lova, ada, adam], "who is called just so first, then by name");
    assert_eq!(found(&world, "lov").await, [ada, lova], "by first and last names");
    assert_eq!(found(&world, "Ada  Lov").await, [ada], "by whole names");
    assert_eq!(found(&world, "HÖP").await, [hoepper]);
    assert_eq!(found(&world, "adam.s").await, [adam], "by usernames");
    assert_eq!(found(&world, "velace").await, [], "not by ends");
    assert_eq!(found(&world, "zoe").await, []);
    for wild in ["%", "_", "a%", "a_a", "\\", "'", " "] {
        assert_eq!(found(&world, wild).await, [], "{wild:?} is no pattern");
    }
}

#[tokio::test]
async fn people_are_found_by_their_whole_address_only() {
    let world = World::new().await;
    let alice = world.register_as("liddell", "A", "L").await;
    world.project(10).await;
    assert_eq!(found(&world, " Liddell@Example.org").await, [alice]);
    assert_eq!(found(&world, "liddell@example").await, []);
    assert_eq!(found(&world, "example.org").await, []);
}

#[tokio::test]
async fn what_is_found_comes_in_pages() {
    let world = World::new().await;
    for number in 0..5 {
        world.register(&format!("user{number}")).await;
    }
    world.project(10).await;
    let mut seen = Vec::new();
    for (offset, has_more) in [(0, true), (2, true), (4, false)] {
        let page = search(&world.views, "user", 2, offset).await.expect("found");
        assert_eq!(page.has_more, has_more);
        seen.extend(page.items.into_iter().map(|user| user.username));
    }
    assert_eq!(seen, ["user0", "user1", "user2", "user3", "user4"]);
}

#[tokio::test]
async fn many_people_are_read_at_once() {
    let world = World::new().await;
    let (alice, bob, nobody) = (world.register("alice").await, world.register("bob").await, world.id());
    world.project(10).await;
    let people = many(&world.views, &[alice, bob, nobody]).await.expect("read");
    assert_eq!(people.len(), 2);
    assert_eq!(people[&bob].username, "bob");
}

#[tokio::test]
async fn texts_that_are_kept_sealed_are_not_in_the_table() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    let told = UserEvent::StatusChanged { status: Status::Busy, status_text: Some(Personal::plain("a secret")) };
    world.record::<User>(alice, vec![told]).await;
    world.project(10).await;
    let row: String = sqlx::query_scalar("SELECT to_jsonb(u)::text FROM user_view u")
        .fetch_one(world.views.pool())
        .await
        .expect("one person");
    assert!(!row.contains("secret") && !row.contains("example.org"), "{row}");
}
