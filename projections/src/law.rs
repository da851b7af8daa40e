//! What must hold of the views for any past: they are what folding it says, counts are what their definition says, and
//! where batches were cut can't be told from the tables.

mod past;

use crate::{batch::Fact, conversation, inbox, message, message::Place, schema, sync, testing::World, word};
use domain::{Aggregate, KeyScope, MessageId, Position, UserId, conversation::Conversation, message::Message};
use past::{CONVERSATIONS, PEOPLE, Past, Step, Talk, person};
use proptest::{prelude::*, test_runner::TestRunner};
use sqlx::{Connection, PgConnection, Row};
use std::collections::BTreeMap;
use uuid::Uuid;

const TABLES: [&str; 10] = [
    "conversation_view",
    "participant_view",
    "former_participant_view",
    "former_stay_view",
    "message_view",
    "message_version_view",
    "reaction_view",
    "mention_view",
    "reader_count_view",
    "activity_view",
];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0u8..32, 0..CONVERSATIONS, 0..PEOPLE, any::<u16>()).prop_map(|(kind, conversation, who, pick)| Step {
        kind,
        conversation,
        who,
        pick,
    });
    proptest::collection::vec(step, 1..90)
}

/// Runs a law on random pasts. Each is applied within a transaction that is rolled back.
async fn for_any_past<T: std::fmt::Debug>(
    more: impl Strategy<Value = T>,
    law: impl AsyncFn(&World, &mut PgConnection, &Past, &T) -> Result<(), TestCaseError>,
) {
    let world = World::new().await;
    let mut connection = schema::connect_writer(world.views.options(), schema::LIVE).await.unwrap();
    let mut texts = Vec::new();
    for n in 0..13 {
        let scope = KeyScope::Person(person(0));
        texts.push(world.views.keyring().seal(&scope, &format!("text {n}")).await.unwrap());
    }
    let config = ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = TestRunner::new(config);
    let cell = std::cell::RefCell::new(&mut connection);
    let result = runner.run(&(steps(), more), |(steps, more)| {
        let past = Past::of(&steps, &texts);
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(law(&world, &mut cell.borrow_mut(), &past, &more))
        })
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

async fn apply(world: &World, tx: &mut PgConnection, batch: &[Fact]) {
    conversation::apply(tx, batch, world.views.keyring()).await.unwrap();
    message::apply(tx, batch, world.views.keyring()).await.unwrap();
    inbox::apply(tx, batch, world.views.keyring()).await.unwrap();
    sync::apply(tx, batch, world.views.keyring()).await.unwrap();
}

/// A number of rows as the tables count.
fn number(of: usize) -> i64 {
    i64::try_from(of).unwrap()
}

async fn tables(tx: &mut PgConnection) -> BTreeMap<&'static str, Vec<String>> {
    let mut all = BTreeMap::new();
    for table in TABLES {
        let rows = sqlx::query_scalar(&format!("SELECT t::text FROM {table} t ORDER BY 1")).fetch_all(&mut *tx).await;
        all.insert(table, rows.unwrap());
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn where_batches_are_cut_cannot_be_told_from_the_tables() {
    let sizes = proptest::collection::vec(1usize..25, 1..30);
    for_any_past(sizes, async |world, connection, past, sizes| {
        let mut tx = connection.begin().await.unwrap();
        apply(world, &mut tx, &past.facts).await;
        let at_once = tables(&mut tx).await;
        tx.rollback().await.unwrap();

        let mut tx = connection.begin().await.unwrap();
        for fact in past.facts.chunks(1) {
            apply(world, &mut tx, fact).await;
        }
        prop_assert_eq!(&tables(&mut tx).await, &at_once);
        tx.rollback().await.unwrap();

        let mut tx = connection.begin().await.unwrap();
        let (mut rest, mut sizes) = (past.facts.as_slice(), sizes.iter().cycle());
        while !rest.is_empty() {
            let (batch, later) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
            apply(world, &mut tx, batch).await;
            rest = later;
        }
        prop_assert_eq!(&tables(&mut tx).await, &at_once);
        tx.rollback().await.unwrap();
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_are_what_their_definition_says() {
    for_any_past(1usize..40, async |world, connection, past, size| {
        let mut tx = connection.begin().await.unwrap();
        for batch in past.facts.chunks(*size) {
            apply(world, &mut tx, batch).await;
        }
        for talk in &past.talks {
            for user in (0..PEOPLE).map(person) {
                check_unread(&mut tx, talk, user).await?;
                check_list(world, &mut tx, past, talk, user).await?;
            }
            check_messages(world, &mut tx, talk).await?;
        }
        tx.rollback().await.unwrap();
        Ok(())
    })
    .await;
}

async fn check_unread(tx: &mut PgConnection, talk: &Talk, user: UserId) -> Result<(), TestCaseError> {
    let expected = talk.unread(user);
    let counted = inbox::unread_on(tx, user, talk.id).await.unwrap();
    let counted = counted.map(|unread| (unread.unread_count, unread.mention_count));
    let length = |ids: &Vec<MessageId>| number(ids.len());
    prop_assert_eq!(counted, expected.as_ref().map(|(unread, mentions)| (length(unread), length(mentions))));
    let explained = inbox::explain_on(tx, user, talk.id).await.unwrap();
    prop_assert_eq!(explained.map(|explained| (explained.unread, explained.mentions)), expected);
    Ok(())
}

/// The list tells the same counts, the same last message and the same participants, in the order of joining.
async fn check_list(
    world: &World,
    tx: &mut PgConnection,
    past: &Past,
    talk: &Talk,
    user: UserId,
) -> Result<(), TestCaseError> {
    let listed = conversation::list_all(tx, world.views.keyring(), user).await.unwrap();
    let mine = past.talks.iter().filter(|talk| talk.members.contains_key(&user)).count();
    prop_assert_eq!(listed.len(), mine);
    let Some(found) = listed.into_iter().find(|found| found.id == talk.id) else { return Ok(()) };
    let (unread, mentions) = talk.unread(user).unwrap();
    prop_assert_eq!((found.unread_count, found.mention_count), (number(unread.len()), number(mentions.len())));
    let last = talk.said.last().filter(|said| said.sequence > talk.floor(user));
    prop_assert_eq!(found.last_message.map(|message| message.id), last.map(|said| said.id));
    prop_assert_eq!(found.last_message_at.is_some(), last.is_some());
    prop_assert_eq!(found.participant_count, number(talk.members.len()));
    prop_assert_eq!(found.participants.len(), talk.members.len());
    for participant in &found.participants {
        prop_assert_eq!(participant.role, talk.members[&participant.user_id].role);
    }
    prop_assert!(found.participants.is_sorted_by_key(|participant| participant.joined_at));
    let preferences = talk.preferences.get(&user).copied().unwrap_or_default();
    prop_assert_eq!((found.is_muted, found.is_pinned), preferences);
    Ok(())
}

async fn check_messages(world: &World, tx: &mut PgConnection, talk: &Talk) -> Result<(), TestCaseError> {
    let places: Vec<Place> = talk.said.iter().map(|said| Place { id: said.id, floor: 0 }).collect();
    let loaded = message::load(tx, world.views.keyring(), person(0), &places).await.unwrap();
    for said in &talk.said {
        let message = &loaded[&said.id];
        // Of what was deleted with its conversation nobody is left to have read it.
        prop_assert_eq!(message.read_by, number(talk.readers(said)), "readers of {}", said.sequence);
        prop_assert_eq!(message.thread_count, number(talk.answers(said.id)));
        prop_assert_eq!(message.content.is_none(), said.is_deleted);
        prop_assert_eq!(message.is_edited, said.wordings > 1 || (said.is_deleted && message.is_edited));
        let mut expected: Vec<(&str, Vec<UserId>)> = vec![];
        for (emoji, user, _) in &said.reactions {
            match expected.iter_mut().find(|(known, _)| known == emoji) {
                Some((_, users)) => users.push(*user),
                None => expected.push((emoji, vec![*user])),
            }
        }
        let shown: Vec<(&str, Vec<UserId>)> =
            message.reactions.iter().map(|r| (r.emoji.as_str(), r.users.clone())).collect();
        prop_assert_eq!(shown, expected);
        for reaction in &message.reactions {
            let own = said.reactions.iter().find(|(emoji, user, _)| *emoji == reaction.emoji && *user == person(0));
            prop_assert_eq!(reaction.reaction_id, own.map(|(.., id)| *id));
        }
        let versions = "SELECT count(*) FROM message_version_view WHERE message_id = $1";
        let versions: i64 = sqlx::query_scalar(versions).bind(said.id.0).fetch_one(&mut *tx).await.unwrap();
        prop_assert_eq!(versions, number(said.wordings.saturating_sub(1)));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_views_hold_what_folding_the_aggregates_says() {
    for_any_past(1usize..40, async |world, connection, past, size| {
        let mut tx = connection.begin().await.unwrap();
        for batch in past.facts.chunks(*size) {
            apply(world, &mut tx, batch).await;
        }
        let (conversations, messages) = aggregates(&past.facts);
        for (id, conversation) in conversations {
            let seats = "SELECT user_id, role, joined_position FROM participant_view WHERE conversation_id = $1 ORDER BY 1";
            let rows = sqlx::query(seats).bind(id).fetch_all(&mut *tx).await.unwrap();
            let seated: Vec<(UserId, String, Position)> = rows
                .iter()
                .map(|row| (UserId(row.get("user_id")), row.get("role"), Position(row.get("joined_position"))))
                .collect();
            let mut folded: Vec<(UserId, String, Position)> =
                conversation.participants().map(|(user, p)| (user, word::write(&p.role), p.joined_at)).collect();
            folded.sort();
            prop_assert_eq!(seated, folded);
            let query = "SELECT history, deleted_at IS NULL AS is_there FROM conversation_view WHERE id = $1";
            let row = sqlx::query(query).bind(id).fetch_one(&mut *tx).await.unwrap();
            prop_assert_eq!(row.get::<String, _>("history"), word::write(&conversation.history));
            prop_assert_eq!(row.get::<bool, _>("is_there"), conversation.exists());
        }
        for (id, message) in messages {
            let row = "SELECT conversation_id, sender_id, position, thread_root_id, deleted_at IS NOT NULL AS is_deleted, \
                         (SELECT count(*) FROM reaction_view r WHERE r.message_id = m.id) AS reactions \
                       FROM message_view m WHERE id = $1";
            let row = sqlx::query(row).bind(id).fetch_one(&mut *tx).await.unwrap();
            prop_assert_eq!(Some(row.get::<Uuid, _>("conversation_id")), message.conversation().map(|id| id.0));
            prop_assert_eq!(Some(row.get::<Uuid, _>("sender_id")), message.sender().map(|id| id.0));
            prop_assert_eq!(Some(row.get::<i64, _>("position")), message.position().map(|at| at.0));
            prop_assert_eq!(row.get::<Option<Uuid>, _>("thread_root_id"), message.thread_root().map(|id| id.0));
            prop_assert_eq!(row.get::<bool, _>("is_deleted"), message.is_deleted());
            prop_assert_eq!(row.get::<i64, _>("reactions"), number(message.reactions().len()));
        }
        tx.rollback().await.unwrap();
        Ok(())
    })
    .await;
}

fn aggregates(facts: &[Fact]) -> (BTreeMap<Uuid, Conversation>, BTreeMap<Uuid, Message>) {
    let (mut conversations, mut messages) = (BTreeMap::<Uuid, Conversation>::new(), BTreeMap::<Uuid, Message>::new());
    for fact in facts {
        let id = fact.aggregate_id.parse();
        match &fact.event {
            crate::batch::Event::Conversation(event) => {
                conversations.entry(id.unwrap()).or_default().apply(event, fact.position);
            }
            crate::batch::Event::Message(event) => messages.entry(id.unwrap()).or_default().apply(event, fact.position),
            crate::batch::Event::User(_)
            | crate::batch::Event::Workspace(_)
            | crate::batch::Event::Inbox(_)
            | crate::batch::Event::Other => {}
        }
    }
    (conversations, messages)
}
