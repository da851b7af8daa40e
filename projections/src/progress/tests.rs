use super::*;
use crate::testing::World;

const LONG: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_wait_ends_when_the_position_is_told() {
    let world = World::new().await;
    let waiting = tokio::spawn({
        let progress = world.progress.clone();
        async move { progress.wait_for(Position(7), LONG).await }
    });
    world.progress.advance(Position(6));
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!waiting.is_finished());
    world.progress.advance(Position(7));
    assert!(waiting.await.expect("waits"));
    world.progress.advance(Position(3));
    assert_eq!(world.progress.position(), Position(7), "what is older is no news");
    assert_eq!(world.progress.lag(Position(9)), 2);
}

#[tokio::test]
async fn without_pushes_the_checkpoint_itself_is_asked() {
    let world = World::new().await;
    world.register("alice").await;
    world.project(10).await;
    assert_eq!(world.progress.position(), Position(0), "nobody told");
    let started = Instant::now();
    assert!(world.progress.wait_for(Position(1), LONG).await);
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn nobody_waits_while_the_views_are_known_to_lag() {
    let world = World::new().await;
    world.register("alice").await;
    assert!(!world.progress.wait_for(Position(1), LAG_KNOWN).await, "nothing applies it");
    assert!(world.progress.is_known_to_lag());
    let started = Instant::now();
    assert!(!world.progress.wait_for(Position(1), LONG).await);
    assert!(started.elapsed() < Duration::from_millis(500));

    world.project(10).await;
    tokio::time::sleep(LAG_POLL * 3).await;
    assert!(!world.progress.is_known_to_lag(), "it is seen to be over though nobody asks");
}

#[tokio::test]
async fn a_wait_for_what_is_past_the_head_says_nothing_of_the_views() {
    let world = World::new().await;
    assert!(!world.progress.wait_for(Position(1_000_000), LAG_KNOWN).await);
    assert!(!world.progress.is_known_to_lag());
}

#[tokio::test]
async fn another_process_hears_of_progress_by_nats() {
    let url = std::env::var("HANSARD_TEST_NATS_URL").expect("HANSARD_TEST_NATS_URL names a server for tests");
    let nats = async_nats::connect(url).await.expect("connects");
    let world = World::new().await;
    let shutdown = CancellationToken::new();
    let heard = tokio::spawn(world.progress.clone().listen(nats.clone(), shutdown.clone()));
    let mut watch = world.progress.watch();
    let tell = async {
        loop {
            nats.publish(subject(&world.views), "7".into()).await.expect("told");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        heard = watch.wait_for(|position| *position == Position(7)) => drop(heard.expect("told")),
        () = tell => {}
        () = sleep(LONG) => panic!("nothing was heard"),
    }
    shutdown.cancel();
    heard.await.expect("ends by itself");
}
