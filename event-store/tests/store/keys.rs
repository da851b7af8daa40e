//! Personal fields: sealed before they are stored, opened for who may, and never by the wrong key.

use crate::cast::*;
use domain::{
    ConversationId, KeyScope, MessageId, Personal, Position, Quarter, UserId,
    message::{Message, MessageEvent},
};
use event_store::{AppendError, KeyDir, Keyring, Loaded, StoreError, testing::MASTER_KEY, testing::TestDatabase};
use std::os::unix::fs::PermissionsExt;

fn scope_of(person: UserId) -> KeyScope {
    KeyScope::Conversation { person, conversation: new_id(), quarter: Quarter { year: 2026, quarter: 1 } }
}

#[tokio::test]
async fn no_byte_of_the_log_holds_personal_text() {
    let database = TestDatabase::create().await;
    let store = database.store().await;
    let alice = new_id();
    let conversation = found(&store, alice).await;
    say(&store, &conversation, alice, "the canary sings").await;
    let rows: Vec<String> =
        sqlx::query_scalar("SELECT events::text FROM events").fetch_all(&database.admin).await.unwrap();
    assert_eq!(rows.len(), 2);
    assert!(!rows.iter().any(|row| row.contains("canary") || row.contains("$plain")));

    let mut event = store.event_at(Position(2)).await.unwrap().unwrap();
    let MessageEvent::Sent { content: Personal::Sealed(sealed), .. } = event.decode().unwrap() else {
        panic!("a message was sent, with sealed content");
    };
    assert_eq!(store.keyring().open(&sealed).await.unwrap().as_deref(), Some("the canary sings"));
    store.keyring().open_payload(&mut event.payload).await.unwrap();
    assert_eq!(event.payload["content"], "the canary sings");
    let MessageEvent::Sent { content: Personal::Plain(_), .. } = event.decode().unwrap() else {
        panic!("an opened event decodes too");
    };
}

#[tokio::test]
async fn a_key_is_one_persons_in_one_conversation_and_quarter() {
    let database = TestDatabase::create().await;
    let keyring = database.keyring().await;
    let (alice, bob) = (new_id(), new_id());
    let KeyScope::Conversation { conversation, quarter, .. } = scope_of(alice) else { unreachable!() };
    let next = Quarter { year: 2026, quarter: 2 };
    let scopes = [
        KeyScope::Person(alice),
        KeyScope::Person(bob),
        KeyScope::Conversation { person: alice, conversation, quarter },
        KeyScope::Conversation { person: bob, conversation, quarter },
        KeyScope::Conversation { person: alice, conversation: new_id(), quarter },
        KeyScope::Conversation { person: alice, conversation, quarter: next },
    ];
    let key_id = |sealed: String| sealed.split('.').nth(1).unwrap().to_owned();
    let mut ids = Vec::new();
    for scope in &scopes {
        ids.push(key_id(keyring.seal(scope, "text").await.unwrap()));
    }
    let distinct: std::collections::HashSet<&String> = ids.iter().collect();
    assert_eq!(distinct.len(), scopes.len());
    // Another process finds them all, and makes none.
    let elsewhere = database.keyring().await;
    elsewhere.ensure(&scopes).await.unwrap();
    for (scope, id) in scopes.iter().zip(&ids) {
        assert_eq!(&key_id(elsewhere.seal(scope, "text").await.unwrap()), id);
    }
}

#[tokio::test]
async fn of_two_that_make_a_key_at_once_the_loser_takes_the_winners() {
    let database = TestDatabase::create().await;
    let (one, other) = (database.keyring().await, database.keyring().await);
    let alice = new_id();
    let scopes: Vec<KeyScope> = (0..200).map(|_| scope_of(alice)).collect();
    let backwards: Vec<KeyScope> = scopes.iter().rev().copied().collect();
    let (first, second) = tokio::join!(one.ensure(&scopes), other.ensure(&backwards));
    first.unwrap();
    second.unwrap();
    for scope in &scopes {
        let sealed = one.seal(scope, "mine").await.unwrap();
        assert_eq!(other.open(&sealed).await.unwrap().as_deref(), Some("mine"));
        let sealed = other.seal(scope, "yours").await.unwrap();
        assert_eq!(one.open(&sealed).await.unwrap().as_deref(), Some("yours"));
    }
    let keys: i64 = sqlx::query_scalar("SELECT count(*) FROM data_keys").fetch_one(&database.admin).await.unwrap();
    assert_eq!(keys, 200);
}

