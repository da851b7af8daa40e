//! [`UserView`]: people, as they are shown to others and to themselves; found by the beginnings of their names.

mod apply;

use crate::{Listed, ProjectionError, Views};
pub(crate) use apply::apply;
use domain::{Timestamp, UserId, user::Status};
use serde::Serialize;
use sqlx::{Row, postgres::PgRow};
use std::collections::HashMap;
use utoipa::ToSchema;
use uuid::Uuid;

pub(crate) const DDL: &str = include_str!("../schema/user.sql");
/// What an address is hashed under: the same as its claim, so that one can be found by the other.
const EMAIL: &str = "email";

/// A person. The address is there for themselves only.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = User)]
pub struct UserView {
    pub id: UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    pub username: String,
    pub first_name: String,
    pub last_name: String,
    pub avatar_url: Option<String>,
    pub status: Status,
    pub status_text: Option<String>,
    /// When they last did something here; null where they never did, as of people who were imported.
    pub last_seen: Option<Timestamp>,
    pub created_at: Timestamp,
}

/// As much of a person as stands beside what they wrote or where they take part.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserSummary {
    pub id: UserId,
    pub username: String,
    pub first_name: String,
    pub last_name: String,
    pub avatar_url: Option<String>,
}

pub(crate) const COLUMNS: &str =
    "id, username, first_name, last_name, avatar_url, status, status_text, last_seen, created_at";

/// A person as others see them.
pub async fn get(views: &Views, id: UserId) -> Result<Option<UserView>, ProjectionError> {
    let sql = format!("SELECT {COLUMNS} FROM user_view WHERE id = $1");
    let Some(row) = sqlx::query(&sql).bind(id.0).fetch_optional(views.pool()).await? else { return Ok(None) };
    Ok(read(views, vec![row]).await?.pop())
}

/// A person as they see themselves.
pub async fn own(views: &Views, id: UserId) -> Result<Option<UserView>, ProjectionError> {
    let sql = format!("SELECT {COLUMNS}, email FROM user_view WHERE id = $1");
    let Some(row) = sqlx::query(&sql).bind(id.0).fetch_optional(views.pool()).await? else { return Ok(None) };
    let email: String = row.try_get("email")?;
    let email = views.keyring().open(&email).await?;
    Ok(read(views, vec![row]).await?.pop().map(|user| UserView { email, ..user }))
}

/// By the beginning of a name or username, `$1` up to `$2`, or by the hash of an address, `$3`.
const FOUND: &str = "(full_name_folded >= $1 AND full_name_folded < $2
    OR last_name_folded >= $1 AND last_name_folded < $2
    OR username >= $1 AND username < $2
    OR email_hash = $3)";
/// More are not counted.
const COUNTED_MAX: i64 = 10_000;

/// How many [`search`] finds in all, up to 10,000.
pub async fn count(views: &Views, text: &str) -> Result<i64, ProjectionError> {
    let beginning = folded(text);
    if beginning.is_empty() {
        return Ok(0);
    }
    let sql = format!("SELECT count(*) FROM (SELECT FROM user_view WHERE {FOUND} LIMIT $4) AS found");
    let count = sqlx::query_scalar(&sql)
        .bind(&beginning)
        .bind(past_all_that_begin_with(&beginning))
        .bind(views.keyring().keyed_hash(EMAIL, &text.trim().to_lowercase()))
        .bind(COUNTED_MAX);
    Ok(count.fetch_one(views.pool()).await?)
}

/// People whose first name, last name, whole name or username begins like this, without case, or whose address is
/// exactly this. Who is called just so comes first, then by name.
pub async fn search(views: &Views, text: &str, limit: i64, offset: i64) -> Result<Listed<UserView>, ProjectionError> {
    let beginning = folded(text);
    if beginning.is_empty() {
        return Ok(Listed::of(vec![], limit));
    }
    let sql = format!(
        "SELECT {COLUMNS} FROM user_view WHERE {FOUND}
          ORDER BY username = $1 DESC, full_name_folded, id
          LIMIT $4 OFFSET $5"
    );
    let rows = sqlx::query(&sql)
        .bind(&beginning)
        .bind(past_all_that_begin_with(&beginning))
        .bind(views.keyring().keyed_hash(EMAIL, &text.trim().to_lowercase()))
        .bind(limit.saturating_add(1))
        .bind(offset)
        .fetch_all(views.pool())
        .await?;
    Ok(Listed::of(read(views, rows).await?, limit))
}

/// These people, as far as there are such.
pub async fn many(views: &Views, ids: &[UserId]) -> Result<HashMap<UserId, UserSummary>, ProjectionError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query("SELECT id, username, first_name, last_name, avatar_url FROM user_view WHERE id = ANY($1)")
        .bind(&ids)
        .fetch_all(views.pool())
        .await?;
    rows.iter().map(|row| summary(row, "id").map(|user| (user.id, user))).collect()
}

/// Of a row that holds a person's columns, their id under the name given.
pub(crate) fn summary(row: &PgRow, id: &str) -> Result<UserSummary, ProjectionError> {
    Ok(UserSummary {
        id: UserId(row.try_get(id)?),
        username: row.try_get("username")?,
        first_name: row.try_get("first_name")?,
        last_name: row.try_get("last_name")?,
        avatar_url: row.try_get("avatar_url")?,
    })
}

/// Opens the status texts of a page at once.
pub(crate) async fn read(views: &Views, rows: Vec<PgRow>) -> Result<Vec<UserView>, ProjectionError> {
    let mut users = rows.iter().map(read_sealed).collect::<Result<Vec<_>, _>>()?;
    let sealed: Vec<&str> = users.iter().filter_map(|user| user.status_text.as_deref()).collect();
    if !sealed.is_empty() {
        let mut opened = views.keyring().open_many(&sealed).await?.into_iter();
        for user in users.iter_mut().filter(|user| user.status_text.is_some()) {
            // A status text is cleared by an empty one, which shows only now.
            user.status_text = opened.next().flatten().filter(|text| !text.is_empty());
        }
    }
    Ok(users)
}

pub(crate) fn read_sealed(row: &PgRow) -> Result<UserView, ProjectionError> {
    let UserSummary { id, username, first_name, last_name, avatar_url } = summary(row, "id")?;
    let time = |time: Option<chrono::DateTime<chrono::Utc>>| time.map(Timestamp::from);
    Ok(UserView {
        id,
        email: None,
        username,
        first_name,
        last_name,
        avatar_url,
        status: crate::word::read("user_view", row.try_get("status")?)?,
        status_text: row.try_get("status_text")?,
        last_seen: time(row.try_get("last_seen")?),
        created_at: row.try_get::<chrono::DateTime<chrono::Utc>, _>("created_at")?.into(),
    })
}

/// In lower case, with single spaces: how names are kept to be found by.
fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// The end of the range of texts that begin so, in the order of code points: none has this character in it.
fn past_all_that_begin_with(beginning: &str) -> String {
    format!("{beginning}\u{10FFFF}")
}

#[cfg(test)]
mod tests;
