use super::*;
use crate::{
    testing::{Running, World},
    user,
};
use domain::{
    UserId,
    user::{User, UserEvent},
};
use sqlx::Executor;

#[tokio::test]
async fn what_is_appended_is_applied() {
    let world = World::new().await;
    let runner = world.run();
    for name in ["alice", "bob", "carol"] {
        let id = world.register(name).await;
        world.settle().await;
        assert_eq!(user::get(&world.views, id).await.expect("read").expect("applied").username, name);
    }
    runner.stop().await;
}

#[tokio::test]
async fn other_processes_are_told_how_far_the_views_are() {
    let url = std::env::var("HANSARD_TEST_NATS_URL").expect("HANSARD_TEST_NATS_URL names a server for tests");
    let nats = async_nats::connect(url).await.expect("connects");
    let world = World::new().await;
    let (elsewhere, shutdown) =
        (Progress::open(world.views.clone()).await.expect("a position"), CancellationToken::new());
    let mut heard = elsewhere.watch();
    let listening = tokio::spawn(elsewhere.listen(nats.clone(), shutdown.clone()));
    // Of its own, so that the server has the subscription before the runner tells anything.
    nats.flush().await.expect("flushed");
    sleep(Duration::from_millis(100)).await;
    let runner = Running::start(Runner::new(world.views.clone(), world.progress.clone(), Some(nats)));
    world.register("alice").await;
    let told = tokio::time::timeout(Duration::from_secs(10), heard.wait_for(|position| *position == Position(1))).await;
    assert!(told.is_ok_and(|told| told.is_ok()), "nobody polls here");
    shutdown.cancel();
    listening.await.expect("ends by itself");
    runner.stop().await;
}

#[tokio::test]
async fn a_second_runner_stands_by_and_takes_over() {
    let world = World::new().await;
    let (first, second) = (world.run(), world.run());
    world.register("alice").await;
    world.settle().await;
    first.kill().await;
    let bob = world.register("bob").await;
    world.settle().await;
    assert!(user::get(&world.views, bob).await.expect("read").is_some());
    second.stop().await;
}

#[tokio::test]
async fn events_are_applied_once_however_often_the_runner_is_killed() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    let crew = world.workspace(alice, "Crew").await;
    for round in 0..5 {
        let runner = Running::start(world.runner().with_batches_of(1));
        for nth in 0..4 {
            let user = world.register(&format!("user{round}-{nth}")).await;
            world.enrol(crew, user).await;
        }
        runner.kill().await;
    }
    let runner = world.run();
    world.settle().await;
    runner.stop().await;
    let seen = crate::workspace::get(&world.views, alice, crew).await.expect("read").expect("a member asks");
    assert_eq!(seen.member_count, 21);
    assert!(crate::diff(&world.views, "core", |_| {}).await.expect("compares").iter().all(crate::TableDiff::is_clean));
}

#[tokio::test]
async fn a_checkpoint_that_was_moved_by_another_is_read_anew() {
    let world = World::new().await;
    let runner = world.run();
    world.register("alice").await;
    world.settle().await;
    // As after a crash of PostgreSQL that lost the last transactions: rows and checkpoint are older together.
    world.views.pool().execute("DELETE FROM user_view; UPDATE checkpoint SET position = 0").await.expect("moved");
    let bob = world.register("bob").await;
    world.settle().await;
    assert!(user::get(&world.views, bob).await.expect("read").is_some());
    assert_eq!(user::search(&world.views, "alice", 10, 0).await.expect("found").items.len(), 1);
    runner.stop().await;
}

#[tokio::test]
async fn the_runner_stops_before_an_event_that_cannot_be_applied_and_goes_on_once_it_can() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    let nobody: UserId = world.id();
    let position =
        world.record::<User>(nobody, vec![UserEvent::RoleGranted { role: domain::user::SystemRole::Auditor }]).await;
    let after = world.register("bob").await;
    let runner = world.run();

    assert!(
        world.progress.wait_for(Position(position.0 - 1), Duration::from_secs(10)).await,
        "all before it is applied"
    );
    assert!(user::get(&world.views, alice).await.expect("read").is_some());
    assert!(!world.progress.wait_for(position, Duration::from_secs(1)).await, "it is never skipped");
    assert_eq!(user::get(&world.views, after).await.expect("read"), None);

    // What was wrong is mended: here, the row that it lacked.
    let mend =
        "INSERT INTO user_view SELECT $1, 'nobody', first_name, last_name, full_name_folded, last_name_folded, email,
                email_hash, avatar_url, status, status_text, roles, last_seen, created_at FROM user_view WHERE id = $2";
    sqlx::query(mend).bind(nobody.0).bind(alice.0).execute(world.views.pool()).await.expect("mended");
    world.settle().await;
    assert!(user::get(&world.views, after).await.expect("read").is_some());
    runner.stop().await;
}

#[tokio::test]
async fn a_lost_connection_is_made_again() {
    let world = World::new().await;
    let runner = world.run();
    world.register("alice").await;
    world.settle().await;
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_locks
                 WHERE locktype = 'advisory' AND objsubid = 1 AND granted
                   AND ((classid::bigint << 32) | objid::bigint) = hashtextextended($1, 0)
                   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    sqlx::query(kill).bind(schema::LEADING).execute(world.views.pool()).await.expect("killed");
    let bob = world.register("bob").await;
    world.settle().await;
    assert!(user::get(&world.views, bob).await.expect("read").is_some());
    runner.stop().await;
}

#[test]
fn the_pause_grows_with_each_failure_and_has_an_end() {
    let pause = |failures| Trouble { failures, ..Trouble::default() }.pause();
    assert_eq!(pause(1), BACK_OFF_MIN);
    assert_eq!(pause(2), BACK_OFF_MIN * 2);
    assert_eq!(pause(40), BACK_OFF_MAX);
}
