//! [`Redaction`]: payloads without what the schemas mark as personal, for readers who have no right to it.

use super::event_schemas;
use crate::personal::{ENC, PLAIN};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// The keyword of a personal field.
const PERSONAL: &str = "x-personal";

/// What is left out of each type's payloads.
#[derive(Debug)]
pub struct Redaction(HashMap<String, Rule>);

/// Of a value: whether it is personal, or what in it is.
#[derive(Debug, Default)]
struct Rule {
    is_personal: bool,
    fields: BTreeMap<String, Rule>,
    items: Option<Box<Rule>>,
}

impl Redaction {
    /// By the rules of the schemas that this build writes events by.
    pub fn by_schemas() -> Self {
        Self(event_schemas().into_iter().map(|((name, _), schema)| (name, Rule::of(&schema))).collect())
    }

    /// Takes out every personal field. A field that is sealed is one, whatever the schema says, or none does: so events
    /// of older versions and of newer builds give nothing away.
    pub fn redact(&self, event_type: &str, payload: &mut Value) {
        const NONE: &Rule = &Rule { is_personal: false, fields: BTreeMap::new(), items: None };
        self.0.get(event_type).unwrap_or(NONE).redact(payload);
    }
}

impl Rule {
    fn of(schema: &Value) -> Self {
        let mut rule = Self::default();
        rule.add(schema);
        rule
    }

    /// What any of several alternatives calls personal is personal in all of them.
    fn add(&mut self, schema: &Value) {
        self.is_personal |= schema.get(PERSONAL) == Some(&Value::Bool(true));
        for (name, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            self.fields.entry(name.clone()).or_default().add(field);
        }
        if let Some(items) = schema.get("items") {
            self.items.get_or_insert_default().add(items);
        }
        for keyword in ["anyOf", "oneOf", "allOf"] {
            schema.get(keyword).and_then(Value::as_array).into_iter().flatten().for_each(|inner| self.add(inner));
        }
    }

    fn redact(&self, value: &mut Value) {
        match value {
            Value::Object(fields) => fields.retain(|name, field| {
                let rule = self.fields.get(name);
                let stays = !is_marked(field) && rule.is_none_or(|rule| !rule.is_personal);
                if stays {
                    rule.unwrap_or(&Self::default()).redact(field);
                }
                stays
            }),
            Value::Array(items) => {
                let default = Self::default();
                let rule = self.items.as_deref().unwrap_or(&default);
                items.retain(|item| !is_marked(item) && !rule.is_personal);
                for item in items {
                    rule.redact(item);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

fn is_marked(value: &Value) -> bool {
    value.get(ENC).is_some() || value.get(PLAIN).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn redacted(schema: &Value, mut payload: Value) -> Value {
        Rule::of(schema).redact(&mut payload);
        payload
    }

    #[test]
    fn what_the_schema_marks_is_left_out_wherever_it_stands() {
        let personal = json!({"x-personal": true, "type": "string"});
        let schema = json!({"properties": {
            "name": personal,
            "size": {"type": "integer"},
            "files": {"items": {"properties": {"fileName": personal, "bytes": {}}}},
            "names": {"items": personal},
            "about": {"anyOf": [{"properties": {"text": personal}}, {"properties": {"count": {}}}]},
        }});
        let payload = json!({
            "name": "Ada", "size": 3, "files": [{"fileName": "ada.txt", "bytes": 9}], "names": ["Ada"],
            "about": {"text": "her", "count": 2},
        });
        let expected = json!({"size": 3, "files": [{"bytes": 9}], "names": [], "about": {"count": 2}});
        assert_eq!(redacted(&schema, payload), expected);
    }

    #[test]
    fn what_is_sealed_is_left_out_though_no_schema_speaks_of_it() {
        let payload = json!({"a": {"$enc": "v1.k.x"}, "b": [{"$plain": "Ada"}, {"c": {"$enc": "v1.k.y"}, "d": 1}]});
        assert_eq!(redacted(&json!({}), payload.clone()), json!({"b": [{"d": 1}]}));
        let mut of_a_newer_build = payload;
        Redaction::by_schemas().redact("user.sneezed", &mut of_a_newer_build);
        assert_eq!(of_a_newer_build, json!({"b": [{"d": 1}]}));
    }
}
