//! Who is let in, and until when.

use crate::{client::*, nodes::Town};
use commands::session;
use serde_json::{Value, json};

#[tokio::test]
async fn an_upgrade_without_a_good_token_is_a_401_problem_on_both_ports() {
    let (town, [alice, ..], _) = Town::start().await;
    let node = town.node().await;
    for address in [node.address, node.calls] {
        for token in ["", "garbage"] {
            let refused = Client::connect(address, token, "").await.err().expect("refused");
            assert_eq!(refused.status(), 401);
            assert_eq!(refused.headers()["content-type"], "application/problem+json");
            let body: Value = serde_json::from_slice(refused.body().as_deref().unwrap()).unwrap();
            assert_eq!((&body["status"], &body["code"]), (&json!(401), &json!("unauthenticated")));
        }
    }
    let in_address = Client::connect(node.address, "", &format!("?token={}", alice.token)).await;
    assert_eq!(in_address.err().expect("refused").status(), 401, "a token in the address is none");
}

#[tokio::test]
async fn a_socket_io_connect_without_a_good_token_is_a_connect_error_with_the_problem() {
    let (town, ..) = Town::start().await;
    let node = town.node().await;
    for auth in [json!({}), json!({"token": "garbage"}), json!([]), json!(null)] {
        let answer = SocketIoClient::connect(node.address, &auth).await.err().expect("refused");
        let error: Value = serde_json::from_str(answer.strip_prefix("44").expect("a connect_error")).unwrap();
        assert_eq!(error["data"]["code"], "unauthenticated", "{error}");
    }
}

#[tokio::test]
async fn a_browser_gives_its_token_as_a_subprotocol() {
    let (town, [alice, ..], _) = Town::start().await;
    let node = town.node().await;
    for address in [node.address, node.calls] {
        let (client, chosen) = Client::connect_by_subprotocol(address, &alice.token).await;
        assert_eq!(chosen.unwrap(), "hansard.v1");
        assert_eq!(client.ready["userId"], json!(alice.id));
    }
}

#[tokio::test]
async fn the_port_of_calls_greets_and_refuses_what_is_not_built_yet() {
    let (town, [alice, ..], room) = Town::start().await;
    let node = town.node().await;
    let mut a = Client::connect(node.calls, &alice.token, "?deviceId=phone").await.unwrap();
    assert_eq!(a.ready["deviceId"], "phone");
    let ack = a.emit("call:initiate", json!({"conversationId": room, "callType": "audio"})).await;
    Client::is_refused(&ack, 400, "unknown_event");
}

#[tokio::test]
async fn the_end_of_a_session_closes_its_sockets_on_every_node_and_no_others() {
    let (town, [alice, ..], _) = Town::start().await;
    let again = town.login(&alice).await;
    let (here, there) = (town.node().await, town.node().await);
    let mut mine = here.connect(&alice).await;
    let mut elsewhere = there.connect(&alice).await;
    let mut calling = Client::connect(there.calls, &alice.token, "").await.unwrap();
    let mut socket_io = there.connect_socket_io(&alice).await;
    let mut other = there.connect(&again).await;
    // Ended by a process that has no socket at all.
    session::end(&town.commands, &again.caller(), alice.session).await.unwrap();
    assert_eq!(mine.closed().await, 4403);
    assert_eq!(elsewhere.closed().await, 4403);
    assert_eq!(calling.closed().await, 4403);
    assert_eq!(socket_io.closed().await, 4403);
    Client::is_refused(&other.emit("no:such:event", json!({})).await, 400, "unknown_event");
    let refused = Client::connect(there.address, &alice.token, "").await.err().expect("refused");
    assert_eq!(refused.status(), 401);
}

#[tokio::test]
async fn an_expired_token_closes_nothing_for_a_minute_and_then_the_socket() {
    let (town, [alice, ..], _) = Town::start().await;
    let node = town.node().await;
    let (mut a, mut socket_io) = (node.connect(&alice).await, node.connect_socket_io(&alice).await);
    town.clock.advance(chrono::TimeDelta::seconds(15 * 60 + 59));
    Client::is_refused(&a.emit("no:such:event", json!({})).await, 400, "unknown_event");
    town.clock.advance(chrono::TimeDelta::seconds(1));
    // The clock stands still by itself: a frame lets the socket look at it.
    a.send("{}").await;
    assert_eq!(a.closed().await, 4401);
    socket_io.send(r#"42["no:such:event"]"#).await;
    socket_io.send(r#"421["no:such:event"]"#).await;
    assert_eq!(socket_io.closed().await, 4401);
}

#[tokio::test]
async fn a_newer_token_of_the_same_session_keeps_the_socket_and_anothers_is_refused() {
    let (town, [alice, bob, _], _) = Town::start().await;
    let node = town.node().await;
    let mut a = node.connect(&alice).await;
    Client::is_refused(&a.emit("auth:refresh", json!({"token": bob.token})).await, 403, "not_allowed");
    Client::is_refused(&a.emit("auth:refresh", json!({"token": "garbage"})).await, 401, "unauthenticated");
    Client::is_refused(&a.emit("auth:refresh", json!({})).await, 422, "validation_failed");
    assert!(a.emit("auth:refresh", json!({"token": alice.token})).await["error"].is_null());
}

#[tokio::test]
async fn a_draining_node_says_so_and_closes_all_sockets() {
    let (town, [alice, ..], _) = Town::start().await;
    let node = town.node().await;
    let (mut a, mut socket_io) = (node.connect(&alice).await, node.connect_socket_io(&alice).await);
    node.shut_down();
    assert_eq!(a.closed().await, 1012);
    assert_eq!(a.frame().await["event"], "server:draining");
    assert_eq!(socket_io.closed().await, 1012);
    assert_eq!(socket_io.event("server:draining").await, json!({}));
    node.ended().await;
}
