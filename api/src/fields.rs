//! [`Fields`]: what a caller sent, read field by field, so that all that is wrong with it is told at once.

use crate::problem::FieldError;
use serde::{
    Deserializer,
    de::{
        DeserializeOwned, Error as _, IntoDeserializer, Visitor,
        value::{Error, SeqDeserializer},
    },
    forward_to_deserialize_any,
};
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::BTreeMap};

/// A body or a query string that knows how to be read; the macros [`body`] and [`query`] write it.
pub trait Input: Sized {
    /// None where something is wrong: then `fields` has noted it.
    fn read(fields: &mut Fields) -> Option<Self>;
}

/// What a rule finds wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub code: &'static str,
    pub message: &'static str,
}

/// The named values of a body or a query string, and what was found wrong with them so far.
pub struct Fields {
    sent: BTreeMap<String, Sent>,
    wrong: Vec<FieldError>,
}

enum Sent {
    Json(Box<RawValue>),
    Text(String),
}

impl Fields {
    /// A JSON object. A body without a byte is read as an object without a field.
    pub(crate) fn of_json(body: &[u8]) -> serde_json::Result<Self> {
        let sent: BTreeMap<String, Box<RawValue>> =
            if body.is_empty() { BTreeMap::new() } else { serde_json::from_slice(body)? };
        Ok(Self { sent: sent.into_iter().map(|(name, value)| (name, Sent::Json(value))).collect(), wrong: vec![] })
    }
    /// A query string; of a name that comes twice the last one counts.
    pub(crate) fn of_query(query: &str) -> Self {
        let pairs = url::form_urlencoded::parse(query.as_bytes()).into_owned();
        Self { sent: pairs.map(|(name, value)| (name, Sent::Text(value))).collect(), wrong: vec![] }
    }

    /// Takes a field by its Rust name. An optional one may be absent or null.
    pub fn take<T: DeserializeOwned>(&mut self, rust_name: &str) -> Option<T> {
        let name = wire_name(rust_name);
        match self.read(&name) {
            Ok(value) => Some(value),
            Err((inside, code, message)) => {
                self.wrong(format!("{name}{inside}"), code, message);
                None
            }
        }
    }

    /// Notes what a rule finds wrong with a field.
    pub fn check<T>(&mut self, rust_name: &str, field: Option<&T>, rule: impl Fn(&T) -> Result<(), Fault>) {
        if let Some(Err(fault)) = field.map(rule) {
            self.wrong(wire_name(rust_name), fault.code, fault.message.into());
        }
    }

    /// The input, or all that is wrong with it.
    pub(crate) fn into_input<T: Input>(mut self) -> Result<T, Vec<FieldError>> {
        match T::read(&mut self) {
            Some(input) if self.wrong.is_empty() => Ok(input),
            _ => Err(self.wrong),
        }
    }

    fn wrong(&mut self, field: String, code: &'static str, message: Cow<'static, str>) {
        self.wrong.push(FieldError { field, code: code.into(), message });
    }

    fn read<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, Wrong> {
        match self.sent.remove(name) {
            Some(Sent::Json(json)) if json.get() != "null" => read_json(&json),
            Some(Sent::Text(text)) if text.contains('\0') => Err(nul()),
            Some(Sent::Text(text)) => {
                T::deserialize(Word(&text)).map_err(|error| (String::new(), "malformed", error.to_string().into()))
            }
            Some(Sent::Json(_)) | None => {
                T::deserialize(Absent).map_err(|_| (String::new(), "missing", "this field is needed".into()))
            }
        }
    }
}

/// Where inside the field, a code, a sentence.
type Wrong = (String, &'static str, Cow<'static, str>);

fn nul() -> Wrong {
    (String::new(), "nul_character", "a text must not hold the character U+0000".into())
}

