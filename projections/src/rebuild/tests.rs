//! A rebuild beside readers and writers, killed, repeated; and diffs that see what it would change.

use crate::{
    ProjectionError, Views, diff, rebuild,
    schema::{self, LIVE, NEXT},
    testing::World,
    user, workspace, writer,
};
use domain::Position;
use sqlx::Executor;
use std::sync::atomic::{AtomicBool, Ordering};

async fn assert_no_difference(views: &Views) {
    for table in diff(views, "all", |_| {}).await.expect("compares") {
        assert!(table.is_clean(), "{table:?}");
    }
}

#[tokio::test]
async fn a_rebuild_leaves_every_row_as_it_was() {
    let world = World::new().await;
    let (alice, bob) = (world.register("alice").await, world.register("bob").await);
    let crew = world.workspace(alice, "Crew").await;
    world.enrol(crew, bob).await;
    world.project(3).await;

    let position = rebuild(&world.views, "core", |_| {}).await.expect("rebuilt");

    assert_eq!(position, world.views.position().await.expect("a position"));
    assert_eq!(position, world.store.head().await.expect("a head"));
    assert_no_difference(&world.views).await;
    let members = workspace::members(&world.views, alice, crew, 10, 0).await.expect("read").expect("a member asks");
    assert_eq!(members.items.iter().map(|member| member.user_id).collect::<Vec<_>>(), [alice, bob]);
}

#[tokio::test]
async fn a_rebuild_leaves_every_index_as_it_was() {
    let world = World::new().await;
    let indexes = async || {
        let all = "SELECT indexdef FROM pg_indexes WHERE schemaname = $1 ORDER BY 1";
        let all = sqlx::query_scalar::<_, String>(all).bind(LIVE);
        all.fetch_all(world.views.pool()).await.expect("read")
    };
    let before = indexes().await;
    rebuild(&world.views, "core", |_| {}).await.expect("rebuilt");
    assert_eq!(indexes().await, before);
    let is_there = |name: &str| before.iter().any(|index| index.contains(name));
    assert!(is_there("user_view_full_name") && is_there("message_view_position"), "{before:?}");
}

#[tokio::test]
async fn a_rebuild_stops_where_the_live_views_stand_and_they_go_on_from_there() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    world.project(10).await;
    let bob = world.register("bob").await;

    rebuild(&world.views, "all", |_| {}).await.expect("rebuilt");

    assert_eq!(user::get(&world.views, bob).await.expect("read"), None);
    world.project(10).await;
    assert!(user::get(&world.views, bob).await.expect("read").is_some());
    assert!(user::get(&world.views, alice).await.expect("read").is_some());
    assert_no_difference(&world.views).await;
}

#[tokio::test]
async fn a_diff_tells_rows_that_were_changed_added_and_taken_away() {
    let world = World::new().await;
    for name in ["alice", "bob", "carol"] {
        world.register(name).await;
    }
    world.project(10).await;
    let pool = world.views.pool();
    pool.execute("UPDATE user_view SET avatar_url = 'bent' WHERE username = 'alice'").await.expect("bent");
    pool.execute("DELETE FROM user_view WHERE username = 'bob'").await.expect("taken away");

    let tables = diff(&world.views, "core", |_| {}).await.expect("compares");

    let users = tables.iter().find(|table| table.table == "user_view").expect("users are compared");
    assert_eq!((users.missing, users.extra), (2, 1));
    assert_eq!(users.extra_rows[0]["avatar_url"], "bent");
    assert!(tables.iter().filter(|table| table.table != "user_view").all(crate::TableDiff::is_clean));
    rebuild(&world.views, "core", |_| {}).await.expect("rebuilt");
    assert_no_difference(&world.views).await;
}

#[tokio::test]
async fn what_a_killed_rebuild_left_is_cleared_away() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    world.project(10).await;
    // As far as a rebuild may have come when it is killed: half built, or swapped with the old tables still there.
    world
        .views
        .pool()
        .execute(format!("CREATE SCHEMA {NEXT}; CREATE TABLE {NEXT}.user_view (id int)").as_str())
        .await
        .expect("left");
    world
        .views
        .pool()
        .execute(format!("CREATE SCHEMA {LIVE}_old; CREATE TABLE {LIVE}_old.t (id int)").as_str())
        .await
        .expect("left");

    rebuild(&world.views, "core", |_| {}).await.expect("rebuilt");

    assert!(user::get(&world.views, alice).await.expect("read").is_some());
    let left: i64 =
        sqlx::query_scalar("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'core%' AND nspname <> $1")
            .bind(LIVE)
            .fetch_one(world.views.pool())
            .await
            .expect("counted");
    assert_eq!(left, 0);
    assert_no_difference(&world.views).await;
}

