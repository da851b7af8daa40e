//! What commands print: lines on standard output, and progress on standard error.

use indicatif::{ProgressBar, ProgressStyle};
use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

/// Prints a line. False where nobody reads any more, as after `| head`.
pub fn print_line(line: &str) -> io::Result<bool> {
    match writeln!(io::stdout().lock(), "{line}") {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error),
    }
}

/// A bar on a terminal; elsewhere a plain line every few seconds.
pub fn progress(what: &str) -> ProgressBar {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{msg} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    if !io::stderr().is_terminal() {
        let (plain, what) = (bar.downgrade(), what.to_owned());
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(Duration::from_secs(5));
                let Some(bar) = plain.upgrade().filter(|bar| !bar.is_finished()) else { return };
                eprintln!("{what}: {} of {}", bar.position(), bar.length().unwrap_or(0));
            }
        });
    }
    bar
}
