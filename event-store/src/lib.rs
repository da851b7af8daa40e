//! How facts are kept and travel. [`EventStore`] appends and reads; [`publisher`] carries the log to JetStream;
//! [`subscription::Feed`] hands it to projections; [`Keyring`] seals personal fields; [`audit`] proves the log unchanged.
//!
//! Architecture invariant: nothing plain that is personal is ever stored, and nothing stored is ever changed.
//! Architecture invariant: PostgreSQL is the truth. What JetStream carries is compared with it and replaced by it.

mod append;
mod appender;
pub mod audit;
mod cache;
mod carried;
mod claim;
mod cqrs;
mod error;
mod event;
pub mod keyring;
mod leaf;
mod load;
mod metadata;
mod migrate;
pub mod publisher;
mod read;
pub mod record;
mod snapshot;
mod store;
pub mod subscription;
#[cfg(feature = "testing")]
pub mod testing;
mod upcast;

pub use append::{Append, Appended};
pub use claim::{Claim, Claimed};
pub use cqrs::{EventSourced, Fact, upcasters};
pub use error::{AppendError, StoreError};
pub use event::RecordedEvent;
pub use keyring::{KeyDir, Keyring};
pub use load::Loaded;
pub use metadata::{Metadata, Origin};
pub use migrate::{migrate, schema_is_current};
pub use store::{EventStore, StoreConfig, StreamNames};
