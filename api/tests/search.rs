//! Searching, from the request to the answer.

use api::testing::{Person, TestApp};
use serde_json::{Value, json};

async fn find(person: &Person, query: &str) -> Value {
    person.get(&format!("/search?{query}")).await.ok()
}

fn contents(result: &Value) -> Vec<&str> {
    let hits = result["hits"].as_array().expect("hits");
    hits.iter().filter_map(|hit| hit["message"]["content"].as_str()).collect()
}

#[tokio::test]
async fn what_is_sent_is_found_by_members_with_its_words_marked() {
    let (mut app, [alice, bob, _]) = TestApp::start().await;
    let stranger = app.register("dave").await;
    alice.send("The Café opens <soon>").await;
    app.settle_search().await;
    let found = find(&bob, "q=cafe&type=messages").await;
    assert_eq!((found["total"].as_u64(), contents(&found)), (Some(1), vec!["The Café opens <soon>"]));
    assert_eq!(found["hits"][0]["highlights"], json!(["The <mark>Café</mark> opens &lt;soon&gt;"]));
    let none = find(&stranger, "q=cafe").await;
    assert_eq!((none["total"].as_u64(), none["hits"].as_array().map(Vec::len)), (Some(0), Some(0)));
}

#[tokio::test]
async fn what_is_deleted_edited_or_left_is_found_no_more() {
    let (mut app, [alice, bob, carol]) = TestApp::start().await;
    let (gone, changed) = (alice.send("gone word").await, alice.send("first word").await);
    app.settle_search().await;
    assert_eq!(find(&bob, "q=word").await["total"], 2);
    alice.delete(&format!("/messages/{}", gone["id"].as_str().expect("an id"))).await.ok();
    let path = format!("/messages/{}", changed["id"].as_str().expect("an id"));
    alice.put(&path, &json!({"content": "second word"})).await.ok();
    app.settle_search().await;
    assert_eq!(contents(&find(&bob, "q=word").await), ["second word"]);
    assert_eq!(find(&bob, "q=first").await["total"], 0);
    alice.delete(&format!("/conversations/{}/participants/{}", alice.room, carol.id)).await.ok();
    assert_eq!(find(&carol, "q=word").await["total"], 0);
    app.settle().await;
}

#[tokio::test]
async fn operators_narrow_by_sender_conversation_and_what_a_message_has() {
    let (mut app, [alice, bob, _]) = TestApp::start().await;
    alice.send("word of alice").await;
    let liked = bob.send("word of bob").await;
    let path = format!("/messages/{}/react", liked["id"].as_str().expect("an id"));
    alice.post(&path, &json!({"emoji": "👍"})).await.created();
    app.settle_search().await;
    for (query, expected) in [
        ("word from:bob", &["word of bob"][..]),
        ("word from:me", &["word of alice"]),
        ("word -from:bob", &["word of alice"]),
        ("word from:nobody", &[]),
        ("in:\"the room\" from:@bob", &["word of bob"]),
        ("word in:elsewhere", &[]),
        ("word -in:\"The room\"", &[]),
        ("has:reaction", &["word of bob"]),
        ("word -has:reaction", &["word of alice"]),
        ("word has:pin", &[]),
        ("-bob on:2026-01-31", &["word of alice"]),
        ("word before:2026-01-31", &[]),
        ("***", &[]),
    ] {
        let encoded: String = query.replace('"', "%22").replace('#', "%23").replace(' ', "+");
        assert_eq!(contents(&find(&alice, &format!("q={encoded}&type=messages")).await), expected, "{query}");
    }
}

#[tokio::test]
async fn people_come_before_messages_and_pages_go_over_both() {
    let (mut app, [alice, ..]) = TestApp::start().await;
    alice.send("ask bob about it").await;
    alice.send("bob knows").await;
    app.settle_search().await;
    let mut seen = Vec::new();
    for offset in 0..4 {
        let page = find(&alice, &format!("q=bob&limit=1&offset={offset}")).await;
        assert_eq!(page["total"], 3);
        seen.extend(
            page["hits"].as_array().expect("hits").iter().map(|hit| hit["type"].as_str().expect("text").to_owned()),
        );
    }
    assert_eq!(seen, ["user", "message", "message"]);
    let people = find(&alice, "q=bob&type=users").await;
    assert_eq!(people["hits"][0]["user"]["username"], "bob");
    assert!(people["hits"][0]["user"].get("email").is_none());
}

#[tokio::test]
async fn a_cursor_goes_on_where_the_page_before_ended() {
    let (mut app, [alice, ..]) = TestApp::start().await;
    for n in 0..5 {
        alice.send(&format!("word {n}")).await;
    }
    app.settle_search().await;
    let mut seen = Vec::new();
    let mut query = "q=word&type=messages&order=newest&limit=2".to_owned();
    loop {
        let page = find(&alice, &query).await;
        seen.extend(contents(&page).into_iter().map(str::to_owned));
        let Some(cursor) = page["nextCursor"].as_str() else { break };
        query = format!("q=word&type=messages&order=newest&limit=2&cursor={cursor}");
    }
    assert_eq!(seen, ["word 4", "word 3", "word 2", "word 1", "word 0"]);
}

#[tokio::test]
async fn a_query_that_says_nothing_is_refused_by_its_field() {
    let (_app, [alice, ..]) = TestApp::start().await;
    for query in [
        "",
        "q=on:yesterday",
        "q=has:everything",
        "q=a&type=all",
        "q=a&cursor=x",
        "q=a&limit=0",
        &format!("q={}", "a".repeat(1_001)),
    ] {
        alice.get(&format!("/search?{query}")).await.assert_problem(422, "validation_failed");
    }
    assert_eq!(find(&alice, "q=").await["total"], 0);
}
