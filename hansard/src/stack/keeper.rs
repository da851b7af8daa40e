//! [`Keeper`]: keeps one server running. A server that ends is started again, a few times a minute.

use super::{StackError, log};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    collections::VecDeque,
    path::PathBuf,
    process::{Child, Command},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};
use tokio::{sync::watch, time::sleep};
use tracing::{debug, warn};

/// How to run a server.
pub struct Server {
    pub name: &'static str,
    pub log: PathBuf,
    /// Done before each start: what an earlier run left in the way is cleared.
    pub clear: Box<dyn Fn() -> Result<(), StackError> + Send>,
    pub command: Box<dyn Fn() -> Result<Command, StackError> + Send>,
    /// Whether it answers.
    pub is_ready: Box<dyn Fn() -> bool + Send + Sync>,
    /// Signals that end it, the gentlest first, each with how long it may take.
    pub stop: &'static [(Signal, Duration)],
}

const STARTS_A_MINUTE_MAX: usize = 5;
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub struct Keeper {
    shared: Arc<Shared>,
    failure: watch::Receiver<Option<String>>,
    thread: Option<thread::JoinHandle<()>>,
    stop: &'static [(Signal, Duration)],
}

#[derive(Default)]
struct Shared {
    child: Mutex<Option<Child>>,
    phase: Mutex<Phase>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    /// It has never been ready: if it ends now, starting it again won't help.
    #[default]
    Starting,
    Running,
    Stopping,
}

impl Keeper {
    /// Starts the server and returns once it is ready, or the end of its log where it doesn't get there in time.
    pub async fn start(server: Server, patience: Duration) -> Result<Self, StackError> {
        let (name, log_path, stop) = (server.name, server.log.clone(), server.stop);
        let shared = Arc::<Shared>::default();
        let (fail, failure) = watch::channel(None);
        let (ready, mut is_ready) = watch::channel(false);
        let kept = shared.clone();
        // A thread of its own, that lives as long as the server: the leash is tied to the thread that started it.
        let thread = thread::Builder::new().name(format!("keep {name}")).spawn(move || {
            if let Err(error) = kept.keep(&server, &ready) {
                fail.send_replace(Some(error));
            }
        });
        let thread = thread.map_err(|error| StackError::server(name, format!("can't be kept: {error}")))?;
        let mut failed = failure.clone();
        let keeper = Self { shared, failure, thread: Some(thread), stop };
        let what = tokio::select! {
            Ok(_) = is_ready.wait_for(|ready| *ready) => return Ok(keeper),
            Ok(failure) = failed.wait_for(Option::is_some) => failure.clone().unwrap_or_default(),
            () = sleep(patience) => format!("was not ready after {} s", patience.as_secs()),
        };
        keeper.stop().await;
        Err(StackError::Server { name, what, log: log::end_of(&log_path) })
    }

    /// Resolves when the server has ended too often to be started again.
    pub async fn failed(&self, name: &'static str) -> StackError {
        let mut failure = self.failure.clone();
        match failure.wait_for(Option::is_some).await.map(|what| what.clone()) {
            Ok(what) => StackError::server(name, what.unwrap_or_default()),
            // It is being stopped.
            Err(_) => std::future::pending().await,
        }
    }

    /// Ends the server at once, whatever state it is in; its thread starts it again.
    pub fn restart(&self) {
        self.shared.signal(Signal::SIGKILL);
    }

    /// Ends the server, with its own time for an orderly end.
    pub async fn stop(mut self) {
        let thread = self.begin_stop();
        if let Some(thread) = thread {
            let stop = self.stop;
            let shared = self.shared.clone();
            // Joining blocks; a panic of that thread has told itself.
            let _ = tokio::task::spawn_blocking(move || shared.end(thread, stop)).await;
        }
    }

    fn begin_stop(&mut self) -> Option<thread::JoinHandle<()>> {
        self.shared.set_phase(Phase::Stopping);
        self.thread.take()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if let Some(thread) = self.begin_stop() {
            self.shared.end(thread, self.stop);
        }
    }
}

impl Shared {
    /// Runs the server until it is stopped. The error says why it won't be started again.
    fn keep(&self, server: &Server, ready: &watch::Sender<bool>) -> Result<(), String> {
        let mut starts = VecDeque::new();
        loop {
            (server.clear)().map_err(|error| error.to_string())?;
            if !self.spawn(server).map_err(|error| error.to_string())? {
                return Ok(());
            }
            starts.push_back(Instant::now());
            let status = self.wait(server, ready);
            match self.phase() {
                Phase::Stopping => return Ok(()),
                Phase::Starting => return Err(format!("ended before it was ready ({status})")),
                Phase::Running => {}
            }
            starts.retain(|at| at.elapsed() < Duration::from_mins(1));
            if starts.len() >= STARTS_A_MINUTE_MAX {
                return Err(format!("ended {STARTS_A_MINUTE_MAX} times within a minute, the last time with {status}"));
            }
            warn!(server = server.name, %status, "a server ended and is started again");
            self.pause(Duration::from_millis(100 << starts.len()));
        }
    }

