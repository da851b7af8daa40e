//! Accounts, sessions and roles on a real PostgreSQL: what is in the log, what is in the rows, and who gets in.

#[path = "people/world.rs"]
mod world;

use commands::{
    Caller, CommandError, Password, RefreshToken,
    session::{self, Swept},
    user::{self, NewUser, ProfileChanges},
};
use domain::{
    Kind, SessionId, UserId,
    user::{Status, SystemRole},
};
use futures::future::join_all;
use std::collections::BTreeSet;
use world::{Account, PASSWORD, World, code};

// ---- registering

#[tokio::test]
async fn registering_is_one_append_of_two_facts_and_signs_in() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    let log = world.log().await;
    let types: Vec<_> = log.iter().map(|event| event.event_type.as_str()).collect();
    assert_eq!(types, ["user.registered", "user.logged_in"]);
    assert_eq!(log[0].metadata.command_id, log[1].metadata.command_id);
    assert_eq!((log[1].metadata.actor_id, log[1].metadata.session_id), (Some(alice.id), Some(alice.session)));
    assert_eq!(log[1].metadata.correlation_id, "test");
    let claims = session::authenticate(&world.commands, &alice.access).await.expect("genuine");
    assert_eq!((claims.sub, claims.username.as_str(), claims.sid), (alice.id, "alice", alice.session));
    assert_eq!(claims.exp - claims.iat, 900);
    assert!(claims.roles.is_empty());
}

#[tokio::test]
async fn of_ten_registrations_at_once_with_one_address_one_succeeds() {
    let world = World::new().await;
    let names: Vec<String> = (0..10).map(|n| format!("alice{n}")).collect();
    let all = join_all(names.iter().map(|name| world.try_register("alice@example.org", name))).await;
    assert_eq!(all.iter().filter(|done| done.is_ok()).count(), 1);
    for refused in all.into_iter().filter_map(Result::err) {
        assert_eq!(code(&refused), (Kind::Conflict, "email_taken"));
    }
    assert_eq!(world.log().await.len(), 2);
    assert_eq!(world.counts().await, (1, 1, 1), "what the refused prepared is gone");
}

#[tokio::test]
async fn nobody_registers_an_address_that_can_be_nobodys() {
    let world = World::new().await;
    for address in ["u9@slack.invalid", "U9@Slack.INVALID", "a@b.c.invalid"] {
        let refused = world.try_register(address, "mallory").await.expect_err("it is under .invalid");
        let CommandError::Invalid(fields) = refused else { panic!("{refused:?}") };
        assert_eq!(fields.iter().map(|refusal| refusal.field).collect::<Vec<_>>(), [Some("email")]);
    }
    assert!(world.log().await.is_empty());
    world.try_register("a@invalid.example.org", "alice").await.expect("only the last label counts");
}

#[tokio::test]
async fn of_ten_registrations_at_once_with_one_username_one_succeeds() {
    let world = World::new().await;
    let addresses: Vec<String> = (0..10).map(|n| format!("alice{n}@example.org")).collect();
    let all = join_all(addresses.iter().map(|address| world.try_register(address, "alice"))).await;
    assert_eq!(all.iter().filter(|done| done.is_ok()).count(), 1);
    for refused in all.into_iter().filter_map(Result::err) {
        assert_eq!(code(&refused), (Kind::Conflict, "username_taken"));
    }
    assert_eq!(world.counts().await, (1, 1, 1));
}

#[tokio::test]
async fn an_address_stays_taken_in_any_case_whatever_its_owner_does() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    session::logout(&world.commands, &alice.caller()).await.expect("signed out");
    for address in ["alice@example.org", "ALICE@Example.ORG"] {
        let refused = world.try_register(address, "alice2").await.expect_err("taken");
        assert_eq!(code(&refused), (Kind::Conflict, "email_taken"));
    }
    let refused = world.try_register("other@example.org", "alice").await.expect_err("taken");
    assert_eq!(code(&refused), (Kind::Conflict, "username_taken"));
}

