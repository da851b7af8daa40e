//! [`Export`]: a Slack export's files as they are.

use anyhow::{Context, Result, bail};
use serde::{Deserialize, de::DeserializeOwned};
use std::{collections::BTreeMap, fs::File, io::Read, path::Path};
use zip::ZipArchive;

/// One JSON file of an export may be this large once unpacked: a day of the busiest channel has a tenth of it.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

pub struct Export {
    archive: ZipArchive<File>,
    pub users: Vec<User>,
    pub channels: Vec<Channel>,
    /// Channel's name → its day files in order of time.
    pub days: BTreeMap<String, Vec<String>>,
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
    #[serde(default)]
    pub created: i64,
    #[serde(default)]
    pub creator: Option<String>,
    #[serde(default)]
    pub members: Vec<String>,
    #[serde(default)]
    pub purpose: Purpose,
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

impl Export {
    /// Opens an export and reads all but the messages, so that a file that is none is refused before anything is written.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("{} can't be opened", path.display()))?;
        let mut archive = ZipArchive::new(file)
            .with_context(|| format!("{} is no zip file, or only a part of one", path.display()))?;
        let users = read(&mut archive, "users.json")?;
        let channels: Vec<Channel> = read(&mut archive, "channels.json")?;
        let mut days: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for name in archive.file_names() {
            if let Some((channel, day)) = name.split_once('/')
                && Path::new(day).extension().is_some_and(|extension| extension == "json")
            {
                days.entry(channel.to_owned()).or_default().push(name.to_owned());
            }
        }
        for files in days.values_mut() {
            files.sort_unstable();
        }
        if let Some(stray) = days.keys().find(|name| channels.iter().all(|channel| channel.name != **name)) {
            bail!("{} has messages in {stray}/, but channels.json knows no such channel", path.display());
        }
        Ok(Self { archive, users, channels, days })
    }

    /// The messages of one day file, by their times.
    pub fn messages(&mut self, file: &str) -> Result<Vec<Message>> {
        let mut messages: Vec<Message> = read(&mut self.archive, file)?;
        messages.sort_by(|a, b| a.ts.cmp(&b.ts));
        Ok(messages)
    }
}

fn read<T: DeserializeOwned>(archive: &mut ZipArchive<File>, name: &str) -> Result<T> {
    let entry = archive.by_name(name).with_context(|| format!("the export has no {name}"))?;
    let mut text = Vec::new();
    entry.take(FILE_BYTES_MAX + 1).read_to_end(&mut text).with_context(|| format!("{name} can't be unpacked"))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        bail!("{name} has more than {FILE_BYTES_MAX} bytes");
    }
    serde_json::from_slice(&text).with_context(|| format!("{name} is not what Slack writes"))
}
