//! [`Connections`]: how many connections are open on a process's public ports.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Cheap to clone; clones count together.
#[derive(Clone, Debug, Default)]
pub struct Connections(Arc<AtomicUsize>);

impl Connections {
    pub fn open(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
    /// Counts one more for as long as what is returned lives.
    pub fn count(&self) -> CountedConnection {
        self.0.fetch_add(1, Ordering::Relaxed);
        CountedConnection(self.clone())
    }
}

#[derive(Debug)]
pub struct CountedConnection(Connections);

impl Drop for CountedConnection {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
