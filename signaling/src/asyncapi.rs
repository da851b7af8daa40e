//! [`document`]: the AsyncAPI 3 document of both sockets, made of what clients may emit and of what is pushed.

mod pushed;

use crate::emitted::Emitted;
use projections::{conversation::ConversationView, message::MessageView};
use pushed::PUSHED;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;
use utoipa::{PartialSchema, ToSchema};

/// The document that `/api/asyncapi.json` serves and the command line prints.
pub fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(compose);
    &DOCUMENT
}

const ABOUT: &str = "Messaging on PORT and calls on REALTIME_PORT, each as plain WebSocket at /ws and as Socket.IO 4 at \
    /socket.io, with the same events and payloads. On /ws a client sends {\"id\", \"event\", \"data\"} and gets \
    {\"event\": \"ack\", \"id\", \"data\"} or, with a problem, \"error\"; pushes are {\"event\", \"position\", \"prev\", \
    \"data\"}. On Socket.IO the ack's callback gets {data} or {error}, and a push's payload carries position and prev. The \
    token comes by the Authorization header or the subprotocols hansard.v1 and bearer.<token> on /ws, and by auth.token on \
    Socket.IO. Close codes: 1009 a frame over 256 KiB, 1012 the server goes away, 4401 the token has expired, 4403 the \
    session has ended.";

fn compose() -> Value {
    let (mut messages, mut operations) = (Map::new(), Map::new());
    let (mut messaging, mut calls) = (Map::new(), Map::new());
    let mut add = |key: &str, action: &str, message: Value, is_for_calls: bool| {
        let reference = json!({"$ref": format!("#/components/messages/{key}")});
        messages.insert(key.to_owned(), message);
        messaging.insert(key.to_owned(), reference.clone());
        let on = |channel: &str| {
            json!({
                "action": action,
                "channel": {"$ref": format!("#/channels/{channel}")},
                "messages": [{"$ref": format!("#/channels/{channel}/messages/{key}")}],
            })
        };
        operations.insert(key.to_owned(), on("messaging"));
        if is_for_calls {
            calls.insert(key.to_owned(), reference);
            operations.insert(format!("calls.{key}"), on("calls"));
        }
    };
    for one in Emitted::ALL {
        let message = json!({"name": one.name(), "summary": one.about(), "payload": one.schema()});
        add(&format!("emit.{}", key(one.name())), "receive", message, one.is_for_calls());
    }
    for push in PUSHED {
        let message = json!({
            "name": push.name, "summary": push.about, "payload": push.schema(),
            "tags": [{"name": if push.is_durable { "durable" } else { "not durable" }}],
        });
        add(&format!("push.{}", key(push.name)), "send", message, push.is_for_calls);
    }
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Hansard's sockets",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {
            "messaging": {"address": "/ws", "title": "On PORT", "messages": messaging},
            "calls": {"address": "/ws", "title": "On REALTIME_PORT", "messages": calls},
        },
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas()},
    })
}

/// Names in references hold letters, digits, dots and dashes.
fn key(event: &str) -> String {
    event.replace(':', ".")
}

/// The shapes of messages and conversations, with all that stands in them.
fn schemas() -> Value {
    let mut nested = vec![];
    MessageView::schemas(&mut nested);
    ConversationView::schemas(&mut nested);
    let own = [("Message".to_owned(), MessageView::schema()), ("Conversation".to_owned(), ConversationView::schema())];
    let all = nested.into_iter().chain(own);
    all.map(|(name, schema)| (name, serde_json::to_value(schema).unwrap_or_default())).collect::<Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    match member.as_str() {
                        Some(reference) if name == "$ref" => found.push(reference.to_owned()),
                        _ => references(member, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let mut found = vec![];
        references(document(), &mut found);
        assert!(found.len() > 50);
        for reference in found {
            let pointer = reference.strip_prefix('#').expect("within the document");
            assert!(document().pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn all_that_is_emitted_and_pushed_is_told() {
        let names: Vec<&str> = PUSHED.iter().map(|push| push.name).collect();
        insta::assert_snapshot!(names.join(" "));
        let messages = document()["components"]["messages"].as_object().expect("messages");
        assert_eq!(messages.len(), names.len() + Emitted::ALL.len());
    }
}
