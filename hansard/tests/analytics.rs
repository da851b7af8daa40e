//! What the data teams' login can do and what it can't, on the embedded servers, with a plain client.

#![expect(clippy::unwrap_used, reason = "it is how a test fails")]

use async_nats::{
    Client, ConnectOptions, Event, ServerError,
    jetstream::{
        Context,
        consumer::{AckPolicy, pull, push},
        context::ContextBuilder,
    },
};
use domain::{
    Aggregate, CommandId, Timestamp, UserId,
    user::{User, UserCommand},
};
use event_store::{Append, EventStore, KeyDir, Keyring, Loaded, Metadata, Origin, StoreConfig, StreamNames, publisher};
use futures::StreamExt;
use hansard::stack::{APP_ROLE, Stack, Wanted};
use runtime::{
    clock::SystemClock,
    id::{Ids, SystemIds},
    settings::Reading,
};
use sqlx::PgPool;
use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const EVENTS: &str = "HANSARD_EVENTS";
const ANALYTICS: &str = "HANSARD_ANALYTICS";
const PEOPLE: u64 = 5;

/// The stack with a publisher, the application's client and the data teams'.
struct Scene {
    stack: Stack,
    store: EventStore,
    publisher: CancellationToken,
    app: Client,
    guest: Client,
    /// What the server has refused the guest.
    refused: Arc<Mutex<Vec<String>>>,
    _home: TempDir,
}

async fn connect(url: &str, refused: &Arc<Mutex<Vec<String>>>) -> Client {
    let (login, host) = url.strip_prefix("nats://").and_then(|rest| rest.split_once('@')).unwrap();
    let (user, password) = login.split_once(':').unwrap();
    let refused = refused.clone();
    let options = ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned());
    let options = options.event_callback(move |event| {
        if let Event::ServerError(ServerError::Other(said)) = event {
            refused.lock().unwrap().push(said);
        }
        async {}
    });
    options.connect(host).await.unwrap()
}

fn jetstream(client: &Client) -> Context {
    ContextBuilder::new().timeout(Duration::from_secs(2)).build(client.clone())
}

impl Scene {
    async fn set() -> Self {
        let home = TempDir::new().unwrap();
        let reading = Reading::of(HashMap::new(), HashMap::new());
        let both = Wanted { postgres: true, nats: true };
        let stack = Stack::start(&reading, home.path(), both, &|_| {}).await.unwrap();
        let at = stack.endpoints().clone();
        event_store::migrate(&at.database_admin_url, APP_ROLE).await.unwrap();
        let (unheard, refused) = (Arc::default(), Arc::default());
        let (app, guest) = (connect(&at.nats_url, &unheard).await, connect(&at.nats_analytics_url, &refused).await);
        let store = open(&at.database_url, home.path(), app.clone()).await;
        let publisher = CancellationToken::new();
        tokio::spawn(publisher::run(store.clone(), app.clone(), None, publisher.clone()));
        let scene = Self { stack, store, publisher, app, guest, refused, _home: home };
        for n in 0..PEOPLE {
            scene.register(&format!("person{n}")).await;
        }
        scene.settle(PEOPLE).await;
        scene
    }

    async fn register(&self, name: &str) {
        let user: UserId = SystemIds.uuid().into();
        let person: Loaded<User> = Loaded::fresh(user);
        let command = UserCommand::Register {
            email: format!("{name}@example.org"),
            username: name.to_owned(),
            first_name: name.to_owned(),
            last_name: "Test".to_owned(),
            created_at: Timestamp(1_769_846_400_000),
        };
        let context = domain::Context { actor: user, now: Timestamp(1_769_846_400_000) };
        let mut append = Append::new(Metadata {
            actor_id: Some(user),
            session_id: None,
            workspace_id: None,
            conversation_id: None,
            correlation_id: "a-test".to_owned(),
            causation_id: None,
            traceparent: None,
            command_id: CommandId(SystemIds.uuid()),
            origin: Origin::Cli,
        });
        append.write(&person, person.state.decide(command, &context).unwrap());
        self.store.append(append).await.unwrap();
    }

