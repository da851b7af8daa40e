//! The conventions on routes made for the purpose, without a store.

use crate::{
    Backend, Bearer, Condition, Front, FrontConfig, Lag, Problem,
    address::ClientAddress,
    caller::{Auditor, Caller},
    envelope::{Deletion, Listed, Read, Written},
    extract::{Json, Path, Query},
    fields::body,
    layer::observe::Observed,
    page::Page,
    router_of, rule,
    slice::Slice,
    testing::Answer,
};
use axum::{
    Extension, Router,
    body::Body,
    extract::ConnectInfo,
    http::{Method, Request, StatusCode},
};
use chrono::DateTime;
use domain::{ConversationId, Position, SessionId, UserId, user::SystemRole};
use futures::{FutureExt, future::BoxFuture};
use runtime::{clock::FixedClock, id::SeededIds, settings::Origins};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};
use tower::ServiceExt;
use utoipa_axum::routes;
use uuid::Uuid;

mod documents;
mod health;
mod input;
mod names;
mod overload;
mod problems;
mod writes;

/// Stands for the layers below; a token is a username.
struct Fake {
    applied: AtomicI64,
    head: AtomicI64,
    is_known_to_lag: AtomicBool,
    condition: Mutex<Condition>,
}

/// Alice has no role; Audrey and Root have one each.
fn roles_of(name: &str) -> Option<Vec<SystemRole>> {
    match name {
        "alice" => Some(vec![]),
        "audrey" => Some(vec![SystemRole::Auditor]),
        "root" => Some(vec![SystemRole::Admin]),
        _ => None,
    }
}

impl Backend for Fake {
    fn authenticate<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Bearer, Problem>> {
        async move {
            if token == "old" {
                return Err(Problem::unauthenticated("token_expired", "the token has expired"));
            }
            let roles = roles_of(token).ok_or_else(|| Problem::unauthenticated("token_invalid", "no such token"))?;
            let (user, session) = (UserId(Uuid::from_u128(1)), SessionId(Uuid::from_u128(9)));
            Ok(Bearer { user, username: token.to_owned(), session, roles })
        }
        .boxed()
    }
    fn head(&self) -> Position {
        Position(self.head.load(Ordering::Relaxed))
    }
    fn applied(&self) -> Position {
        Position(self.applied.load(Ordering::Relaxed))
    }
    fn is_known_to_lag(&self) -> bool {
        self.is_known_to_lag.load(Ordering::Relaxed)
    }
    fn wait_for(&self, position: Position, at_most: Duration) -> BoxFuture<'_, bool> {
        async move {
            tokio::time::timeout(at_most, async {
                while self.applied() < position {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            })
            .await
            .is_ok()
        }
        .boxed()
    }
    fn condition(&self) -> BoxFuture<'_, Condition> {
        async { self.condition.lock().expect("not poisoned").clone() }.boxed()
    }
}

body! {
    /// Something to make.
    struct NewThing {
        name: String => rule::name,
        owner_id: Option<UserId>,
    }
}

#[derive(serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct Thing {
    name: String,
    owner_id: Option<UserId>,
    correlation_id: String,
    traceparent: Option<String>,
    idempotency: Option<String>,
}

fn things() -> Slice<Front> {
    Slice::new("thing", "Things for tests")
        .with(routes!(list, create))
        .with(routes!(get, delete))
        .with(routes!(record))
        .with(routes!(panic))
        .with(routes!(slow))
        .with(routes!(whoami))
        .with(routes!(no_change))
}

#[utoipa::path(get, path = "/things", params(Page), responses((status = 200, body = Listed<u32>)))]
async fn list(_: Caller, Query(page): Query<Page>) -> Listed<u32> {
    Listed::one_more(vec![1, 2, 3], page)
}

