//! Every error is a problem.

use super::*;

#[tokio::test]
async fn an_unknown_route_is_a_404_problem_whoever_asks_and_however() {
    let bench = Bench::new();
    bench.get("/api/nothing").await.assert_problem(404, "not_found");
    bench.get("/nothing").await.assert_problem(404, "not_found");
    bench.post("/api/nothing", &json!({})).await.assert_problem(404, "not_found");
    bench.ask(Method::GET, "/api/nothing", &[("authorization", "none")], "").await.assert_problem(404, "not_found");
}

#[tokio::test]
async fn a_known_path_with_another_method_is_a_405_problem_that_says_what_is_allowed() {
    let answer = Bench::new().ask(Method::PATCH, "/api/things", &[], "").await;
    answer.assert_problem(405, "method_not_allowed");
    let mut allowed: Vec<_> = answer.header("allow").split(',').collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
}

#[tokio::test]
async fn options_tells_the_methods_of_a_path() {
    let bench = Bench::new();
    let answer = bench.ask(Method::OPTIONS, "/api/things", &[], "").await;
    assert_eq!(answer.status, 204);
    for method in ["GET", "HEAD", "POST"] {
        assert!(answer.header("allow").split(',').any(|allowed| allowed == method), "{}", answer.header("allow"));
    }
    bench.ask(Method::OPTIONS, "/api/nothing", &[], "").await.assert_problem(404, "not_found");
}

#[tokio::test]
async fn head_answers_as_get_without_a_body() {
    let answer = Bench::new().ask(Method::HEAD, "/api/things", &[], "").await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, ""));
}

#[tokio::test]
async fn a_malformed_id_is_absent() {
    let bench = Bench::new();
    for id in ["not-a-uuid", "%27%20OR%201=1", "..%2f..%2fusers", "%ff", "%00", "%F0%9F%92%A9"] {
        bench.get(&format!("/api/things/{id}")).await.assert_problem(404, "not_found");
    }
}

#[tokio::test]
async fn a_panic_is_a_500_problem_that_tells_nothing() {
    let answer = Bench::new().get("/api/panic").await;
    answer.assert_problem(500, "internal");
    assert!(!answer.text.contains("SELECT") && !answer.text.contains(".rs"), "{}", answer.text);
}

#[tokio::test]
async fn who_has_no_good_token_is_told_401_before_anything_else() {
    let bench = Bench::new();
    for (authorization, code) in [
        ("none", "unauthenticated"),
        ("Basic YTpi", "unauthenticated"),
        ("Bearer", "unauthenticated"),
        ("Bearer ", "unauthenticated"),
        ("Bearer mallory", "token_invalid"),
        ("Bearer old", "token_expired"),
    ] {
        let headers = [("authorization", authorization), ("content-type", "text/plain"), ("idempotency-key", "")];
        let answer = bench.ask(Method::POST, "/api/things", &headers, "{").await;
        answer.assert_problem(401, code);
        assert!(answer.header("www-authenticate").starts_with("Bearer"), "{authorization}");
        let answer =
            bench.ask(Method::GET, "/api/things/not-a-uuid?limit=0", &[("authorization", authorization)], "").await;
        answer.assert_problem(401, code);
    }
}

#[tokio::test]
async fn the_scheme_of_a_token_is_read_without_case() {
    assert_eq!(
        Bench::new().ask(Method::GET, "/api/things", &[("authorization", "bearer alice")], "").await.status,
        200
    );
}

#[tokio::test]
async fn only_auditors_and_administrators_read_the_record() {
    let bench = Bench::new();
    bench.get("/api/record").await.assert_problem(403, "not_allowed");
    for who in ["Bearer audrey", "Bearer root"] {
        assert_eq!(bench.ask(Method::GET, "/api/record", &[("authorization", who)], "").await.status, 200, "{who}");
    }
}

#[tokio::test]
async fn answers_carry_the_headers_that_keep_browsers_careful() {
    let bench = Bench::new();
    for path in ["/api/things", "/api/nothing"] {
        let answer = bench.get(path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}
