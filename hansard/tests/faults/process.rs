//! Processes as the system sees them: signalled, frozen, and found by their parents.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

pub fn signal(name: &str, pid: u32) {
    // One that has just ended needs none.
    let _ = Command::new("kill").args(["-s", name, &pid.to_string()]).stderr(Stdio::null()).status().unwrap();
}

/// Processes that are stopped for as long as this isn't dropped: one that stayed so could not even be ended.
pub struct Frozen(Vec<u32>);

impl Frozen {
    /// In this order.
    pub fn new(pids: Vec<u32>) -> Self {
        for pid in &pids {
            signal("STOP", *pid);
        }
        Self(pids)
    }

    /// With what they started before they stopped.
    pub fn with_children(pid: u32, name: &str) -> Self {
        let mut frozen = Self::new(vec![pid]);
        // A child that was started meanwhile is among them: its parent starts no more.
        for child in children(pid, name) {
            signal("STOP", child);
            frozen.0.push(child);
        }
        frozen
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.0.iter().rev().for_each(|pid| signal("CONT", *pid));
    }
}

/// The processes of this name that a process has started.
pub fn children(parent: u32, name: &str) -> Vec<u32> {
    let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid| is_child(*pid, parent, name)).collect()
}

/// After the name, which is in brackets, the second field of its state is the parent.
fn is_child(pid: u32, parent: u32, name: &str) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    let Some((front, rest)) = stat.rsplit_once(") ") else { return false };
    front.split_once('(').is_some_and(|(_, found)| found == name)
        && rest.split(' ').nth(1).and_then(|found| found.parse().ok()) == Some(parent)
}

/// Whether the process has this port as its own end of a connection.
pub fn has_local_port(pid: u32, port: u16) -> bool {
    let Ok(table) = fs::read_to_string(format!("/proc/{pid}/net/tcp")) else { return false };
    // The second field is its own address in hexadecimal, the tenth the socket's inode.
    let inode = table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let own = fields.get(1)?.rsplit_once(':')?.1;
        (u16::from_str_radix(own, 16) == Ok(port)).then(|| fields.get(9).map(|inode| format!("socket:[{inode}]")))?
    });
    let Some(socket) = inode.map(PathBuf::from) else { return false };
    let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    open.filter_map(Result::ok).any(|file| fs::read_link(file.path()).is_ok_and(|target| target == socket))
}
