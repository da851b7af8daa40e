//! What stands on the wire.

use crate::{client::*, nodes::Town};
use serde_json::{Value, json};

/// Ids, positions and times differ from run to run; everything else is the contract's.
fn settled(mut frame: Value) -> String {
    fn settle(value: &mut Value) {
        match value {
            Value::String(text) if text.parse::<uuid::Uuid>().is_ok() => "(id)".clone_into(text),
            Value::String(text) if text.ends_with('Z') && text.len() == 24 => "(time)".clone_into(text),
            Value::Array(items) => items.iter_mut().for_each(settle),
            Value::Object(members) => {
                for (name, member) in members {
                    if matches!(name.as_str(), "position" | "prev") && member.is_i64() {
                        *member = json!("(position)");
                    }
                    settle(member);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    settle(&mut frame);
    serde_json::to_string_pretty(&frame).unwrap()
}

#[tokio::test]
async fn a_message_is_acked_to_its_sender_and_pushed_to_the_others() {
    let (town, [alice, bob, _], room) = Town::start().await;
    let node = town.node().await;
    let (mut a, mut b) = (node.connect(&alice).await, node.connect(&bob).await);
    insta::assert_snapshot!("ready", settled(a.ready.clone()));
    let ack = a.emit("message:send", json!({"conversationId": room, "content": "hello"})).await;
    insta::assert_snapshot!("ack_of_a_message", settled(ack.clone()));
    let push = b.event("message:new").await;
    insta::assert_snapshot!("push_of_a_message", settled(push.clone()));
    assert_eq!(push["data"]["message"], ack["data"], "one encoding");
    assert_eq!(push["prev"], b.ready["position"]);
    assert_eq!(a.event("message:new").await["data"], push["data"], "to the sender too");
}

#[tokio::test]
async fn socket_io_carries_the_same_payloads_with_their_position_among_them() {
    let (town, [alice, bob, _], room) = Town::start().await;
    let node = town.node().await;
    let (mut plain, mut socket_io) = (node.connect(&bob).await, node.connect_socket_io(&bob).await);
    let ack = {
        let mut a = node.connect_socket_io(&alice).await;
        a.emit("message:send", json!({"conversationId": room, "content": "hello"})).await
    };
    let (push, mut payload) = (plain.event("message:new").await, socket_io.event("message:new").await);
    assert_eq!(ack["data"], push["data"]["message"]);
    let members = payload.as_object_mut().unwrap();
    assert_eq!(
        (members.remove("position"), members.remove("prev")),
        (Some(push["position"].clone()), Some(push["prev"].clone()))
    );
    assert_eq!(payload, push["data"]);
}

#[tokio::test]
async fn every_order_about_a_message_is_acked_and_pushed() {
    let (town, [alice, bob, _], room) = Town::start().await;
    let node = town.node().await;
    let (mut a, mut b) = (node.connect(&alice).await, node.connect(&bob).await);
    let id = town.send(&alice, room, "hello").await;
    let orders = [
        (&mut b, "message:react", json!({"messageId": id, "emoji": "👍"}), "message:reaction:added"),
        (&mut a, "message:edit", json!({"messageId": id, "content": "changed"}), "message:updated"),
    ];
    for (client, order, data, _) in orders {
        let ack = client.emit(order, data).await;
        assert_eq!(ack["data"]["messageId"], json!(id), "{ack}");
    }
    for (order, data) in [
        ("message:unreact", json!({"messageId": id, "emoji": "👍"})),
        ("message:pin", json!({"messageId": id})),
        ("message:unpin", json!({"messageId": id})),
        ("message:read", json!({"conversationId": room, "messageId": id})),
    ] {
        assert!(b.emit(order, data).await["error"].is_null(), "{order}");
    }
    assert!(a.emit("message:delete", json!({"messageId": id})).await["error"].is_null());
    let mut seen = Vec::new();
    while seen.last().is_none_or(|event| event != "message:deleted") {
        let frame = b.durable().await;
        seen.push(frame["event"].as_str().unwrap().to_owned());
    }
    assert_eq!(
        seen,
        [
            "message:new",
            "message:reaction:added",
            "message:updated",
            "message:reaction:removed",
            "message:pinned",
            "message:unpinned",
            "message:read",
            "message:deleted"
        ]
    );
}

#[tokio::test]
async fn whatever_a_client_emits_is_acked_and_the_socket_stays_open() {
    let (town, [alice, _, _], room) = Town::start().await;
    let node = town.node().await;
    let mut a = node.connect(&alice).await;
    Client::is_refused(&a.emit("message:frobnicate", json!({})).await, 400, "unknown_event");
    Client::is_refused(&a.emit("message:send", Value::Null).await, 400, "malformed_payload");
    let ack = a.emit("message:send", json!({"content": 7})).await;
    Client::is_refused(&ack, 422, "validation_failed");
    let fields: Vec<_> = ack["error"]["errors"].as_array().unwrap().iter().map(|wrong| &wrong["field"]).collect();
    assert_eq!(fields, ["conversationId", "content"]);
    for strange in ["not json", "[]", "{}", r#"{"event":7}"#, r#"{"event":null,"id":{}}"#, "7"] {
        a.send(strange).await;
        Client::is_refused(&a.event("ack").await, 400, "malformed_frame");
    }
    assert!(a.emit("message:send", json!({"conversationId": room, "content": "still here"})).await["error"].is_null());
    assert_eq!(a.emit("resume", json!({"position": -1})).await["error"]["status"], 422);
}

#[tokio::test]
async fn an_outsider_can_do_nothing_and_is_not_told_that_there_is_something() {
    let (town, [alice, ..], room) = Town::start().await;
    let eve = town.register("eve").await;
    let id = town.send(&alice, room, "private").await;
    let node = town.node().await;
    let mut e = node.connect(&eve).await;
    for (event, data) in [
        ("message:send", json!({"conversationId": room, "content": "let me in"})),
        ("typing:start", json!({"conversationId": room})),
        ("typing:stop", json!({"conversationId": room})),
        ("message:read", json!({"conversationId": room, "messageId": id})),
        ("message:react", json!({"messageId": id, "emoji": "👍"})),
        ("message:edit", json!({"messageId": id, "content": "x"})),
        ("message:delete", json!({"messageId": id})),
        ("message:pin", json!({"messageId": id})),
    ] {
        assert_eq!(e.emit(event, data).await["error"]["status"], 404, "{event}");
    }
}

#[tokio::test]
async fn whoever_comes_back_with_a_position_gets_what_they_missed_on_any_node() {
    let (town, [alice, bob, _], room) = Town::start().await;
    let node = town.node().await;
    let position = node.connect(&bob).await.ready["position"].as_i64().unwrap();
    town.send(&alice, room, "missed").await;
    let other = town.node().await;
    let mut b = Client::connect(other.address, &bob.token, &format!("?position={position}")).await.unwrap();
    let push = b.frame().await;
    assert_eq!((&push["event"], &push["prev"]), (&json!("message:new"), &json!(position)));
    assert_eq!(b.frame().await["event"], "resume:done");
    assert!(b.emit("resume", json!({"position": position})).await["error"].is_null());
    assert_eq!(b.event("message:new").await, push, "the same again");
    assert_eq!(b.event("resume:done").await["event"], "resume:done");
    assert!(b.emit("resume", json!({"position": 1, "logId": "another"})).await["error"].is_null());
    assert_eq!(b.event("resume:reset").await["data"]["logId"], b.ready["logId"]);
}

#[tokio::test]
async fn the_same_client_message_id_is_acked_with_the_first_message() {
    let (town, [alice, ..], room) = Town::start().await;
    let node = town.node().await;
    let mut a = node.connect(&alice).await;
    let data = json!({"conversationId": room, "content": "once", "clientMessageId": "c1"});
    let first = a.emit("message:send", data.clone()).await;
    assert_eq!(a.emit("message:send", data).await["data"], first["data"]);
}