#[tokio::test]
async fn every_wrong_field_of_a_registration_is_named_and_nothing_is_kept() {
    let world = World::new().await;
    let new = NewUser {
        email: "nope".to_owned(),
        password: Password::new("password"),
        username: "Alice".to_owned(),
        first_name: "x".repeat(101),
        last_name: " ".to_owned(),
    };
    let refused = user::register(&world.commands, &world.visitor(), new).await.expect_err("all is wrong");
    let CommandError::Invalid(wrong) = refused else { panic!("{refused:?}") };
    let fields: BTreeSet<_> = wrong.iter().filter_map(|refusal| refusal.field).collect();
    assert_eq!(fields, BTreeSet::from(["email", "password", "username", "firstName", "lastName"]));
    assert!(world.log().await.is_empty());
    assert_eq!(world.counts().await, (0, 0, 0));
    world.register("alice").await;
}

// ---- signing in

#[tokio::test]
async fn an_unknown_address_and_a_wrong_password_are_refused_alike() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    let wrong = Password::new("a wrong password");
    let mut refusals = Vec::new();
    for address in ["alice@example.org", "nobody@example.org"] {
        let refused = session::login(&world.commands, &world.visitor(), address, &wrong).await.expect_err("refused");
        assert!(matches!(refused, CommandError::Unauthenticated("invalid_credentials")), "{refused:?}");
        refusals.push(format!("{refused:?} {refused}"));
    }
    assert_eq!(refusals[0], refusals[1]);
    let [.., known, unknown] = &world.log().await[..] else { panic!("two failures are in the log") };
    assert_eq!((known.event_type.as_str(), unknown.event_type.as_str()), ("user.login_failed", "user.login_failed"));
    assert_eq!(known.aggregate_id, alice.id.to_string());
    let address = known.payload["address"]["$enc"].as_str().expect("sealed");
    assert_eq!(world.open(address).await, "192.0.2.7");
    assert!(known.payload.get("emailHash").is_none());
    // Of someone who has no account nothing is kept but the keyed hash.
    let stream: UserId = unknown.aggregate_id.parse().expect("an id");
    assert_eq!(stream.0.get_version_num(), 8);
    let members: Vec<_> = unknown.payload.as_object().expect("an object").keys().collect();
    assert_eq!(members, ["emailHash"]);
    for failure in [known, unknown] {
        assert_eq!((failure.metadata.actor_id, failure.metadata.session_id), (None, None));
    }
}

#[tokio::test]
async fn failures_for_one_unknown_address_come_to_one_stream_in_any_case() {
    let world = World::new().await;
    let wrong = Password::new("a wrong password");
    let tries = ["nobody@example.org", "Nobody@Example.org", "NOBODY@EXAMPLE.ORG"];
    let all = join_all(tries.map(|address| {
        let world = &world;
        let wrong = wrong.clone();
        async move { session::login(&world.commands, &world.visitor(), address, &wrong).await.map(|_| ()) }
    }))
    .await;
    assert!(all.iter().all(|refused| matches!(refused, Err(CommandError::Unauthenticated(_)))), "{all:?}");
    let log = world.log().await;
    let streams: BTreeSet<_> = log.iter().map(|event| event.aggregate_id.as_str()).collect();
    assert_eq!((log.len(), streams.len()), (3, 1));
}

#[tokio::test]
async fn an_address_is_read_without_case_and_a_password_with_it() {
    let world = World::new().await;
    world.register("alice").await;
    let login = async |address: &str, password: &str| {
        session::login(&world.commands, &world.visitor(), address, &Password::new(password)).await
    };
    assert!(login("ALICE@example.org", PASSWORD).await.is_ok());
    assert!(login("alice@example.org", &PASSWORD.to_uppercase()).await.is_err());
}

