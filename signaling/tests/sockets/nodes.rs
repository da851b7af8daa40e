//! [`Town`]: a log with its worker, nodes that serve sockets on it, and people who are signed in.

use crate::client::{Client, SocketIoClient};
use api::{App, Front, FrontConfig, Live};
use commands::{
    AuthSettings, Caller, Commands, Origin, Password, conversation, message,
    session::{self, Visitor},
    user::{self, NewUser},
};
use domain::{ConversationId, MessageId, SessionId, UserId};
use event_store::{EventStore, StoreConfig, publisher, testing::TestDatabase, testing::nats_url};
use projections::{Progress, Runner, Views};
use runtime::{
    clock::{Clock, FixedClock, SystemClock},
    connections::Connections,
    id::SystemIds,
    settings::RateLimit,
};
use search_index::SearchClient;
use signaling::{Port, Signaling, SignalingConfig};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

const PASSWORD: &str = "Correct-horse-7-battery";

pub struct Town {
    pub clock: Arc<FixedClock>,
    pub commands: Commands,
    rate_limit: Option<RateLimit>,
    _ending: DropGuard,
    // Last: it goes when the pools of the others are gone.
    database: TestDatabase,
}

pub struct Person {
    pub id: UserId,
    pub username: String,
    pub session: SessionId,
    pub token: String,
}

pub struct Node {
    pub address: SocketAddr,
    pub calls: SocketAddr,
    pub connections: Connections,
    shutdown: CancellationToken,
    ended: tokio::task::JoinHandle<()>,
}

struct Parts {
    commands: Commands,
    views: Views,
    progress: Progress,
    nats: async_nats::Client,
}

impl Town {
    /// With a group of Alice, Bob and Carol.
    pub async fn start() -> (Self, [Person; 3], ConversationId) {
        Self::start_limited(None).await
    }

    pub async fn start_limited(rate_limit: Option<RateLimit>) -> (Self, [Person; 3], ConversationId) {
        let database = TestDatabase::create().await;
        // A little ago, so that time can pass without outrunning PostgreSQL's clock.
        let clock = Arc::new(FixedClock::at(SystemClock.now() - chrono::TimeDelta::hours(1)));
        let parts = parts(&database, &clock).await;
        let ending = CancellationToken::new();
        let store = parts.commands.store().clone();
        tokio::spawn(publisher::run(store, parts.nats.clone(), None, ending.clone()));
        tokio::spawn(Runner::new(parts.views, parts.progress, Some(parts.nats)).run(ending.clone()));
        let town = Self { clock, commands: parts.commands, rate_limit, _ending: ending.drop_guard(), database };
        let cast = [town.register("alice").await, town.register("bob").await, town.register("carol").await];
        let room = town.group(&cast[0], &[&cast[1], &cast[2]]).await;
        (town, cast, room)
    }

    pub async fn register(&self, username: &str) -> Person {
        let new = NewUser {
            email: format!("{username}@example.org"),
            password: Password::new(PASSWORD),
            username: username.to_owned(),
            first_name: username.to_owned(),
            last_name: "Example".to_owned(),
        };
        let done = user::register(&self.commands, &visitor(), new).await.unwrap();
        let session::SignedIn { user, session, tokens } = done.value;
        Person { id: user, username: username.to_owned(), session, token: tokens.access }
    }

    /// The same person on another device.
    pub async fn login(&self, person: &Person) -> Person {
        let email = format!("{}@example.org", person.username);
        let done = session::login(&self.commands, &visitor(), &email, &Password::new(PASSWORD)).await.unwrap();
        let session::SignedIn { user, session, tokens } = done.value;
        Person { id: user, username: person.username.clone(), session, token: tokens.access }
    }

    async fn group(&self, owner: &Person, others: &[&Person]) -> ConversationId {
        let new = conversation::NewGroup {
            name: Some("The room".to_owned()),
            description: None,
            avatar_url: None,
            is_private: false,
            max_members: None,
            participants: others.iter().map(|person| person.id).collect(),
        };
        conversation::create_group(&self.commands, &owner.caller(), new).await.unwrap().value
    }

