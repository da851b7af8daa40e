//! The JSON Schemas in `domain/schemas/` are what the Rust types say, and never change so that a reader breaks.
//!
//! The files are what was released. A schema that has changed compatibly is written anew with `UPDATE_SCHEMAS=1`; one
//! that has not needs a new version in `domain::schema` and an upcaster.

use domain::schema::{breaking_changes, event_schemas, version_of};
use serde_json::Value;
use std::{collections::BTreeSet, fs, path::PathBuf};

const UPDATE: &str = "UPDATE_SCHEMAS";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schemas")
}

fn pretty(schema: &Value) -> String {
    format!("{}\n", serde_json::to_string_pretty(schema).expect("JSON can be written"))
}

/// What is to be done about a schema, given its file's text.
#[derive(Debug, PartialEq)]
enum Verdict {
    Fresh,
    Stale,
    Breaking(Vec<String>),
}

fn judge(file: Option<&str>, generated: &Value) -> Verdict {
    let Some(text) = file else { return Verdict::Stale };
    let released: Value = serde_json::from_str(text).expect("a released schema is JSON");
    let breaks = breaking_changes(&released, generated);
    if !breaks.is_empty() {
        Verdict::Breaking(breaks)
    } else if text == pretty(generated) {
        Verdict::Fresh
    } else {
        Verdict::Stale
    }
}

/// Every version there was keeps its schema, and no file is of a type that there never was.
fn kept_and_known() -> Vec<String> {
    let versions =
        |(name, newest): &(String, u32)| (1..=*newest).map(|v| format!("{name}.v{v}.json")).collect::<Vec<_>>();
    let known: BTreeSet<String> = event_schemas().keys().flat_map(versions).collect();
    let files = fs::read_dir(folder()).into_iter().flatten().filter_map(Result::ok);
    let files: BTreeSet<String> = files.map(|file| file.file_name().to_string_lossy().into_owned()).collect();
    let missing = known.difference(&files).map(|name| format!("{name} is missing"));
    missing.chain(files.difference(&known).map(|name| format!("{name} is of no type there is"))).collect()
}

#[test]
fn the_schemas_are_fresh_and_break_no_reader() {
    let update = std::env::var(UPDATE).is_ok_and(|value| value == "1");
    let mut wrong = Vec::new();
    for ((name, version), schema) in event_schemas() {
        let path = folder().join(format!("{name}.v{version}.json"));
        match judge(fs::read_to_string(&path).ok().as_deref(), &schema) {
            Verdict::Fresh => {}
            Verdict::Stale if update => {
                fs::create_dir_all(folder()).expect("the folder can be made");
                fs::write(&path, pretty(&schema)).expect("the schema can be written");
            }
            Verdict::Stale => wrong.push(format!("{name} v{version} is stale: run `{UPDATE}=1 cargo test -p domain`")),
            Verdict::Breaking(breaks) => {
                let breaks = breaks.join("\n    ");
                wrong.push(format!("{name} v{version} would break readers, give it a new version:\n    {breaks}"));
            }
        }
    }
    wrong.extend(kept_and_known());
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_schema_is_a_valid_one_whole_by_itself() {
    for ((name, version), schema) in event_schemas() {
        assert!(jsonschema::meta::is_valid(&schema), "{name} v{version}");
        assert_eq!(schema["type"], "object", "{name} v{version}");
        assert!(!schema.to_string().contains("\"$ref\""), "{name} v{version} refers to something else");
        assert!(!schema.to_string().contains("null"), "{name} v{version} takes null, which is never stored");
        assert_eq!(version, version_of(&name));
    }
}

#[test]
fn a_compatible_change_is_stale_and_a_breaking_one_is_refused() {
    let schema = event_schemas().remove(&("message.edited".to_owned(), 1)).expect("the type exists");
    let released = pretty(&schema);
    assert_eq!(judge(Some(&released), &schema), Verdict::Fresh);
    assert_eq!(judge(None, &schema), Verdict::Stale);
    let mut more = schema.clone();
    more["properties"]["reason"] = serde_json::json!({"type": "string"});
    assert_eq!(judge(Some(&released), &more), Verdict::Stale);
    let mut less = schema;
    less["properties"].as_object_mut().expect("an object").remove("editedAt");
    assert!(matches!(judge(Some(&released), &less), Verdict::Breaking(breaks) if !breaks.is_empty()));
}
