//! The arrows between crates and the paths of slices are as `ARCHITECTURE.md` draws them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
};

/// Crate → what of ours it may use. A new arrow needs a decision record.
const ARROWS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("runtime", &[]),
    ("event-store", &["domain", "runtime"]),
    ("commands", &["domain", "event-store", "runtime"]),
    ("projections", &["domain", "event-store", "runtime"]),
    ("search-index", &["domain", "event-store", "runtime"]),
    ("signaling", &["domain", "event-store", "commands", "projections", "runtime"]),
    ("api", &["domain", "event-store", "commands", "projections", "search-index", "runtime"]),
    ("hansard", &["domain", "event-store", "commands", "projections", "search-index", "signaling", "api", "runtime"]),
];

/// Libraries that belong to some layers only: library → crates that may name it.
const KEPT_IN: &[(&str, &[&str])] = &[
    ("sqlx", &["event-store", "commands", "projections", "hansard", "api"]),
    ("axum", &["api", "hansard", "signaling"]),
    ("cqrs-es", &["event-store"]),
    ("postgres-es", &["event-store"]),
    ("tantivy", &["search-index"]),
];

/// Slice → layers in which it has something to say, at `<layer>/src/<slice>.rs`.
const SLICES: &[(&str, &[&str])] = &[
    ("user", &["domain", "commands", "projections", "api"]),
    ("workspace", &["domain", "commands", "projections", "api"]),
    ("conversation", &["domain", "commands", "projections", "api"]),
    ("inbox", &["domain", "commands", "projections"]),
    ("message", &["domain", "commands", "projections", "api"]),
    ("presence", &["projections", "signaling"]),
    ("typing", &["signaling"]),
    ("search", &["projections", "search-index", "api"]),
];

/// Crate → its direct dependencies, test-only ones left out.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
    let runtime_only = |package: &serde_json::Value| {
        let all = package["dependencies"].as_array().expect("dependencies");
        all.iter()
            .filter(|d| d["kind"].is_null() && !d["optional"].as_bool().unwrap_or(false))
            .map(|d| text(&d["name"]))
            .collect()
    };
    packages.iter().map(|package| (text(&package["name"]), runtime_only(package))).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

#[test]
fn crates_use_only_what_the_architecture_allows() {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let found = dependencies();
    assert_eq!(found.keys().map(String::as_str).collect::<BTreeSet<_>>(), allowed.keys().copied().collect(), "crates");
    for (name, uses) in &found {
        for used in uses.iter().filter(|used| allowed.contains_key(used.as_str())) {
            assert!(allowed[name.as_str()].contains(&used.as_str()), "{name} must not depend on {used}");
        }
    }
}

#[test]
fn libraries_stay_in_their_layers() {
    let found = dependencies();
    for (library, layers) in KEPT_IN {
        for (name, uses) in &found {
            assert!(!uses.contains(*library) || layers.contains(&name.as_str()), "{name} must not use {library}");
        }
    }
}

#[test]
fn a_slice_has_the_same_path_in_each_layer() {
    for (slice, layers) in SLICES {
        for layer in *layers {
            let path = root().join(layer).join("src").join(format!("{slice}.rs"));
            assert!(path.is_file(), "{} is missing", path.display());
        }
    }
}

#[test]
fn no_module_is_named_after_nothing() {
    let forbidden = ["mod.rs", "common.rs", "utils.rs", "util.rs", "helpers.rs", "types.rs"];
    for (layer, _) in ARROWS {
        let mut folders = vec![root().join(layer).join("src")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).expect("readable") {
                let path = entry.expect("readable").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
                    assert!(!forbidden.contains(&name), "{} says nothing of what is in it", path.display());
                }
            }
        }
    }
}