#[utoipa::path(post, path = "/things", request_body = NewThing, responses((status = 201, body = Written<Thing>)))]
async fn create(caller: Caller, Json(body): Json<NewThing>) -> Written<Thing> {
    let order = caller.order();
    let wrote = caller.settle(Some(Position(10)), true).await;
    wrote.answer(Thing {
        name: body.name,
        owner_id: body.owner_id,
        correlation_id: order.correlation_id,
        traceparent: order.traceparent,
        idempotency: order.idempotency.map(|key| format!("{}:{}", key.scope, key.body_hash)),
    })
}

#[utoipa::path(get, path = "/things/{id}", params(("id" = ConversationId, Path)), responses((status = 200, body = Read<ConversationId>)))]
async fn get(_: Caller, Path(id): Path<ConversationId>) -> Read<ConversationId> {
    Read::of(id)
}

#[utoipa::path(delete, path = "/things/{id}", params(("id" = ConversationId, Path)), responses((status = 200, body = Written<Deletion>)))]
async fn delete(caller: Caller, Path(id): Path<ConversationId>) -> Written<Deletion> {
    caller.settle(Some(Position(10)), false).await.deleted(id)
}

#[utoipa::path(get, path = "/record", responses((status = 200, body = Read<String>)))]
async fn record(Auditor(caller): Auditor) -> Read<String> {
    Read::of(caller.username)
}

#[utoipa::path(get, path = "/panic", security(()), responses((status = 200)))]
async fn panic() -> StatusCode {
    panic!("SELECT secret FROM somewhere.rs")
}

#[utoipa::path(get, path = "/slow", security(()), responses((status = 200)))]
async fn slow() {
    tokio::time::sleep(Duration::from_hours(1)).await;
}

#[utoipa::path(get, path = "/whoami", security(()), responses((status = 200, body = Read<String>)))]
async fn whoami(address: Option<Extension<ClientAddress>>, Extension(observed): Extension<Observed>) -> Read<String> {
    let address = address.map_or_else(String::new, |Extension(address)| address.0.to_string());
    Read::of(format!("{address} {}", observed.request_id))
}

#[utoipa::path(put, path = "/no-change", responses((status = 200, body = Written<bool>)))]
async fn no_change(caller: Caller) -> Written<bool> {
    caller.settle(None, false).await.answer(true)
}

struct Bench {
    router: Router,
    front: Front,
    fake: Arc<Fake>,
}

impl Bench {
    fn new() -> Self {
        Self::with(|_| {})
    }
    fn with(change: impl FnOnce(&mut FrontConfig)) -> Self {
        let lag = BTreeMap::from([("core".to_owned(), Lag { events: 0, seconds: 0.0 })]);
        let condition = Condition { postgres: true, schema_is_current: true, nats: true, lag };
        let fake = Arc::new(Fake {
            applied: AtomicI64::new(10),
            head: AtomicI64::new(10),
            is_known_to_lag: AtomicBool::new(false),
            condition: Mutex::new(condition),
        });
        let clock = Arc::new(FixedClock::at(DateTime::from_timestamp(1_800_000_000, 0).expect("a time")));
        let ids = Arc::new(SeededIds::new(1, clock.clone()));
        let mut config = FrontConfig::new(clock, ids, fake.clone(), [7; 32]);
        config.cors_origins = Origins::These(vec!["http://localhost:5173".to_owned()]);
        change(&mut config);
        let front = Front::new(config);
        let router = router_of(vec![crate::health::slice()], vec![things()], Router::new(), front.clone(), &front);
        Self { router, front, fake }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        Answer::read(self.router.clone().oneshot(request).await.expect("infallible")).await
    }
    /// As Alice, with headers such as `prefer: respond-async`.
    async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "authorization") {
            request = request.header("authorization", "Bearer alice");
        }
        for (name, value) in headers.iter().filter(|(_, value)| *value != "none") {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.into()).expect("a request")).await
    }
    async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[], Body::empty()).await
    }
    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_with(path, &[], body).await
    }
    async fn post_with(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let headers: Vec<_> = [("content-type", "application/json")].iter().chain(headers).copied().collect();
        self.ask(Method::POST, path, &headers, body.to_string()).await
    }
}

fn thing() -> Value {
    json!({"name": "a thing"})
}
