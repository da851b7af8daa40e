//! [`World`]: a log of a test's own with views on it, and short ways to fill both.

use crate::{Progress, ProjectionError, Runner, Views, batch, schema, writer};
use domain::{
    Aggregate, CommandId, Personal, Position, Timestamp, UserId, WorkspaceId,
    user::{User, UserEvent},
    workspace::{Workspace, WorkspaceEvent, WorkspaceRole},
};
use event_store::{Append, EventStore, Metadata, Origin, testing::TestDatabase};
use runtime::{
    clock::SystemClock,
    id::{Ids, SystemIds},
};
use sqlx::Connection;
use std::{sync::Arc, time::Duration};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// When everything in a test happens, where nothing else is said.
pub(crate) const NOON: Timestamp = Timestamp(1_800_000_000_000);

pub(crate) struct World {
    pub store: EventStore,
    pub views: Views,
    pub progress: Progress,
    _database: TestDatabase,
}

impl World {
    pub async fn new() -> Self {
        let database = TestDatabase::create().await;
        let store = database.store().await;
        let views = Views::open(&database.app_url, 5, store.clone(), Arc::new(SystemClock)).await.expect("views");
        let progress = Progress::open(views.clone()).await.expect("a position");
        Self { store, views, progress, _database: database }
    }

    #[expect(clippy::unused_self, reason = "so that it reads as all else that a test asks of its world")]
    pub fn id<T: From<uuid::Uuid>>(&self) -> T {
        SystemIds.uuid().into()
    }

    /// Appends events to one stream, whatever its rules would say.
    pub async fn record<A: Aggregate>(&self, id: impl ToString, events: Vec<A::Event>) -> Position {
        let loaded = self.store.load::<A>(id).await.expect("loads");
        let mut append = Append::new(self.metadata());
        append.write(&loaded, events);
        self.store.append(append).await.expect("appends").position
    }

    fn metadata(&self) -> Metadata {
        Metadata {
            actor_id: None,
            session_id: None,
            workspace_id: None,
            conversation_id: None,
            correlation_id: "test".to_owned(),
            causation_id: None,
            traceparent: None,
            command_id: self.id::<CommandId>(),
            origin: Origin::Rest,
        }
    }

    pub async fn register(&self, name: &str) -> UserId {
        self.register_as(name, name, "Example").await
    }

    pub async fn register_as(&self, username: &str, first_name: &str, last_name: &str) -> UserId {
        let id: UserId = self.id();
        let registered = UserEvent::Registered {
            email: Personal::plain(format!("{username}@example.org")),
            username: Personal::plain(username),
            first_name: Personal::plain(first_name),
            last_name: Personal::plain(last_name),
            created_at: NOON,
        };
        self.record::<User>(id, vec![registered]).await;
        id
    }

    pub async fn workspace(&self, owner: UserId, name: &str) -> WorkspaceId {
        let id: WorkspaceId = self.id();
        let created = WorkspaceEvent::Created {
            name: name.to_owned(),
            description: None,
            avatar_url: None,
            owner_id: owner,
            created_at: NOON,
        };
        self.record::<Workspace>(id, vec![created]).await;
        id
    }

    pub async fn enrol(&self, workspace: WorkspaceId, user: UserId) {
        let joined = WorkspaceEvent::MemberJoined {
            user_id: user,
            role: WorkspaceRole::Member,
            invited_by: None,
            code_hash: None,
            joined_at: NOON,
        };
        self.record::<Workspace>(workspace, vec![joined]).await;
    }

    /// Applies what the views have not applied yet, in batches of this size, without a runner.
    pub async fn project(&self, batch_size: usize) {
        self.try_project(&[batch_size]).await.expect("applies");
    }

    /// As [`World::project`], each batch as large as the next of the sizes, over and over.
    pub async fn try_project(&self, sizes: &[usize]) -> Result<(), ProjectionError> {
        let mut connection = schema::connect_writer(self.views.options(), schema::LIVE).await?;
        let mut position = writer::position(&mut connection).await?;
        for size in sizes.iter().cycle() {
            let facts = batch::decode_all(self.store.read_log(position, *size).await?)?;
            if facts.is_empty() {
                break;
            }
            position = writer::commit(&mut connection, position, &facts, self.views.keyring()).await?;
        }
        Ok(connection.close().await?)
    }

    pub fn runner(&self) -> Runner {
        Runner::new(self.views.clone(), self.progress.clone(), None)
    }

    pub fn run(&self) -> Running {
        Running::start(self.runner())
    }

    /// Waits until all that was appended is applied.
    pub async fn settle(&self) {
        let head = self.store.head().await.expect("a head");
        let is_settled = self.progress.wait_for(head, Duration::from_secs(20)).await;
        assert!(is_settled, "the views came to {} of {head}", self.progress.position());
    }
}

/// A runner in the background.
pub(crate) struct Running {
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    pub fn start(runner: Runner) -> Self {
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(runner.run(shutdown.clone()));
        Self { shutdown, task }
    }

    pub async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.expect("the runner ends by itself");
    }

    /// As if its process had been killed.
    pub async fn kill(self) {
        self.task.abort();
        drop(self.task.await);
    }
}
