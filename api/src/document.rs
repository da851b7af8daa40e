//! The OpenAPI document: what the slices say of themselves, and what holds for all of them, said once.

use crate::{App, problem::ProblemBody, slice::Slice};
use serde_json::{Map, Value, json};
use std::sync::LazyLock;
use utoipa::{PartialSchema, ToSchema, openapi::OpenApi};
use utoipa_axum::router::OpenApiRouter;

pub(crate) mod page;

/// The document that `/api/openapi.json` serves and the command line prints.
pub fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| compose(crate::root_slices(), crate::api_slices()));
    &DOCUMENT
}

/// Puts the routes of slices and what they say of themselves together.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>(slices: Vec<Slice<S>>) -> OpenApiRouter<S> {
    slices.into_iter().fold(OpenApiRouter::with_openapi(OpenApi::default()), |router, slice| slice.add_to(router))
}

fn compose(root: Vec<Slice<App>>, api: Vec<Slice<App>>) -> Value {
    let tags: Vec<Value> = root
        .iter()
        .chain(&api)
        .map(Slice::tag)
        .map(|(name, description)| json!({"name": name, "description": description}))
        .collect();
    let described = routes(root).nest("/api", routes(api)).into_openapi();
    let mut document = serde_json::to_value(described).unwrap_or_default();
    document["info"] = json!({
        "title": "Hansard",
        "version": env!("CARGO_PKG_VERSION"),
        "description": "Messaging with a record: every change is an event in one order.",
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    });
    document["servers"] = json!([{"url": "/"}]);
    document["security"] = json!([{"bearer": []}]);
    document["tags"] = Value::Array(tags);
    add_components(&mut document);
    let operations = document["paths"].as_object_mut().into_iter().flat_map(|paths| paths.values_mut());
    for (method, operation) in operations.filter_map(Value::as_object_mut).flatten() {
        if let Some(operation) = operation.as_object_mut() {
            add_conventions(method, operation);
        }
    }
    document
}

/// The answers that any operation may give besides its own, by status.
const PROBLEMS: &[(&str, &str, &str)] = &[
    ("400", "Malformed", "The request could not be read"),
    ("401", "Unauthenticated", "No token, or none that is valid"),
    ("403", "Forbidden", "Known, but not allowed"),
    ("404", "NotFound", "Absent, or not visible to the caller"),
    ("409", "Conflict", "It does not fit what is there, or an idempotency key was used with another body"),
    ("413", "TooLarge", "The body is over 1 MiB"),
    ("415", "UnsupportedMediaType", "The body is not application/json"),
    ("422", "Invalid", "Fields are missing or wrong; every one is named"),
    (
        "503",
        "Unavailable",
        "A store is away, a read model behind or the process overloaded; Retry-After says when to come back",
    ),
    ("default", "Problem", "Any other problem"),
];

fn add_components(document: &mut Value) {
    let mut nested = vec![];
    ProblemBody::schemas(&mut nested);
    let schemas = &mut document["components"]["schemas"];
    schemas["Problem"] = serde_json::to_value(ProblemBody::schema()).unwrap_or_default();
    for (name, schema) in nested {
        schemas[name] = serde_json::to_value(schema).unwrap_or_default();
    }
    let request_id = json!({"X-Request-Id": {"description": "The request's id", "schema": {"type": "string"}}});
    for (_, name, description) in PROBLEMS {
        document["components"]["responses"][*name] = json!({
            "description": description,
            "headers": request_id,
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        });
    }
    document["components"]["parameters"] = json!({
        "IdempotencyKey": {
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "The same key with the same body answers alike for 24 h and writes nothing again.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 128},
        },
        "Prefer": {
            "name": "Prefer", "in": "header", "required": false,
            "description": "`respond-async` answers without waiting for the read models.",
            "schema": {"type": "string"}, "example": "respond-async",
        },
        "MinPosition": {
            "name": "Hansard-Min-Position", "in": "header", "required": false,
            "description": "Waits until the read models have applied this position.",
            "schema": {"type": "integer", "format": "int64", "minimum": 0},
        },
    });
    document["components"]["headers"] = json!({
        "Position": {
            "description": "Where the write's last event stands in the log.",
            "schema": {"type": "integer", "format": "int64", "minimum": 1},
        },
    });
    document["components"]["securitySchemes"] = json!({
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "The accessToken of a login."},
    });
}

/// Adds to an operation what it needn't say itself: problems, and the headers of the conventions.
fn add_conventions(method: &str, operation: &mut Map<String, Value>) {
    let is_public = operation.get("security").is_some();
    let has_body = operation.contains_key("requestBody");
    let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
    let takes = |place: &str| parameters.as_array().is_some_and(|all| all.iter().any(|one| one["in"] == place));
    let (in_path, in_query) = (takes("path"), takes("query"));
    let applies = |status: &str| match status {
        "400" | "413" | "415" => has_body,
        "401" | "403" => !is_public,
        "404" => in_path,
        "409" => method != "get" && !is_public,
        "422" => has_body || in_query || !is_public,
        _ => true,
    };
    let headers: &[&str] = match (is_public, method) {
        (true, _) => &[],
        (false, "get") => &["MinPosition"],
        (false, "post") => &["IdempotencyKey", "Prefer"],
        (false, _) => &["Prefer"],
    };
    if let Some(parameters) = parameters.as_array_mut() {
        parameters.extend(headers.iter().map(|name| json!({"$ref": format!("#/components/parameters/{name}")})));
    }
    if parameters.as_array().is_some_and(Vec::is_empty) {
        operation.remove("parameters");
    }
    let Some(responses) = operation.entry("responses").or_insert_with(|| json!({})).as_object_mut() else { return };
    if method != "get" && !is_public {
        for (_, success) in responses.iter_mut().filter(|(status, _)| status.starts_with('2')) {
            success["headers"]["Hansard-Position"] = json!({"$ref": "#/components/headers/Position"});
        }
    }
    for (status, name, _) in PROBLEMS.iter().filter(|(status, ..)| applies(status)) {
        responses.entry(*status).or_insert_with(|| json!({"$ref": format!("#/components/responses/{name}")}));
    }
}
