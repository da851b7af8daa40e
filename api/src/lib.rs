//! What is asked for: HTTP. [`router`] answers it, [`document()`] describes it, [`serve`] takes the connections.
//!
//! Architecture invariant: no rules and no SQL here. A handler takes apart what was asked, calls one command or one
//! query, and puts the answer together. What holds for every route (errors, waiting for one's own writes, repeated
//! requests, limits) is in the extractors, answers and layers; a slice's module says only what is its own.

mod address;
mod audit;
mod auth;
mod backend;
mod caller;
mod channel;
mod conversation;
mod document;
mod envelope;
mod extract;
mod fields;
mod freshness;
mod front;
mod group;
mod guest;
mod health;
mod idempotency;
mod layer;
mod live;
mod message;
mod page;
mod problem;
mod rule;
mod schema;
mod search;
mod server;
mod slice;
mod sync;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod user;
mod workspace;

#[cfg(test)]
mod conventions;

pub use address::{ClientAddress, Proxies};
pub use backend::{Backend, Bearer, Condition, Lag};
pub use caller::{Auditor, Caller};
pub use document::document;
pub use front::{Front, FrontConfig};
pub use idempotency::body_key;
pub use live::Live;
pub use problem::Problem;
pub use server::{serve, serve_metrics};

use axum::{Router, extract::FromRef, middleware, routing::get};
use commands::Commands;
use projections::Views;
use search_index::SearchClient;
use slice::Slice;
use tower_http::catch_panic::CatchPanicLayer;

/// What handlers work with. Cheap to clone.
#[derive(Clone)]
pub struct App {
    pub front: Front,
    pub commands: Commands,
    pub views: Views,
    pub search: SearchClient,
    /// WEB_URL: where links for people lead.
    pub web_url: String,
    /// The description of the sockets, which belong to another layer.
    pub asyncapi: &'static serde_json::Value,
}

impl FromRef<App> for Front {
    fn from_ref(app: &App) -> Self {
        app.front.clone()
    }
}

/// Every slice under `/api`: here it is added, to router and document at once.
fn api_slices() -> Vec<Slice<App>> {
    vec![
        auth::slice(),
        user::slice(),
        conversation::slice(),
        group::slice(),
        message::slice(),
        sync::slice(),
        workspace::slice(),
        channel::slice(),
        search::slice(),
        audit::slice(),
        schema::slice(),
        document::page::slice(),
    ]
}

/// Slices at the root.
fn root_slices() -> Vec<Slice<App>> {
    vec![health::slice()]
}

/// Every route of the API with all that goes around it.
pub fn router(app: App) -> Router {
    router_beside(app, Router::new())
}

/// The API beside routes of others, such as those of sockets, which get the same conventions around them.
pub fn router_beside(app: App, others: Router) -> Router {
    let front = app.front.clone();
    router_of(root_slices(), api_slices(), others.with_state(()), app, &front)
}

/// `/health` and `/ready` alone, for ports and roles that serve nothing else of the API.
pub fn health_router(front: &Front) -> Router {
    health_router_beside(front, Router::new())
}

/// `/health` and `/ready` beside routes of others.
pub fn health_router_beside(front: &Front, others: Router) -> Router {
    let routes = Router::new().route("/health", get(health::health)).route("/ready", get(health::ready));
    with_conventions(routes.merge(others.with_state(())), front).with_state(front.clone())
}

fn router_of<S: Clone + Send + Sync + 'static>(
    root: Vec<Slice<S>>,
    api: Vec<Slice<S>>,
    others: Router<S>,
    state: S,
    front: &Front,
) -> Router {
    let admitted: Router<S> = document::routes(api).into();
    let admitted = admitted
        .layer(CatchPanicLayer::custom(layer::admit::panicked))
        .layer(middleware::from_fn_with_state(front.clone(), layer::admit::admit));
    let routes = Router::from(document::routes(root)).nest("/api", admitted).merge(others);
    with_conventions(routes, front).with_state(state)
}

/// What goes around every request, the outermost last.
fn with_conventions<S: Clone + Send + Sync + 'static>(routes: Router<S>, front: &Front) -> Router<S> {
    routes
        .fallback(async || Problem::not_found("there is nothing at this address"))
        .layer(middleware::from_fn(layer::secure::secure))
        .layer(middleware::from_fn(layer::mend::mend))
        .layer(middleware::from_fn_with_state(front.clone(), layer::cors::cors))
        .layer(middleware::from_fn_with_state(front.clone(), layer::observe::observe))
}
