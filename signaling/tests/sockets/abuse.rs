//! Clients that mean no good, or are broken.

use crate::{client::*, nodes::Town};
use futures::SinkExt;
use runtime::settings::RateLimit;
use serde_json::json;
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn a_frame_over_256_kib_closes_its_socket_and_no_other() {
    let (town, [alice, bob, _], room) = Town::start().await;
    let node = town.node().await;
    let (mut a, mut b) = (node.connect(&alice).await, node.connect(&bob).await);
    let frame = json!({"event": "message:send", "data": {"conversationId": room, "content": "x", "padding": "y".repeat(270 * 1024)}});
    a.send(&frame.to_string()).await;
    assert_eq!(a.closed().await, 1009);
    Client::is_refused(&b.emit("no:such:event", json!({})).await, 400, "unknown_event");
}

#[tokio::test]
async fn a_message_of_40_000_characters_fits_whatever_they_weigh() {
    let (town, [alice, ..], room) = Town::start().await;
    let node = town.node().await;
    let mut a = node.connect(&alice).await;
    let ack = a.emit("message:send", json!({"conversationId": room, "content": "𝄞".repeat(40_000)})).await;
    assert!(ack["error"].is_null(), "{}", ack["error"]);
}

#[tokio::test]
async fn frames_beyond_the_limit_are_refused_and_the_socket_stays_open() {
    let limit = RateLimit { count: 5, period: Duration::from_hours(1) };
    let (town, [alice, ..], _) = Town::start_limited(Some(limit)).await;
    let node = town.node().await;
    let mut a = node.connect(&alice).await;
    for _ in 0..5 {
        Client::is_refused(&a.emit("no:such:event", json!({})).await, 400, "unknown_event");
    }
    let ack = a.emit("no:such:event", json!({})).await;
    Client::is_refused(&ack, 429, "rate_limited");
    assert!(ack["error"]["retryAfter"].is_u64());
}

#[tokio::test]
async fn one_person_can_not_open_sockets_without_end() {
    let limit = RateLimit { count: 50, period: Duration::from_secs(1) };
    let (town, [alice, bob, _], _) = Town::start_limited(Some(limit)).await;
    let node = town.node().await;
    let mut open = Vec::new();
    for _ in 0..100 {
        open.push(node.connect(&alice).await);
    }
    let refused = Client::connect(node.address, &alice.token, "").await.err().expect("refused");
    assert_eq!(refused.status(), 429);
    node.connect(&bob).await;
}

#[tokio::test]
async fn a_client_that_never_reads_holds_up_nobody() {
    let (town, [alice, bob, carol], room) = Town::start().await;
    let node = town.node().await;
    let mut deaf = node.connect(&bob).await;
    let (mut a, mut c) = (node.connect(&alice).await, node.connect(&carol).await);
    // It orders answers that it never reads, until not even a frame goes out any more.
    let flood = async {
        loop {
            if deaf.stream.send(Message::text(r#"{"id":1,"event":"no:such:event","data":{}}"#)).await.is_err() {
                break;
            }
        }
    };
    let talk = async {
        let padding = "p".repeat(30_000);
        for _ in 0..100 {
            let ack = a.emit("message:send", json!({"conversationId": room, "content": padding})).await;
            assert!(ack["error"].is_null(), "{ack}");
            c.event("message:new").await;
        }
    };
    tokio::select! { () = flood => panic!("the socket was closed"), () = talk => {} }
}

#[tokio::test]
async fn a_socket_that_is_gone_is_counted_no_more() {
    let (town, [alice, ..], _) = Town::start().await;
    let node = town.node().await;
    let a = node.connect(&alice).await;
    assert!(node.connections.open() >= 1);
    drop(a);
    for _ in 0..500 {
        if node.connections.open() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} connections are still counted", node.connections.open());
}
