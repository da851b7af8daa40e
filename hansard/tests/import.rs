//! Slack exports with all that can be wrong with them, imported into a log of their own.

#![expect(clippy::unwrap_used, reason = "it is how a test fails")]

use commands::{
    AuthSettings, Commands, Origin, Password,
    session::Visitor,
    user::{self, NewUser},
};
use domain::{Position, UserId};
use event_store::{EventStore, RecordedEvent, testing::TestDatabase};
use hansard::import::{
    balance::{Balance, Tally},
    slack::{self, Accounts, Export},
};
use indicatif::ProgressBar;
use runtime::{clock::SystemClock, id::SystemIds};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs::File, io::Write, sync::Arc, time::Duration};
use zip::{ZipWriter, write::SimpleFileOptions};

struct World {
    commands: Commands,
    store: EventStore,
    _database: TestDatabase,
}

impl World {
    async fn new() -> Self {
        let database = TestDatabase::create().await;
        let store = database.store().await;
        let auth = AuthSettings {
            jwt_secret: "a-secret-of-at-least-32-characters".to_owned(),
            jwt_expiry: Duration::from_mins(15),
            refresh_token_expiry: Duration::from_hours(7 * 24),
        };
        let commands = Commands::new(store.clone(), Arc::new(SystemClock), Arc::new(SystemIds), auth);
        Self { commands, store, _database: database }
    }

    async fn import_as(&self, pack: &Pack, accounts: Accounts) -> Balance {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("export.zip");
        pack.write(File::create(&path).unwrap());
        let export = Export::open(&path).unwrap();
        let balance = slack::run(self.commands.clone(), export, "Test", accounts, ProgressBar::hidden()).await.unwrap();
        assert!(balance.is_balanced(), "{balance}");
        balance
    }
    async fn import(&self, pack: &Pack) -> Balance {
        self.import_as(pack, Accounts::Apart).await
    }

    async fn register(&self, email: &str) -> UserId {
        let new = NewUser {
            email: email.to_owned(),
            password: Password::new("Correct-horse-7-battery"),
            username: "mallory".to_owned(),
            first_name: "Mal".to_owned(),
            last_name: "Lory".to_owned(),
        };
        let visitor = Visitor::new(Origin::Rest, "test".to_owned(), None);
        user::register(&self.commands, &visitor, new).await.unwrap().value.user
    }

    async fn events(&self, event_type: &str) -> Vec<RecordedEvent> {
        let log = self.store.read_log(Position(0), 10_000).await.unwrap();
        log.into_iter().filter(|event| event.event_type == event_type).collect()
    }
    /// What was said, in order.
    async fn said(&self) -> Vec<String> {
        let mut said = Vec::new();
        for event in self.events("message.sent").await {
            let sealed = event.payload["content"]["$enc"].as_str().unwrap();
            said.push(self.store.keyring().open(sealed).await.unwrap().unwrap());
        }
        said
    }
    async fn emails(&self) -> Vec<String> {
        let mut emails = Vec::new();
        for event in self.events("user.registered").await {
            let sealed = event.payload["email"]["$enc"].as_str().unwrap();
            emails.push(self.store.keyring().open(sealed).await.unwrap().unwrap());
        }
        emails
    }
}

/// An export to be packed: its files by their names.
#[derive(Clone, Default)]
struct Pack(BTreeMap<String, String>);

impl Pack {
    fn of(users: &[Value], channels: &[Value]) -> Self {
        Self::default().with("users.json", &json!(users)).with("channels.json", &json!(channels))
    }
    fn with(self, name: &str, content: &Value) -> Self {
        self.with_text(name, &content.to_string())
    }
    fn with_text(mut self, name: &str, text: &str) -> Self {
        self.0.insert(name.to_owned(), text.to_owned());
        self
    }
    fn write(&self, file: File) {
        let mut zip = ZipWriter::new(file);
        for (name, text) in &self.0 {
            zip.start_file(name, SimpleFileOptions::default()).unwrap();
            zip.write_all(text.as_bytes()).unwrap();
        }
        zip.finish().unwrap();
    }
}

