//! [`Refusal`]: why a command may not be, in a form that every way in (REST, sockets, the command line) can tell.

use std::{borrow::Cow, fmt};

/// What sort of refusal it is; each way in has its own word for it (an HTTP status, an ack's problem).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Absent, or not visible to the caller: the two are never told apart.
    NotFound,
    /// Known, but not allowed.
    Forbidden,
    /// Does not fit what is there.
    Conflict,
    /// Deleted, ended or expired.
    Gone,
    /// A field is wrong.
    Invalid,
}

/// A refusal with a stable code for programs and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub kind: Kind,
    /// Stable, snake_case.
    pub code: &'static str,
    pub detail: Cow<'static, str>,
    /// The field at fault, where [`Kind::Invalid`].
    pub field: Option<&'static str>,
}

impl Refusal {
    pub const fn new(kind: Kind, code: &'static str, detail: &'static str) -> Self {
        Self { kind, code, detail: Cow::Borrowed(detail), field: None }
    }
    pub const fn invalid(field: &'static str, code: &'static str, detail: &'static str) -> Self {
        Self { kind: Kind::Invalid, code, detail: Cow::Borrowed(detail), field: Some(field) }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.detail, self.code)
    }
}
impl std::error::Error for Refusal {}
