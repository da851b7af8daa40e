//! [`Shutdown`]: the one word by which everything in a process learns that it is to end.

use std::io;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tracing::info;

/// Cheap to clone; all clones end together.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    pub fn new() -> Self {
        Self::default()
    }

    /// One that begins at SIGINT or SIGTERM. A second signal of either kind ends the process at once, with 130.
    pub fn on_signals() -> io::Result<Self> {
        let shutdown = Self::new();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let begin = shutdown.clone();
        tokio::spawn(async move {
            let name = tokio::select! { _ = interrupt.recv() => "SIGINT", _ = terminate.recv() => "SIGTERM" };
            info!(signal = name, "ending");
            begin.begin();
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
            std::process::exit(130);
        });
        Ok(shutdown)
    }

    pub fn begin(&self) {
        self.0.cancel();
    }

    pub fn has_begun(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Resolves once the end has begun; at once where it already has.
    pub fn begun(&self) -> WaitForCancellationFuture<'_> {
        self.0.cancelled()
    }

    /// For code that takes tokio's own token.
    pub fn token(&self) -> CancellationToken {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn clones_end_together() {
        let shutdown = Shutdown::new();
        let clone = shutdown.clone();
        assert!(!clone.has_begun());
        shutdown.begin();
        clone.begun().await;
        assert!(clone.has_begun());
    }
}
