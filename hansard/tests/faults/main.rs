//! Faults on real processes, while people talk: what was acked is there, once, in one order, for all.
//!
//! A [`site::Site`] runs the processes, a [`crowd::Crowd`] of people sends, and [`judge`] tells what is wrong after it.

#![expect(clippy::unwrap_used, reason = "it is how a test fails")]

mod cast;
mod crowd;
mod judge;
mod kill;
mod line;
mod site;
mod stream;
mod timeline;
