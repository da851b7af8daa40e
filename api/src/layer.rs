//! What every request goes through, from the outside in: observed, shared across origins, mended, secured, admitted.

pub(crate) mod admit;
pub(crate) mod cors;
pub(crate) mod mend;
pub(crate) mod observe;
pub(crate) mod secure;
