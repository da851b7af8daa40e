//! Faults on real processes, while people talk: what was acked is there, once, in one order, for all.
//!
//! A [`site::Site`] runs the processes, a [`crowd::Crowd`] of people sends, and [`judge`] tells what is wrong after it.
//! `make chaos ROUNDS=n` runs [`chaos`].

#![expect(clippy::unwrap_used, reason = "it is how a test fails")]

mod cast;
mod chaos;
mod crowd;
mod disk;
mod fault;
mod judge;
mod kill;
mod leader;
mod line;
mod process;
mod rot;
mod server;
mod site;
mod stream;
mod timeline;