fn read_json<T: DeserializeOwned>(json: &RawValue) -> Result<T, Wrong> {
    // The escape is seldom seen; only then is it worth to look whether it is one.
    if json.get().contains("\\u0000") && holds_nul(&serde_json::from_str(json.get()).unwrap_or_default()) {
        return Err(nul());
    }
    let mut deserializer = serde_json::Deserializer::from_str(json.get());
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let inside = match error.path().to_string() {
            path if path == "." => String::new(),
            path if path.starts_with('[') => path,
            path => format!(".{path}"),
        };
        let message = error.inner().to_string();
        let message = message.split(" at line ").next().unwrap_or_default().to_owned();
        (inside, "malformed", message.into())
    })
}

fn holds_nul(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::String(text) => text.contains('\0'),
        serde_json::Value::Array(items) => items.iter().any(holds_nul),
        serde_json::Value::Object(members) => {
            members.iter().any(|(name, value)| name.contains('\0') || holds_nul(value))
        }
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => false,
    }
}

/// `reply_to_id` → `replyToId`, `r#type` → `type`.
fn wire_name(rust_name: &str) -> String {
    let mut name = String::with_capacity(rust_name.len());
    let mut upper = false;
    for c in rust_name.trim_start_matches("r#").chars() {
        if c == '_' {
            upper = true;
        } else {
            name.push(if upper { c.to_ascii_uppercase() } else { c });
            upper = false;
        }
    }
    name
}

/// A field that was not sent: right for what is optional, wrong for the rest.
struct Absent;

impl<'de> Deserializer<'de> for Absent {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("missing"))
    }
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_none()
    }
    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct seq
        tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// A value of a query string: text that may be a number, a truth or a list by commas.
#[derive(Clone, Copy)]
struct Word<'a>(&'a str);

macro_rules! parsed {
    ($($method:ident => $visit:ident, $what:literal;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.0.parse() {
                Ok(value) => visitor.$visit(value),
                Err(_) => Err(Error::custom(concat!("expected ", $what))),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Word<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(self.0)
    }
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(self.0.into_deserializer())
    }
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let words = self.0.split(',').filter(|word| !word.is_empty()).map(Word);
        visitor.visit_seq(SeqDeserializer::new(words))
    }
    parsed! {
        deserialize_bool => visit_bool, "true or false";
        deserialize_i8 => visit_i8, "a whole number";
        deserialize_i16 => visit_i16, "a whole number";
        deserialize_i32 => visit_i32, "a whole number";
        deserialize_i64 => visit_i64, "a whole number";
        deserialize_u8 => visit_u8, "a whole number from 0";
        deserialize_u16 => visit_u16, "a whole number from 0";
        deserialize_u32 => visit_u32, "a whole number from 0";
        deserialize_u64 => visit_u64, "a whole number from 0";
        deserialize_f32 => visit_f32, "a number";
        deserialize_f64 => visit_f64, "a number";
    }
    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct tuple tuple_struct map struct identifier ignored_any
    }
}

