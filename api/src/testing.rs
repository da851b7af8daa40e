//! [`TestApp`]: the API on a real PostgreSQL, with a database of its own, a clock that stands, and people.

mod answer;

pub use answer::Answer;

use crate::{App, Front, FrontConfig, Live, body_key};
use axum::{
    Router,
    body::Body,
    http::{Method, Request},
};
use commands::{AuthSettings, Commands};
use domain::{Timestamp, UserId};
use event_store::{EventStore, StoreConfig, testing::TestDatabase};
use projections::{Progress, Runner, Views};
use runtime::{
    clock::FixedClock,
    id::{Ids, SeededIds},
};
use search_index::{Index, Keeper, SearchClient};
use serde_json::{Value, json};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Everyone's password.
pub const PASSWORD: &str = "correct horse battery staple";
/// 2026-01-31T08:00:00Z, when every test takes place.
const NOW: Timestamp = Timestamp(1_769_846_400_000);
/// For what should take milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// A whole server but for its socket. On drop it asserts that no event is left unprojected.
pub struct TestApp {
    pub clock: Arc<FixedClock>,
    pub commands: Commands,
    pub views: Views,
    progress: Progress,
    /// Until a test wants it kept.
    keeper: Option<Keeper>,
    index: Index,
    search_dir: PathBuf,
    router: Router,
    shutdown: CancellationToken,
    /// What the server does goes on while a test blocks, as when the app is dropped.
    background: Option<Runtime>,
    /// Last, so that all that uses it is gone first.
    _database: TestDatabase,
}

/// Someone who is signed in, and may talk in a group with the others.
#[derive(Clone)]
pub struct Person {
    pub username: String,
    pub id: UserId,
    pub token: String,
    pub refresh_token: String,
    /// The group of the whole cast.
    pub room: String,
    router: Router,
    background: tokio::runtime::Handle,
}

impl TestApp {
    /// With Alice, Bob and Carol, who share a group that Alice has made.
    pub async fn start() -> (Self, [Person; 3]) {
        let app = Self::empty().await;
        let mut cast = [app.register("alice").await, app.register("bob").await, app.register("carol").await];
        let others = json!([cast[1].id, cast[2].id]);
        let room = cast[0].post("/groups", &json!({"name": "The room", "participantIds": others})).await.created();
        for person in &mut cast {
            room["id"].as_str().expect("an id").clone_into(&mut person.room);
        }
        (app, cast)
    }

    /// With nobody.
    pub async fn empty() -> Self {
        let background =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        let handle = background.handle().clone();
        let parts = tokio::task::spawn_blocking(move || handle.block_on(open())).await.expect("the parts open");
        parts.into_app(background)
    }

    /// Makes an account with the address `<username>@example.org`.
    pub async fn register(&self, username: &str) -> Person {
        let mut person = self.nobody();
        let answer = person
            .post(
                "/auth/register",
                &json!({
                    "email": format!("{username}@example.org"), "password": PASSWORD, "username": username,
                    "firstName": username, "lastName": "Example",
                }),
            )
            .await
            .created();
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        username.clone_into(&mut person.username);
        person.id = answer["user"]["id"].as_str().and_then(|id| id.parse().ok()).expect("an id");
        (person.token, person.refresh_token) = (text(&answer["accessToken"]), text(&answer["refreshToken"]));
        person
    }

    /// Someone without a token.
    pub fn nobody(&self) -> Person {
        let background = self.background.as_ref().expect("the app runs").handle().clone();
        let (username, token, refresh_token, room) = <(String, String, String, String)>::default();
        Person {
            username,
            id: UserId(uuid::Uuid::nil()),
            token,
            refresh_token,
            room,
            router: self.router.clone(),
            background,
        }
    }

