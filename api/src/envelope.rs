//! What a success looks like: [`Read`] one thing, [`Listed`] a page of them, [`Written`] what a write made of it.

use crate::page::Page;
use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use domain::Position;
use serde::Serialize;
use utoipa::ToSchema;

/// The header that carries the position of a write.
pub(crate) const POSITION: HeaderName = HeaderName::from_static("hansard-position");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// One thing: `{"data": …, "meta": {}}`.
#[derive(Serialize, ToSchema)]
pub struct Read<T: ToSchema> {
    pub data: T,
    pub meta: ReadMeta,
}

#[derive(Default, Serialize, ToSchema)]
pub struct ReadMeta {}

impl<T: ToSchema> Read<T> {
    pub fn of(data: T) -> Self {
        Self { data, meta: ReadMeta {} }
    }
}

impl<T: Serialize + ToSchema> IntoResponse for Read<T> {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// A page of a list.
#[derive(Serialize, ToSchema)]
pub struct Listed<T: ToSchema> {
    pub data: Vec<T>,
    pub meta: ListMeta,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListMeta {
    /// At most so many were asked for.
    pub limit: u32,
    /// So many were left out; absent where the page was asked for by a cursor.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub offset: Option<u32>,
    /// Whether something comes after this page.
    pub has_more: bool,
    /// How many there are in all, where that is cheap to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub total: Option<u64>,
}

impl<T: ToSchema> Listed<T> {
    /// A page of which it is known whether something comes after it.
    pub fn page(data: Vec<T>, page: Page, has_more: bool) -> Self {
        let (limit, offset) = (page.limit(), Some(page.offset()));
        Self { data, meta: ListMeta { limit, offset, has_more, total: None } }
    }
    /// A page as a read model gives it.
    pub fn of(found: projections::Listed<T>, page: Page) -> Self {
        let mut listed = Self::page(found.items, page, found.has_more);
        listed.meta.total = found.total.and_then(|total| u64::try_from(total).ok());
        listed
    }
    /// A page for which one more than `limit` was asked of the read model: the one too many tells `hasMore`.
    pub fn one_more(mut data: Vec<T>, page: Page) -> Self {
        let has_more = data.len() > page.limit() as usize;
        data.truncate(page.limit() as usize);
        Self::page(data, page, has_more)
    }
    /// A page that was asked for by a cursor.
    pub fn cursor(data: Vec<T>, limit: u32, has_more: bool) -> Self {
        Self { data, meta: ListMeta { limit, offset: None, has_more, total: None } }
    }
}

impl<T: Serialize + ToSchema> IntoResponse for Listed<T> {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// What a write came to: 201 where it made something new, else 200.
#[derive(Serialize, ToSchema)]
pub struct Written<T: ToSchema> {
    pub data: T,
    pub meta: WriteMeta,
    #[serde(skip)]
    #[schema(ignore)]
    wrote: Wrote,
}

#[derive(Serialize, ToSchema)]
pub struct WriteMeta {
    /// Where the write's last event stands in the log; absent where all was already as ordered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub position: Option<Position>,
    /// Whether the read models have applied it: if not, a read may not show it yet.
    pub applied: bool,
}

/// A command that was carried out and waited for; what is left is to say what is there now.
#[derive(Clone, Copy, Debug)]
pub struct Wrote {
    pub position: Option<Position>,
    pub created: bool,
    pub applied: bool,
    pub(crate) respond_async: bool,
}

impl Wrote {
    pub fn answer<T: ToSchema>(self, data: T) -> Written<T> {
        Written { data, meta: WriteMeta { position: self.position, applied: self.applied }, wrote: self }
    }
    /// For an answer that is read from a read model, which may not have it yet: then only its id is told.
    #[expect(clippy::needless_pass_by_value, reason = "ids are small, and Copy")]
    pub fn eventually<T: ToSchema>(self, view: Option<T>, id: impl ToString) -> Written<Eventual<T>> {
        self.answer(view.map_or_else(|| Eventual::Later { id: id.to_string() }, Eventual::Now))
    }
    #[expect(clippy::needless_pass_by_value, reason = "ids are small, and Copy")]
    pub fn deleted(self, id: impl ToString) -> Written<Deletion> {
        self.answer(Deletion { id: id.to_string(), deleted: true })
    }
}

/// What was written, or only its id where `meta.applied` is false and the read model has not seen it.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum Eventual<T: ToSchema> {
    Now(T),
    Later {
        #[schema(format = Uuid)]
        id: String,
    },
}

/// What a delete answers.
#[derive(Serialize, ToSchema)]
pub struct Deletion {
    pub id: String,
    /// Always true.
    pub deleted: bool,
}

impl<T: Serialize + ToSchema> IntoResponse for Written<T> {
    fn into_response(self) -> Response {
        let Wrote { position, created, respond_async, .. } = self.wrote;
        let status = if created { StatusCode::CREATED } else { StatusCode::OK };
        let mut response = (status, Json(self)).into_response();
        if let Some(Position(position)) = position {
            response.headers_mut().insert(POSITION, position.into());
        }
        if respond_async {
            response.headers_mut().insert(PREFERENCE_APPLIED, HeaderValue::from_static("respond-async"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_row_too_many_says_that_there_is_more() {
        let page = Page::of(Some(2), None);
        let listed = Listed::one_more(vec![1, 2, 3], page);
        assert_eq!((listed.data, listed.meta.has_more), (vec![1, 2], true));
        assert!(!Listed::one_more(vec![1, 2], page).meta.has_more);
    }

    #[test]
    fn a_write_tells_its_position_in_body_and_header() {
        let wrote = Wrote { position: Some(Position(7)), created: true, applied: true, respond_async: false };
        let response = wrote.answer("x".to_owned()).into_response();
        assert_eq!(response.status(), StatusCode::CREATED);
        assert_eq!(response.headers()[POSITION], "7");
        let body = serde_json::to_value(wrote.answer("x".to_owned())).expect("serialises");
        assert_eq!(body, serde_json::json!({"data": "x", "meta": {"position": 7, "applied": true}}));
    }

    #[test]
    fn what_no_read_model_has_yet_is_answered_by_its_id() {
        let wrote = Wrote { position: Some(Position(7)), created: true, applied: false, respond_async: false };
        let body = serde_json::to_value(wrote.eventually(None::<String>, "some-id")).expect("serialises");
        assert_eq!(body["data"], serde_json::json!({"id": "some-id"}));
        assert_eq!(body["meta"]["applied"], false);
    }
}
