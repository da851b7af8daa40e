//! [`breaking_changes`]: whether events by one schema can be read by readers of another.

use serde_json::{Map, Value};
use std::collections::BTreeSet;

type Object = Map<String, Value>;

/// Keywords that say nothing of what an event looks like.
const ANNOTATIONS: &[&str] = &["$schema", "title", "description", "default", "examples", "deprecated", "$comment"];
/// Keywords that are compared by what they mean. Any other one may not change at all.
const UNDERSTOOD: &[&str] = &["properties", "required", "items", "anyOf", "oneOf", "enum", "const", "type"];

/// What in `new` would break a reader, in sentences; none where both may bear the same version.
///
/// Both are schemas of stored payloads, inline throughout as [`super::event_schemas`] makes them. Readers of the old
/// one must read new events, and readers of the new one must read old events. So an object may gain properties that
/// are not required, and an enum may gain values, for readers pass over what they do not know; nothing else changes.
pub fn breaking_changes(old: &Value, new: &Value) -> Vec<String> {
    let mut breaks = Vec::new();
    compare("payload", old, new, &mut breaks);
    breaks
}

fn compare(at: &str, old: &Value, new: &Value, breaks: &mut Vec<String>) {
    let (Value::Object(old), Value::Object(new)) = (old, new) else {
        if old != new {
            breaks.push(format!("{at}: the schema is no longer the same"));
        }
        return;
    };
    if old.contains_key("$ref") || new.contains_key("$ref") {
        breaks.push(format!("{at}: a reference can't be compared"));
        return;
    }
    match (values(old), values(new)) {
        (Some(old), Some(new)) => return compare_values(at, &old, &new, breaks),
        (Some(_), None) | (None, Some(_)) => breaks.push(format!("{at}: its type was changed")),
        (None, None) if types(old) != types(new) => breaks.push(format!("{at}: its type was changed")),
        (None, None) => {}
    }
    compare_objects(at, old, new, breaks);
    match (old.get("items"), new.get("items")) {
        (Some(old), Some(new)) => compare(&format!("{at}[]"), old, new, breaks),
        (None, None) => {}
        (Some(_), None) | (None, Some(_)) => breaks.push(format!("{at}: the type of its items was changed")),
    }
    compare_alternatives(at, old, new, breaks);
    for keyword in old.keys().chain(new.keys().filter(|keyword| !old.contains_key(*keyword))) {
        let is_compared = ANNOTATIONS.contains(&keyword.as_str()) || UNDERSTOOD.contains(&keyword.as_str());
        if !is_compared && old.get(keyword) != new.get(keyword) {
            breaks.push(format!("{at}: its {keyword} was changed"));
        }
    }
}

fn compare_objects(at: &str, old: &Object, new: &Object, breaks: &mut Vec<String>) {
    let nothing = Object::new();
    let properties = |schema: &Object| schema.get("properties").and_then(Value::as_object).unwrap_or(&nothing).clone();
    let (old_properties, new_properties) = (properties(old), properties(new));
    for (name, old_property) in &old_properties {
        match new_properties.get(name) {
            Some(new_property) => compare(&format!("{at}.{name}"), old_property, new_property, breaks),
            None => breaks.push(format!("{at}.{name}: the property was removed")),
        }
    }
    let (old_required, new_required) = (required(old), required(new));
    for name in new_required.difference(&old_required) {
        breaks.push(format!("{at}.{name}: the property became required, and older events lack it"));
    }
    for name in old_required.difference(&new_required).filter(|name| new_properties.contains_key(**name)) {
        breaks.push(format!("{at}.{name}: the property is no longer required, and readers rely on it"));
    }
}

fn compare_values(at: &str, old: &[&Value], new: &[&Value], breaks: &mut Vec<String>) {
    for value in old.iter().filter(|value| !new.contains(*value)) {
        breaks.push(format!("{at}: the value {value} was removed"));
    }
}

