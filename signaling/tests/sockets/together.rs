//! What people tell each other across nodes without a position: typing and presence.

use crate::nodes::Town;
use serde_json::json;

#[tokio::test]
async fn typing_is_told_to_the_others_on_every_node_and_not_to_the_typist() {
    let (town, [alice, bob, _], room) = Town::start().await;
    let (here, there) = (town.node().await, town.node().await);
    let (mut a, mut b) = (here.connect(&alice).await, there.connect(&bob).await);
    let mut other_device = there.connect(&alice).await;
    for (emitted, told) in [
        ("typing:start", json!({"conversationId": room, "userId": alice.id, "username": "alice"})),
        ("typing:stop", json!({"conversationId": room, "userId": alice.id})),
    ] {
        assert!(a.emit(emitted, json!({"conversationId": room})).await["error"].is_null());
        let push = b.event(emitted).await;
        assert_eq!((&push["data"], push.get("position")), (&told, None));
    }
    // What came first at the other device is what was sent last.
    let id = town.send(&bob, room, "hello").await;
    loop {
        let frame = other_device.frame().await;
        assert!(!frame["event"].as_str().unwrap().starts_with("typing"), "{frame}");
        if frame["event"] == "message:new" {
            assert_eq!(frame["data"]["message"]["id"], json!(id));
            break;
        }
    }
}

#[tokio::test]
async fn typing_stops_by_itself() {
    let (town, [alice, bob, _], room) = Town::start().await;
    let node = town.node().await;
    let (mut a, mut b) = (node.connect(&alice).await, node.connect(&bob).await);
    a.emit("typing:start", json!({"conversationId": room})).await;
    b.event("typing:start").await;
    drop(a);
    assert_eq!(b.event("typing:stop").await["data"]["userId"], json!(alice.id));
}

#[tokio::test]
async fn coming_online_is_told_on_every_node() {
    let (town, [alice, bob, _], _) = Town::start().await;
    let (here, there) = (town.node().await, town.node().await);
    let mut a = here.connect(&alice).await;
    let _b = there.connect(&bob).await;
    let push = a.event("user:online").await;
    assert_eq!(push["data"], json!({"userId": bob.id, "username": "bob"}));
    assert!(push.get("position").is_none());
}

#[tokio::test]
async fn a_status_is_told_to_acquaintances_by_whichever_node() {
    let (town, [alice, bob, _], _) = Town::start().await;
    let (here, there) = (town.node().await, town.node().await);
    let (mut a, mut b) = (here.connect(&alice).await, there.connect(&bob).await);
    // Both nodes know that Bob is there.
    a.event("user:online").await;
    let ack = b.emit("presence:update", json!({"status": "busy", "statusText": "in a meeting"})).await;
    assert!(ack["error"].is_null(), "{ack}");
    let push = a.event("presence:update").await;
    assert_eq!((&push["data"]["status"], &push["data"]["statusText"]), (&json!("busy"), &json!("in a meeting")));
    assert_eq!(b.emit("user:status:update", json!({"status": "offline"})).await["error"]["status"], 422);
}

#[tokio::test]
async fn whoever_asks_is_told_of_acquaintances_and_of_no_stranger() {
    let (town, [alice, bob, _], _) = Town::start().await;
    let eve = town.register("eve").await;
    let node = town.node().await;
    let _b = node.connect(&bob).await;
    let (mut a, mut e) = (node.connect(&alice).await, node.connect(&eve).await);
    let ask = json!({"userIds": [bob.id, eve.id]});
    let ack = a.emit("presence:subscribe", ask.clone()).await;
    let seen: Vec<_> = ack["data"].as_array().unwrap().iter().map(|one| (&one["userId"], &one["status"])).collect();
    assert_eq!(seen, [(&json!(bob.id), &json!("online"))]);
    assert_eq!(e.emit("presence:subscribe", json!({"userIds": [bob.id]})).await["data"], json!([]));
    let many: Vec<_> = (0..501).map(|_| bob.id).collect();
    assert_eq!(a.emit("presence:subscribe", json!({"userIds": many})).await["error"]["status"], 422);
}
