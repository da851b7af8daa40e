//! [`Disk`]: a file system in memory for one site, which can be made full.

use nix::sys::statvfs::statvfs;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const ROOMY: &str = "size=4g";
/// What a full one has left, in bytes: a few messages' worth.
const LEFT: u64 = 128 << 10;

pub struct Disk(PathBuf);

impl Disk {
    /// Where this process may mount one; else why not.
    pub fn mount(path: &Path) -> Result<Self, String> {
        fs::create_dir(path).map_err(|error| error.to_string())?;
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &format!("{ROOMY},mode=700"), "tmpfs"]).arg(path))?;
        Ok(Self(path.to_owned()))
    }

    /// No room but for what is there, until the answer is dropped.
    pub fn fill(&self) -> Result<Full<'_>, String> {
        let now = statvfs(&self.0).map_err(|error| error.to_string())?;
        let used = (now.blocks() - now.blocks_free()) * now.fragment_size();
        self.resize(&format!("size={}", used + LEFT))?;
        Ok(Full(self))
    }

    fn resize(&self, size: &str) -> Result<(), String> {
        run(Command::new("mount").args(["-o", &format!("remount,{size}")]).arg(&self.0))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a server may still be about to end.
        let _ = run(Command::new("umount").arg("-l").arg(&self.0));
    }
}

pub struct Full<'a>(&'a Disk);

impl Drop for Full<'_> {
    fn drop(&mut self) {
        let _ = self.0.resize(ROOMY);
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()) }
}
