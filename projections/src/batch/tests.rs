//! The law of all slices: what is in the tables follows from the log, wherever batches are cut.

use crate::{TableDiff, Views, diff, testing::World};
use domain::{
    Aggregate, Context, SessionId, UserId, WorkspaceId,
    user::{RevocationReason, Status, SystemRole, User, UserCommand},
    workspace::{Workspace, WorkspaceCommand, WorkspaceRole},
};
use proptest::{
    prelude::*,
    sample::Index,
    test_runner::{Config, TestRunner},
};
use sqlx::Row;
use std::collections::BTreeMap;

use crate::testing::NOON;

#[derive(Clone, Debug)]
enum Deed {
    Register,
    Rename(Index, String),
    Say(Index, Status, Option<String>),
    LogIn(Index),
    FailLogin(Index),
    EndSession(Index),
    Role(Index, SystemRole, bool),
    Found(Index),
    Delete(Index, Index),
    Invite(Index, Index, Option<u32>),
    Revoke(Index, Index, Index),
    Join(Index, Index, Index),
    Enrol(Index, Index, Index),
    ChangeRole(Index, Index, Index, WorkspaceRole),
}

fn deed() -> impl Strategy<Value = Deed> {
    let index = any::<Index>;
    let status = prop_oneof![Just(Status::Online), Just(Status::Busy), Just(Status::Offline)];
    let system = prop_oneof![Just(SystemRole::Admin), Just(SystemRole::Auditor)];
    let role = prop_oneof![Just(WorkspaceRole::Guest), Just(WorkspaceRole::Member), Just(WorkspaceRole::Admin)];
    prop_oneof![
        3 => Just(Deed::Register),
        2 => (index(), "[A-Z][a-z]{1,5}").prop_map(|(who, name)| Deed::Rename(who, name)),
        2 => (index(), status, proptest::option::of("[a-z]{0,3}")).prop_map(|(who, status, text)| Deed::Say(who, status, text)),
        1 => index().prop_map(Deed::LogIn),
        1 => index().prop_map(Deed::FailLogin),
        1 => index().prop_map(Deed::EndSession),
        1 => (index(), system, any::<bool>()).prop_map(|(who, role, given)| Deed::Role(who, role, given)),
        2 => index().prop_map(Deed::Found),
        1 => (index(), index()).prop_map(|(place, who)| Deed::Delete(place, who)),
        3 => (index(), index(), proptest::option::of(1_u32..3)).prop_map(|(place, who, uses)| Deed::Invite(place, who, uses)),
        1 => (index(), index(), index()).prop_map(|(place, who, link)| Deed::Revoke(place, who, link)),
        6 => (index(), index(), index()).prop_map(|(place, who, link)| Deed::Join(place, who, link)),
        2 => (index(), index(), index()).prop_map(|(place, by, who)| Deed::Enrol(place, by, who)),
        3 => (index(), index(), index(), role).prop_map(|(place, by, who, role)| Deed::ChangeRole(place, by, who, role)),
    ]
}

/// What has come of the deeds so far.
struct History<'a> {
    world: &'a World,
    users: Vec<UserId>,
    workspaces: Vec<WorkspaceId>,
    links: usize,
}