impl IntoDeserializer<'_, Error> for Word<'_> {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

/// Declares a JSON body: a struct whose fields are read by their camelCase names, each checked by its rule.
///
/// ```ignore
/// body! {
///     /// A message to send.
///     pub struct Send {
///         conversation_id: ConversationId,
///         #[schema(min_length = 1, max_length = 40_000)]
///         content: String => rule::content,
///         reply_to_id: Option<MessageId>,
///     }
/// }
/// ```
macro_rules! body {
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $($(#[$fmeta:meta])* $fvis:vis $field:ident: $type:ty $(=> $rule:expr)?),* $(,)? }) => {
        $(#[$meta])*
        #[derive(utoipa::ToSchema)]
        #[schema(rename_all = "camelCase")]
        $vis struct $name { $($(#[$fmeta])* $fvis $field: $type,)* }
        $crate::fields::input! { $name { $($field: $type $(=> $rule)?,)* } }
    };
}

/// Declares a query string, as [`body`] does a body.
macro_rules! query {
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $($(#[$fmeta:meta])* $fvis:vis $field:ident: $type:ty $(=> $rule:expr)?),* $(,)? }) => {
        $(#[$meta])*
        #[derive(utoipa::IntoParams)]
        #[into_params(parameter_in = Query, rename_all = "camelCase")]
        $vis struct $name { $($(#[$fmeta])* $fvis $field: $type,)* }
        $crate::fields::input! { $name { $($field: $type $(=> $rule)?,)* } }
    };
}

/// How an input is read: every field is looked at, whatever is wrong with those before it.
macro_rules! input {
    ($name:ident { $($field:ident: $type:ty $(=> $rule:expr)?,)* }) => {
        impl $crate::fields::Input for $name {
            fn read(fields: &mut $crate::fields::Fields) -> Option<Self> {
                $(
                    let $field: Option<$type> = {
                        let taken = fields.take(stringify!($field));
                        $(fields.check(stringify!($field), taken.as_ref(), $rule);)?
                        taken
                    };
                )*
                Some(Self { $($field: $field?,)* })
            }
        }
    };
}

pub(crate) use {body, input, query};

#[cfg(test)]
mod tests {
    use super::*;
    use domain::UserId;

    fn short(text: &impl AsRef<str>) -> Result<(), Fault> {
        if text.as_ref().len() > 3 { Err(Fault { code: "too_long", message: "at most 3" }) } else { Ok(()) }
    }

    body! {
        struct Sample {
            display_name: String => short,
            user_ids: Vec<UserId>,
            r#type: Option<u8>,
            is_private: Option<bool>,
        }
    }

    fn wrong(json: &str) -> Vec<(String, String)> {
        let Err(errors) = Fields::of_json(json.as_bytes()).expect(json).into_input::<Sample>() else { return vec![] };
        errors.into_iter().map(|error| (error.field, error.code.into_owned())).collect()
    }
    fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
        of.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        assert_eq!(
            wrong(r#"{"displayName":"much too long","type":300,"isPrivate":"yes"}"#),
            pairs(&[
                ("displayName", "too_long"),
                ("userIds", "missing"),
                ("type", "malformed"),
                ("isPrivate", "malformed")
            ])
        );
        assert_eq!(wrong(""), pairs(&[("displayName", "missing"), ("userIds", "missing")]));
    }

    #[test]
    fn a_wrong_item_of_a_list_is_named_by_its_place() {
        let json = r#"{"displayName":"a","userIds":["018f2b3c-0000-7000-8000-000000000000","x"]}"#;
        assert_eq!(wrong(json), pairs(&[("userIds[1]", "malformed")]));
    }

    #[test]
    fn null_is_absent() {
        let sample: Sample = Fields::of_json(br#"{"displayName":"a","userIds":[],"type":null}"#)
            .expect("json")
            .into_input()
            .unwrap_or_else(|errors| panic!("{errors:?}"));
        assert_eq!(
            (sample.display_name.as_str(), sample.user_ids.len(), sample.r#type, sample.is_private),
            ("a", 0, None, None)
        );
        assert_eq!(wrong(r#"{"displayName":null,"userIds":[]}"#), pairs(&[("displayName", "missing")]));
    }

    #[test]
    fn a_nul_character_is_refused_and_its_escape_as_text_is_not() {
        assert_eq!(wrong(r#"{"displayName":"\u0000","userIds":[]}"#), pairs(&[("displayName", "nul_character")]));
        assert_eq!(wrong(r#"{"displayName":"\\u0000","userIds":[]}"#), pairs(&[("displayName", "too_long")]));
    }

    query! {
        struct Asked {
            limit: Option<u32>,
            ids: Option<Vec<String>>,
            archived: Option<bool>,
        }
    }

    #[test]
    fn a_query_string_is_read_into_numbers_truths_and_lists() {
        let asked: Asked = Fields::of_query("limit=5&ids=a,b&archived=true")
            .into_input()
            .unwrap_or_else(|errors| panic!("{errors:?}"));
        assert_eq!((asked.limit, asked.archived), (Some(5), Some(true)));
        assert_eq!(asked.ids, Some(vec!["a".to_owned(), "b".to_owned()]));
        let Err(errors) = Fields::of_query("limit=abc&archived=2").into_input::<Asked>() else { panic!("it is wrong") };
        assert_eq!(errors.len(), 2);
    }
}
