//! [`Timeline`]: a conversation as one reader has seen it, and what must be true of all of them together.

use crate::{cast::Person, crowd::Acked};
use serde_json::Value;
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

/// Oldest first. How it was seen doesn't matter: read page by page, or as it was pushed.
pub struct Timeline {
    pub talk: usize,
    pub reader: String,
    pub entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub id: String,
    pub sequence: i64,
    pub position: i64,
    pub content: String,
    pub client_message_id: Option<String>,
}

impl Entry {
    /// From a `Message` of the API.
    pub fn of(message: &Value) -> Option<Self> {
        Some(Self {
            id: message["id"].as_str()?.to_owned(),
            sequence: message["sequence"].as_i64()?,
            position: message["position"].as_i64()?,
            content: message["content"].as_str()?.to_owned(),
            client_message_id: message["clientMessageId"].as_str().map(str::to_owned),
        })
    }
}

impl Timeline {
    /// Read page by page over REST.
    pub async fn read(base: &str, person: &Person, talk: usize, conversation: &str) -> Result<Self, String> {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(20)).build().unwrap();
        let mut newest_first: Vec<Entry> = Vec::new();
        loop {
            let before = newest_first.last().map_or_else(String::new, |last| format!("&before={}", last.id));
            let url = format!("{base}/api/messages/{conversation}?limit=100{before}");
            let answer = http.get(url).bearer_auth(&person.token).send().await.map_err(|error| error.to_string())?;
            let (status, body) = (answer.status(), answer.json::<Value>().await.map_err(|error| error.to_string())?);
            let page = body["data"].as_array().filter(|_| status.is_success());
            let page = page.ok_or_else(|| format!("a page of a timeline was answered {status}: {body}"))?;
            for message in page {
                newest_first.push(Entry::of(message).ok_or_else(|| format!("this is no message: {message}"))?);
            }
            if body["meta"]["hasMore"] != true {
                newest_first.reverse();
                return Ok(Self { talk, reader: person.name.clone(), entries: newest_first });
            }
        }
    }
}

/// What is wrong with what all readers saw, given what senders were told. Each conversation has one reader or more.
pub fn faults(timelines: &[Timeline], acked: &[Acked]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut first_of = HashMap::<usize, &Timeline>::new();
    for timeline in timelines {
        let first = *first_of.entry(timeline.talk).or_insert(timeline);
        if let Some((one, other)) = difference(first, timeline) {
            let (reader, another) = (&first.reader, &timeline.reader);
            faults.push(format!("{reader} and {another} see talk {} differently: {one}, {other}", timeline.talk));
        }
    }
    for timeline in first_of.values() {
        faults.extend(disorder(timeline));
    }
    faults.extend(lost_or_doubled(&first_of, acked));
    faults
}

fn difference(one: &Timeline, other: &Timeline) -> Option<(String, String)> {
    let length = one.entries.len().max(other.entries.len());
    let differs = (0..length).find(|n| one.entries.get(*n) != other.entries.get(*n))?;
    Some((format!("{:?}", one.entries.get(differs)), format!("{:?}", other.entries.get(differs))))
}

/// Sequences without gaps from 1 on, in the log's order; no message twice.
fn disorder(timeline: &Timeline) -> Vec<String> {
    let mut faults = Vec::new();
    let (mut ids, mut names, mut contents) = (HashSet::new(), HashSet::new(), HashSet::new());
    let mut position = 0;
    for (n, entry) in timeline.entries.iter().enumerate() {
        if i64::try_from(n + 1) != Ok(entry.sequence) {
            faults.push(format!("talk {}: {entry:?} is the {}th", timeline.talk, n + 1));
            return faults;
        }
        if entry.position <= position {
            faults.push(format!("talk {}: {entry:?} comes after position {position}", timeline.talk));
        }
        position = entry.position;
        let is_new = ids.insert(&entry.id)
            & entry.client_message_id.as_ref().is_none_or(|name| names.insert(name))
            & contents.insert(&entry.content);
        if !is_new {
            faults.push(format!("talk {}: {entry:?} is there twice", timeline.talk));
        }
    }
    faults
}

fn lost_or_doubled(talks: &HashMap<usize, &Timeline>, acked: &[Acked]) -> Vec<String> {
    let mut faults = Vec::new();
    let by_id: HashMap<(usize, &str), &Entry> = talks
        .values()
        .flat_map(|timeline| timeline.entries.iter().map(|entry| ((timeline.talk, entry.id.as_str()), entry)))
        .collect();
    for Acked { draft, ack } in acked {
        let Some(entry) = by_id.get(&(draft.talk, ack.id.as_str())) else {
            faults.push(format!("lost: {} was acked as {ack:?}", draft.content));
            continue;
        };
        let is_as_told = ack.sequence.is_none_or(|sequence| sequence == entry.sequence)
            && ack.position.is_none_or(|position| position == entry.position);
        let is_as_sent = entry.content == draft.content && entry.client_message_id == draft.client_message_id;
        if !is_as_told || !is_as_sent {
            faults.push(format!("{} was acked as {ack:?} and is {entry:?}", draft.content));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::{Ack, Draft};

    fn entry(n: i64) -> Entry {
        let content = format!("a-{n}");
        Entry {
            id: format!("id-{n}"),
            sequence: n,
            position: 10 + n,
            client_message_id: Some(content.clone()),
            content,
        }
    }

    fn seen(reader: &str, entries: Vec<Entry>) -> Timeline {
        Timeline { talk: 0, reader: reader.to_owned(), entries }
    }

    fn acked(n: i64) -> Acked {
        let Entry { id, sequence, position, content, client_message_id } = entry(n);
        let draft = Draft { talk: 0, conversation: String::new(), content, client_message_id, idempotency_key: None };
        Acked { draft, ack: Ack { id, sequence: Some(sequence), position: Some(position) } }
    }

    #[test]
    fn what_is_there_once_in_one_order_is_right() {
        let all = || (1..4).map(entry).collect();
        assert_eq!(faults(&[seen("alice", all()), seen("bob", all())], &[acked(1), acked(3)]), Vec::<String>::new());
    }

    #[test]
    fn what_is_lost_doubled_or_in_another_order_is_found() {
        let lost = faults(&[seen("alice", vec![entry(1)])], &[acked(1), acked(2)]);
        assert!(matches!(&lost[..], [lost] if lost.starts_with("lost: a-2")), "{lost:?}");

        let twin = Entry { id: "id-2".to_owned(), sequence: 2, position: 12, ..entry(1) };
        let doubled = faults(&[seen("alice", vec![entry(1), twin])], &[acked(1)]);
        assert!(matches!(&doubled[..], [doubled] if doubled.contains("twice")), "{doubled:?}");

        let other = vec![entry(1), Entry { sequence: 2, ..entry(3) }, Entry { sequence: 3, ..entry(2) }];
        let found = faults(&[seen("alice", (1..4).map(entry).collect()), seen("bob", other.clone())], &[]);
        assert!(
            matches!(&found[..], [found] if found.starts_with("alice and bob see talk 0 differently")),
            "{found:?}"
        );
        assert_eq!(faults(&[seen("bob", other)], &[acked(2), acked(3)]).len(), 3, "one misplaced, two not as told");
    }
}
