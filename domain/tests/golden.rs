//! The golden events in `domain/tests/golden/` are payloads as the log stores them. Once released they are only added
//! to: every one ever written stays readable.
//!
//! Each file holds instances by name: `minimal` has nothing but what is required, and together they hold every field.

use domain::{
    DomainEvent,
    audit::AuditEvent,
    conversation::ConversationEvent,
    inbox::InboxEvent,
    message::MessageEvent,
    schema::{Redaction, event_schemas, version_of},
    user::UserEvent,
    workspace::WorkspaceEvent,
};
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

type Instances = Map<String, Value>;

fn golden() -> BTreeMap<(String, u32), Instances> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let files = fs::read_dir(folder).expect("the golden files are there");
    files
        .map(|file| {
            let path = file.expect("the folder can be read").path();
            let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("names are UTF-8").to_owned();
            let (name, version) = stem.rsplit_once(".v").expect("named <type>.v<version>.json");
            let text = fs::read_to_string(&path).expect("a golden file can be read");
            let instances = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{stem}: {error}"));
            ((name.to_owned(), version.parse().expect("a version is a number")), instances)
        })
        .collect()
}

/// Every golden payload with a name to blame.
fn instances() -> Vec<(String, String, u32, Value)> {
    let named = |((name, version), instances): ((String, u32), Instances)| {
        instances
            .into_iter()
            .map(move |(instance, payload)| (format!("{name} v{version}, {instance}"), name.clone(), version, payload))
    };
    golden().into_iter().flat_map(named).collect()
}

/// The schema of now, or the released one of an older version.
fn schema(name: &str, version: u32) -> Value {
    event_schemas().remove(&(name.to_owned(), version)).unwrap_or_else(|| {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("schemas/{name}.v{version}.json"));
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_str(&text).expect("a schema is JSON")
    })
}

fn recode<E: DomainEvent>(event: Value) -> Result<Value, serde_json::Error> {
    serde_json::to_value(serde_json::from_value::<E>(event)?)
}

/// Reads a stored payload as the log is read, and writes it again.
fn decode_and_encode(name: &str, payload: &Value) -> Result<Value, serde_json::Error> {
    let event = json!({"type": name, "payload": payload});
    match name.split_once('.').map(|(aggregate, _)| aggregate) {
        Some("user") => recode::<UserEvent>(event),
        Some("workspace") => recode::<WorkspaceEvent>(event),
        Some("conversation") => recode::<ConversationEvent>(event),
        Some("inbox") => recode::<InboxEvent>(event),
        Some("message") => recode::<MessageEvent>(event),
        Some("audit") => recode::<AuditEvent>(event),
        _ => panic!("{name} belongs to no aggregate"),
    }
}

#[test]
fn every_event_type_and_version_has_golden_instances() {
    let versions = |(name, newest): &(String, u32)| (1..=*newest).map(|v| (name.clone(), v)).collect::<Vec<_>>();
    let expected: BTreeSet<(String, u32)> = event_schemas().keys().flat_map(versions).collect();
    let found: BTreeSet<(String, u32)> = golden().into_keys().collect();
    assert_eq!(found, expected);
}

#[test]
fn every_golden_event_decodes_and_is_written_again_as_it_was() {
    // Older versions are read by the event store's upcasters, and tested there.
    for (label, name, _, payload) in
        instances().into_iter().filter(|(_, name, version, _)| *version == version_of(name))
    {
        let again = decode_and_encode(&name, &payload).unwrap_or_else(|error| panic!("{label}: {error}"));
        assert_eq!(again, json!({"type": name, "payload": payload}), "{label}");
    }
}

#[test]
fn every_golden_event_fits_its_schema() {
    for (label, name, version, payload) in instances() {
        let schema = schema(&name, version);
        let validator = jsonschema::options().should_validate_formats(true).build(&schema).expect("a valid schema");
        let errors: Vec<String> =
            validator.iter_errors(&payload).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{label}: {errors:#?}");
    }
}

#[test]
fn a_minimal_instance_has_nothing_but_what_is_required() {
    for ((name, version), instances) in golden() {
        let keys: BTreeSet<&str> =
            instances["minimal"].as_object().expect("an object").keys().map(String::as_str).collect();
        let schema = schema(&name, version);
        let required: BTreeSet<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        assert_eq!(keys, required, "{name} v{version}");
    }
}

#[test]
fn together_the_instances_hold_every_field() {
    for ((name, version), instances) in golden() {
        let keys: BTreeSet<&String> = instances.values().filter_map(Value::as_object).flat_map(Map::keys).collect();
        let schema = schema(&name, version);
        let properties: BTreeSet<&String> = schema["properties"].as_object().into_iter().flat_map(Map::keys).collect();
        assert_eq!(keys, properties, "{name} v{version}");
    }
}

#[test]
fn every_personal_field_of_a_golden_event_is_sealed() {
    for (label, name, version, payload) in instances() {
        let schema = schema(&name, version);
        for (field, property) in schema["properties"].as_object().into_iter().flatten() {
            let value = payload.get(field);
            if property.get("x-personal") == Some(&json!(true)) && value.is_some() {
                assert!(value.is_some_and(|value| value["$enc"].is_string()), "{label}: {field} is not sealed");
            }
        }
    }
}

#[test]
fn a_payload_that_is_not_yet_sealed_does_not_fit() {
    let schema = schema("message.edited", 1);
    let payload = json!({"content": {"$plain": "secret"}, "editedAt": "2026-01-31T08:00:00.000Z"});
    assert!(!jsonschema::is_valid(&schema, &payload));
}

/// Texts of personal fields, and the payload with those fields taken out by hand.
fn without_personal(schema: &Value, payload: &Value) -> (Vec<String>, Value) {
    let mut texts = Vec::new();
    let mut kept = payload.clone();
    kept.as_object_mut().expect("a payload is an object").retain(|name, value| {
        let is_personal = schema["properties"][name]["x-personal"] == true;
        if is_personal {
            texts.push(value.to_string());
        }
        !is_personal
    });
    (texts, kept)
}

#[test]
fn a_redacted_event_lacks_its_personal_fields_and_nothing_else() {
    let redaction = Redaction::by_schemas();
    let mut seen = 0;
    for (blame, name, version, payload) in instances() {
        let (texts, kept) = without_personal(&schema(&name, version), &payload);
        let mut redacted = payload;
        redaction.redact(&name, &mut redacted);
        assert_eq!(redacted, kept, "{blame}");
        assert!(texts.iter().all(|text| !redacted.to_string().contains(text)), "{blame}");
        seen += texts.len();
    }
    assert!(seen > 10, "only {seen} personal fields were seen");
}