    /// False where it is being stopped.
    fn spawn(&self, server: &Server) -> Result<bool, StackError> {
        let mut command = (server.command)()?;
        let mut child = self.child();
        if self.phase() == Phase::Stopping {
            return Ok(false);
        }
        let spawned =
            command.spawn().map_err(|error| StackError::server(server.name, format!("can't be run: {error}")))?;
        debug!(server = server.name, pid = spawned.id(), "a server is started");
        *child = Some(spawned);
        Ok(true)
    }

    /// Waits until the child has ended, and tells how; meanwhile tells when it is ready.
    fn wait(&self, server: &Server, ready: &watch::Sender<bool>) -> String {
        loop {
            // Under the lock, so that nobody signals a process id that is no longer the child's.
            let ended = self.child().as_mut().map(Child::try_wait);
            match ended {
                Some(Ok(None)) => {}
                Some(Ok(Some(status))) => {
                    *self.child() = None;
                    return status.to_string();
                }
                Some(Err(error)) => return error.to_string(),
                None => return "no process".to_owned(),
            }
            if self.phase() == Phase::Starting && (server.is_ready)() {
                self.set_phase(Phase::Running);
                ready.send_replace(true);
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    fn pause(&self, long: Duration) {
        let end = Instant::now() + long;
        while Instant::now() < end && self.phase() != Phase::Stopping {
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Signals the child until it has ended, which its keeper's thread sees.
    fn end(&self, thread: thread::JoinHandle<()>, steps: &[(Signal, Duration)]) {
        for (signal, patience) in steps {
            self.signal(*signal);
            let deadline = Instant::now() + *patience;
            while Instant::now() < deadline && !thread.is_finished() {
                thread::sleep(LOOK_EVERY);
            }
            if thread.is_finished() {
                break;
            }
        }
        self.signal(Signal::SIGKILL);
        let _ = thread.join();
    }

    fn signal(&self, signal: Signal) {
        let child = self.child();
        let pid = child.as_ref().and_then(|child| i32::try_from(child.id()).ok());
        if let Some(pid) = pid {
            // One that has just ended needs no signal.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn phase(&self) -> Phase {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing comes after stopping.
    fn set_phase(&self, phase: Phase) {
        let mut current = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        if *current != Phase::Stopping {
            *current = phase;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STOP: &[(Signal, Duration)] = &[(Signal::SIGTERM, Duration::from_secs(5))];

    fn server(script: &'static str, log: PathBuf) -> Server {
        Server {
            name: "sh",
            log,
            clear: Box::new(|| Ok(())),
            command: Box::new(move || {
                let mut command = Command::new("sh");
                command.args(["-c", script]);
                Ok(command)
            }),
            is_ready: Box::new(|| true),
            stop: STOP,
        }
    }

    #[tokio::test]
    async fn a_server_that_is_killed_is_started_again() {
        let keeper = Keeper::start(server("exec sleep 100", PathBuf::new()), Duration::from_secs(5)).await.unwrap();
        let pid = || keeper.shared.child().as_ref().map(Child::id);
        let first = pid().unwrap();
        keeper.shared.signal(Signal::SIGKILL);
        for _ in 0..100 {
            if pid().is_some_and(|pid| pid != first) {
                break;
            }
            sleep(Duration::from_millis(50)).await;
        }
        assert_ne!(pid().unwrap(), first);
        let shared = keeper.shared.clone();
        keeper.stop().await;
        assert!(shared.child().is_none());
    }

    #[tokio::test]
    async fn a_server_that_keeps_ending_is_given_up() {
        let keeper = Keeper::start(server("sleep 0.05; exit 3", PathBuf::new()), Duration::from_secs(5)).await.unwrap();
        let error = tokio::time::timeout(Duration::from_secs(30), keeper.failed("sh")).await.unwrap().to_string();
        assert!(error.starts_with("sh ended 5 times within a minute") && error.contains('3'), "{error}");
    }

    #[tokio::test]
    async fn a_server_that_never_gets_ready_fails_with_the_end_of_its_log() {
        let scratch = tempfile::tempdir().unwrap();
        let log = scratch.path().join("log");
        std::fs::write(&log, "first\nno space left\n").unwrap();
        let mut broken = server("exit 1", log);
        broken.is_ready = Box::new(|| false);
        let error = Keeper::start(broken, Duration::from_secs(5)).await.err().unwrap().to_string();
        assert!(error.contains("ended before it was ready") && error.ends_with("no space left"), "{error}");
    }
}
