//! [`apply`]: people's rows that a batch touches are read, folded and written back, each once.

use super::{EMAIL, folded};
use crate::{
    ProjectionError,
    batch::{Event, Fact},
    word,
};
use chrono::{DateTime, Utc};
use domain::{
    Personal, Timestamp,
    user::{Status, SystemRole, UserEvent},
};
use event_store::Keyring;
use sqlx::{PgConnection, Row, postgres::PgRow};
use std::collections::{BTreeSet, HashMap, HashSet};
use uuid::Uuid;

struct UserRow {
    username: String,
    first_name: String,
    last_name: String,
    /// Sealed, as it came.
    email: String,
    email_hash: String,
    avatar_url: Option<String>,
    status: Status,
    /// Sealed, as it came.
    status_text: Option<String>,
    roles: BTreeSet<SystemRole>,
    last_seen: Option<Timestamp>,
    created_at: Timestamp,
}

pub(crate) async fn apply(tx: &mut PgConnection, batch: &[Fact], keyring: &Keyring) -> Result<(), ProjectionError> {
    let facts: Vec<(Uuid, &Fact, &UserEvent)> = batch.iter().filter_map(of_a_person).collect();
    if facts.is_empty() {
        return Ok(());
    }
    let names = Names::open(&facts, keyring).await?;
    let mut rows = load(tx, &facts).await?;
    for (id, fact, event) in facts {
        fold(&mut rows, id, fact, event, &names, keyring)?;
    }
    store(tx, rows).await
}

/// Facts that a row follows from. A failed login changes none; it may stand in a stream that is nobody's.
fn of_a_person(fact: &Fact) -> Option<(Uuid, &Fact, &UserEvent)> {
    let Event::User(event) = &fact.event else { return None };
    match event {
        UserEvent::LoginFailed { .. } | UserEvent::SessionRevoked { .. } => None,
        UserEvent::Registered { .. }
        | UserEvent::ProfileUpdated { .. }
        | UserEvent::StatusChanged { .. }
        | UserEvent::LoggedIn { .. }
        | UserEvent::RoleGranted { .. }
        | UserEvent::RoleRevoked { .. } => Some((fact.aggregate_id.parse().ok()?, fact, event)),
    }
}

/// The names of a batch, opened at once.
struct Names<'a>(HashMap<&'a str, String>);

impl<'a> Names<'a> {
    async fn open(facts: &[(Uuid, &'a Fact, &'a UserEvent)], keyring: &Keyring) -> Result<Self, ProjectionError> {
        let mut sealed: Vec<&'a str> = Vec::new();
        let mut note = |name: &'a Personal| {
            if let Personal::Sealed(text) = name {
                sealed.push(text);
            }
        };
        for (_, _, event) in facts {
            match event {
                UserEvent::Registered { email, username, first_name, last_name, .. } => {
                    [email, username, first_name, last_name].into_iter().for_each(&mut note);
                }
                UserEvent::ProfileUpdated { first_name, last_name, .. } => {
                    first_name.iter().chain(last_name).for_each(&mut note);
                }
                UserEvent::StatusChanged { .. }
                | UserEvent::LoggedIn { .. }
                | UserEvent::LoginFailed { .. }
                | UserEvent::SessionRevoked { .. }
                | UserEvent::RoleGranted { .. }
                | UserEvent::RoleRevoked { .. } => {}
            }
        }
        let opened = if sealed.is_empty() { vec![] } else { keyring.open_many(&sealed).await? };
        // Whose key is gone has no name any more.
        Ok(Self(sealed.into_iter().zip(opened.into_iter().map(Option::unwrap_or_default)).collect()))
    }

    fn text(&self, name: &Personal) -> String {
        match name {
            Personal::Plain(text) => text.clone(),
            Personal::Sealed(sealed) => self.0.get(sealed.as_str()).cloned().unwrap_or_default(),
        }
    }
}

async fn load(
    tx: &mut PgConnection,
    facts: &[(Uuid, &Fact, &UserEvent)],
) -> Result<HashMap<Uuid, UserRow>, ProjectionError> {
    let is_new = |event: &UserEvent| matches!(event, UserEvent::Registered { .. });
    let new: HashSet<Uuid> = facts.iter().filter(|(_, _, event)| is_new(event)).map(|(id, ..)| *id).collect();
    let known: HashSet<Uuid> = facts.iter().map(|(id, ..)| *id).filter(|id| !new.contains(id)).collect();
    if known.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query("SELECT * FROM user_view WHERE id = ANY($1)")
        .bind(known.into_iter().collect::<Vec<_>>())
        .fetch_all(tx)
        .await?;
    rows.iter().map(|row| Ok((row.try_get("id")?, read(row)?))).collect()
}

fn read(row: &PgRow) -> Result<UserRow, ProjectionError> {
    let roles: Vec<String> = row.try_get("roles")?;
    Ok(UserRow {
        username: row.try_get("username")?,
        first_name: row.try_get("first_name")?,
        last_name: row.try_get("last_name")?,
        email: row.try_get("email")?,
        email_hash: row.try_get("email_hash")?,
        avatar_url: row.try_get("avatar_url")?,
        status: word::read("user_view", row.try_get("status")?)?,
        status_text: row.try_get("status_text")?,
        roles: roles.iter().map(|role| word::read("user_view", role)).collect::<Result<_, _>>()?,
        last_seen: row.try_get::<Option<DateTime<Utc>>, _>("last_seen")?.map(Timestamp::from),
        created_at: row.try_get::<DateTime<Utc>, _>("created_at")?.into(),
    })
}