#[tokio::test]
async fn of_two_processes_that_start_first_one_makes_the_epoch_key() {
    let database = TestDatabase::create().await;
    let open = || Keyring::unlock(database.app.clone(), KeyDir::Directory(database.key_dir.clone()), MASTER_KEY);
    let (a, b, c) = tokio::join!(open(), open(), open());
    let (a, b, c) = (a.unwrap(), b.unwrap(), c.unwrap());
    let sealed = a.seal(&KeyScope::Person(new_id()), "hello").await.unwrap();
    for keyring in [b, c] {
        assert_eq!(keyring.open(&sealed).await.unwrap().as_deref(), Some("hello"));
    }
    let files: Vec<_> = std::fs::read_dir(&database.key_dir).unwrap().map(|entry| entry.unwrap()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    assert_eq!(files[0].metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_wrong_master_key_is_told_as_such() {
    let database = TestDatabase::create().await;
    database.keyring().await;
    let key_dir = KeyDir::Directory(database.key_dir.clone());
    let wrong = Keyring::unlock(database.app.clone(), key_dir, [8; 32]).await;
    assert!(matches!(wrong, Err(StoreError::WrongMasterKey)));
}

#[tokio::test]
async fn an_epoch_key_that_is_lost_is_not_made_anew() {
    let database = TestDatabase::create().await;
    database.keyring().await.seal(&KeyScope::Person(new_id()), "hello").await.unwrap();
    std::fs::remove_dir_all(&database.key_dir).unwrap();
    let key_dir = KeyDir::Directory(database.key_dir.clone());
    let lost = Keyring::unlock(database.app.clone(), key_dir, MASTER_KEY).await;
    assert!(matches!(lost, Err(StoreError::KeyDir { .. })));
}

#[tokio::test]
async fn an_unknown_key_is_an_error_and_never_an_erased_text() {
    let database = TestDatabase::create().await;
    let keyring = database.keyring().await;
    let sealed = keyring.seal(&KeyScope::Person(new_id()), "hello").await.unwrap();
    let id = sealed.split('.').nth(1).unwrap();
    let unknown = sealed.replace(id, "0123456789abcdef0123456789abcdef");
    assert!(matches!(keyring.open(&unknown).await, Err(StoreError::UnknownKey(_))));
    assert!(keyring.open_many(&[&sealed, &unknown]).await.is_err());
    assert_eq!(keyring.open_many(&[&sealed, &sealed]).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_text_has_one_name_for_each_purpose() {
    let database = TestDatabase::create().await;
    let keyring = database.keyring().await;
    let name = keyring.keyed_hash("email", "ada@example.org");
    assert_eq!(name.len(), 64);
    assert_eq!(name, database.keyring().await.keyed_hash("email", "ada@example.org"));
    assert_ne!(name, keyring.keyed_hash("username", "ada@example.org"));
    assert_ne!(keyring.keyed_hash("a", "bc"), keyring.keyed_hash("ab", "c"));
}

#[tokio::test]
async fn an_append_that_knows_destroyed_keys_is_sealed_anew() {
    let database = TestDatabase::create().await;
    let store = database.store().await;
    let alice = new_id();
    let conversation = found(&store, alice).await;
    say(&store, &conversation, alice, "before").await;
    // As a destruction does it: keys go, and the generation rises.
    sqlx::query("DELETE FROM data_keys").execute(&database.admin).await.unwrap();
    sqlx::query("UPDATE head SET key_generation = key_generation + 1").execute(&database.admin).await.unwrap();

    let appended = say(&store, &conversation, alice, "after").await;
    let event = store.event_at(appended.position).await.unwrap().unwrap();
    let sealed = event.payload["content"]["$enc"].as_str().unwrap();
    // By a keyring that has never seen the old key.
    assert_eq!(database.keyring().await.open(sealed).await.unwrap().as_deref(), Some("after"));
    assert_eq!(appended.message_sequences, [domain::Sequence(2)]);
}

#[tokio::test]
async fn sealed_text_is_copied_as_it_stands_while_its_key_is_there() {
    let database = TestDatabase::create().await;
    let store = database.store().await;
    let alice = new_id();
    let conversation = found(&store, alice).await;
    let id: ConversationId = conversation.id.parse().unwrap();
    let sent = say(&store, &conversation, alice, "to be forwarded").await;
    let event = store.event_at(sent.position).await.unwrap().unwrap();
    let copy = || {
        let copied: MessageEvent = event.decode().unwrap();
        let mut append = append_by(alice);
        append.write_in(&Loaded::<Message>::fresh(new_id::<MessageId>()), vec![copied], Some(id), None);
        append
    };
    let copied = store.append(copy()).await.unwrap();
    let copied = store.event_at(copied.position).await.unwrap().unwrap();
    assert_eq!(copied.payload["content"], event.payload["content"]);

    sqlx::query("DELETE FROM data_keys").execute(&database.admin).await.unwrap();
    sqlx::query("UPDATE head SET key_generation = key_generation + 1").execute(&database.admin).await.unwrap();
    assert!(matches!(store.append(copy()).await, Err(AppendError::KeyGone)));
}
