//! The event store on a real PostgreSQL and a real nats-server, each test in a database of its own.

#![expect(clippy::unwrap_used, reason = "a test that can't go on says where")]

mod analytics;
mod append;
mod audit;
mod cast;
mod claim;
mod consumers;
mod feed;
mod keys;
mod live;
mod log;
mod lost;
mod order;
mod publisher;
mod record;
mod snapshot;
mod stock;