#[tokio::test]
async fn who_has_no_password_can_not_sign_in() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    world.sql(&format!("DELETE FROM credential WHERE user_id = '{}'", alice.id)).await;
    for password in [
        PASSWORD,
        "",
        "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ] {
        let refused =
            session::login(&world.commands, &world.visitor(), "alice@example.org", &Password::new(password)).await;
        assert!(matches!(refused, Err(CommandError::Unauthenticated("invalid_credentials"))));
    }
}

// ---- refreshing

#[tokio::test]
async fn refresh_tokens_work_in_a_chain_each_once_and_make_no_session() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    let mut token = alice.refresh.clone();
    let mut seen = BTreeSet::from([token.clone()]);
    for _ in 0..5 {
        world.pass_minutes(10);
        token = world.refresh(&token).await.expect("refreshed");
        assert!(seen.insert(token.clone()), "a token came twice");
    }
    assert_eq!(world.sessions(&alice).await.len(), 1);
    assert_eq!(world.log().await.len(), 2, "a refresh is no fact");
}

#[tokio::test]
async fn a_used_token_is_refused_and_its_unused_successor_lives() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    let second = world.refresh(&alice.refresh).await.expect("refreshed");
    assert!(world.is_refused(&alice.refresh).await);
    assert!(world.is_refused(&alice.refresh).await);
    assert!(world.refresh(&second).await.is_ok(), "a lost answer is no theft");
}

#[tokio::test]
async fn a_used_token_whose_successor_is_used_ends_its_family_and_no_other() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    let elsewhere = world.login("alice").await;
    let second = world.refresh(&alice.refresh).await.expect("refreshed");
    let third = world.refresh(&second).await.expect("refreshed");
    assert!(world.is_active(&alice).await);
    assert!(world.is_refused(&alice.refresh).await);
    assert!(!world.is_active(&alice).await, "its access tokens end at once");
    assert!(world.is_refused(&third).await);
    assert!(world.is_refused(&second).await);
    assert!(world.refresh(&elsewhere.refresh).await.is_ok());
    let log = world.log().await;
    let revoked: Vec<_> = log.iter().filter(|event| event.event_type == "user.session_revoked").collect();
    assert_eq!(revoked.len(), 1, "it is told once");
    assert_eq!(revoked[0].payload["sessionId"], alice.session.to_string());
    assert_eq!(revoked[0].payload["reason"], "token_reused");
    assert_eq!(revoked[0].metadata.actor_id, None, "whoever it was, they were not signed in");
}

#[tokio::test]
async fn of_ten_refreshes_at_once_with_one_token_one_succeeds_and_its_successor_works() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    let mut token = alice.refresh.clone();
    for _ in 0..5 {
        let all = join_all((0..10).map(|_| world.refresh(&token))).await;
        let won: Vec<_> = all.into_iter().filter_map(Result::ok).collect();
        let [successor] = &won[..] else { panic!("{} succeeded", won.len()) };
        assert!(world.is_active(&alice).await, "two tabs at once are no theft");
        token = successor.clone();
    }
    assert_eq!(world.log().await.len(), 2);
}

#[tokio::test]
async fn what_is_no_refresh_token_is_refused() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    for text in [alice.access.as_str(), "", "garbage", &format!("{} ", alice.refresh), &alice.refresh[1..]] {
        assert!(world.is_refused(text).await, "{text:?}");
    }
    assert!(world.refresh(&alice.refresh).await.is_ok());
}

#[tokio::test]
async fn a_session_that_is_not_refreshed_ends_by_itself() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    world.pass_minutes(7 * 24 * 60 - 1);
    let token = world.refresh(&alice.refresh).await.expect("just in time");
    world.pass_minutes(7 * 24 * 60);
    assert!(world.is_refused(&token).await);
    assert!(!world.is_active(&alice).await);
    assert!(world.sessions(&alice).await.is_empty());
}