    /// Keeps the search index from now on, and waits until all that is in the log can be found.
    pub async fn settle_search(&mut self) {
        let background = self.background.as_ref().expect("the app runs");
        if let Some(keeper) = self.keeper.take() {
            self.index = keeper.index();
            background.spawn(keeper.run(self.shutdown.clone()));
        }
        let head = self.commands.store().head().await.expect("the log answers");
        let caught_up = async {
            while self.index.position() < head {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, caught_up).await.expect("the index catches up");
    }

    /// Waits until the read models have applied all that is in the log.
    pub async fn settle(&self) {
        let store = self.commands.store().clone();
        let background = self.background.as_ref().expect("the app runs");
        let head = background.spawn(async move { store.head().await }).await.expect("asked").expect("a head");
        let progress = self.progress.clone();
        let settled = background.spawn(async move { progress.wait_for(head, PATIENCE).await }).await.expect("waited");
        assert!(settled, "the read models are still at {} of {head}", self.progress.position());
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        let head = *self.commands.store().head_watch().borrow();
        let waits = PATIENCE.as_millis() / 10;
        let settled = std::thread::panicking()
            || (0..waits).any(|_| {
                self.progress.position() >= head || {
                    std::thread::sleep(Duration::from_millis(10));
                    false
                }
            });
        self.shutdown.cancel();
        if let Some(background) = self.background.take() {
            background.shutdown_background();
        }
        // What can't be removed is small and lies in the directory of temporary files.
        let _ = std::fs::remove_dir_all(&self.search_dir);
        assert!(settled, "events up to {head} were left unprojected at {}", self.progress.position());
    }
}

/// The parts of an app, opened in the background's runtime, whose connections live there.
struct Parts {
    database: TestDatabase,
    clock: Arc<FixedClock>,
    commands: Commands,
    views: Views,
    progress: Progress,
    keeper: Keeper,
    router: Router,
    shutdown: CancellationToken,
}

async fn open() -> Parts {
    let database = TestDatabase::create().await;
    let clock = Arc::new(FixedClock::at(NOW.to_datetime()));
    let ids: Arc<dyn Ids> = Arc::new(SeededIds::new(1, clock.clone()));
    let config = StoreConfig { clock: clock.clone(), ids: ids.clone(), ..database.config().await };
    let store = EventStore::open(config).await.expect("the store opens");
    let views = Views::open(&database.app_url, 8, store.clone(), clock.clone()).await.expect("the views open");
    let progress = Progress::open(views.clone()).await.expect("the progress is known");
    let auth = AuthSettings {
        jwt_secret: "a secret of the tests, long enough".to_owned(),
        jwt_expiry: Duration::from_mins(15),
        refresh_token_expiry: Duration::from_hours(7 * 24),
    };
    let commands = Commands::new(store.clone(), clock.clone(), ids.clone(), auth);
    let shutdown = CancellationToken::new();
    tokio::spawn(Runner::new(views.clone(), progress.clone(), None).run(shutdown.clone()));
    let live = Arc::new(Live::new(commands.clone(), views.clone(), progress.clone(), None));
    let front = Front::new(FrontConfig::new(clock.clone(), ids, live, body_key(store.keyring())));
    let web_url = "http://localhost:5173".to_owned();
    let asyncapi = &serde_json::Value::Null;
    let keeper = Keeper::new(store, None, search_dir(&database));
    let search = SearchClient::here(keeper.index());
    let router =
        crate::router(App { front, commands: commands.clone(), views: views.clone(), search, web_url, asyncapi });
    Parts { database, clock, commands, views, progress, keeper, router, shutdown }
}

/// Beside the directory of the keys, which has a name of its own too.
fn search_dir(database: &TestDatabase) -> PathBuf {
    database.key_dir.with_extension("search")
}

impl Parts {
    fn into_app(self, background: Runtime) -> TestApp {
        let Self { database, clock, commands, views, progress, keeper, router, shutdown } = self;
        let (keeper, search_dir, background) = (Some(keeper), search_dir(&database), Some(background));
        let index = Index::default();
        TestApp {
            clock,
            commands,
            views,
            progress,
            keeper,
            index,
            search_dir,
            router,
            shutdown,
            background,
            _database: database,
        }
    }
}

impl Person {
    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[], None).await
    }
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask(Method::POST, path, &[], Some(body)).await
    }
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.ask(Method::PUT, path, &[], Some(body)).await
    }
    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.ask(Method::PATCH, path, &[], Some(body)).await
    }
    pub async fn delete(&self, path: &str) -> Answer {
        self.ask(Method::DELETE, path, &[], None).await
    }

    /// Any request; a path is one under `/api`.
    pub async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("/api{path}"));
        if !self.token.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let request = request.header("content-type", "application/json").body(body).expect("a request");
        let router = self.router.clone();
        let answering = async move { Answer::read(router.oneshot(request).await.expect("infallible")).await };
        self.background.spawn(answering).await.expect("an answer")
    }

    /// Says something in the room, and tells the message.
    pub async fn send(&self, content: &str) -> Value {
        self.post("/messages", &json!({"conversationId": self.room, "content": content})).await.created()
    }
    /// What the room shows, newest first.
    pub async fn timeline(&self) -> Vec<Value> {
        let answer = self.get(&format!("/messages/{}", self.room)).await.ok();
        answer.as_array().expect("a list").clone()
    }
}