fn user(id: &str, name: &str) -> Value {
    json!({"id": id, "name": name, "profile": {"real_name": name}})
}
fn user_with(id: &str, name: &str, email: &str) -> Value {
    json!({"id": id, "name": name, "profile": {"real_name": name, "email": email}})
}
fn channel(id: &str, name: &str) -> Value {
    json!({"id": id, "name": name, "creator": "U1", "created": 1_500_000_000, "members": ["U1", "U2"]})
}
fn message(user: &str, text: &str, ts: &str) -> Value {
    json!({"type": "message", "user": user, "text": text, "ts": ts})
}

/// Two people in one channel.
fn two() -> Pack {
    Pack::of(&[user("U1", "alice"), user("U2", "bob")], &[channel("C1", "a")])
}

/// Read, written, refused.
fn counts(tally: &Tally) -> (u64, u64, u64) {
    (tally.read, tally.written, tally.refused)
}

fn names(balance: &Balance) -> Vec<(&str, &str)> {
    balance.named.iter().map(|named| (named.what.as_str(), named.id.as_str())).collect()
}

#[tokio::test]
async fn a_message_whose_time_stamp_comes_again_is_refused_by_name() {
    let world = World::new().await;
    let pack = two()
        .with("a/1.json", &json!([message("U1", "once", "1577836800.000100"), message("U1", "x", "1577836800.000100")]))
        .with("a/2.json", &json!([message("U2", "y", "1577836800.000100"), message("U2", "z", "1577836800.000200")]));
    let balance = world.import(&pack).await;
    assert_eq!(counts(&balance.messages), (4, 2, 2), "{balance}");
    assert_eq!(names(&balance), [("message", "C1 1577836800.000100"); 2]);
    assert_eq!(world.said().await, ["once", "z"]);
    for event in world.events("message.sent").await {
        assert_eq!(event.sequence.0, 1, "each has a stream of its own");
    }
}

#[tokio::test]
async fn a_person_whose_id_comes_again_is_refused_by_name() {
    let world = World::new().await;
    let pack = Pack::of(&[user("U1", "alice"), user("U1", "alice"), user("U2", "bob")], &[channel("C1", "a")]);
    let balance = world.import(&pack).await;
    assert_eq!(counts(&balance.users), (3, 2, 1), "{balance}");
    assert_eq!(names(&balance), [("user", "U1")]);
    assert_eq!(world.events("user.registered").await.len(), 2);
}

#[tokio::test]
async fn of_two_people_with_one_address_the_first_has_it() {
    let world = World::new().await;
    let users = [user_with("U1", "alice", "A@example.org"), user_with("U2", "bob", "a@example.org")];
    let pack =
        Pack::of(&users, &[channel("C1", "a")]).with("a/1.json", &json!([message("U2", "mine", "1577836800.000100")]));
    let balance = world.import(&pack).await;
    assert_eq!(counts(&balance.users), (2, 2, 0), "{balance}");
    assert_eq!(balance.readdressed.values().sum::<u64>(), 1);
    assert_eq!(names(&balance), [("user", "U2")]);
    let emails = world.emails().await;
    assert_eq!(emails[0], "A@example.org");
    assert!(emails[1].starts_with("u2.") && emails[1].ends_with("@slack.invalid"), "{emails:?}");
    assert_eq!(counts(&world.import(&pack).await.users), (2, 0, 2), "nobody comes twice");
}