    pub async fn send(&self, person: &Person, room: ConversationId, content: &str) -> MessageId {
        let draft = message::Draft {
            conversation: room,
            content: content.to_owned(),
            r#type: domain::message::MessageType::default(),
            reply_to: None,
            client_message_id: None,
        };
        message::send(&self.commands, &person.caller(), draft).await.unwrap().value
    }

    /// A process of its own, as far as the others can tell.
    pub async fn node(&self) -> Node {
        let Parts { commands, views, progress, nats } = parts(&self.database, &self.clock).await;
        let live = Live::new(commands.clone(), views.clone(), progress.clone(), Some(nats.clone()));
        let body_key = api::body_key(commands.store().keyring());
        let front = Front::new(FrontConfig::new(self.clock.clone(), Arc::new(SystemIds), Arc::new(live), body_key));
        let connections = front.connections.clone();
        let sockets = Signaling::open(SignalingConfig {
            commands: commands.clone(),
            views: views.clone(),
            progress: progress.clone(),
            nats: Some(nats.clone()),
            clock: self.clock.clone(),
            ids: Arc::new(SystemIds),
            connections: connections.clone(),
            rate_limit: self.rate_limit,
        })
        .await
        .unwrap();
        let shutdown = CancellationToken::new();
        let nats_of_search = nats.clone();
        tokio::spawn(progress.listen(nats, shutdown.clone()));
        let calls = api::health_router_beside(&front, sockets.router(Port::Calls));
        // Nobody searches here, so nobody answers.
        let search = SearchClient::over_nats(commands.store(), nats_of_search);
        let app = App {
            front,
            commands,
            views,
            search,
            web_url: "http://localhost:5173".to_owned(),
            asyncapi: signaling::asyncapi(),
        };
        let messaging = api::router_beside(app, sockets.router(Port::Messaging));
        let address = serve(messaging, &connections, &shutdown).await;
        let calls = serve(calls, &connections, &shutdown).await;
        let ended = tokio::spawn(sockets.run(shutdown.clone()));
        Node { address, calls, connections, shutdown, ended }
    }
}

async fn serve(router: axum::Router, connections: &Connections, shutdown: &CancellationToken) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (connections, shutdown) = (connections.clone(), shutdown.clone());
    tokio::spawn(async move { api::serve(router, listener, connections, shutdown.cancelled_owned()).await });
    address
}

async fn parts(database: &TestDatabase, clock: &Arc<FixedClock>) -> Parts {
    let nats = async_nats::connect(nats_url()).await.unwrap();
    let config = StoreConfig { nats: Some(nats.clone()), clock: clock.clone(), ..database.config().await };
    let store = EventStore::open(config).await.unwrap();
    let views = Views::open(&database.app_url, 8, store.clone(), clock.clone()).await.unwrap();
    let progress = Progress::open(views.clone()).await.unwrap();
    let auth = AuthSettings {
        jwt_secret: "a secret of the tests, long enough".to_owned(),
        jwt_expiry: Duration::from_mins(15),
        refresh_token_expiry: Duration::from_hours(7 * 24),
    };
    let commands = Commands::new(store, clock.clone(), Arc::new(SystemIds), auth);
    Parts { commands, views, progress, nats }
}

fn visitor() -> Visitor {
    Visitor::new(Origin::Rest, "test".to_owned(), None)
}

impl Person {
    pub fn caller(&self) -> Caller {
        Caller {
            user: self.id,
            session: Some(self.session),
            roles: vec![],
            origin: Origin::Rest,
            correlation_id: "test".to_owned(),
            traceparent: None,
            idempotency: None,
        }
    }
}

impl Node {
    /// Connects and waits for `ready`.
    pub async fn connect(&self, person: &Person) -> Client {
        Client::connect(self.address, &person.token, "").await.unwrap()
    }
    pub async fn connect_socket_io(&self, person: &Person) -> SocketIoClient {
        let auth = serde_json::json!({"token": person.token});
        SocketIoClient::connect(self.address, &auth).await.unwrap()
    }

    /// Begins the end, as a signal does.
    pub fn shut_down(&self) {
        self.shutdown.cancel();
    }
    pub async fn ended(self) {
        self.ended.await.unwrap();
    }
}
