//! [`World`]: commands on a log of their own, by a clock that the test moves, and people who sign up.

use chrono::TimeDelta;
use commands::{
    AuthSettings, Caller, CommandError, Commands, Origin, Password, RefreshToken,
    session::{self, SignedIn, Visitor},
    user::{self, NewUser},
};
use domain::{Kind, Position, SessionId, UserId};
use event_store::{EventStore, RecordedEvent, testing::TestDatabase};
use runtime::{
    clock::{Clock, FixedClock, SystemClock},
    id::SystemIds,
};
use std::{sync::Arc, time::Duration};

pub const PASSWORD: &str = "Correct-horse-7-battery";

pub struct World {
    pub commands: Commands,
    store: EventStore,
    clock: Arc<FixedClock>,
    // Last: it goes when the pools of the others are gone.
    database: TestDatabase,
}

/// Someone who is signed in.
#[derive(Debug)]
pub struct Account {
    pub id: UserId,
    pub session: SessionId,
    pub access: String,
    pub refresh: String,
}

impl Account {
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

impl From<SignedIn> for Account {
    fn from(SignedIn { user, session, tokens }: SignedIn) -> Self {
        Self { id: user, session, access: tokens.access, refresh: tokens.refresh.reveal().to_owned() }
    }
}

impl World {
    pub async fn new() -> Self {
        let database = TestDatabase::create().await;
        // Long ago, so that time can pass without outrunning PostgreSQL's clock, which the store refuses.
        let clock = Arc::new(FixedClock::at(SystemClock.now() - TimeDelta::days(365)));
        let mut config = database.config().await;
        config.clock = clock.clone();
        let store = EventStore::open(config).await.expect("the store opens");
        let commands = commands(store.clone(), &clock);
        Self { commands, store, clock, database }
    }

    /// Another process on the same log and rows, with a memory of its own.
    pub async fn process(&self) -> Commands {
        let mut config = self.database.config().await;
        config.clock = self.clock.clone();
        commands(EventStore::open(config).await.expect("the store opens"), &self.clock)
    }

    #[expect(clippy::unused_self, reason = "so that it reads as all else that a test asks of its world")]
    pub fn visitor(&self) -> Visitor {
        Visitor::new(Origin::Rest, "test".to_owned(), None).with_device("Firefox on Plan 9").at_address("192.0.2.7")
    }
    #[expect(clippy::unused_self, reason = "so that it reads as all else that a test asks of its world")]
    pub fn new_user(&self, email: &str, username: &str) -> NewUser {
        NewUser {
            email: email.to_owned(),
            password: Password::new(PASSWORD),
            username: username.to_owned(),
            first_name: "Test".to_owned(),
            last_name: "Person".to_owned(),
        }
    }
    pub async fn try_register(&self, email: &str, username: &str) -> Result<Account, CommandError> {
        let done = user::register(&self.commands, &self.visitor(), self.new_user(email, username)).await?;
        Ok(done.value.into())
    }
    pub async fn register(&self, name: &str) -> Account {
        self.try_register(&format!("{name}@example.org"), name).await.expect("registered")
    }
    pub async fn login(&self, name: &str) -> Account {
        let (email, password) = (format!("{name}@example.org"), Password::new(PASSWORD));
        session::login(&self.commands, &self.visitor(), &email, &password).await.expect("signed in").value.into()
    }
    /// The next refresh token.
    pub async fn refresh(&self, token: &str) -> Result<String, CommandError> {
        let tokens = session::refresh(&self.commands, &self.visitor(), &RefreshToken::presented(token)).await?;
        Ok(tokens.refresh.reveal().to_owned())
    }
    pub async fn is_refused(&self, token: &str) -> bool {
        matches!(self.refresh(token).await, Err(CommandError::Unauthenticated("invalid_refresh_token")))
    }
    pub async fn is_active(&self, account: &Account) -> bool {
        self.commands.sessions().is_active(account.session).await.expect("asked")
    }
    pub async fn sessions(&self, account: &Account) -> Vec<session::Session> {
        session::list(&self.commands, account.id, 100, 0).await.expect("listed")
    }

    pub fn pass_seconds(&self, seconds: i64) {
        self.clock.advance(TimeDelta::seconds(seconds));
    }
    pub fn pass_minutes(&self, minutes: i64) {
        self.clock.advance(TimeDelta::minutes(minutes));
    }
    pub fn now(&self) -> String {
        self.clock.now().to_rfc3339()
    }

    pub async fn log(&self) -> Vec<RecordedEvent> {
        self.store.read_log(Position(0), 1_000).await.expect("read")
    }
    pub async fn open(&self, sealed: &str) -> String {
        self.store.keyring().open(sealed).await.expect("opened").expect("there is a key")
    }
    /// Credentials, sessions and refresh tokens.
    pub async fn counts(&self) -> (i64, i64, i64) {
        let sql = "SELECT (SELECT count(*) FROM credential), (SELECT count(*) FROM session), (SELECT count(*) FROM refresh_token)";
        sqlx::query_as(sql).fetch_one(&self.database.admin).await.expect("counted")
    }
    pub async fn sql(&self, statement: &str) {
        sqlx::raw_sql(statement).execute(&self.database.admin).await.expect(statement);
    }
    /// Every row of every table as text, bytes in hexadecimal and as they read.
    pub async fn everything_stored(&self) -> String {
        let tables = "SELECT format('%I', tablename) FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE '\\_sqlx%'";
        let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&self.database.admin).await.expect("named");
        let mut all = String::new();
        for table in tables {
            let rows = format!("SELECT row_to_json(t)::text FROM {table} t");
            let rows: Vec<String> = sqlx::query_scalar(&rows).fetch_all(&self.database.admin).await.expect("read");
            all.push_str(&rows.join("\n"));
        }
        all
    }
}

fn commands(store: EventStore, clock: &Arc<FixedClock>) -> Commands {
    let auth = AuthSettings {
        jwt_secret: "a-secret-of-at-least-32-characters".to_owned(),
        jwt_expiry: Duration::from_mins(15),
        refresh_token_expiry: Duration::from_hours(7 * 24),
    };
    Commands::new(store, clock.clone(), Arc::new(SystemIds), auth)
}

/// What a refusal says to programs.
pub fn code(error: &CommandError) -> (Kind, &'static str) {
    match error {
        CommandError::Refused(refusal) => (refusal.kind, refusal.code),
        other => panic!("{other:?} is no refusal"),
    }
}
