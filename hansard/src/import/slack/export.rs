//! [`Export`]: a Slack export's files as they are. What can't be read of them is kept apart, entry by entry.

use anyhow::{Context, Result, bail};
use domain::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs::File,
    io::Read,
    path::Path,
};
use zip::ZipArchive;

/// One JSON file of an export may be this large once unpacked: a day of the busiest channel has a tenth of it.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

pub struct Export {
    archive: ZipArchive<File>,
    /// The same for the same files with the same content.
    pub fingerprint: String,
    pub users: Entries<User>,
    /// Public ones, then private ones.
    pub channels: Entries<Channel>,
    /// Folders of direct messages, between two or more.
    pub direct: BTreeSet<String>,
    /// Folder, which is a channel's name → its day files in order of time.
    pub days: BTreeMap<String, Vec<String>>,
}

/// What a file lists.
pub struct Entries<T> {
    pub readable: Vec<T>,
    pub unreadable: Vec<Unreadable>,
}

pub struct Unreadable {
    /// Its id or time stamp, or else its place in the file.
    pub id: String,
    pub why: String,
}

#[derive(Debug, Deserialize)]
pub struct User {
    pub id: String,
    pub name: String,
    #[serde(default)]
    pub real_name: Option<String>,
    #[serde(default)]
    pub profile: Profile,
}

#[derive(Debug, Default, Deserialize)]
pub struct Profile {
    #[serde(default)]
    pub real_name: Option<String>,
    #[serde(default)]
    pub email: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Channel {
    pub id: String,
    pub name: String,
    /// Seconds since 1970.
    #[serde(default)]
    pub created: Option<i64>,
    #[serde(default)]
    pub creator: Option<String>,
    #[serde(default)]
    pub members: Vec<String>,
    #[serde(default)]
    pub purpose: Purpose,
    /// Said by the file that it stands in.
    #[serde(skip)]
    pub is_private: bool,
}

#[derive(Debug, Default, Deserialize)]
pub struct Purpose {
    #[serde(default)]
    pub value: String,
}

#[derive(Debug, Deserialize)]
pub struct Message {
    #[serde(default)]
    pub subtype: Option<String>,
    #[serde(default)]
    pub user: Option<String>,
    #[serde(default)]
    pub text: String,
    pub ts: String,
    #[serde(default)]
    pub thread_ts: Option<String>,
    #[serde(default)]
    pub edited: Option<Edited>,
    #[serde(default)]
    pub reactions: Vec<Reaction>,
    #[serde(default)]
    pub files: Vec<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
pub struct Edited {
    pub ts: String,
}

#[derive(Debug, Deserialize)]
pub struct Reaction {
    pub name: String,
    #[serde(default)]
    pub users: Vec<String>,
}

/// A direct conversation, whose folder is named after one of the two.
#[derive(Deserialize)]
struct Direct {
    id: String,
    #[serde(default)]
    name: Option<String>,
}

/// By what an entry is named that can't be read as a whole.
#[derive(Deserialize)]
struct Mark {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    ts: Option<String>,
}

/// Of a message, only who it is from.
#[derive(Deserialize)]
struct Sender {
    #[serde(default)]
    user: Option<String>,
}

impl Export {
    /// Opens an export and reads all but the messages, so that a file that is none is refused before anything is written.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("{} can't be opened", path.display()))?;
        let mut archive = ZipArchive::new(file)
            .with_context(|| format!("{} is no zip file, or only a part of one", path.display()))?;
        let fingerprint = fingerprint(&mut archive)?;
        let users = read(&mut archive, "users.json")?;
        let mut channels: Entries<Channel> = read(&mut archive, "channels.json")?;
        let private: Entries<Channel> = read_if_any(&mut archive, "groups.json")?;
        channels.readable.extend(private.readable.into_iter().map(|group| Channel { is_private: true, ..group }));
        channels.unreadable.extend(private.unreadable);
        let mut direct = BTreeSet::new();
        for list in ["dms.json", "mpims.json"] {
            let listed: Entries<Direct> = read_if_any(&mut archive, list)?;
            direct.extend(listed.readable.into_iter().map(|direct| direct.name.unwrap_or(direct.id)));
        }
        let days = days(&archive);
        Ok(Self { archive, fingerprint, users, channels, direct, days })
    }

    /// The messages of one day file, by their times.
    pub fn messages(&mut self, file: &str) -> Result<Entries<Message>> {
        let mut messages: Entries<Message> = read(&mut self.archive, file)?;
        messages.readable.sort_by_cached_key(|message| (time(&message.ts), message.ts.clone()));
        Ok(messages)
    }