fn fold(
    rows: &mut HashMap<Uuid, UserRow>,
    id: Uuid,
    fact: &Fact,
    event: &UserEvent,
    names: &Names<'_>,
    keyring: &Keyring,
) -> Result<(), ProjectionError> {
    if let UserEvent::Registered { email, username, first_name, last_name, created_at } = event {
        let row = UserRow {
            username: names.text(username),
            first_name: names.text(first_name),
            last_name: names.text(last_name),
            email: email.as_stored().to_owned(),
            email_hash: keyring.keyed_hash(EMAIL, &names.text(email).to_lowercase()),
            avatar_url: None,
            status: Status::default(),
            status_text: None,
            roles: BTreeSet::new(),
            last_seen: None,
            created_at: *created_at,
        };
        rows.insert(id, row);
        return Ok(());
    }
    let row = rows.get_mut(&id).ok_or_else(|| ProjectionError::Inapplicable {
        position: fact.position,
        reason: format!("nobody has registered as {id}"),
    })?;
    row.change(event, fact.recorded_at, names);
    Ok(())
}

impl UserRow {
    fn change(&mut self, event: &UserEvent, at: Timestamp, names: &Names<'_>) {
        match event {
            UserEvent::ProfileUpdated { first_name, last_name, avatar_url } => {
                if let Some(name) = first_name {
                    self.first_name = names.text(name);
                }
                if let Some(name) = last_name {
                    self.last_name = names.text(name);
                }
                if let Some(url) = avatar_url {
                    self.avatar_url = Some(url.clone()).filter(|url| !url.is_empty());
                }
            }
            UserEvent::StatusChanged { status, status_text } => {
                self.status = *status;
                if let Some(text) = status_text {
                    self.status_text = Some(text.as_stored().to_owned());
                }
                self.last_seen = Some(at);
            }
            UserEvent::LoggedIn { .. } => self.last_seen = Some(at),
            UserEvent::RoleGranted { role } => {
                self.roles.insert(*role);
            }
            UserEvent::RoleRevoked { role } => {
                self.roles.remove(role);
            }
            // The first is a row of its own, the others are none of it.
            UserEvent::Registered { .. } | UserEvent::LoginFailed { .. } | UserEvent::SessionRevoked { .. } => {}
        }
    }
}

/// One statement for all rows. Roles go as one text each: arrays of arrays would have to be of one length.
const STORE: &str = "
    INSERT INTO user_view (id, username, first_name, last_name, full_name_folded, last_name_folded, email, email_hash,
                           avatar_url, status, status_text, roles, last_seen, created_at)
    SELECT id, username, first_name, last_name, full_name_folded, last_name_folded, email, email_hash,
           avatar_url, status, status_text, string_to_array(roles, ','), last_seen, created_at
      FROM UNNEST($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                  $9::text[], $10::text[], $11::text[], $12::text[], $13::timestamptz[], $14::timestamptz[])
        AS u(id, username, first_name, last_name, full_name_folded, last_name_folded, email, email_hash,
             avatar_url, status, status_text, roles, last_seen, created_at)
    ON CONFLICT (id) DO UPDATE SET
        username = excluded.username, first_name = excluded.first_name, last_name = excluded.last_name,
        full_name_folded = excluded.full_name_folded, last_name_folded = excluded.last_name_folded,
        email = excluded.email, email_hash = excluded.email_hash, avatar_url = excluded.avatar_url,
        status = excluded.status, status_text = excluded.status_text, roles = excluded.roles,
        last_seen = excluded.last_seen, created_at = excluded.created_at";

async fn store(tx: &mut PgConnection, rows: HashMap<Uuid, UserRow>) -> Result<(), ProjectionError> {
    let (ids, rows): (Vec<Uuid>, Vec<UserRow>) = rows.into_iter().unzip();
    let texts = |text: fn(&UserRow) -> String| rows.iter().map(text).collect::<Vec<_>>();
    let optional = |text: fn(&UserRow) -> Option<String>| rows.iter().map(text).collect::<Vec<_>>();
    sqlx::query(STORE)
        .bind(ids)
        .bind(texts(|row| row.username.clone()))
        .bind(texts(|row| row.first_name.clone()))
        .bind(texts(|row| row.last_name.clone()))
        .bind(texts(|row| folded(&format!("{} {}", row.first_name, row.last_name))))
        .bind(texts(|row| folded(&row.last_name)))
        .bind(texts(|row| row.email.clone()))
        .bind(texts(|row| row.email_hash.clone()))
        .bind(optional(|row| row.avatar_url.clone()))
        .bind(texts(|row| word::write(&row.status)))
        .bind(optional(|row| row.status_text.clone()))
        .bind(texts(|row| row.roles.iter().map(word::write).collect::<Vec<_>>().join(",")))
        .bind(rows.iter().map(|row| row.last_seen.map(Timestamp::to_datetime)).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.created_at.to_datetime()).collect::<Vec<_>>())
        .execute(tx)
        .await?;
    Ok(())
}