#[tokio::test]
async fn whoever_registered_an_address_before_is_not_taken_for_its_owner() {
    let (address, users) = ("cfo@example.org", [user("U1", "boss"), user_with("U2", "cfo", "CFO@example.org")]);
    let pack = Pack::of(&users, &[channel("C1", "board")])
        .with("board/1.json", &json!([message("U2", "agreed", "1577836800.000100")]));
    let world = World::new().await;
    let mallory = world.register(address).await;
    let balance = world.import(&pack).await;
    assert_eq!((counts(&balance.users), names(&balance)), ((2, 2, 0), vec![("user", "U2")]), "{balance}");
    let log = world.store.read_log(Position(0), 1_000).await.unwrap();
    let is_about = |event: &&RecordedEvent| event.payload.to_string().contains(&mallory.to_string());
    let about: Vec<&str> = log.iter().filter(is_about).map(|event| event.event_type.as_str()).collect();
    assert!(about.is_empty(), "mallory has no part in it: {about:?}");

    let world = World::new().await;
    let account = world.register(address).await;
    let balance = world.import_as(&pack, Accounts::Matched).await;
    assert_eq!(counts(&balance.users), (2, 1, 1), "{balance}");
    assert_eq!(world.events("message.sent").await[0].payload["senderId"], account.to_string());
}

#[tokio::test]
async fn an_export_that_has_grown_brings_what_is_new_and_doubles_nothing() {
    let world = World::new().await;
    let channels = [channel("C1", "a"), channel("C2", "b")];
    let first = Pack::of(&[user("U1", "alice"), user("U2", "bob")], &channels)
        .with("a/1.json", &json!([message("U1", "a1", "1577836800.000100")]))
        .with("b/1.json", &json!([message("U2", "b1", "1577836801.000100")]));
    let grown = first
        .clone()
        .with("a/2.json", &json!([message("U1", "a2", "1577923200.000100")]))
        .with("b/1.json", &json!([message("U2", "b1", "1577836801.000100"), message("U2", "b2", "1577836802.000100")]));
    assert_eq!(counts(&world.import(&first).await.messages), (2, 2, 0));
    let balance = world.import(&grown).await;
    assert_eq!(counts(&balance.messages), (4, 2, 2), "{balance}");
    assert_eq!(counts(&balance.users), (2, 0, 2));
    assert_eq!(world.said().await, ["a1", "b1", "a2", "b2"]);
    assert_eq!(counts(&world.import(&grown).await.messages), (4, 0, 4), "once more, it doubles nothing");

    let days = (1..=6).map(|n| (format!("x/{n}.json"), message("V1", &format!("x{n}"), &format!("16{n}0000000.0"))));
    let other = Pack::of(&[user("V1", "carl"), user("V2", "dora")], &[channel("D1", "x")]);
    let other = days.fold(other, |pack, (name, message)| pack.with(&name, &json!([message])));
    let balance = world.import(&other).await;
    assert_eq!((counts(&balance.users), counts(&balance.messages)), ((2, 2, 0), (6, 6, 0)), "{balance}");
}

#[tokio::test]
async fn one_wrong_thing_is_refused_by_name_and_the_rest_comes_in() {
    let world = World::new().await;
    let (long, far) = ("x".repeat(150), channel("C5", "far"));
    let far = far
        .as_object()
        .unwrap()
        .clone()
        .into_iter()
        .chain([("created".to_owned(), json!(9_000_000_000_000_000_000_i64))])
        .collect();
    let channels =
        [channel("C1", "a"), channel("C2", "A"), channel("C3", &long), channel("C1", "a"), Value::Object(far)];
    let users = [user("U1", "alice"), user("U5", "\0nul"), json!({"id": "U6"}), user("U2", "bob")];
    let pack = Pack::of(&users, &channels)
        .with("a/1.json", &json!([message("U1", "fine", "1577836800.000100"), message("U5", "x", "1577836800.000200")]))
        .with_text(
            "a/2.json",
            r#"[{"user":"U1","text":"\ud800","ts":"1577836801.0001"},{"user":"U2","text":"too","ts":"1577836802.0"}]"#,
        )
        .with_text("a/3.json", "{not json")
        .with("A/1.json", &json!([message("U1", "elsewhere", "1577836803.000100")]))
        .with("far/1.json", &json!([message("U1", "far", "1577836804.000100")]));
    let balance = world.import(&pack).await;
    assert_eq!(counts(&balance.users), (4, 2, 2), "{balance}");
    assert_eq!(counts(&balance.channels), (5, 2, 3), "{balance}");
    assert_eq!(counts(&balance.messages), (7, 3, 4), "{balance}");
    assert_eq!(world.said().await, ["fine", "too", "far"]);
    let named = names(&balance);
    let long = format!("C3 {long}");
    for expected in [
        ("user", "U5"),
        ("user", "U6"),
        ("channel", "C2 A"),
        ("channel", long.as_str()),
        ("channel", "C1 a"),
        ("channel", "C5 far"),
        ("message", "C1 1577836801.0001"),
        ("file", "a/3.json"),
        ("folder", "A"),
    ] {
        assert!(named.contains(&expected), "{expected:?} is not in {named:?}");
    }
    let again = world.import(&pack).await;
    assert_eq!((again.messages.written, again.users.written, again.channels.written), (0, 0, 0), "{again}");
    assert_eq!((counts(&again.users).0, counts(&again.messages).0), (4, 7));
}

