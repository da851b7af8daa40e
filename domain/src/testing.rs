//! [`given`]: decisions told as given, when, then; with Alice, Bob and Carol.

use crate::{Aggregate, Context, Position, Timestamp, UserId};
use serde::Serialize;
use serde_json::Value;
use std::fmt::{Debug, Display};
use uuid::Uuid;

pub const ALICE: UserId = UserId(Uuid::from_u128(0x0191_0000_0000_7000_8000_0000_0000_000a));
pub const BOB: UserId = UserId(Uuid::from_u128(0x0191_0000_0000_7000_8000_0000_0000_000b));
pub const CAROL: UserId = UserId(Uuid::from_u128(0x0191_0000_0000_7000_8000_0000_0000_000c));

/// When everything is asked that is asked by [`by`]: 2026-01-31T08:00:00.000Z.
pub const NOW: Timestamp = Timestamp(1_769_846_400_000);

/// Someone asks, at [`NOW`].
pub fn by(actor: UserId) -> Context {
    Context { actor, now: NOW }
}

/// An aggregate with a past. Its events stand at the positions 1, 2, 3 and so on.
pub fn given<A: Aggregate>(id: impl Display, past: impl IntoIterator<Item = A::Event>) -> Given<A> {
    let mut state = A::new(&id.to_string());
    for (event, at) in past.into_iter().zip(1..) {
        state.apply(&event, Position(at));
    }
    Given { state }
}

#[must_use]
pub struct Given<A> {
    pub state: A,
}

impl<A: Aggregate> Given<A> {
    pub fn when(self, command: A::Command, ctx: Context) -> When<A> {
        When { decided: self.state.decide(command, &ctx) }
    }
}

#[must_use = "a decision is tested by `then`, `then_nothing` or `then_refused`"]
pub struct When<A: Aggregate> {
    decided: Result<Vec<A::Event>, A::Error>,
}

impl<A: Aggregate> When<A>
where
    A::Error: Debug + PartialEq,
{
    /// These facts are made and no others, in this order.
    #[track_caller]
    pub fn then(self, expected: impl IntoIterator<Item = A::Event>) {
        // Compared as JSON, which a failure can show: personal fields hide their text from `Debug`.
        let expected: Vec<Value> = expected.into_iter().map(|event| json(&event)).collect();
        let decided: Vec<Value> = match &self.decided {
            Ok(events) => events.iter().map(json).collect(),
            Err(error) => panic!("refused with {error:?}, instead of {expected:#?}"),
        };
        assert_eq!(decided, expected);
    }

    /// All is already as ordered.
    #[track_caller]
    pub fn then_nothing(self) {
        self.then([]);
    }

    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "a test reads as a sentence")]
    pub fn then_refused(self, expected: A::Error) {
        match self.decided {
            Ok(events) => panic!("not refused: {:#?}", events.iter().map(json).collect::<Vec<_>>()),
            Err(error) => assert_eq!(error, expected),
        }
    }
}

fn json(event: &impl Serialize) -> Value {
    serde_json::to_value(event).expect("an event has a JSON form")
}