#[tokio::test]
async fn expired_tokens_of_a_living_session_are_forgotten() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    let mut token = alice.refresh.clone();
    for _ in 0..10 {
        world.pass_minutes(3 * 24 * 60);
        token = world.refresh(&token).await.expect("refreshed");
    }
    assert!(world.counts().await.2 <= 4, "{:?}", world.counts().await);
}

// ---- ending

#[tokio::test]
async fn signing_out_ends_the_session_and_no_other() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    let elsewhere = world.login("alice").await;
    assert!(world.is_active(&alice).await);
    let done = session::logout(&world.commands, &alice.caller()).await.expect("signed out");
    assert_eq!(done.position, Some(world.log().await.last().expect("told").position));
    assert!(!world.is_active(&alice).await);
    let refused = session::authenticate(&world.commands, &alice.access).await.expect_err("over");
    assert!(matches!(refused, CommandError::Unauthenticated("session_ended")));
    assert!(world.is_refused(&alice.refresh).await);
    assert!(world.is_active(&elsewhere).await);
    let last = world.log().await.pop().expect("told");
    assert_eq!(
        (last.event_type.as_str(), last.payload["reason"].as_str()),
        ("user.session_revoked", Some("logged_out"))
    );
    let again = session::logout(&world.commands, &alice.caller()).await.expect("a twin is answered alike");
    assert_eq!((again.value, again.position), (alice.session, None));
}

#[tokio::test]
async fn one_ends_ones_own_sessions_and_others_are_not_there() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    let elsewhere = world.login("alice").await;
    let bob = world.register("bob").await;
    session::end(&world.commands, &alice.caller(), elsewhere.session).await.expect("ended");
    assert!(!world.is_active(&elsewhere).await);
    assert!(world.is_active(&alice).await);
    let unknown: SessionId = uuid::Uuid::from_u128(7).into();
    for not_there in [elsewhere.session, bob.session, unknown] {
        let refused = session::end(&world.commands, &alice.caller(), not_there).await.expect_err("not there");
        assert_eq!(code(&refused), (Kind::NotFound, "not_found"));
    }
    assert!(world.is_active(&bob).await);
}

#[tokio::test]
async fn another_process_hears_of_an_end_within_a_second() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    let other = world.process().await;
    assert!(other.sessions().is_active(alice.session).await.expect("asked"));
    session::logout(&world.commands, &alice.caller()).await.expect("signed out");
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert!(!other.sessions().is_active(alice.session).await.expect("asked"));
}

#[tokio::test]
async fn sessions_are_listed_with_their_devices_to_their_owner_alone() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    world.pass_minutes(1);
    let elsewhere = world.login("alice").await;
    world.register("bob").await;
    let listed = world.sessions(&alice).await;
    assert_eq!(listed.iter().map(|session| session.id).collect::<Vec<_>>(), [elsewhere.session, alice.session]);
    assert_eq!(listed[0].device.as_deref(), Some("Firefox on Plan 9"));
    assert_eq!(listed[0].address.as_deref(), Some("192.0.2.7"));
    let second = session::list(&world.commands, alice.id, 1, 1).await.expect("listed");
    assert_eq!(second.len(), 1);
    assert_eq!(second[0].id, alice.session);
}

#[tokio::test]
async fn use_of_a_session_is_noted_once_a_minute() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    let start = world.sessions(&alice).await[0].last_used_at;
    let used_after = async |seconds: i64| {
        world.pass_seconds(seconds);
        // Another process's memory is empty, so it asks.
        world.process().await.sessions().is_active(alice.session).await.expect("asked");
        world.sessions(&alice).await[0].last_used_at.0 - start.0
    };
    assert_eq!(used_after(59).await, 0);
    assert_eq!(used_after(1).await, 60_000);
    assert_eq!(used_after(30).await, 60_000);
}

