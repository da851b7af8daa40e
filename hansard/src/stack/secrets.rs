//! Secrets that nobody set: made up once and kept in the data directory, in `secrets.env`.

use super::{DataDir, StackError};
use base64::{Engine, prelude::BASE64_STANDARD};
use runtime::{
    id::{Ids, SystemIds},
    settings::{Reading, Source},
};
use std::{collections::BTreeMap, fs, io, path::Path};

const FILE: &str = "secrets.env";
const NAMES: [&str; 2] = ["JWT_SECRET", "MASTER_KEY"];

/// Gives the settings that are unset the secrets that were made up before, where some were.
pub fn supply_secrets(reading: &mut Reading, data_dir: &Path) -> Result<(), StackError> {
    for (name, text) in read(&DataDir::at(data_dir))? {
        if NAMES.contains(&name.as_str()) {
            reading.supply(&name, text, Source::Generated);
        }
    }
    Ok(())
}

/// As [`supply_secrets`], and makes up those that neither are set nor were made up before. The caller's process owns
/// the directory, so that nobody else makes them up meanwhile.
pub fn generate_secrets(reading: &mut Reading, data_dir: &Path) -> Result<(), StackError> {
    supply_secrets(reading, data_dir)?;
    let missing: Vec<&str> = NAMES.into_iter().filter(|name| !reading.is_set(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let dir = DataDir::at(data_dir);
    dir.make()?;
    let mut kept = read(&dir)?;
    for name in missing {
        let bytes = (&SystemIds as &dyn Ids).random_bytes::<32>();
        kept.insert(name.to_owned(), BASE64_STANDARD.encode(bytes));
    }
    let lines: Vec<String> = kept.iter().map(|(name, text)| format!("{name}={text}")).collect();
    let about =
        "# Made up at the first start. What MASTER_KEY wraps can't be opened without it: keep a copy elsewhere.\n";
    dir.write_private(FILE, &format!("{about}{}\n", lines.join("\n")))?;
    supply_secrets(reading, data_dir)
}

fn read(dir: &DataDir) -> Result<BTreeMap<String, String>, StackError> {
    let path = dir.path().join(FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(StackError::file("the generated secrets can't be read:", &path)(error)),
    };
    let lines = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    Ok(lines.map(|(name, text)| (name.to_owned(), text.to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn secrets_are_made_up_once_and_only_where_none_is_set() {
        let scratch = tempfile::tempdir().unwrap();
        let set = HashMap::from([("JWT_SECRET".to_owned(), "chosen".to_owned())]);
        let mut reading = Reading::of(set, HashMap::new());
        generate_secrets(&mut reading, scratch.path()).unwrap();
        let first = reading.settings().unwrap();
        assert_eq!(first.auth.jwt_secret.unwrap().reveal(), "chosen");

        let mut reading = Reading::of(HashMap::new(), HashMap::new());
        generate_secrets(&mut reading, scratch.path()).unwrap();
        let second = reading.settings().unwrap();
        assert_eq!(first.stores.master_key, second.stores.master_key);
        assert!(second.auth.jwt_secret.unwrap().reveal().len() >= 32);
        let text = fs::read_to_string(scratch.path().join(FILE)).unwrap();
        assert!(!text.contains("chosen"), "{text}");
    }
}
