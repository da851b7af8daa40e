//! [`event_schemas`]: a JSON Schema for each event type and version, taken from the Rust types; and
//! [`breaking_changes`]: what may not happen to one while its version stays. [`Redaction`] leaves out what they mark.

mod compatibility;
mod redaction;

pub use compatibility::breaking_changes;
pub use redaction::Redaction;

use crate::{
    DomainEvent, audit::AuditEvent, conversation::ConversationEvent, inbox::InboxEvent, message::MessageEvent,
    user::UserEvent, workspace::WorkspaceEvent,
};
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Types whose payload has changed since version 1. Every older version has an upcaster in the event store.
const VERSIONS: &[(&str, u32)] = &[];

/// The version in which events of this type are written now.
pub fn version_of(event_type: &str) -> u32 {
    VERSIONS.iter().find(|(name, _)| *name == event_type).map_or(1, |(_, version)| *version)
}

/// `(type, version)` → JSON Schema (2020-12) of the payload as it is stored.
pub fn event_schemas() -> BTreeMap<(String, u32), Value> {
    let mut all = BTreeMap::new();
    collect::<UserEvent>(&mut all);
    collect::<WorkspaceEvent>(&mut all);
    collect::<ConversationEvent>(&mut all);
    collect::<InboxEvent>(&mut all);
    collect::<MessageEvent>(&mut all);
    collect::<AuditEvent>(&mut all);
    all
}

/// An event enum's schema is one alternative a fact; each holds the type's name as a constant and the payload's schema.
/// Everything stands inline, so that each schema is whole by itself and changes only with its own type.
fn collect<E: DomainEvent>(all: &mut BTreeMap<(String, u32), Value>) {
    let settings = SchemaSettings::draft2020_12().for_serialize().with(|settings| settings.inline_subschemas = true);
    let schema = settings.into_generator().into_root_schema_for::<E>().to_value();
    for alternative in schema["oneOf"].as_array().into_iter().flatten() {
        let Some(name) = alternative["properties"]["type"]["const"].as_str() else { continue };
        let mut payload = match alternative["properties"].get("payload") {
            Some(Value::Object(payload)) => payload.clone(),
            _ => Map::from_iter([("type".to_owned(), json!("object"))]),
        };
        drop_nulls(&mut payload);
        let version = version_of(name);
        payload.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        payload.insert("title".to_owned(), json!(format!("{name} v{version}")));
        if let Some(description) = alternative.get("description") {
            payload.insert("description".to_owned(), description.clone());
        }
        all.insert((name.to_owned(), version), Value::Object(payload));
    }
}

/// What is absent is left out of a stored payload, never written as null.
fn drop_nulls(payload: &mut Map<String, Value>) {
    let Some(properties) = payload.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for property in properties.values_mut().filter_map(Value::as_object_mut) {
        if let Some(Value::Array(types)) = property.get("type") {
            let types: Vec<Value> = types.iter().filter(|name| *name != "null").cloned().collect();
            let only = if let [only] = types.as_slice() { only.clone() } else { Value::Array(types) };
            property.insert("type".to_owned(), only);
        }
        if let Some(Value::Array(values)) = property.get_mut("enum") {
            values.retain(|value| !value.is_null());
        }
        let Some(Value::Array(alternatives)) = property.get("anyOf") else { continue };
        if let [Value::Object(inner), null] = alternatives.as_slice()
            && *null == json!({"type": "null"})
        {
            let inner = inner.clone();
            property.remove("anyOf");
            for (keyword, value) in inner {
                property.entry(keyword).or_insert(value);
            }
        }
    }
}
