//! [`Fields`]: what a client emitted, read field by field, so that all that is wrong with it is told at once.

use commands::{Problem, WrongField};
use domain::limits;
use serde::de::DeserializeOwned;
use serde_json::{Value, value::RawValue};
use std::{borrow::Cow, collections::BTreeMap};

/// The named values of a payload, and what was found wrong with them so far.
pub(crate) struct Fields<'a> {
    sent: BTreeMap<Cow<'a, str>, &'a RawValue>,
    wrong: Vec<WrongField>,
}

impl<'a> Fields<'a> {
    /// A JSON object; anything else is malformed.
    pub fn of(data: Option<&'a RawValue>) -> Result<Self, Problem> {
        let malformed = || Problem::new(400, "malformed_payload", "the data must be a JSON object");
        let sent = serde_json::from_str(data.ok_or_else(malformed)?.get()).map_err(|_| malformed())?;
        Ok(Self { sent, wrong: vec![] })
    }

    /// A field that must be there.
    pub fn take<T: DeserializeOwned>(&mut self, name: &'static str) -> Option<T> {
        let taken = self.maybe(name);
        if taken.is_none() && !self.wrong.iter().any(|wrong| wrong.field == name) {
            self.wrong(name, "missing", "this field is needed");
        }
        taken
    }

    /// A field that may be absent or null.
    pub fn maybe<T: DeserializeOwned>(&mut self, name: &'static str) -> Option<T> {
        let json = self.sent.get(name).map(|json| json.get()).filter(|json| *json != "null")?;
        // The escape is seldom seen; only then is it worth to look whether it is one.
        if json.contains("\\u0000") && holds_nul(&serde_json::from_str(json).unwrap_or_default()) {
            self.wrong(name, "nul_character", "a text must not hold the character U+0000");
            return None;
        }
        match serde_json::from_str(json) {
            Ok(value) => Some(value),
            Err(error) => {
                let message = error.to_string();
                self.wrong(name, "malformed", message.split(" at line ").next().unwrap_or_default().to_owned());
                None
            }
        }
    }

    /// A message's text.
    pub fn content(&mut self) -> Option<String> {
        let content: String = self.take("content")?;
        if !limits::is_content(&content) {
            self.wrong("content", "content_invalid", "a message has 1 to 40,000 characters and is not blank");
            return None;
        }
        Some(content)
    }

    /// A list of bounded length.
    pub fn list<T: DeserializeOwned>(&mut self, name: &'static str, max: usize) -> Option<Vec<T>> {
        let list: Vec<T> = self.take(name)?;
        if list.len() > max {
            self.wrong(name, "too_many", format!("at most {max} can be named"));
            return None;
        }
        Some(list)
    }

    pub fn wrong(&mut self, field: &str, code: &'static str, message: impl Into<Cow<'static, str>>) {
        self.wrong.push(WrongField { field: field.to_owned(), code, message: message.into() });
    }

    /// What was put together of the fields, or all that is wrong with them.
    pub fn finish<T>(self, read: Option<T>) -> Result<T, Problem> {
        match read {
            Some(read) if self.wrong.is_empty() => Ok(read),
            _ => Err(Problem::invalid(self.wrong)),
        }
    }
}

fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(members) => members.iter().any(|(name, value)| name.contains('\0') || holds_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::ConversationId;

    fn send(json: &str) -> Result<(ConversationId, String), Problem> {
        let raw: Box<RawValue> = serde_json::from_str(json).expect("json");
        let mut fields = Fields::of(Some(&raw))?;
        let (conversation, content) = (fields.take("conversationId"), fields.content());
        fields.finish(conversation.zip(content))
    }
    fn wrong(json: &str) -> Vec<(String, &'static str)> {
        let problem = send(json).expect_err("it is wrong");
        problem.fields.into_iter().map(|wrong| (wrong.field, wrong.code)).collect()
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let both = |a, b| vec![("conversationId".to_owned(), a), ("content".to_owned(), b)];
        assert_eq!(wrong("{}"), both("missing", "missing"));
        assert_eq!(wrong(r#"{"conversationId":"x","content":7}"#), both("malformed", "malformed"));
        assert_eq!(wrong(r#"{"conversationId":null,"content":" "}"#), both("missing", "content_invalid"));
        assert_eq!(wrong(r#"{"conversationId":[],"content":"\u0000"}"#), both("malformed", "nul_character"));
    }

    #[test]
    fn what_is_no_object_is_malformed() {
        for json in ["[]", "null", "\"text\"", "7"] {
            assert_eq!(send(json).expect_err("no object").code, "malformed_payload", "{json}");
        }
        assert!(Fields::of(None).is_err());
    }

    #[test]
    fn characters_are_counted_not_bytes() {
        let id = "018f2b3c-0000-7000-8000-000000000000";
        let of = |n: usize| format!(r#"{{"conversationId":"{id}","content":"{}"}}"#, "語".repeat(n));
        assert!(send(&of(40_000)).is_ok());
        assert!(send(&of(40_001)).is_err());
    }
}
