//! Positions, waiting for one's own writes, and requests that come twice.

use super::*;

#[tokio::test]
async fn a_write_carries_its_position_and_that_it_was_applied() {
    let answer = Bench::new().post("/api/things", &thing()).await;
    assert_eq!((answer.status.as_u16(), answer.header("hansard-position")), (201, "10"));
    assert_eq!(answer.body["meta"], json!({"position": 10, "applied": true}));
    assert_eq!(answer.header("preference-applied"), "");
}

#[tokio::test]
async fn a_delete_answers_the_id_and_that_it_is_deleted() {
    let id = "018f2b3c-0000-7000-8000-000000000000";
    let answer = Bench::new().ask(Method::DELETE, &format!("/api/things/{id}"), &[], "").await;
    assert_eq!((answer.status.as_u16(), &answer.body["data"]), (200, &json!({"id": id, "deleted": true})));
}

#[tokio::test(start_paused = true)]
async fn a_write_waits_until_it_is_applied() {
    let bench = Bench::new();
    bench.fake.applied.store(9, Ordering::Relaxed);
    let fake = bench.fake.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        fake.applied.store(10, Ordering::Relaxed);
    });
    let begun = tokio::time::Instant::now();
    let answer = bench.post("/api/things", &thing()).await;
    assert_eq!(answer.body["meta"]["applied"], true);
    assert!(begun.elapsed() >= Duration::from_millis(1_500));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_not_applied_in_two_seconds_answers_anyway_and_says_so() {
    let bench = Bench::new();
    bench.fake.applied.store(9, Ordering::Relaxed);
    let begun = tokio::time::Instant::now();
    let answer = bench.post("/api/things", &thing()).await;
    assert_eq!((answer.status.as_u16(), &answer.body["meta"]["applied"]), (201, &json!(false)));
    assert!((2_000..2_100).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_read_models_that_are_known_to_lag() {
    let bench = Bench::new();
    bench.fake.applied.store(9, Ordering::Relaxed);
    bench.fake.is_known_to_lag.store(true, Ordering::Relaxed);
    let begun = tokio::time::Instant::now();
    assert_eq!(bench.post("/api/things", &thing()).await.body["meta"]["applied"], false);
    bench
        .ask(Method::GET, "/api/things", &[("hansard-min-position", "10")], "")
        .await
        .assert_problem(503, "read_model_behind");
    assert!(begun.elapsed() < Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn who_prefers_not_to_wait_is_answered_at_once_with_the_position() {
    let bench = Bench::new();
    bench.fake.applied.store(9, Ordering::Relaxed);
    let begun = tokio::time::Instant::now();
    let answer = bench.post_with("/api/things", &[("prefer", "respond-async")], &thing()).await;
    assert_eq!((answer.status.as_u16(), answer.header("hansard-position")), (201, "10"));
    assert_eq!(answer.header("preference-applied"), "respond-async");
    assert_eq!(answer.body["meta"]["applied"], false);
    assert!(begun.elapsed() < Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn where_nothing_had_to_change_the_head_is_waited_for() {
    let bench = Bench::new();
    bench.fake.head.store(11, Ordering::Relaxed);
    let answer = bench.ask(Method::PUT, "/api/no-change", &[], "").await;
    assert_eq!(answer.body["meta"], json!({"applied": false}));
    assert_eq!(answer.header("hansard-position"), "");
    bench.fake.applied.store(11, Ordering::Relaxed);
    assert_eq!(bench.ask(Method::PUT, "/api/no-change", &[], "").await.body["meta"], json!({"applied": true}));
}

#[tokio::test(start_paused = true)]
async fn a_read_waits_for_the_position_that_it_names_or_is_told_to_come_back() {
    let bench = Bench::new();
    let at = async |position| bench.ask(Method::GET, "/api/things", &[("hansard-min-position", position)], "").await;
    assert_eq!(at("10").await.status, 200);
    let answer = at("1000000000000").await;
    answer.assert_problem(503, "read_model_behind");
    assert_eq!(answer.header("retry-after"), "1");
    for wrong in ["soon", "-1", "+1", "1e9", "9223372036854775808", ""] {
        let answer = at(wrong).await;
        answer.assert_problem(422, "validation_failed");
        assert_eq!(answer.fields(), ["Hansard-Min-Position"]);
    }
}

#[tokio::test]
async fn a_key_reaches_the_command_with_the_hash_of_the_body() {
    let bench = Bench::new();
    let of = async |key: &str, body: &Value| {
        bench.post_with("/api/things", &[("idempotency-key", key)], body).await.body["data"]["idempotency"].clone()
    };
    let first = of("k", &thing()).await;
    assert!(first.is_string());
    assert_eq!(first, of("k", &thing()).await);
    assert_ne!(first, of("l", &thing()).await);
    assert_ne!(first, of("k", &json!({"name": "another thing"})).await);
    assert_eq!(bench.post("/api/things", &thing()).await.body["data"]["idempotency"], Value::Null);
}

#[tokio::test]
async fn a_wrong_key_is_422() {
    let bench = Bench::new();
    for key in [String::new(), "k".repeat(129)] {
        let answer = bench.post_with("/api/things", &[("idempotency-key", &key)], &thing()).await;
        answer.assert_problem(422, "validation_failed");
        assert_eq!(answer.fields(), ["Idempotency-Key"]);
    }
    assert_eq!(bench.post_with("/api/things", &[("idempotency-key", &"k".repeat(128))], &thing()).await.status, 201);
}
