//! What balancers are told.

use super::*;

#[tokio::test]
async fn health_tells_version_uptime_and_connections() {
    let answer = Bench::new().get("/health").await;
    assert_eq!((answer.status.as_u16(), &answer.body["status"]), (200, &json!("ok")));
    assert_eq!(answer.body["version"], env!("CARGO_PKG_VERSION"));
    assert!(answer.body["uptime"].is_u64() && answer.body["openConnections"].is_u64());
}

#[tokio::test]
async fn a_process_whose_stores_answer_is_ready() {
    let answer = Bench::new().get("/ready").await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.body,
        json!({"status": "ready", "postgres": true, "nats": true, "lag": {"core": {"events": 0, "seconds": 0.0}}})
    );
}

#[tokio::test]
async fn a_lagging_read_model_or_nats_away_degrades_but_serves() {
    let bench = Bench::new();
    bench.fake.condition.lock().expect("condition").nats = false;
    let answer = bench.get("/ready").await;
    assert_eq!((answer.status.as_u16(), &answer.body["status"]), (200, &json!("degraded")));
    {
        let mut condition = bench.fake.condition.lock().expect("condition");
        condition.nats = true;
        condition.lag.insert("core".to_owned(), Lag { events: 9, seconds: 5.1 });
    }
    assert_eq!(bench.get("/ready").await.body["status"], "degraded");
}

#[tokio::test]
async fn without_postgres_or_with_an_old_schema_a_process_is_not_ready() {
    let bench = Bench::new();
    bench.fake.condition.lock().expect("condition").schema_is_current = false;
    bench.get("/ready").await.assert_problem(503, "not_ready");
    {
        let mut condition = bench.fake.condition.lock().expect("condition");
        (condition.schema_is_current, condition.postgres) = (true, false);
    }
    let answer = bench.get("/ready").await;
    answer.assert_problem(503, "not_ready");
    assert_eq!(answer.body["postgres"], false);
}

#[tokio::test]
async fn ports_that_serve_nothing_else_answer_health_too() {
    let bench = Bench::new();
    let router = crate::health_router(&bench.front);
    let status = async |path: &str| {
        let request = Request::get(path).body(Body::empty()).expect("request");
        router.clone().oneshot(request).await.expect("infallible").status().as_u16()
    };
    assert_eq!((status("/health").await, status("/ready").await, status("/api/things").await), (200, 200, 404));
}
