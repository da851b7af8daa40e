//! [`Shown`]: a setting as `config show` tells it.

use super::{Reading, Source, TABLE, address::masked, value::Kind};
use serde::Serialize;

#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    pub name: &'static str,
    pub group: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// The text in effect, with what is secret masked unless revealed.
    pub value: Option<String>,
    pub source: Source,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl Reading {
    /// Every setting, in the table's order.
    pub fn shown(&self, reveal: bool) -> Vec<Shown> {
        let shown = TABLE.iter().map(|entry| {
            let text = self.text(entry.name);
            Shown {
                name: entry.name,
                group: entry.group,
                about: entry.about,
                value: text.map(|text| if reveal { text.to_owned() } else { hidden(entry.kind, text) }),
                source: self.found.get(entry.name).map_or(Source::Default, |found| found.source),
                problem: self.problem(entry).map(|problem| format!("must be {}", problem.must_be)),
            }
        });
        shown.collect()
    }
}

fn hidden(kind: Kind, text: &str) -> String {
    match kind {
        Kind::Plain => text.to_owned(),
        Kind::Secret => "****".to_owned(),
        Kind::Address => masked(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn secrets_and_logins_are_masked_unless_revealed() {
        let secrets = [
            ("JWT_SECRET", "hunter2-hunter2"),
            ("MASTER_KEY", "aHVudGVyMi1odW50ZXIyLWh1bnRlcjItaHVudGVyMjI="),
            ("DATABASE_URL", "postgres://someone:hunter2@db/chat"),
            ("NATS_URL", "nats://someone:hunter2@bus"),
            ("TURN_SECRET", "hunter2"),
            ("GOOGLE_CLIENT_SECRET", "hunter2"),
            ("OPENAI_API_KEY", "hunter2"),
        ];
        let environment: HashMap<_, _> = secrets.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let reading = Reading::of(environment, HashMap::new());
        for shown in reading.shown(false) {
            let text = shown.value.unwrap_or_default();
            assert!(
                !["hunter2", "aHVudGVy", "someone"].iter().any(|part| text.contains(part)),
                "{} {text}",
                shown.name
            );
        }
        let revealed = reading.shown(true);
        for (name, text) in secrets {
            let shown = revealed.iter().find(|shown| shown.name == name).unwrap();
            assert_eq!(shown.value.as_deref(), Some(text));
            assert_eq!(shown.source, Source::Environment);
        }
    }

    #[test]
    fn a_wrong_setting_is_shown_with_what_it_must_be() {
        let environment = HashMap::from([("PORT".to_owned(), "eighty".to_owned())]);
        let shown = Reading::of(environment, HashMap::new()).shown(false);
        let port = shown.iter().find(|shown| shown.name == "PORT").unwrap();
        assert_eq!(port.problem.as_deref(), Some("must be a port from 1 to 65535"));
        assert_eq!(port.value.as_deref(), Some("eighty"));
        assert!(shown.iter().filter(|shown| shown.problem.is_some()).count() == 1);
    }
}