    /// Waits until both streams have come to the position.
    async fn settle(&self, position: u64) {
        for _ in 0..200 {
            if self.last(EVENTS).await == Some(position) && self.last(ANALYTICS).await == Some(position) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the streams did not come to {position}");
    }

    /// As the application sees the stream.
    async fn last(&self, stream: &str) -> Option<u64> {
        jetstream(&self.app).get_stream(stream).await.ok().map(|stream| stream.cached_info().state.last_sequence)
    }

    /// The server has said that the guest may not, naming the subject.
    #[track_caller]
    fn assert_refused(&self, subject: &str) {
        let refused = self.refused.lock().unwrap();
        assert!(refused.iter().any(|said| said.contains(&format!("\"{subject}\""))), "{subject}: {refused:?}");
    }

    async fn end(self) {
        self.publisher.cancel();
        self.stack.stop().await;
    }
}

async fn open(database_url: &str, home: &Path, nats: Client) -> EventStore {
    let pool = PgPool::connect(database_url).await.unwrap();
    let keyring = Keyring::unlock(pool.clone(), KeyDir::Directory(home.join("keys")), [7; 32]).await.unwrap();
    let config = StoreConfig {
        pool,
        database_url: database_url.to_owned(),
        nats: Some(nats),
        keyring,
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
        queue_limit: 100,
        names: StreamNames::default(),
    };
    EventStore::open(config).await.unwrap()
}

#[tokio::test]
async fn data_teams_read_their_stream_with_plain_clients() {
    let scene = Scene::set().await;
    let jetstream = jetstream(&scene.guest);
    assert!(jetstream.query_account().await.is_ok());
    let stream = jetstream.get_stream(ANALYTICS).await.unwrap();
    assert_eq!(stream.cached_info().state.last_sequence, PEOPLE);
    let message = stream.get_raw_message(2).await.unwrap();
    let body = String::from_utf8_lossy(&message.payload);
    assert!(body.contains("createdAt") && !body.contains("email"), "{body}");
    assert!(message.subject.starts_with("hansard.analytics._.user.registered."), "{}", message.subject);
    assert_eq!(stream.direct_get(2).await.unwrap().sequence, 2);

    let all: Vec<u64> = (1..=PEOPLE).collect();
    let ordered = stream.create_consumer(pull::OrderedConfig::default()).await.unwrap();
    assert_eq!(sequences(ordered.messages().await.unwrap()).await, all);
    let deliver_subject = scene.guest.new_inbox();
    let pushed = push::OrderedConfig { deliver_subject, ..push::OrderedConfig::default() };
    let pushed = stream.create_consumer(pushed).await.unwrap();
    assert_eq!(sequences(pushed.messages().await.unwrap()).await, all);

    let durable = pull::Config { durable_name: Some("team".to_owned()), ..pull::Config::default() };
    let mut durable = stream.create_consumer(durable).await.unwrap();
    let mut messages = durable.fetch().max_messages(3).messages().await.unwrap();
    while let Some(message) = messages.next().await {
        message.unwrap().double_ack().await.unwrap();
    }
    assert_eq!(durable.info().await.unwrap().ack_floor.stream_sequence, 3);
    stream.delete_consumer("team").await.unwrap();
    assert!(scene.refused.lock().unwrap().is_empty(), "{:?}", scene.refused);
    scene.end().await;
}

/// The stream sequences of the first messages.
async fn sequences<E: std::fmt::Debug>(
    messages: impl futures::Stream<Item = Result<async_nats::jetstream::Message, E>> + Unpin,
) -> Vec<u64> {
    let number = |message: Result<async_nats::jetstream::Message, E>| message.unwrap().info().unwrap().stream_sequence;
    messages.take(usize::try_from(PEOPLE).unwrap()).map(number).collect().await
}

#[tokio::test]
async fn data_teams_hear_and_reach_nothing_else() {
    let scene = Scene::set().await;
    let mut intrusions = scene.app.subscribe("hansard.>").await.unwrap();
    let guest = jetstream(&scene.guest);
    assert!(guest.get_stream(EVENTS).await.is_err());
    scene.assert_refused("$JS.API.STREAM.INFO.HANSARD_EVENTS");
    for subject in ["hansard.events._.user.registered.x", "hansard.analytics._.user.registered.x", "hansard.head.x"] {
        scene.guest.publish(subject, "intruder".into()).await.unwrap();
        scene.guest.flush().await.unwrap();
    }
    // A consumer may deliver to any subject, but to none outside of its account.
    let hidden = guest.get_stream(ANALYTICS).await.unwrap();
    let config = push::Config {
        deliver_subject: "hansard.events._.user.registered.x".to_owned(),
        ack_policy: AckPolicy::None,
        ..push::Config::default()
    };
    hidden.create_consumer(config).await.unwrap();

    // From here on the guest asks nothing, so that no answer in an inbox is its own.
    let mut heard = Vec::new();
    for subject in [">", "hansard.>", "hansard.events.>", "$JS.>", "_R_.>", "_INBOX.>"] {
        heard.push((subject, scene.guest.subscribe(subject).await.unwrap()));
    }
    // Everything that the application does and hears: an append, its pings, its questions and their answers.
    scene.register("late").await;
    scene.settle(PEOPLE + 1).await;
    scene.guest.flush().await.unwrap();
    for subject in ["hansard.events._.user.registered.x", "hansard.analytics._.user.registered.x", "hansard.head.x"] {
        scene.assert_refused(subject);
    }
    for (subject, messages) in &mut heard {
        let next = tokio::time::timeout(Duration::from_millis(100), messages.next()).await;
        assert!(!matches!(next, Ok(Some(_))), "{subject}: {next:?}");
        if *subject != "_INBOX.>" {
            scene.assert_refused(subject);
        }
    }
    while let Ok(Some(message)) = tokio::time::timeout(Duration::from_millis(100), intrusions.next()).await {
        let asks = ["hansard.head.", "hansard.analytics_api."].iter().any(|own| message.subject.starts_with(*own));
        let is_own = asks || message.headers.is_some();
        assert!(is_own && message.payload != "intruder" && !message.subject.ends_with(".x"), "{message:?}");
    }
    scene.end().await;
}

#[tokio::test]
async fn data_teams_change_no_stream() {
    let scene = Scene::set().await;
    let guest = ContextBuilder::new().timeout(Duration::from_millis(500)).build(scene.guest.clone());
    let attempt = async |subject: &str| {
        let answer: Result<serde_json::Value, _> = guest.request(subject.to_owned(), &serde_json::json!({})).await;
        assert!(answer.is_err(), "{subject}: {answer:?}");
        scene.assert_refused(&format!("$JS.API.{subject}"));
    };
    for name in [EVENTS, ANALYTICS] {
        for verb in ["PURGE", "DELETE", "UPDATE", "MSG.DELETE", "SNAPSHOT", "RESTORE", "LEADER.STEPDOWN"] {
            attempt(&format!("STREAM.{verb}.{name}")).await;
        }
    }
    attempt("STREAM.MSG.GET.HANSARD_EVENTS").await;
    attempt("DIRECT.GET.HANSARD_EVENTS").await;
    attempt("CONSUMER.CREATE.HANSARD_EVENTS").await;
    attempt("CONSUMER.MSG.NEXT.HANSARD_EVENTS.views").await;
    attempt("STREAM.CREATE.INTRUDER").await;
    scene.settle(PEOPLE).await;
    scene.end().await;
}

#[tokio::test]
async fn the_application_sees_the_data_teams_stream_as_its_own() {
    let scene = Scene::set().await;
    let jetstream = jetstream(&scene.app);
    let stream = jetstream.get_stream(ANALYTICS).await.unwrap();
    assert_eq!(stream.direct_get(3).await.unwrap().sequence, 3);
    let durable = pull::Config { durable_name: Some("views".to_owned()), ..pull::Config::default() };
    let mut durable = stream.create_consumer(durable).await.unwrap();
    let mut messages = durable.fetch().max_messages(2).messages().await.unwrap();
    while let Some(message) = messages.next().await {
        message.unwrap().double_ack().await.unwrap();
    }
    assert_eq!(durable.info().await.unwrap().ack_floor.stream_sequence, 2);
    // Damaged, it is made anew in its place, with the consumer where it had acked.
    assert!(stream.delete_message(4).await.unwrap());
    scene.publisher.cancel();
    let publisher = CancellationToken::new();
    tokio::spawn(publisher::run(scene.store.clone(), scene.app.clone(), None, publisher.clone()));
    for _ in 0..200 {
        let state = jetstream.get_stream(ANALYTICS).await.map(|stream| stream.cached_info().state.clone());
        if state.is_ok_and(|state| state.messages == PEOPLE)
            && let Ok(again) = jetstream.get_consumer_from_stream::<pull::Config, _, _>("views", ANALYTICS).await
        {
            let mut messages = again.fetch().max_messages(10).messages().await.unwrap();
            let first = messages.next().await.unwrap().unwrap();
            assert_eq!(first.info().unwrap().stream_sequence, 3);
            publisher.cancel();
            scene.end().await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the stream was not made anew");
}
