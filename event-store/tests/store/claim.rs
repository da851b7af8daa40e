//! Claims: taken once, released, expiring, held.

use crate::cast::*;
use domain::{Timestamp, UserId};
use event_store::{AppendError, Appended, Claim, EventStore, StoreConfig, testing::TestDatabase};
use runtime::clock::FixedClock;
use std::sync::Arc;

async fn with(store: &EventStore, claims: Vec<Claim>) -> Result<Appended, AppendError> {
    let user: UserId = new_id();
    let mut append = append_by(user);
    append.write(&event_store::Loaded::<domain::user::User>::fresh(user), registered(user, "someone"));
    for claim in claims {
        append.claim(claim);
    }
    store.append(append).await
}

#[tokio::test]
async fn of_two_that_take_a_claim_at_once_one_is_told_who_has_it() {
    let database = TestDatabase::create().await;
    let (one, other) = (database.store().await, database.store().await);
    for n in 0..20 {
        let key = format!("key {n}");
        let take = |store: EventStore, value: &'static str| {
            let key = key.clone();
            async move { with(&store, vec![Claim::take("name", key, value)]).await }
        };
        // Twice by each process: within a batch and across processes.
        let results = tokio::join!(
            take(one.clone(), "a"),
            take(one.clone(), "b"),
            take(other.clone(), "c"),
            take(other.clone(), "d")
        );
        let results = [results.0, results.1, results.2, results.3];
        let held = one.claim("name", &key).await.unwrap().unwrap();
        let mut winners = 0;
        for result in results {
            match result {
                Ok(appended) => {
                    winners += 1;
                    assert_eq!(held.position, appended.position);
                }
                Err(AppendError::Claimed { value, position, .. }) => {
                    assert_eq!((value, position), (held.value.clone(), held.position));
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(winners, 1);
    }
    assert_eq!(one.head().await.unwrap().0, 20);
}

#[tokio::test]
async fn a_released_claim_can_be_taken_again() {
    let database = TestDatabase::create().await;
    let store = database.store().await;
    with(&store, vec![Claim::take("name", "lobby", "1")]).await.unwrap();
    with(&store, vec![Claim::release("name", "lobby")]).await.unwrap();
    assert_eq!(store.claim("name", "lobby").await.unwrap(), None);
    with(&store, vec![Claim::take("name", "lobby", "2")]).await.unwrap();
    assert_eq!(store.claim("name", "lobby").await.unwrap().unwrap().value, "2");
    // Given up and taken in one append, as by who leaves and comes back.
    with(&store, vec![Claim::release("name", "lobby"), Claim::take("name", "lobby", "3")]).await.unwrap();
    assert_eq!(store.claim("name", "lobby").await.unwrap().unwrap().value, "3");
}

#[tokio::test]
async fn a_claim_that_expired_is_taken_over() {
    let database = TestDatabase::create().await;
    let clock = Arc::new(FixedClock::at(NOW.to_datetime()));
    let store = EventStore::open(StoreConfig { clock: clock.clone(), ..database.config().await }).await.unwrap();
    let until = Timestamp(NOW.0 + 60_000);
    with(&store, vec![Claim::take("key", "k", "first").until(until)]).await.unwrap();
    assert_eq!(store.claim("key", "k").await.unwrap().unwrap().expires_at, Some(until));
    let early = with(&store, vec![Claim::take("key", "k", "second")]).await;
    assert!(matches!(early, Err(AppendError::Claimed { .. })), "{early:?}");
    clock.set(until.to_datetime());
    with(&store, vec![Claim::take("key", "k", "third")]).await.unwrap();
    let held = store.claim("key", "k").await.unwrap().unwrap();
    assert_eq!((held.value.as_str(), held.expires_at), ("third", None));
}

#[tokio::test]
async fn a_held_claim_must_be_as_it_was_seen() {
    let database = TestDatabase::create().await;
    let store = database.store().await;
    with(&store, vec![Claim::take("name", "lobby", "1")]).await.unwrap();
    with(&store, vec![Claim::hold("name", "lobby", "1")]).await.unwrap();
    for claim in [Claim::hold("name", "lobby", "2"), Claim::hold("name", "hall", "1")] {
        let refused = with(&store, vec![claim]).await;
        assert!(matches!(refused, Err(AppendError::Claimed { .. })), "{refused:?}");
    }
    // Relied on and changed in one append.
    with(&store, vec![Claim::hold("name", "lobby", "1"), Claim::set("name", "lobby", "2")]).await.unwrap();
    assert_eq!(store.claim("name", "lobby").await.unwrap().unwrap().value, "2");
}

#[tokio::test]
async fn a_refused_append_takes_no_claims() {
    let database = TestDatabase::create().await;
    let store = database.store().await;
    with(&store, vec![Claim::take("name", "b", "1")]).await.unwrap();
    let refused = with(&store, vec![Claim::take("name", "a", "2"), Claim::take("name", "b", "2")]).await;
    assert!(matches!(refused, Err(AppendError::Claimed { .. })), "{refused:?}");
    assert_eq!(store.claim("name", "a").await.unwrap(), None);
}

#[tokio::test]
async fn claims_are_found_by_keys_and_by_the_beginning_of_keys() {
    let database = TestDatabase::create().await;
    let store = database.store().await;
    let claims = ["a:1", "a:2", "ab:1", "b:1"].map(|key| Claim::take("member", key, key.to_uppercase()));
    with(&store, claims.into()).await.unwrap();
    with(&store, vec![Claim::take("other", "a:3", "")]).await.unwrap();
    let found = store.claims_with_prefix("member", "a:", 10).await.unwrap();
    assert_eq!(found, [("a:1".to_owned(), "A:1".to_owned()), ("a:2".to_owned(), "A:2".to_owned())]);
    assert_eq!(store.claims_with_prefix("member", "a", 2).await.unwrap().len(), 2);
    let keys = ["b:1".to_owned(), "c:1".to_owned()];
    assert_eq!(store.claims("member", &keys).await.unwrap(), [("b:1".to_owned(), "B:1".to_owned())].into());
}

#[tokio::test]
async fn one_append_takes_a_claim_once_or_nothing_stands() {
    let database = TestDatabase::create().await;
    let store = database.store().await;
    let contradictions = [
        vec![Claim::take("name", "lobby", "1"), Claim::take("name", "lobby", "2")],
        vec![Claim::set("name", "lobby", "1"), Claim::take("name", "lobby", "1")],
        vec![Claim::take("name", "lobby", "1"), Claim::hold("name", "lobby", "2")],
        vec![Claim::release("name", "lobby"), Claim::hold("name", "lobby", "1")],
    ];
    for claims in contradictions {
        let refused = with(&store, claims).await;
        assert!(matches!(refused, Err(AppendError::ClaimedTwice { .. })), "{refused:?}");
    }
    assert_eq!(store.head().await.unwrap().0, 0);
    with(&store, vec![Claim::take("name", "lobby", "1"), Claim::hold("name", "lobby", "1")]).await.unwrap();
    with(&store, vec![Claim::hold("name", "lobby", "1"), Claim::release("name", "lobby")]).await.unwrap();
    assert_eq!(store.claim("name", "lobby").await.unwrap(), None);
}