    /// Who wrote the messages of one day file; of a file that can't be read, nobody.
    pub fn senders(&mut self, file: &str) -> Vec<String> {
        let messages: Result<Entries<Sender>> = read(&mut self.archive, file);
        messages.map_or_else(|_| vec![], |read| read.readable.into_iter().filter_map(|sender| sender.user).collect())
    }
}

fn days(archive: &ZipArchive<File>) -> BTreeMap<String, Vec<String>> {
    let mut days: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in archive.file_names() {
        if let Some((folder, day)) = name.split_once('/')
            && Path::new(day).extension().is_some_and(|extension| extension == "json")
        {
            days.entry(folder.to_owned()).or_default().push(name.to_owned());
        }
    }
    for files in days.values_mut() {
        files.sort_unstable();
    }
    days
}

/// Of all files' names, lengths and checksums, in whatever order they were packed.
fn fingerprint(archive: &mut ZipArchive<File>) -> Result<String> {
    let mut files = BTreeSet::new();
    for at in 0..archive.len() {
        let file = archive.by_index_raw(at).context("the export's list of files can't be read")?;
        files.insert((file.name().to_owned(), file.size(), file.crc32()));
    }
    let mut hash = Sha256::new();
    for (name, bytes, checksum) in files {
        hash.update(format!("{name}\0{bytes}\0{checksum}\0"));
    }
    let mut text = String::with_capacity(64);
    for byte in hash.finalize() {
        write!(text, "{byte:02x}")?;
    }
    Ok(text)
}

fn read_if_any<T: DeserializeOwned>(archive: &mut ZipArchive<File>, name: &str) -> Result<Entries<T>> {
    if archive.index_for_name(name).is_none() {
        return Ok(Entries { readable: vec![], unreadable: vec![] });
    }
    read(archive, name)
}

fn read<T: DeserializeOwned>(archive: &mut ZipArchive<File>, name: &str) -> Result<Entries<T>> {
    let entry = archive.by_name(name).with_context(|| format!("the export has no {name}"))?;
    let mut text = Vec::new();
    entry.take(FILE_BYTES_MAX + 1).read_to_end(&mut text).with_context(|| format!("{name} can't be unpacked"))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        bail!("{name} has more than {FILE_BYTES_MAX} bytes");
    }
    entries(&text).with_context(|| format!("{name} is not what Slack writes"))
}

/// Reads each entry of a list by itself, so that one that can't be read, as by half a surrogate pair, doesn't take the
/// others with it.
fn entries<T: DeserializeOwned>(text: &[u8]) -> serde_json::Result<Entries<T>> {
    let raw: Vec<&RawValue> = serde_json::from_slice(text)?;
    let mut entries = Entries { readable: Vec::with_capacity(raw.len()), unreadable: vec![] };
    for (place, raw) in (1..).zip(raw) {
        match serde_json::from_str(raw.get()) {
            Ok(entry) => entries.readable.push(entry),
            Err(error) => {
                let mark: Option<Mark> = serde_json::from_str(raw.get()).ok();
                let id = mark.and_then(|mark| mark.id.or(mark.ts)).unwrap_or_else(|| format!("entry {place}"));
                entries.unreadable.push(Unreadable { id, why: error.to_string() });
            }
        }
    }
    Ok(entries)
}

/// Slack's time stamp, seconds with microseconds, which also names a message. None where it is none.
pub fn time(ts: &str) -> Option<Timestamp> {
    let (seconds, fraction) = ts.split_once('.').unwrap_or((ts, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(seconds) || !is_number(fraction) {
        return None;
    }
    let millis: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    seconds_since_1970(seconds.parse().ok()?).map(|time| time.plus_millis(millis))
}

/// None before 1970 and after the year 9999.
pub fn seconds_since_1970(seconds: i64) -> Option<Timestamp> {
    const SECONDS_MAX: i64 = 253_402_300_799;
    (1..=SECONDS_MAX).contains(&seconds).then(|| Timestamp(seconds * 1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_stamp_is_read_to_the_millisecond() {
        assert_eq!(time("1550463617.000100").unwrap().to_string(), "2019-02-18T04:20:17.000Z");
        assert_eq!(time("1700000000.123456"), Some(Timestamp(1_700_000_000_123)));
        assert_eq!(time("1700000000.5"), Some(Timestamp(1_700_000_000_500)));
    }

    #[test]
    fn what_is_no_time_is_not_taken_for_1970() {
        for wrong in ["nonsense", "", "0", "-5.0", "99999999999999999.0", "1700000000.x", "1700000000.", "nan"] {
            assert_eq!(time(wrong), None, "{wrong:?}");
        }
        assert_eq!(seconds_since_1970(9_000_000_000_000_000_000), None);
    }

    #[test]
    fn an_entry_that_cannot_be_read_leaves_the_others() {
        let text = br#"[{"ts":"1.0","text":"one"},{"ts":"2.0","text":"\ud800"},{"text":"no time"},7]"#;
        let read: Entries<Message> = entries(text).unwrap();
        assert_eq!(read.readable.len(), 1);
        let ids: Vec<&str> = read.unreadable.iter().map(|entry| entry.id.as_str()).collect();
        assert_eq!(ids, ["2.0", "entry 3", "entry 4"]);
    }
}
