//! Upcasters: from each older version of an event's payload to the next, so that any event ever written stays readable.

use domain::schema::version_of;
use serde_json::Value;

/// Turns a payload of one version into the next version's.
type Upcaster = fn(Value) -> Value;

/// `(type, from version, how)`. A type whose version is raised in `domain::schema` gets a line here.
const UPCASTERS: &[(&str, u32, Upcaster)] = &[];

/// The payload in the version in which this build writes its type, and that version.
pub(crate) fn to_current(event_type: &str, version: u32, payload: Value) -> (u32, Value) {
    upcast(UPCASTERS, event_type, version, version_of(event_type), payload)
}

fn upcast(table: &[(&str, u32, Upcaster)], event_type: &str, from: u32, to: u32, mut payload: Value) -> (u32, Value) {
    let mut version = from;
    while version < to {
        let Some((_, _, step)) = table.iter().find(|(name, at, _)| *name == event_type && *at == version) else {
            break;
        };
        payload = step(payload);
        version += 1;
    }
    (version, payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_payload_goes_through_every_version_between() {
        fn second(mut payload: Value) -> Value {
            payload["topic"] = json!("none");
            payload
        }
        fn third(mut payload: Value) -> Value {
            let name = payload["title"].take();
            json!({"name": name, "topic": payload["topic"].take()})
        }
        let table: &[(&str, u32, Upcaster)] = &[("room.named", 2, third), ("room.named", 1, second)];
        let old = json!({"title": "Lobby"});
        assert_eq!(upcast(table, "room.named", 1, 3, old.clone()), (3, json!({"name": "Lobby", "topic": "none"})));
        assert_eq!(upcast(table, "room.renamed", 1, 1, old.clone()), (1, old));
    }

    #[test]
    fn every_older_version_that_this_build_knows_has_an_upcaster() {
        for (event_type, version) in domain::schema::event_schemas().into_keys() {
            for from in 1..version {
                assert!(
                    UPCASTERS.iter().any(|(name, at, _)| *name == event_type && *at == from),
                    "{event_type} v{from}"
                );
            }
        }
    }
}
