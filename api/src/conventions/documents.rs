//! The document says what the router does, and the other way round.

use super::*;
use crate::{api_slices, document, root_slices};
use std::collections::{BTreeSet, HashMap};

const METHODS: [&str; 5] = ["get", "put", "post", "patch", "delete"];

/// Every operation: path, method, itself.
fn operations() -> Vec<(String, Method, Value)> {
    let paths = document()["paths"].as_object().expect("paths");
    let of_path = |(path, item): (&String, &Value)| {
        let described = METHODS.iter().filter(|method| item[**method].is_object());
        described
            .map(|method| {
                let verb = method.to_uppercase().parse().expect("a method");
                (path.clone(), verb, item[*method].clone())
            })
            .collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                if name == "$ref" {
                    found.extend(member.as_str().map(str::to_owned));
                }
                references(member, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn the_document_is_openapi_3_1_with_a_title_and_a_version() {
    let document = document();
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1.")));
    assert!(document["info"]["title"].is_string() && document["info"]["version"].is_string());
    assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
}

#[test]
fn every_reference_in_the_document_leads_somewhere() {
    let mut found = BTreeSet::new();
    references(document(), &mut found);
    assert!(found.contains("#/components/schemas/Problem"));
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("inside the document");
        assert!(document().pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

#[test]
fn operation_ids_are_unique() {
    let mut seen = BTreeSet::new();
    for (path, method, operation) in operations() {
        let id = operation["operationId"].as_str().expect("an id").to_owned();
        assert!(seen.insert(id.clone()), "{id} of {method} {path} is another's");
    }
}

#[test]
fn schemas_of_one_name_are_one_schema() {
    let mut seen: HashMap<String, Value> = HashMap::new();
    for slice in root_slices().iter().chain(&api_slices()) {
        for (name, schema) in slice.schemas() {
            let schema = serde_json::to_value(schema).expect("a schema");
            let first = seen.entry(name.clone()).or_insert_with(|| schema.clone());
            assert_eq!(*first, schema, "two types are called {name}");
        }
    }
}

#[test]
fn every_operation_describes_a_success_and_problems() {
    for (path, method, operation) in operations() {
        let responses = operation["responses"].as_object().expect("responses");
        assert!(responses.keys().any(|status| status.starts_with(['2', '3'])), "{method} {path}");
        assert!(responses.contains_key("default"), "{method} {path}");
        assert!(operation["summary"].is_string(), "{method} {path} says nothing of itself");
    }
}

#[test]
fn every_parameter_of_a_path_is_described() {
    for (path, method, operation) in operations() {
        let described: BTreeSet<&str> = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|one| one["in"] == "path" && one["required"] == true)
            .filter_map(|one| one["name"].as_str())
            .collect();
        let named: BTreeSet<&str> =
            path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        assert_eq!(described, named, "{method} {path}");
    }
}

/// A path with something in its gaps.
fn concrete(path: &str) -> String {
    let part = |part: &str| {
        if part.starts_with('{') { "018f2b3c-0000-7000-8000-000000000000".to_owned() } else { part.to_owned() }
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

#[test]
fn no_route_is_described_twice_under_other_names_of_its_gaps() {
    let mut seen = BTreeSet::new();
    for (path, method, _) in operations() {
        assert!(seen.insert((concrete(&path), method.to_string())), "{method} {path} is described twice");
    }
}

#[test]
fn the_document_is_as_it_was() {
    insta::assert_json_snapshot!("openapi", document());
}
