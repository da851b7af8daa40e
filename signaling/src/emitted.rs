//! [`Emitted`]: every event that a client may emit. The dispatch and the AsyncAPI document go through it, so neither can
//! know one that the other doesn't.

use serde_json::{Value, json};

macro_rules! emitted {
    ($($(#[doc = $about:literal])+ $Name:ident = $event:literal,)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Emitted { $($(#[doc = $about])+ $Name,)* }

        impl Emitted {
            pub const ALL: &[Self] = &[$(Self::$Name),*];

            /// None where there is no such event.
            pub fn of(event: &str) -> Option<Self> {
                match event { $($event => Some(Self::$Name),)* _ => None }
            }
            pub const fn name(self) -> &'static str {
                match self { $(Self::$Name => $event),* }
            }
            pub fn about(self) -> &'static str {
                match self { $(Self::$Name => concat!($($about),+).trim()),* }
            }
        }
    };
}

emitted! {
    /// Gives the socket a newer token of its session. Due within 60 s of the old one's expiry.
    AuthRefresh = "auth:refresh",
    /// Starts the pushes again after a position.
    Resume = "resume",
    /// Sends a message. Acked, with the message, once it is durable.
    MessageSend = "message:send",
    /// Changes the text of a message of one's own.
    MessageEdit = "message:edit",
    /// Deletes a message.
    MessageDelete = "message:delete",
    /// Pins a message.
    MessagePin = "message:pin",
    /// Unpins a message.
    MessageUnpin = "message:unpin",
    /// Puts an emoji on a message.
    MessageReact = "message:react",
    /// Takes one's emoji back.
    MessageUnreact = "message:unreact",
    /// Marks all up to and with a message as read.
    MessageRead = "message:read",
    /// One is typing. Over by itself after 6 s.
    TypingStart = "typing:start",
    /// One types no more.
    TypingStop = "typing:stop",
    /// What one says of being there. As presence:update.
    StatusUpdate = "user:status:update",
    /// What one says of being there.
    PresenceUpdate = "presence:update",
    /// Whose presence this socket is told of, besides that of acquaintances. Acked with their presence now.
    PresenceSubscribe = "presence:subscribe",
    /// What the client shows.
    ConversationView = "conversation:view",
}

impl Emitted {
    /// Whether the port of calls takes it too.
    pub const fn is_for_calls(self) -> bool {
        matches!(self, Self::AuthRefresh)
    }

    /// JSON Schema of its data.
    pub fn schema(self) -> Value {
        let id = || json!({"type": "string", "format": "uuid"});
        let content = || json!({"type": "string", "minLength": 1, "maxLength": 40_000});
        let text = || json!({"type": "string"});
        let position = || json!({"type": "integer", "minimum": 0});
        let (required, optional) = match self {
            Self::AuthRefresh => (vec![("token", text())], vec![]),
            Self::Resume => (vec![("position", position())], vec![("logId", text())]),
            Self::MessageSend => (
                vec![("conversationId", id()), ("content", content())],
                vec![
                    ("type", json!({"$ref": "#/components/schemas/MessageType"})),
                    ("replyToId", id()),
                    ("attachments", json!({"type": "array", "items": id(), "maxItems": 0})),
                    ("clientMessageId", json!({"type": "string", "minLength": 1, "maxLength": 128})),
                ],
            ),
            Self::MessageEdit => (vec![("messageId", id()), ("content", content())], vec![]),
            Self::MessageDelete | Self::MessagePin | Self::MessageUnpin => (vec![("messageId", id())], vec![]),
            Self::MessageReact | Self::MessageUnreact => (vec![("messageId", id()), ("emoji", text())], vec![]),
            Self::MessageRead => (vec![("conversationId", id()), ("messageId", id())], vec![]),
            Self::TypingStart | Self::TypingStop => (vec![("conversationId", id())], vec![]),
            Self::StatusUpdate | Self::PresenceUpdate => (
                vec![("status", json!({"enum": ["online", "away", "busy"]}))],
                vec![("statusText", json!({"type": "string", "maxLength": 100}))],
            ),
            Self::PresenceSubscribe => {
                (vec![("userIds", json!({"type": "array", "items": id(), "maxItems": 500}))], vec![])
            }
            Self::ConversationView => {
                (vec![("conversationIds", json!({"type": "array", "items": id(), "maxItems": 8}))], vec![])
            }
        };
        object(&required, &optional)
    }
}

/// A JSON Schema of these members.
pub(crate) fn object(required: &[(&str, Value)], optional: &[(&str, Value)]) -> Value {
    let names: Vec<&str> = required.iter().map(|(name, _)| *name).collect();
    let members = required.iter().chain(optional).map(|(name, schema)| ((*name).to_owned(), schema.clone()));
    let members: serde_json::Map<String, Value> = members.collect();
    json!({"type": "object", "required": names, "properties": members})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_found_by_its_name() {
        for one in Emitted::ALL {
            assert_eq!(Emitted::of(one.name()), Some(*one));
            assert!(!one.about().is_empty());
        }
        assert_eq!(Emitted::of("message:frobnicate"), None);
    }
}
