//! kill -9 of PostgreSQL, nats-server and hansard itself in turn.

use crate::{
    cast::Cast,
    crowd::{Crowd, Ledger},
    judge::{self, Depth},
    line::Rest,
    process::signal,
    site::Site,
};
use std::sync::Arc;

const SENDERS: usize = 6;
/// Acked before and after each kill.
const MORE: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_killed_no_acked_message_is_lost_and_none_is_there_twice() {
    let mut site = Site::start().await;
    let cast = Arc::new(Cast::gather(&site.bases()[0]).await);
    let ledger = Arc::<Ledger>::default();
    let mut crowd = Crowd::new(ledger.clone());
    for (n, seed) in (0..SENDERS).zip(1..) {
        let person = n % cast.people.len();
        crowd.join(cast.clone(), person, format!("s{n}"), Rest::new(site.bases(), n), seed);
    }
    for victim in ["postgres", "nats-server", "hansard", "nats-server", "postgres", "hansard"] {
        crowd.goes_on(MORE, || {}).await.unwrap();
        if victim == "hansard" {
            site.up().kill();
            site.up().start_again();
        } else {
            signal("KILL", site.embedded(victim).await.unwrap());
        }
        let went_on = crowd.goes_on(MORE, || {}).await;
        went_on.unwrap_or_else(|fault| panic!("after the kill of {victim}: {fault}"));
    }
    crowd.finish().await;
    assert!(ledger.count() >= 12 * MORE, "the crowd was busy");
    assert_eq!(judge::verdict(&site, &cast, &ledger, Depth::Whole).await, Vec::<String>::new());
}