#[tokio::test]
async fn an_end_that_a_crash_kept_from_the_log_is_told_by_the_next_sweep() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    // As the row stands between its end and the append.
    world
        .sql(&format!(
            "UPDATE session SET ended_at = '{}', untold_reason = 'logged_out' WHERE id = '{}'",
            world.now(),
            alice.session
        ))
        .await;
    let sweep = async || session::sweep(&world.commands).await.expect("swept");
    assert_eq!(sweep().await, Swept { told: 0, removed: 0, forgotten: 0 }, "whoever ends it may still be at it");
    world.pass_seconds(61);
    assert_eq!(sweep().await, Swept { told: 1, removed: 0, forgotten: 0 });
    assert_eq!(sweep().await, Swept { told: 0, removed: 0, forgotten: 0 });
    let last = world.log().await.pop().expect("told");
    assert_eq!(
        (last.event_type.as_str(), last.payload["reason"].as_str()),
        ("user.session_revoked", Some("logged_out"))
    );
    world.pass_minutes(38 * 24 * 60);
    assert_eq!(sweep().await, Swept { told: 0, removed: 1, forgotten: 0 });
    assert_eq!(world.counts().await, (1, 0, 0));
}

// ---- roles

#[tokio::test]
async fn a_role_is_a_fact_and_stands_in_the_next_token() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    let granted = user::grant_role(&world.commands, "Alice@example.org", SystemRole::Auditor).await.expect("granted");
    assert_eq!((granted.value, granted.position.is_some()), (alice.id, true));
    let again = user::grant_role(&world.commands, "alice@example.org", SystemRole::Auditor).await.expect("as before");
    assert_eq!(again.position, None);
    let tokens = session::refresh(&world.commands, &world.visitor(), &RefreshToken::presented(alice.refresh))
        .await
        .expect("refreshed");
    let claims = session::authenticate(&world.commands, &tokens.access).await.expect("genuine");
    assert_eq!(claims.roles, [SystemRole::Auditor]);
    user::revoke_role(&world.commands, "alice@example.org", SystemRole::Auditor).await.expect("revoked");
    let claims = session::authenticate(&world.commands, &world.login("alice").await.access).await.expect("genuine");
    assert!(claims.roles.is_empty());
    let types: Vec<_> = world.log().await.into_iter().map(|event| event.event_type).collect();
    assert_eq!(types[2..], ["user.role_granted", "user.role_revoked", "user.logged_in"]);
}

#[tokio::test]
async fn a_role_given_by_another_process_stands_in_the_next_token() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    user::grant_role(&world.process().await, "alice@example.org", SystemRole::Admin).await.expect("granted");
    let token = RefreshToken::presented(alice.refresh);
    let tokens = session::refresh(&world.commands, &world.visitor(), &token).await.expect("refreshed");
    let claims = session::authenticate(&world.commands, &tokens.access).await.expect("genuine");
    assert_eq!(claims.roles, [SystemRole::Admin]);
}

#[tokio::test]
async fn an_address_that_nobody_has_is_named_to_the_operator() {
    let world = World::new().await;
    let refused = user::grant_role(&world.commands, "nobody@example.org", SystemRole::Admin).await.expect_err("nobody");
    assert_eq!(code(&refused), (Kind::NotFound, "not_found"));
    assert!(refused.to_string().contains("nobody@example.org"), "{refused}");
}

// ---- profile

#[tokio::test]
async fn profile_and_status_change_in_one_append() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    let changes = ProfileChanges {
        last_name: Some("Höpper 🚀".to_owned()),
        status: Some(Status::Busy),
        status_text: Some("at sea".to_owned()),
        ..ProfileChanges::default()
    };
    user::update_profile(&world.commands, &alice.caller(), alice.id, changes).await.expect("changed");
    let text = ProfileChanges { status_text: Some("ashore".to_owned()), ..ProfileChanges::default() };
    user::update_profile(&world.commands, &alice.caller(), alice.id, text).await.expect("changed");
    let log = world.log().await;
    let [.., profile, status, later] = &log[..] else { panic!("three facts") };
    assert_eq!(
        (profile.event_type.as_str(), status.event_type.as_str()),
        ("user.profile_updated", "user.status_changed")
    );
    assert_eq!(profile.metadata.command_id, status.metadata.command_id);
    assert!(profile.payload.get("firstName").is_none(), "what is not named stays");
    assert_eq!(world.open(profile.payload["lastName"]["$enc"].as_str().expect("sealed")).await, "Höpper 🚀");
    assert_eq!(status.payload["status"], "busy");
    assert_eq!(later.payload["status"], "busy", "a text alone leaves the status");
}