#[tokio::test]
async fn a_snapshot_begun_before_a_swap_keeps_its_tables_and_the_swap_waits() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    world.project(10).await;
    let mut snapshot = world.views.snapshot().await.expect("begun");
    let before = writer::position(&mut snapshot).await.expect("a position");
    let views = world.views.clone();
    let swapped = tokio::spawn(async move { rebuild(&views, "core", |_| {}).await });
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    assert!(!swapped.is_finished(), "it waits for the snapshot to end");

    let name: String = sqlx::query_scalar("SELECT username FROM user_view WHERE id = $1")
        .bind(alice.0)
        .fetch_one(&mut *snapshot)
        .await
        .expect("the table is the one of the snapshot");
    assert_eq!(name, "alice");
    assert_eq!(writer::position(&mut snapshot).await.expect("a position"), before);
    snapshot.rollback().await.expect("ended");
    swapped.await.expect("ran").expect("rebuilt");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_never_miss_a_row_while_rebuilds_are_swapped_in() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    let crew = world.workspace(alice, "Crew").await;
    let runner = world.run();
    world.settle().await;
    let ended = AtomicBool::new(false);
    let read = async {
        let mut reads = 0;
        while !ended.load(Ordering::Relaxed) {
            // Prepared once a connection, and planned anew after each swap.
            assert!(user::get(&world.views, alice).await.expect("read").is_some());
            assert!(workspace::get(&world.views, alice, crew).await.expect("read").is_some());
            let mut snapshot = world.views.snapshot().await.expect("begun");
            let users: i64 =
                sqlx::query_scalar("SELECT count(*) FROM user_view").fetch_one(&mut *snapshot).await.expect("counted");
            let members: i64 = sqlx::query_scalar("SELECT member_count::bigint FROM workspace_view")
                .fetch_one(&mut *snapshot)
                .await
                .expect("counted");
            let position = writer::position(&mut snapshot).await.expect("a position");
            snapshot.rollback().await.expect("ended");
            assert_eq!(position.0, users + members, "each event has made one of them more");
            reads += 1;
        }
        reads
    };
    let write = async {
        for round in 0..60 {
            let user = world.register(&format!("user{round}")).await;
            world.enrol(crew, user).await;
        }
    };
    let swap = async {
        for _ in 0..5 {
            rebuild(&world.views, "core", |_| {}).await.expect("rebuilt");
        }
    };
    let change = async {
        tokio::join!(write, swap);
        ended.store(true, Ordering::Relaxed);
    };
    let (reads, ()) = tokio::join!(read, change);
    assert!(reads > 10, "{reads} reads went on meanwhile");
    world.settle().await;
    runner.stop().await;
    assert_no_difference(&world.views).await;
}

#[tokio::test]
async fn the_runner_goes_on_in_the_rebuilt_tables() {
    let world = World::new().await;
    world.register("alice").await;
    let runner = world.run();
    world.settle().await;
    rebuild(&world.views, "core", |_| {}).await.expect("rebuilt");
    let bob = world.register("bob").await;
    world.settle().await;
    assert!(user::get(&world.views, bob).await.expect("read").is_some());
    runner.stop().await;
    assert_no_difference(&world.views).await;
}

#[tokio::test]
async fn only_one_rebuild_or_diff_is_under_way_at_a_time() {
    let world = World::new().await;
    world.register("alice").await;
    world.project(10).await;
    let (one, other, compared) = tokio::join!(
        rebuild(&world.views, "core", |_| {}),
        rebuild(&world.views, "core", |_| {}),
        diff(&world.views, "core", |_| {}),
    );
    assert_eq!(one.expect("rebuilt"), Position(1));
    assert_eq!(other.expect("rebuilt"), Position(1));
    assert!(compared.expect("compared").iter().all(crate::TableDiff::is_clean));
}

#[tokio::test]
async fn a_projection_that_does_not_exist_is_named() {
    let world = World::new().await;
    for error in [
        rebuild(&world.views, "no_such_one", |_| {}).await.expect_err("refused"),
        diff(&world.views, "no_such_one", |_| {}).await.expect_err("refused"),
    ] {
        assert!(matches!(&error, ProjectionError::Unknown(name) if name == "no_such_one"), "{error}");
    }
}

#[tokio::test]
async fn tables_are_made_once_by_processes_that_start_together() {
    let world = World::new().await;
    world.views.pool().execute(format!("DROP SCHEMA {LIVE} CASCADE").as_str()).await.expect("dropped");
    let ensure = async || {
        let mut connection = world.views.pool().acquire().await.expect("a connection");
        schema::ensure(&mut connection).await
    };
    let (one, other, third) = tokio::join!(ensure(), ensure(), ensure());
    assert!(one.is_ok() && other.is_ok() && third.is_ok());
    assert_eq!(world.views.position().await.expect("a position"), Position(0));
}
