//! [`example`]: the text of `.env.example`, which names every setting.

use super::TABLE;
use std::fmt::Write;

/// Every setting with what it is for and its default, all of them commented out.
pub fn example() -> String {
    let mut text = String::from(
        "# Every setting, with its default. Copy what you change to `.env`; the environment wins over that file.\n",
    );
    let mut group = "";
    for entry in TABLE {
        if entry.group != group {
            group = entry.group;
            write!(text, "\n# ---- {group}\n").expect("a string takes all text");
        }
        let default = entry.default.unwrap_or_default();
        let quoted = if default.contains(' ') { format!("\"{default}\"") } else { default.to_owned() };
        write!(text, "\n# {}\n# {}={quoted}\n", entry.about, entry.name).expect("a string takes all text");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_file_is_the_table() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../.env.example");
        let written = std::fs::read_to_string(file).unwrap_or_default();
        if written != example() && std::env::var_os("UPDATE_EXAMPLE").is_some() {
            std::fs::write(file, example()).unwrap();
            return;
        }
        assert_eq!(written, example(), "run UPDATE_EXAMPLE=1 cargo test -p runtime the_example_file");
    }
}