#[tokio::test]
async fn a_time_that_cannot_be_read_is_refused_and_never_1970() {
    let world = World::new().await;
    let mut edited = message("U1", "edited", "1577836800.000300");
    edited["edited"] = json!({"ts": "nan"});
    let mut answer = message("U2", "answer", "1577836800.000400");
    answer["thread_ts"] = json!("-1");
    let pack = two().with(
        "a/1.json",
        &json!([
            message("U1", "bad", "abc"),
            message("U1", "negative", "-5.0"),
            message("U1", "huge", "99999999999999999.0"),
            edited,
            answer,
            {"type": "message", "subtype": "channel_join", "user": "U1", "text": "", "ts": "soon"},
        ]),
    );
    let balance = world.import(&pack).await;
    assert_eq!(counts(&balance.messages), (5, 2, 3), "{balance}");
    assert_eq!(counts(&balance.edits), (1, 0, 1), "{balance}");
    assert_eq!(counts(&balance.replies), (1, 0, 1), "{balance}");
    assert_eq!(counts(&balance.joins), (1, 0, 1), "{balance}");
    assert_eq!(balance.named.len(), 6);
    for event in world.store.read_log(Position(0), 1_000).await.unwrap() {
        assert!(!event.payload.to_string().contains("\"1970-"), "{}", event.payload);
    }
}

#[tokio::test]
async fn private_channels_come_in_as_such_and_direct_messages_are_counted() {
    let world = World::new().await;
    let pack = two()
        .with("groups.json", &json!([channel("G1", "secret")]))
        .with("dms.json", &json!([{"id": "D1", "members": ["U1", "U2"]}]))
        .with("mpims.json", &json!([{"id": "G2", "name": "mpdm-alice--bob-1", "members": ["U1", "U2"]}]))
        .with("secret/1.json", &json!([message("U1", "hush", "1577836800.000100")]))
        .with("D1/1.json", &json!([message("U1", "you", "1577836801.000100")]))
        .with("mpdm-alice--bob-1/1.json", &json!([message("U1", "both", "1577836802.000100")]))
        .with("stray/1.json", &json!([message("U1", "lost", "1577836803.000100")]));
    let balance = world.import(&pack).await;
    assert_eq!(counts(&balance.channels), (4, 2, 2), "{balance}");
    assert_eq!(counts(&balance.messages), (4, 1, 3), "{balance}");
    assert_eq!(world.said().await, ["hush"]);
    assert_eq!(names(&balance), [("folder", "D1"), ("folder", "mpdm-alice--bob-1"), ("folder", "stray")]);
    let made = world.events("conversation.created").await;
    let is_private: Vec<bool> = made.iter().map(|event| event.payload["isPrivate"] == true).collect();
    assert_eq!(is_private, [false, true]);
    let inside: Vec<RecordedEvent> = world.events("conversation.participant_added").await;
    assert!(inside.iter().any(|event| event.aggregate_id == made[1].aggregate_id), "its members are in");
}
