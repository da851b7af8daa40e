//! The API with all that is under it.

use api::testing::TestApp;
use axum::http::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn what_alice_sends_bob_reads_at_once() {
    let (app, [alice, bob, carol]) = TestApp::start().await;
    let sent = alice.send("hello").await;
    for reader in [&bob, &carol] {
        let timeline = reader.timeline().await;
        assert_eq!(timeline[0]["id"], sent["id"]);
        assert_eq!(timeline[0]["content"], "hello");
    }
    app.settle().await;
}

#[tokio::test]
async fn the_same_key_and_body_answer_alike_and_write_once() {
    let (_app, [alice, bob, _]) = TestApp::start().await;
    let body = json!({"conversationId": alice.room, "content": "once"});
    let keyed =
        async |body: &Value| alice.ask(Method::POST, "/messages", &[("idempotency-key", "k")], Some(body)).await;
    let (first, second) = (keyed(&body).await, keyed(&body).await);
    assert_eq!((first.status, second.status.as_u16()), (second.status, 201));
    assert_eq!(first.body["data"]["id"], second.body["data"]["id"]);
    assert_eq!(first.body["meta"]["position"], second.body["meta"]["position"]);
    assert_eq!(bob.timeline().await.len(), 1);
    keyed(&json!({"conversationId": alice.room, "content": "twice"}))
        .await
        .assert_problem(409, "idempotency_key_reused");
    let of_bob = bob.ask(Method::POST, "/messages", &[("idempotency-key", "k")], Some(&body)).await.created();
    assert_ne!(of_bob["id"], first.body["data"]["id"]);
}

#[tokio::test]
async fn a_session_that_has_ended_opens_nothing_more() {
    let (app, [alice, ..]) = TestApp::start().await;
    alice.post("/auth/logout", &json!({})).await.ok();
    alice.get("/users/me").await.assert_problem(401, "session_ended");
    app.nobody().get("/users/me").await.assert_problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_token_ends_when_its_time_is_up() {
    let (app, [alice, ..]) = TestApp::start().await;
    alice.get("/users/me").await.ok();
    app.clock.advance(chrono::TimeDelta::minutes(15));
    alice.get("/users/me").await.assert_problem(401, "token_expired");
}

#[tokio::test]
async fn what_is_not_ones_own_looks_like_what_is_not_there() {
    let (app, [alice, bob, carol]) = TestApp::start().await;
    let talk = alice.post("/conversations", &json!({"type": "direct", "participantIds": [bob.id]})).await.created();
    let hidden = carol.get(&format!("/conversations/{}", talk["id"].as_str().expect("an id"))).await;
    let absent = carol.get("/conversations/018f2b3c-0000-7000-8000-000000000000").await;
    for part in ["status", "code", "title", "detail", "type"] {
        assert_eq!(hidden.body[part], absent.body[part]);
    }
    hidden.assert_problem(404, "not_found");
    app.settle().await;
}

#[tokio::test]
async fn every_route_that_is_not_public_asks_for_a_token_before_anything_else() {
    let app = TestApp::empty().await;
    let nobody = app.nobody();
    let paths = api::document()["paths"].as_object().expect("paths");
    for (path, item) in paths {
        let Some(path) = path.strip_prefix("/api") else { continue };
        let path = path.replace(['{', '}'], "-");
        for (method, operation) in item.as_object().expect("operations") {
            let is_public = operation["security"] == json!([{}]);
            let method: Method = method.to_uppercase().parse().expect("a method");
            let answer = nobody.ask(method.clone(), &path, &[("idempotency-key", "")], Some(&json!([]))).await;
            assert_ne!(answer.status, 405, "{method} {path} is described but not routed");
            if is_public {
                assert_ne!(answer.code(), "unauthenticated", "{method} {path}");
            } else {
                answer.assert_problem(401, "unauthenticated");
            }
        }
    }
}

#[tokio::test]
async fn a_path_takes_the_methods_that_are_described_and_no_other() {
    let app = TestApp::empty().await;
    let nobody = app.nobody();
    for (path, item) in api::document()["paths"].as_object().expect("paths") {
        let Some(path) = path.strip_prefix("/api") else { continue };
        let answer = nobody.ask(Method::TRACE, &path.replace(['{', '}'], "-"), &[], None).await;
        answer.assert_problem(405, "method_not_allowed");
        let mut allowed: Vec<_> = answer.header("allow").split(',').filter(|method| *method != "HEAD").collect();
        let mut described: Vec<_> =
            item.as_object().expect("operations").keys().map(|method| method.to_uppercase()).collect();
        allowed.sort_unstable();
        described.sort_unstable();
        assert_eq!(allowed, described, "{path}");
    }
}

#[tokio::test]
async fn a_closed_invitation_opens_nothing_and_is_listed_no_more() {
    let (_app, [alice, bob, carol]) = TestApp::start().await;
    let crew = alice.post("/workspaces", &json!({"name": "Crew"})).await.created();
    let at = format!("/workspaces/{}", crew["id"].as_str().expect("an id"));
    let links = format!("{at}/invite-links");
    let made = alice.post(&links, &json!({"maxUses": 5})).await.created();
    let code = made["code"].as_str().expect("a code");
    bob.post("/workspaces/join", &json!({"code": code})).await.ok();

    let listed = alice.get(&links).await.ok();
    assert_eq!((listed[0]["code"].as_str(), listed[0]["uses"].as_i64()), (Some(code), Some(1)));
    bob.get(&links).await.assert_problem(403, "not_allowed");
    carol.get(&links).await.assert_problem(404, "not_found");
    bob.delete(&format!("{links}/{code}")).await.assert_problem(403, "not_allowed");

    alice.delete(&format!("{links}/{code}")).await.ok();
    assert_eq!(alice.get(&links).await.ok(), json!([]));
    carol.post("/workspaces/join", &json!({"code": code})).await.assert_problem(404, "not_found");
    alice.delete(&format!("{links}/{code}")).await.assert_problem(404, "not_found");
    let members = bob.get(&format!("{at}/members")).await.ok();
    assert_eq!(members.as_array().map(Vec::len), Some(2));
    carol.get(&at).await.assert_problem(404, "not_found");
}

#[tokio::test]
async fn what_is_not_built_is_refused_and_not_left_out() {
    let (_app, [alice, bob, _]) = TestApp::start().await;
    for (field, value) in [("scheduledFor", json!("2030-01-01T00:00:00Z")), ("poll", json!({"question": "?"}))] {
        let mut body = json!({"conversationId": alice.room, "content": "later"});
        body[field] = value;
        let answer = alice.post("/messages", &body).await;
        assert_eq!(answer.body["errors"][0]["field"], field);
        answer.assert_problem(422, "validation_failed");
    }
    assert!(bob.timeline().await.is_empty());
}

#[tokio::test]
async fn twins_with_one_key_all_get_the_answer_of_the_first() {
    let (_app, [alice, ..]) = TestApp::start().await;
    let crew = alice.post("/workspaces", &json!({"name": "Crew"})).await.created();
    let body = json!({"workspaceId": crew["id"], "name": "general"});
    let twin = || alice.ask(Method::POST, "/channels", &[("idempotency-key", "k")], Some(&body));
    let answers = futures::future::join_all((0..8).map(|_| twin())).await;
    for answer in &answers {
        assert_eq!(answer.status.as_u16(), 201, "{}", answer.body);
        assert_eq!(answer.body["data"]["id"], answers[0].body["data"]["id"]);
    }
}
