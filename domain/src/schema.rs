//! [`event_schemas`]: a JSON Schema for each event type and version, taken from the Rust types.

use crate::{
    DomainEvent, conversation::ConversationEvent, inbox::InboxEvent, message::MessageEvent, user::UserEvent,
    workspace::WorkspaceEvent,
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
    all
}

/// An event enum's schema is one alternative a fact; each holds the type's name as a constant and the payload's schema.
fn collect<E: DomainEvent>(all: &mut BTreeMap<(String, u32), Value>) {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<E>().to_value();
    let definitions = schema.get("$defs").cloned();
    for alternative in schema["oneOf"].as_array().into_iter().flatten() {
        let Some(name) = alternative["properties"]["type"]["const"].as_str() else { continue };
        let mut payload = match alternative["properties"].get("payload") {
            Some(Value::Object(payload)) => payload.clone(),
            _ => Map::from_iter([("type".to_owned(), json!("object"))]),
        };
        let version = version_of(name);
        payload.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        payload.insert("title".to_owned(), json!(format!("{name} v{version}")));
        if let Some(description) = alternative.get("description") {
            payload.insert("description".to_owned(), description.clone());
        }
        if let Some(definitions) = &definitions {
            payload.insert("$defs".to_owned(), definitions.clone());
        }
        all.insert((name.to_owned(), version), Value::Object(payload));
    }
}
