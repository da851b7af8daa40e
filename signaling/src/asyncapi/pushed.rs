//! [`PUSHED`]: every event that the server sends.

use crate::emitted::object;
use serde_json::{Value, json};

pub(super) struct Pushed {
    pub name: &'static str,
    pub about: &'static str,
    /// It stands in the log: it carries `position` and `prev`, and is resumed.
    pub is_durable: bool,
    /// On the port of calls too.
    pub is_for_calls: bool,
    required: &'static [&'static str],
    optional: &'static [&'static str],
}

impl Pushed {
    pub fn schema(&self) -> Value {
        let of = |names: &[&'static str]| names.iter().map(|name| (*name, member(name))).collect::<Vec<_>>();
        object(&of(self.required), &of(self.optional))
    }
}

/// A member's schema: the same name means the same thing in every push.
fn member(name: &str) -> Value {
    match name {
        "message" => json!({"$ref": "#/components/schemas/Message"}),
        "conversation" => json!({"$ref": "#/components/schemas/Conversation"}),
        "reaction" => {
            let members = ["reactionId", "emoji", "userId"].map(|name| (name, member(name)));
            object(&members, &[])
        }
        "updates" => json!({"type": "object"}),
        "position" | "heartbeatMs" => json!({"type": "integer", "minimum": 0}),
        "isMuted" | "isPinned" => json!({"type": "boolean"}),
        "status" => json!({"enum": ["online", "away", "busy", "offline"]}),
        "statusText" => json!({"type": ["string", "null"]}),
        "updatedAt" | "lastSeen" => json!({"type": ["string", "null"], "format": "date-time"}),
        "deviceId" | "logId" | "content" | "emoji" | "username" | "role" => json!({"type": "string"}),
        _ => json!({"type": "string", "format": "uuid"}),
    }
}

const fn both(name: &'static str, about: &'static str, required: &'static [&'static str]) -> Pushed {
    Pushed { name, about, is_durable: false, is_for_calls: true, required, optional: &[] }
}
const fn passing(name: &'static str, about: &'static str, required: &'static [&'static str]) -> Pushed {
    Pushed { name, about, is_durable: false, is_for_calls: false, required, optional: &[] }
}
const fn durable(name: &'static str, about: &'static str, required: &'static [&'static str]) -> Pushed {
    Pushed { name, about, is_durable: true, is_for_calls: false, required, optional: &[] }
}
const fn of_participant(name: &'static str, about: &'static str, optional: &'static [&'static str]) -> Pushed {
    Pushed { optional, ..durable(name, about, &["conversationId", "userId"]) }
}

const IN_MESSAGE: &[&str] = &["messageId", "conversationId"];
const BY: &[&str] = &["messageId", "conversationId", "userId"];
const REACTION: &[&str] = &["messageId", "conversationId", "reaction"];

pub(super) const PUSHED: &[Pushed] = &[
    both(
        "ready",
        "The greeting, before everything else",
        &["userId", "sessionId", "deviceId", "logId", "position", "heartbeatMs"],
    ),
    both("heartbeat", "Comes every heartbeatMs; all that is visible up to the position has been sent", &["position"]),
    both("server:draining", "The server goes away: connect again, to any other", &[]),
    passing("resume:done", "All that was missed has been sent", &["position"]),
    passing(
        "resume:reset",
        "Too much or too long ago: begin again from GET /api/sync, pushes go on after the position",
        &["logId", "position"],
    ),
    durable("message:new", "A message, to its sender's other devices too", &["message"]),
    durable("message:updated", "A message has another text", &["messageId", "conversationId", "content", "updatedAt"]),
    durable("message:deleted", "A message is gone", IN_MESSAGE),
    durable("message:reaction:added", "An emoji on a message", REACTION),
    durable("message:reaction:removed", "An emoji less on a message", REACTION),
    durable("message:pinned", "A message is pinned", BY),
    durable("message:unpinned", "A message is pinned no more", BY),
    durable("message:read", "Somebody has read up to a message", BY),
    durable("conversation:created", "A conversation that one is in", &["conversation"]),
    durable("conversation:updated", "A conversation has changed", &["conversationId", "updates"]),
    durable("conversation:deleted", "A conversation is gone", &["conversationId"]),
    of_participant("participant:added", "Somebody is in a conversation", &["role"]),
    of_participant("participant:removed", "Somebody is in a conversation no more", &[]),
    of_participant("participant:updated", "A role, or one's own mute or pin", &["role", "isMuted", "isPinned"]),
    durable("workspace:member:added", "Somebody is in a workspace", &["workspaceId", "userId"]),
    passing("typing:start", "Somebody types", &["conversationId", "userId", "username"]),
    passing("typing:stop", "Somebody types no more", &["conversationId", "userId"]),
    passing("user:online", "Somebody is there", &["userId", "username"]),
    passing("user:offline", "Somebody's last device has been gone for 10 s", &["userId"]),
    passing("presence:update", "What somebody says of being there", &["userId", "status", "statusText", "lastSeen"]),
];