#[tokio::test]
async fn every_wrong_field_of_a_profile_is_named() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    let changes = ProfileChanges {
        first_name: Some("x".repeat(101)),
        last_name: Some("Right".to_owned()),
        avatar_url: Some("javascript:alert(1)".to_owned()),
        status: None,
        status_text: Some("x".repeat(101)),
    };
    let refused = user::update_profile(&world.commands, &alice.caller(), alice.id, changes).await.expect_err("wrong");
    let CommandError::Invalid(wrong) = refused else { panic!("{refused:?}") };
    let fields: Vec<_> = wrong.iter().filter_map(|refusal| refusal.field).collect();
    assert_eq!(fields, ["firstName", "avatarUrl", "statusText"]);
    assert_eq!(world.log().await.len(), 2);
}

#[tokio::test]
async fn nobody_changes_another() {
    let world = World::new().await;
    let (alice, bob) = (world.register("alice").await, world.register("bob").await);
    let evil = || ProfileChanges { first_name: Some("Evil".to_owned()), ..ProfileChanges::default() };
    let refused =
        user::update_profile(&world.commands, &alice.caller(), bob.id, evil()).await.expect_err("not oneself");
    assert_eq!(code(&refused), (Kind::Forbidden, "not_allowed"));
    let nobody = UserId(uuid::Uuid::from_u128(7));
    let refused = user::update_profile(&world.commands, &alice.caller(), nobody, evil()).await.expect_err("nobody");
    assert_eq!(code(&refused), (Kind::NotFound, "not_found"));
}

// ---- what is secret

#[tokio::test]
async fn no_secret_and_nothing_personal_is_in_the_log_or_in_the_rows() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    let next = world.refresh(&alice.refresh).await.expect("refreshed");
    world.login("alice").await;
    let _ = session::login(&world.commands, &world.visitor(), "alice@example.org", &Password::new("wrong-password-77"))
        .await;
    let _ =
        session::login(&world.commands, &world.visitor(), "nobody@example.org", &Password::new("wrong-password-77"))
            .await;
    let stored = world.everything_stored().await;
    assert!(stored.contains("user.login_failed") && stored.contains("$argon2id$"), "all tables are looked at");
    for secret in [
        PASSWORD,
        "wrong-password-77",
        "alice",
        "nobody@",
        "Firefox",
        "192.0.2.7",
        alice.access.as_str(),
        alice.refresh.as_str(),
        next.as_str(),
    ] {
        assert!(!stored.contains(secret), "{secret} is stored in the clear");
    }
}

#[tokio::test]
async fn what_is_handed_out_is_not_shown_by_debug() {
    let world = World::new().await;
    let visitor = world.visitor();
    let new = world.new_user("alice@example.org", "alice");
    let done = user::register(&world.commands, &visitor, new).await.expect("registered");
    let listed = session::list(&world.commands, done.value.user, 50, 0).await.expect("listed");
    let shown = format!("{done:?} {visitor:?} {listed:?}");
    for secret in [done.value.tokens.access.as_str(), done.value.tokens.refresh.reveal(), "Firefox", "192.0.2.7"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[tokio::test]
async fn a_caller_without_a_session_has_none_to_end() {
    let world = World::new().await;
    let Account { id, .. } = world.register("alice").await;
    let operator = Caller::operator(id, "test".to_owned());
    let refused = session::logout(&world.commands, &operator).await.expect_err("no session");
    assert!(matches!(refused, CommandError::Unauthenticated("unauthenticated")));
}
