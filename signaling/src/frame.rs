//! [`Dialect`]: how a frame is written on each transport. What a push says is encoded once for all its receivers; here
//! only their own positions are put before it.

use domain::Position;
use serde_json::value::RawValue;
use std::fmt::Write;

/// A frame has at most so many bytes, in either direction.
pub(crate) const FRAME_BYTES_MAX: usize = 256 * 1024;

/// By what a client knows an ack again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AckId(Option<Box<str>>);

impl AckId {
    const CHARS_MAX: usize = 128;

    /// No ack can be told, or only one without a name.
    pub const NONE: Self = Self(None);

    /// A number or a text that the client chose, as it wrote it.
    pub fn of_json(id: Option<&RawValue>) -> Self {
        let is_right = |id: &&RawValue| {
            id.get().len() <= Self::CHARS_MAX
                && id.get().starts_with(|c: char| c == '"' || c == '-' || c.is_ascii_digit())
        };
        Self(id.filter(is_right).map(|id| id.get().into()))
    }
    pub fn of_number(id: u64) -> Self {
        Self(Some(id.to_string().into()))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// JSON objects on a plain WebSocket.
    Plain,
    /// Socket.IO's packets, protocol 5: events are `2["name",data]`, acks `3<id>[data]`.
    SocketIo,
}

/// Where a durable push stands on its socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub position: Position,
    /// Of the push before it.
    pub prev: Position,
    /// More pushes of the same event follow.
    pub more: bool,
}

/// How an emit ended: the data, or the problem's body; both JSON texts.
pub(crate) type Outcome<'a> = Result<&'a str, &'a str>;

impl Dialect {
    /// `data` is a JSON object's text.
    pub fn push(self, event: &str, place: Place, data: &str) -> String {
        let Place { position: Position(position), prev: Position(prev), more } = place;
        let more = if more { r#","more":true"# } else { "" };
        let mut frame = String::with_capacity(data.len() + event.len() + 96);
        // Writing into a String does not fail.
        let _ = match self {
            Self::Plain => {
                write!(frame, r#"{{"event":"{event}","position":{position},"prev":{prev}{more},"data":{data}}}"#)
            }
            Self::SocketIo => {
                let members = data.strip_prefix('{').unwrap_or("}");
                let comma = if members.trim_start().starts_with('}') { "" } else { "," };
                write!(frame, r#"2["{event}",{{"position":{position},"prev":{prev}{more}{comma}{members}]"#)
            }
        };
        frame
    }

    /// What has no position.
    pub fn plain(self, event: &str, data: &str) -> String {
        match self {
            Self::Plain => format!(r#"{{"event":"{event}","data":{data}}}"#),
            Self::SocketIo => format!(r#"2["{event}",{data}]"#),
        }
    }

    /// None where the client can't be told, for it asked for no ack.
    pub fn ack(self, id: &AckId, outcome: Outcome<'_>) -> Option<String> {
        let (name, value) = match outcome {
            Ok(data) => ("data", data),
            Err(problem) => ("error", problem),
        };
        match (self, &id.0) {
            (Self::Plain, Some(id)) => Some(format!(r#"{{"event":"ack","id":{id},"{name}":{value}}}"#)),
            (Self::Plain, None) => Some(format!(r#"{{"event":"ack","{name}":{value}}}"#)),
            (Self::SocketIo, Some(id)) => Some(format!(r#"3{id}[{{"{name}":{value}}}]"#)),
            (Self::SocketIo, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place { position: Position(4711), prev: Position(4700), more: false };

    #[test]
    fn a_push_carries_its_place_before_what_all_receivers_share() {
        let data = r#"{"messageId":"m"}"#;
        insta::assert_snapshot!(Dialect::Plain.push("message:deleted", PLACE, data), @r#"{"event":"message:deleted","position":4711,"prev":4700,"data":{"messageId":"m"}}"#);
        insta::assert_snapshot!(Dialect::SocketIo.push("message:deleted", PLACE, data), @r#"2["message:deleted",{"position":4711,"prev":4700,"messageId":"m"}]"#);
        let more = Place { more: true, ..PLACE };
        insta::assert_snapshot!(Dialect::Plain.push("a", more, "{}"), @r#"{"event":"a","position":4711,"prev":4700,"more":true,"data":{}}"#);
        insta::assert_snapshot!(Dialect::SocketIo.push("a", more, "{}"), @r#"2["a",{"position":4711,"prev":4700,"more":true}]"#);
    }

    #[test]
    fn an_ack_carries_the_clients_own_name_for_it() {
        let raw: Box<RawValue> = serde_json::from_str("7").expect("json");
        let id = AckId::of_json(Some(&raw));
        insta::assert_snapshot!(Dialect::Plain.ack(&id, Ok("{}")).expect("told"), @r#"{"event":"ack","id":7,"data":{}}"#);
        insta::assert_snapshot!(Dialect::SocketIo.ack(&id, Err("{}")).expect("told"), @r#"37[{"error":{}}]"#);
        insta::assert_snapshot!(Dialect::Plain.ack(&AckId::NONE, Err("{}")).expect("told"), @r#"{"event":"ack","error":{}}"#);
        assert_eq!(Dialect::SocketIo.ack(&AckId::NONE, Ok("{}")), None);
    }

    #[test]
    fn an_id_that_is_no_number_or_text_is_no_id() {
        for json in ["{}", "[1]", "null", "true"] {
            let raw: Box<RawValue> = serde_json::from_str(json).expect("json");
            assert_eq!(AckId::of_json(Some(&raw)), AckId::NONE, "{json}");
        }
    }
}
