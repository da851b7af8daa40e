//! [`Log`]: a log of a test's own, and short ways to fill and to search it.

use crate::{
    Index, SearchError, Writer,
    change::Batch,
    document::FIELDS,
    query::parse,
    search::{Found, Question, Readable, Scope},
};
use domain::{
    Aggregate, CommandId, ConversationId, MessageId, Personal, Position, Timestamp, UserId,
    conversation::{Conversation, ConversationEvent, ConversationType, Founder, History, Role},
    message::{Message, MessageEvent, MessageType},
};
use event_store::{Append, EventStore, Metadata, Origin, testing::TestDatabase};
use runtime::id::{Ids, SystemIds};
use std::path::{Path, PathBuf};
use tantivy::Term;

/// 2026-11-24, in the fourth quarter.
pub(crate) const NOON: Timestamp = Timestamp(1_795_521_600_000);

pub(crate) struct Log {
    pub store: EventStore,
    dir: tempfile::TempDir,
    _database: TestDatabase,
}

impl Log {
    pub async fn new() -> Self {
        let database = TestDatabase::create().await;
        let (store, dir) = (database.store().await, tempfile::tempdir().expect("a directory"));
        Self { store, dir, _database: database }
    }

    pub fn dir(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub async fn record<A: Aggregate>(&self, id: impl ToString, events: Vec<A::Event>) -> Position {
        let loaded = self.store.load::<A>(id).await.expect("loads");
        let mut append = Append::new(Metadata {
            actor_id: None,
            session_id: None,
            workspace_id: None,
            conversation_id: None,
            correlation_id: "test".to_owned(),
            causation_id: None,
            traceparent: None,
            command_id: CommandId(SystemIds.uuid()),
            origin: Origin::Rest,
        });
        append.write(&loaded, events);
        self.store.append(append).await.expect("appends").position
    }

    pub async fn conversation(&self, owner: UserId) -> ConversationId {
        let id = ConversationId(SystemIds.uuid());
        let created = ConversationEvent::Created {
            r#type: ConversationType::Group,
            history: History::Joined,
            name: None,
            description: None,
            avatar_url: None,
            is_private: false,
            max_members: 100,
            workspace_id: None,
            created_by: owner,
            participants: vec![Founder { user_id: owner, role: Role::Owner }],
            created_at: NOON,
        };
        self.record::<Conversation>(id, vec![created]).await;
        id
    }

    pub async fn say(&self, conversation_id: ConversationId, sender_id: UserId, text: &str) -> MessageId {
        self.say_at(conversation_id, sender_id, text, NOON).await
    }

    pub async fn say_at(
        &self,
        conversation_id: ConversationId,
        sender_id: UserId,
        text: &str,
        created_at: Timestamp,
    ) -> MessageId {
        let id = MessageId(SystemIds.uuid());
        let sent = MessageEvent::Sent {
            conversation_id,
            sender_id,
            content: Personal::plain(text),
            r#type: MessageType::Text,
            reply_to_id: None,
            thread_root_id: None,
            mentions: vec![],
            broadcast: None,
            client_message_id: None,
            created_at,
        };
        self.record::<Message>(id, vec![sent]).await;
        id
    }

    pub fn writer(&self, name: &str) -> Writer {
        Writer::open(&self.dir(name), self.store.log_id(), Index::default()).expect("the index opens")
    }

    /// The next events, as one batch.
    pub async fn batch(&self, after: Position, size: usize) -> Option<Batch> {
        let events = self.store.read_log(after, size).await.expect("the log is read");
        Batch::of(&self.store, &events).await.expect("the events fit")
    }

    /// Brings an index up to the head, in batches of this size.
    pub async fn follow(&self, writer: &mut Writer, size: usize) -> Result<(), SearchError> {
        while let Some(batch) = self.batch(writer.position(), size).await {
            writer.apply(&batch)?;
        }
        Ok(())
    }
}

/// What somebody finds who may read all of these.
pub(crate) fn find(index: &Index, query: &str, conversations: &[ConversationId]) -> Vec<MessageId> {
    let readable = conversations.iter().map(|id| Readable { conversation: *id, floor: 0 });
    let found = index.search(&question(query, Scope::of(readable))).expect("it is answered");
    assert_eq!(found.total, found.hits.len() as u64);
    found.hits.into_iter().map(|Found { id, .. }| id).collect()
}

/// Without the names, which the read models know.
pub(crate) fn question(query: &str, scope: Scope) -> Question {
    let parsed = parse(query).expect(query);
    let (since, until) = (parsed.since, parsed.until);
    Question { clauses: parsed.clauses, has: parsed.has, since, until, scope, limit: 100, ..Question::default() }
}

/// Whether a word stands in a dictionary of any segment that lies on disk. What is deleted stands there still, until
/// its segment is written anew.
pub(crate) fn is_on_disk(index: &Index, dir: &Path, word: &str) -> bool {
    let snapshot = index.snapshot();
    let searchers = snapshot.buckets.iter().map(|(_, searcher)| searcher);
    let known: Vec<String> = searchers
        .clone()
        .flat_map(|one| one.segment_readers().iter().map(|reader| reader.segment_id().uuid_string()))
        .collect();
    for file in std::fs::read_dir(dir).expect("the bucket's directory") {
        let name = file.expect("a file").file_name().into_string().expect("a plain name");
        // Files of segments are named by 32 hexadecimal digits; one that nothing searches would hide its words.
        let segment = name.split('.').next().filter(|start| start.len() == 32);
        assert!(segment.is_none_or(|segment| known.iter().any(|known| known == segment)), "{name} was left behind");
    }
    let term = Term::from_field_text(FIELDS.text, word);
    searchers.map(|searcher| searcher.doc_freq(&term).expect("a dictionary")).sum::<u64>() > 0
}
