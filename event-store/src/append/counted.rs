//! What the store knows of messages: each conversation's are counted, in the order of the log.

use serde_json::Value;

/// The type of the streams whose rows count.
pub(crate) const COUNTER_TYPE: &str = "conversation";

pub(crate) fn is_counted(event_type: &str) -> bool {
    event_type == "message.sent"
}

/// The conversation whose count an event takes part in.
pub(crate) fn counted_conversation<'a>(event_type: &str, payload: &'a Value) -> Option<&'a str> {
    if is_counted(event_type) { payload.get("conversationId")?.as_str() } else { None }
}
