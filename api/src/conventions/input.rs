//! Bodies and query strings.

use super::*;

async fn raw(bench: &Bench, kind: &str, body: impl Into<Body>) -> Answer {
    bench.ask(Method::POST, "/api/things", &[("content-type", kind)], body).await
}

#[tokio::test]
async fn a_body_that_is_no_json_is_400() {
    let bench = Bench::new();
    for body in [&b"{\"name\": "[..], b"not json", b"{\"name\":\"\xff\xfe\"}", b"[]", b"null", b"7"] {
        raw(&bench, "application/json", body.to_vec()).await.assert_problem(400, "malformed_body");
    }
    raw(&bench, "application/json", "[".repeat(100_000)).await.assert_problem(400, "malformed_body");
}

#[tokio::test]
async fn wrong_fields_are_422_and_all_named() {
    let bench = Bench::new();
    let answer = bench.post("/api/things", &json!({"name": "x".repeat(101), "ownerId": "nobody"})).await;
    answer.assert_problem(422, "validation_failed");
    assert_eq!(answer.fields(), ["name", "ownerId"]);
    assert!(answer.body["errors"].as_array().is_some_and(|all| all.iter().all(|error| error["message"].is_string())));
    let answer = bench.post("/api/things", &json!({"name": 42})).await;
    answer.assert_problem(422, "validation_failed");
    assert_eq!(answer.fields(), ["name"]);
}

#[tokio::test]
async fn no_body_is_a_body_without_fields() {
    let answer = Bench::new().ask(Method::POST, "/api/things", &[], "").await;
    answer.assert_problem(422, "validation_failed");
    assert_eq!(answer.body["errors"][0]["code"], "missing");
}

#[tokio::test]
async fn a_lone_surrogate_is_a_wrong_field() {
    raw(&Bench::new(), "application/json", r#"{"name":"a\ud800b"}"#).await.assert_problem(422, "validation_failed");
}

#[tokio::test]
async fn a_deeply_nested_field_harms_nothing() {
    let deep = format!("{{\"name\":{}", "[".repeat(100_000));
    raw(&Bench::new(), "application/json", deep).await.assert_problem(400, "malformed_body");
    let closed = format!("{{\"name\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    raw(&Bench::new(), "application/json", closed).await.assert_problem(422, "validation_failed");
}

#[tokio::test]
async fn other_media_types_are_415() {
    let bench = Bench::new();
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16", ";;;"] {
        raw(&bench, kind, thing().to_string()).await.assert_problem(415, "unsupported_media_type");
    }
    bench
        .ask(Method::POST, "/api/things", &[], thing().to_string())
        .await
        .assert_problem(415, "unsupported_media_type");
    assert_eq!(raw(&bench, "application/json; charset=utf-8", thing().to_string()).await.status, 201);
}

#[tokio::test]
async fn a_body_over_1_mib_is_413_and_one_just_under_is_judged() {
    let bench = Bench::new();
    let padded = |bytes: usize| json!({"name": "x".repeat(bytes)}).to_string();
    raw(&bench, "application/json", padded(1024 * 1024 + 1_000)).await.assert_problem(413, "too_large");
    raw(&bench, "application/json", padded(1024 * 1024 - 2_000)).await.assert_problem(422, "validation_failed");
}

#[tokio::test]
async fn a_body_of_declared_immense_length_is_413_without_being_read() {
    let headers = [("content-type", "application/json"), ("content-length", "100000000000")];
    let endless = Body::from_stream(futures::stream::pending::<Result<&'static [u8], std::io::Error>>());
    Bench::new().ask(Method::POST, "/api/things", &headers, endless).await.assert_problem(413, "too_large");
}

#[tokio::test]
async fn wrong_paging_is_422_and_names_both_fields() {
    let bench = Bench::new();
    for query in ["limit=0&offset=-1", "limit=101&offset=abc", "limit=abc&offset=99999999999999999999"] {
        let answer = bench.get(&format!("/api/things?{query}")).await;
        answer.assert_problem(422, "validation_failed");
        assert_eq!(answer.fields(), ["limit", "offset"], "{query}");
    }
}

#[tokio::test]
async fn a_list_tells_its_page() {
    let answer = Bench::new().get("/api/things?limit=2&offset=4").await;
    assert_eq!(answer.body, json!({"data": [1, 2], "meta": {"limit": 2, "offset": 4, "hasMore": true}}));
}
