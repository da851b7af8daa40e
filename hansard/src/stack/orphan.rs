//! What a killed process's servers left running: found by the tag on their command lines, and ended.

use super::StackError;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fs,
    time::{Duration, Instant},
};

/// Ends every process of that name that carries the tag, the gentle way first. Blocks until they are gone.
pub fn end(name: &'static str, tag: &str, steps: &[(Signal, Duration)]) -> Result<(), StackError> {
    for (signal, patience) in steps {
        let found = running(name, tag);
        if found.is_empty() {
            return Ok(());
        }
        tracing::info!(server = name, count = found.len(), %signal, "ending what an earlier run left behind");
        for pid in found {
            // One that ended meanwhile is one less.
            let _ = kill(pid, *signal);
        }
        let deadline = Instant::now() + *patience;
        while Instant::now() < deadline && !running(name, tag).is_empty() {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    match running(name, tag).as_slice() {
        [] => Ok(()),
        [pid, ..] => Err(StackError::server(name, format!("of an earlier run (process {pid}) can't be ended"))),
    }
}

/// Processes whose name and command line anyone may read, whoever runs them.
fn running(name: &str, tag: &str) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid| is_one(*pid, name, tag)).map(Pid::from_raw).collect()
}

fn is_one(pid: i32, name: &str, tag: &str) -> bool {
    let Ok(program) = fs::read_to_string(format!("/proc/{pid}/comm")) else { return false };
    let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    // The tag is a word of its own, on a server's command line as in the title of PostgreSQL's children.
    let line = String::from_utf8_lossy(&line);
    program.trim_end() == name && line.split(['\0', ' ', '=', ':']).any(|word| word == tag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const STEPS: [(Signal, Duration); 2] =
        [(Signal::SIGTERM, Duration::from_secs(5)), (Signal::SIGKILL, Duration::from_secs(5))];

    #[test]
    fn only_the_tags_own_processes_are_ended() {
        let sleeper = |tag: &str| {
            // The tag is among the arguments of a program that takes any.
            Command::new("tail").args(["-f", "/dev/null", tag]).stderr(std::process::Stdio::null()).spawn().unwrap()
        };
        let (mut ours, mut another) = (sleeper("hansard-ab-1"), sleeper("hansard-ab-12"));
        std::thread::sleep(Duration::from_millis(100));
        end("sleep", "hansard-ab-1", &STEPS).unwrap();
        assert!(ours.try_wait().unwrap().is_none(), "a process of another name is left alone");
        let waiting = std::thread::spawn(move || ours.wait().unwrap());
        end("tail", "hansard-ab-1", &STEPS).unwrap();
        assert!(!waiting.join().unwrap().success());
        assert!(another.try_wait().unwrap().is_none());
        another.kill().unwrap();
        another.wait().unwrap();
    }
}
