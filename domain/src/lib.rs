//! What is true: ids, commands, events, refusals and aggregates.
//!
//! Architecture invariant: nothing here awaits, reads a clock, draws a random number or knows where facts are kept.
//! Start at [`Aggregate`]; each slice (`user`, `workspace`, `conversation`, `inbox`, `message`) implements it.

pub mod aggregate;
pub mod audit;
pub mod conversation;
pub mod id;
pub mod inbox;
pub mod limits;
pub mod message;
pub mod personal;
pub mod refusal;
pub mod schema;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod time;
pub mod user;
pub mod workspace;

pub use aggregate::{Aggregate, Context, DomainEvent, Snapshots};
pub use id::{
    CommandId, ConversationId, EventId, MessageId, Position, ReactionId, Sequence, SessionId, UserId, WorkspaceId,
};
pub use personal::{KeyScope, Personal, Quarter};
pub use refusal::{Kind, Refusal};
pub use time::Timestamp;
