//! What a disk may do to the files of a stream while its server is down.

use rand::{Rng, rngs::StdRng, seq::IndexedRandom};
use std::{
    fs::{self, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

#[derive(Clone, Copy, Debug)]
pub enum Rot {
    /// The end of the newest file is cut off.
    Tail,
    /// A few bytes in the middle of a file are others.
    Bytes,
    /// A file is gone.
    File,
    /// All messages are gone, the stream's own description is left.
    Messages,
    /// Nothing is left of it.
    Stream,
}

impl Rot {
    pub fn draw(random: &mut StdRng) -> Self {
        *[Self::Tail, Self::Tail, Self::Bytes, Self::File, Self::Messages, Self::Stream].choose(random).unwrap()
    }

    /// Does it to the stream of the log in this store, and tells to what.
    pub fn befall(self, store: &Path, random: &mut StdRng) -> io::Result<String> {
        let stream = store.join("HANSARD").join("streams").join("HANSARD_EVENTS");
        let messages = stream.join("msgs");
        if matches!(self, Self::Stream) {
            fs::remove_dir_all(&stream)?;
            return Ok("the whole stream".to_owned());
        }
        let mut blocks = files(&messages, "blk")?;
        blocks.sort_by_key(|path| number(path));
        let (Some(newest), Some(any)) = (blocks.last(), blocks.choose(random)) else {
            return Err(io::Error::other("the stream has no files"));
        };
        let touched = match self {
            Self::Tail => cut(newest, random)?,
            Self::Bytes => scribble(any, random)?,
            Self::File => {
                fs::remove_file(any)?;
                name(any)
            }
            Self::Messages | Self::Stream => {
                blocks.iter().try_for_each(fs::remove_file)?;
                "all of its files".to_owned()
            }
        };
        // What the server knew of them may be there still, or not.
        if random.random() {
            fs::remove_file(messages.join("index.db")).or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            })?;
        }
        Ok(touched)
    }
}

fn files(directory: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let paths =
        fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    Ok(paths.into_iter().filter(|path| path.extension().is_some_and(|found| found == extension)).collect())
}

fn name(block: &Path) -> String {
    block.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn number(block: &Path) -> u64 {
    block.file_stem().and_then(|stem| stem.to_str()?.parse().ok()).unwrap_or_default()
}

fn cut(path: &Path, random: &mut StdRng) -> io::Result<String> {
    let length = fs::metadata(path)?.len();
    let left = random.random_range(length / 2..length.max(1));
    OpenOptions::new().write(true).open(path)?.set_len(left)?;
    Ok(format!("{} from byte {left} of {length} on", name(path)))
}

fn scribble(path: &Path, random: &mut StdRng) -> io::Result<String> {
    let length = fs::metadata(path)?.len();
    let at = random.random_range(0..length.max(1));
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.seek(SeekFrom::Start(at))?;
    file.write_all(&random.random::<[u8; 16]>())?;
    Ok(format!("{} at byte {at} of {length}", name(path)))
}