impl History<'_> {
    async fn user(&self, id: UserId, actor: UserId, command: UserCommand) {
        self.decide::<User>(id, actor, command).await;
    }

    /// Orders that are refused leave no fact.
    async fn decide<A: Aggregate>(&self, id: impl ToString, actor: UserId, command: A::Command) {
        let id = id.to_string();
        let state = self.world.store.load::<A>(&id).await.expect("loads").state;
        match state.decide(command, &Context { actor, now: NOON }) {
            Ok(events) if !events.is_empty() => _ = self.world.record::<A>(&id, events).await,
            Ok(_) | Err(_) => {}
        }
    }

    async fn register(&mut self) {
        self.users.push(self.world.register(&format!("user{}", self.users.len())).await);
    }

    async fn do_to_a_person(&mut self, deed: Deed) {
        let users = self.users.clone();
        match deed {
            Deed::Rename(who, name) => {
                let who = *who.get(&users);
                let command = UserCommand::UpdateProfile { first_name: Some(name), last_name: None, avatar_url: None };
                self.user(who, who, command).await;
            }
            Deed::Say(who, status, status_text) => {
                let who = *who.get(&users);
                self.user(who, who, UserCommand::ChangeStatus { status, status_text }).await;
            }
            Deed::LogIn(who) => {
                let who = *who.get(&users);
                self.user(who, who, UserCommand::LogIn { session: self.world.id(), device: None, address: None }).await;
            }
            Deed::FailLogin(who) => {
                let who = *who.get(&users);
                self.user(who, who, UserCommand::FailLogin { email_hash: None, address: None }).await;
            }
            Deed::EndSession(who) => {
                let who = *who.get(&users);
                let session: SessionId = self.world.id();
                self.user(who, who, UserCommand::RevokeSession { session, reason: RevocationReason::Ended }).await;
            }
            Deed::Role(who, role, true) => {
                let who = *who.get(&users);
                self.user(who, who, UserCommand::GrantRole { role }).await;
            }
            Deed::Role(who, role, false) => {
                let who = *who.get(&users);
                self.user(who, who, UserCommand::RevokeRole { role }).await;
            }
            Deed::Register => self.register().await,
            other => self.do_to_a_workspace(other).await,
        }
    }

    async fn do_to_a_workspace(&mut self, deed: Deed) {
        let (users, places) = (self.users.clone(), self.workspaces.clone());
        let hash = |links: usize, link: Index| format!("h{}", link.index(links.max(1)));
        let (place, actor, command) = match deed {
            Deed::Found(who) => {
                self.workspaces.push(self.world.workspace(*who.get(&users), "Crew").await);
                return;
            }
            _ if places.is_empty() => return,
            Deed::Delete(place, who) => (place, who, WorkspaceCommand::Delete),
            Deed::Invite(place, who, max_uses) => {
                self.links += 1;
                let code_hash = format!("h{}", self.links - 1);
                let role = WorkspaceRole::Member;
                (place, who, WorkspaceCommand::CreateInviteLink { code_hash, role, expires_at: None, max_uses })
            }
            Deed::Revoke(place, who, link) => {
                (place, who, WorkspaceCommand::RevokeInviteLink { code_hash: hash(self.links, link) })
            }
            Deed::Join(place, who, link) => (place, who, WorkspaceCommand::Join { code_hash: hash(self.links, link) }),
            Deed::Enrol(place, by, who) => {
                (place, by, WorkspaceCommand::Enrol { user: *who.get(&users), joined_at: NOON })
            }
            Deed::ChangeRole(place, by, who, role) => {
                (place, by, WorkspaceCommand::ChangeRole { user: *who.get(&users), role })
            }
            Deed::Register
            | Deed::Rename(..)
            | Deed::Say(..)
            | Deed::LogIn(_)
            | Deed::FailLogin(_)
            | Deed::EndSession(_)
            | Deed::Role(..) => unreachable!("done to a person"),
        };
        self.decide::<Workspace>(*place.get(&places), *actor.get(&users), command).await;
    }

    /// The members of each living workspace as its stream says, and as the tables say.
    async fn assert_members_follow_from_the_streams(&self) {
        for place in &self.workspaces {
            let state = self.world.store.load::<Workspace>(place).await.expect("loads").state;
            if !state.exists() {
                continue;
            }
            let expected: BTreeMap<_, _> =
                self.users.iter().filter_map(|user| Some((user.0, state.role(*user)?))).collect();
            assert_eq!(members(&self.world.views, *place).await, expected);
            let count: i32 = sqlx::query_scalar("SELECT member_count FROM workspace_view WHERE id = $1")
                .bind(place.0)
                .fetch_one(self.world.views.pool())
                .await
                .expect("counted");
            assert_eq!(usize::try_from(count).expect("a count"), expected.len());
        }
    }
}

async fn members(views: &Views, place: WorkspaceId) -> BTreeMap<uuid::Uuid, WorkspaceRole> {
    let rows = sqlx::query("SELECT user_id, role FROM workspace_member_view WHERE workspace_id = $1")
        .bind(place.0)
        .fetch_all(views.pool())
        .await
        .expect("read");
    let role =
        |row: &sqlx::postgres::PgRow| crate::word::read("workspace_member_view", row.get("role")).expect("a role");
    rows.iter().map(|row| (row.get("user_id"), role(row))).collect()
}

async fn check(deeds: Vec<Deed>, cuts: Vec<usize>) {
    let world = World::new().await;
    let mut history = History { world: &world, users: vec![], workspaces: vec![], links: 0 };
    history.register().await;
    for deed in deeds {
        history.do_to_a_person(deed).await;
    }
    world.try_project(&cuts).await.expect("applies");
    history.assert_members_follow_from_the_streams().await;
    // A diff makes the same tables again, in the largest batches.
    let tables = diff(&world.views, "core", |_| {}).await.expect("compares");
    assert!(tables.iter().all(TableDiff::is_clean), "{tables:?}");
}

#[test]
fn people_and_workspaces_follow_from_the_log_wherever_batches_are_cut() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let cases = (prop::collection::vec(deed(), 0..50), prop::collection::vec(1_usize..8, 1..5));
    TestRunner::new(Config { cases: 12, max_shrink_iters: 40, failure_persistence: None, ..Config::default() })
        .run(&cases, |(deeds, cuts)| {
            runtime.block_on(check(deeds, cuts));
            Ok(())
        })
        .expect("holds");
}
