//! [`Packet`]: what a Socket.IO client (protocol 5) sends, as far as a server without binary events needs to know it.

use serde_json::value::RawValue;

/// The server's, or the client's, goodbye.
pub(crate) const DISCONNECT: &str = "1";

/// A packet of the one namespace that there is.
#[derive(Debug)]
pub(crate) enum Packet<'a> {
    /// With the auth payload, if there is one.
    Connect(&'a str),
    Disconnect,
    /// `["name", data, …]`, and the number under which an ack is awaited.
    Event {
        id: Option<u64>,
        array: &'a str,
    },
    /// Of another namespace.
    Elsewhere {
        namespace: &'a str,
        is_connect: bool,
    },
    /// A client's ack, for which nobody waits.
    Ack,
}

impl<'a> Packet<'a> {
    /// `<type>[<attachments>-][<namespace>,][<id>][JSON]`. None where it is none.
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut chars = text.chars();
        let kind = chars.next()?;
        let rest = chars.as_str();
        let rest = if matches!(kind, '5' | '6') { rest.split_once('-')?.1 } else { rest };
        let (namespace, rest) = if rest.starts_with('/') {
            let (namespace, rest) = rest.split_once(',').unwrap_or((rest, ""));
            (namespace.split('?').next().unwrap_or_default(), rest)
        } else {
            ("/", rest)
        };
        if namespace != "/" {
            return Some(Self::Elsewhere { namespace, is_connect: kind == '0' });
        }
        match kind {
            '0' => Some(Self::Connect(rest)),
            '1' => Some(Self::Disconnect),
            '2' | '5' => {
                let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
                let (id, array) = rest.split_at(digits);
                let id = if id.is_empty() { None } else { Some(id.parse().ok()?) };
                Some(Self::Event { id, array })
            }
            '3' | '6' => Some(Self::Ack),
            _ => None,
        }
    }
}

/// Name and data of an event. More arguments than one are no frame of ours; the first counts.
pub(crate) fn event(array: &str) -> Option<(String, Option<&RawValue>)> {
    let parts: Vec<&RawValue> = serde_json::from_str(array).ok()?;
    let name = serde_json::from_str(parts.first()?.get()).ok()?;
    Some((name, parts.get(1).copied()))
}

pub(crate) fn connected(sid: &str) -> String {
    format!(r#"0{{"sid":"{sid}"}}"#)
}

/// `problem` is a problem's body.
pub(crate) fn connect_error(message: &str, problem: &str) -> String {
    let message = serde_json::to_string(message).unwrap_or_default();
    format!(r#"4{{"message":{message},"data":{problem}}}"#)
}

pub(crate) fn unknown_namespace(namespace: &str) -> String {
    format!(r#"4{namespace},{{"message":"there is no such namespace"}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> String {
        format!("{:?}", Packet::parse(text))
    }

    #[test]
    fn packets_are_told_apart_by_their_first_digit() {
        assert_eq!(parsed(r#"0{"token":"t"}"#), r#"Some(Connect("{\"token\":\"t\"}"))"#);
        assert_eq!(parsed("0"), r#"Some(Connect(""))"#);
        assert_eq!(parsed("1"), "Some(Disconnect)");
        assert_eq!(parsed(r#"2["a",1]"#), r#"Some(Event { id: None, array: "[\"a\",1]" })"#);
        assert_eq!(parsed(r#"217["a"]"#), r#"Some(Event { id: Some(17), array: "[\"a\"]" })"#);
        assert_eq!(parsed(r#"51-3["a"]"#), r#"Some(Event { id: Some(3), array: "[\"a\"]" })"#);
        assert_eq!(parsed("31[]"), "Some(Ack)");
        for wrong in ["", "9", "x", "5", "299999999999999999999999[]"] {
            assert_eq!(parsed(wrong), "None", "{wrong}");
        }
    }

    #[test]
    fn there_is_one_namespace() {
        assert_eq!(parsed("0/,{}"), r#"Some(Connect("{}"))"#);
        assert_eq!(parsed("0/admin,{}"), r#"Some(Elsewhere { namespace: "/admin", is_connect: true })"#);
        assert_eq!(parsed("0/admin?a=b"), r#"Some(Elsewhere { namespace: "/admin", is_connect: true })"#);
    }

    #[test]
    fn an_event_has_a_name_and_may_have_data() {
        let (name, data) = event(r#"["message:send",{"content":"x"},2]"#).expect("an event");
        assert_eq!((name.as_str(), data.map(RawValue::get)), ("message:send", Some(r#"{"content":"x"}"#)));
        assert!(event(r#"["resume"]"#).is_some_and(|(_, data)| data.is_none()));
        for wrong in ["", "[]", "{}", "[1]", "[\"a\"", "null"] {
            assert!(event(wrong).is_none(), "{wrong}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_comes_nothing_panics(text in "\\PC*", kind in "[0-9]", rest in "[-0-9/,\\[\\]{}\"a-z]*") {
            let _ = Packet::parse(&text);
            let _ = event(&text);
            if let Some(Packet::Event { array, .. }) = Packet::parse(&format!("{kind}{rest}")) {
                let _ = event(array);
            }
        }
    }
}