/// Each old alternative must live on in a new one, and none may be added: that would be another type.
fn compare_alternatives(at: &str, old: &Object, new: &Object, breaks: &mut Vec<String>) {
    for keyword in ["anyOf", "oneOf"] {
        let alternatives = |schema: &Object| schema.get(keyword).and_then(Value::as_array).cloned().unwrap_or_default();
        let (old, new) = (alternatives(old), alternatives(new));
        let lives_on = |old: &Value| new.iter().any(|new| breaking_changes(old, new).is_empty());
        if old.len() != new.len() || !old.iter().all(lives_on) {
            breaks.push(format!("{at}: its type was changed in {keyword}"));
        }
    }
}

fn required(schema: &Object) -> BTreeSet<&str> {
    schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// `"type": "string"` and `"type": ["string"]` are the same.
fn types(schema: &Object) -> BTreeSet<&str> {
    match schema.get("type") {
        Some(Value::Array(types)) => types.iter().filter_map(Value::as_str).collect(),
        Some(name) => name.as_str().into_iter().collect(),
        None => BTreeSet::new(),
    }
}

/// The values of an enum in each of its forms: a value with a description of its own stands as a `const` in a `oneOf`.
fn values(schema: &Object) -> Option<Vec<&Value>> {
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return Some(values.iter().collect());
    }
    if let Some(value) = schema.get("const") {
        return Some(vec![value]);
    }
    let alternatives = schema.get("oneOf")?.as_array()?;
    let values = alternatives.iter().map(|alternative| values(alternative.as_object()?)).collect::<Option<Vec<_>>>()?;
    Some(values.concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sent() -> Value {
        json!({
            "title": "message.sent v1",
            "type": "object",
            "properties": {
                "content": {"x-personal": true, "anyOf": [{"type": "string"}, {"type": "object", "properties": {"$enc": {"type": "string"}}, "required": ["$enc"]}]},
                "kind": {"type": "string", "enum": ["text", "image"]},
                "mentions": {"type": "array", "items": {"type": "string", "format": "uuid"}},
                "uses": {"type": "integer", "format": "uint32", "minimum": 0},
                "reply": {"anyOf": [{"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}, {"type": "null"}]}
            },
            "required": ["content", "kind"]
        })
    }

    /// What breaks when the value at a JSON pointer becomes another.
    fn breaks_when(pointer: &str, value: Value) -> Vec<String> {
        let mut new = sent();
        *new.pointer_mut(pointer).expect("the pointer exists") = value;
        breaking_changes(&sent(), &new)
    }
    fn without(object: &str, key: &str) -> Value {
        let mut value = sent().pointer(object).expect("the pointer exists").clone();
        value.as_object_mut().expect("an object").remove(key);
        value
    }
    fn with(object: &str, key: &str, property: Value) -> Value {
        let mut value = sent().pointer(object).expect("the pointer exists").clone();
        value.as_object_mut().expect("an object").insert(key.to_owned(), property);
        value
    }

    #[test]
    fn a_schema_does_not_break_itself() {
        assert!(breaking_changes(&sent(), &sent()).is_empty());
    }

    #[test]
    fn an_optional_property_may_be_added() {
        let more = with("/properties", "broadcast", json!({"type": "string"}));
        assert!(breaks_when("/properties", more).is_empty());
    }

    #[test]
    fn a_value_may_be_added_to_an_enum() {
        assert!(breaks_when("/properties/kind/enum", json!(["text", "image", "poll"])).is_empty());
    }

    #[test]
    fn titles_and_descriptions_may_change() {
        assert!(breaks_when("/title", json!("other")).is_empty());
        assert!(breaks_when("/properties/uses", with("/properties/uses", "description", json!("why"))).is_empty());
    }

    #[test]
    fn a_value_of_an_enum_may_get_a_description() {
        let described = json!({"oneOf": [
            {"type": "string", "const": "text", "description": "words"},
            {"type": "string", "enum": ["image"]}
        ]});
        assert!(breaks_when("/properties/kind", described).is_empty());
    }

    #[test]
    fn a_required_property_may_not_be_added() {
        let broken = breaks_when("/required", json!(["content", "kind", "uses"]));
        assert_eq!(broken, ["payload.uses: the property became required, and older events lack it"]);
    }

    #[test]
    fn a_required_property_may_not_become_optional() {
        let broken = breaks_when("/required", json!(["content"]));
        assert_eq!(broken, ["payload.kind: the property is no longer required, and readers rely on it"]);
    }

    #[test]
    fn a_property_may_not_be_removed() {
        let broken = breaks_when("/properties", without("/properties", "uses"));
        assert_eq!(broken, ["payload.uses: the property was removed"]);
    }

    #[test]
    fn a_property_may_not_be_renamed() {
        let mut renamed = without("/properties", "uses");
        renamed["count"] = json!({"type": "integer"});
        assert_eq!(breaks_when("/properties", renamed), ["payload.uses: the property was removed"]);
    }

    #[test]
    fn a_type_may_not_change() {
        assert_eq!(breaks_when("/properties/uses/type", json!("string")), ["payload.uses: its type was changed"]);
    }

    #[test]
    fn a_type_may_not_come_to_take_null() {
        let broken = breaks_when("/properties/uses/type", json!(["integer", "null"]));
        assert_eq!(broken, ["payload.uses: its type was changed"]);
    }

    #[test]
    fn a_format_or_a_bound_may_not_change() {
        let broken = breaks_when("/properties/uses/format", json!("uint64"));
        assert_eq!(broken, ["payload.uses: its format was changed"]);
        let broken = breaks_when("/properties/uses", without("/properties/uses", "minimum"));
        assert_eq!(broken, ["payload.uses: its minimum was changed"]);
        let broken = breaks_when("/properties/uses", with("/properties/uses", "maximum", json!(9)));
        assert_eq!(broken, ["payload.uses: its maximum was changed"]);
    }

    #[test]
    fn the_items_of_a_list_may_not_change() {
        let broken = breaks_when("/properties/mentions/items/type", json!("integer"));
        assert_eq!(broken, ["payload.mentions[]: its type was changed"]);
        let broken = breaks_when("/properties/mentions", without("/properties/mentions", "items"));
        assert_eq!(broken, ["payload.mentions: the type of its items was changed"]);
    }

    #[test]
    fn a_value_may_not_be_removed_from_an_enum() {
        let broken = breaks_when("/properties/kind/enum", json!(["text"]));
        assert_eq!(broken, [r#"payload.kind: the value "image" was removed"#]);
    }

    #[test]
    fn an_enum_may_not_become_free_text() {
        let broken = breaks_when("/properties/kind", json!({"type": "string"}));
        assert_eq!(broken, ["payload.kind: its type was changed"]);
    }

    #[test]
    fn an_alternative_may_not_be_removed_or_added() {
        let broken = breaks_when("/properties/content/anyOf", json!([{"type": "string"}]));
        assert_eq!(broken, ["payload.content: its type was changed in anyOf"]);
        let alternatives = json!([sent()["properties"]["reply"]["anyOf"][0], {"type": "null"}, {"type": "string"}]);
        let broken = breaks_when("/properties/reply/anyOf", alternatives);
        assert_eq!(broken, ["payload.reply: its type was changed in anyOf"]);
    }

    #[test]
    fn a_change_within_an_alternative_is_found() {
        let broken = breaks_when("/properties/reply/anyOf/0/required", json!([]));
        assert_eq!(broken, ["payload.reply: its type was changed in anyOf"]);
    }

    #[test]
    fn a_field_may_not_start_or_stop_being_personal() {
        let broken = breaks_when("/properties/content", without("/properties/content", "x-personal"));
        assert_eq!(broken, ["payload.content: its x-personal was changed"]);
        let broken = breaks_when("/properties/uses", with("/properties/uses", "x-personal", json!(true)));
        assert_eq!(broken, ["payload.uses: its x-personal was changed"]);
    }

    #[test]
    fn what_can_not_be_compared_is_refused() {
        let broken = breaks_when("/properties/uses", json!({"$ref": "#/$defs/Uses"}));
        assert_eq!(broken, ["payload.uses: a reference can't be compared"]);
    }

    #[test]
    fn every_break_is_named_at_once() {
        let mut new = sent();
        new["properties"] = without("/properties", "mentions");
        new["properties"]["uses"]["type"] = json!("string");
        assert_eq!(breaking_changes(&sent(), &new).len(), 2);
    }
}
