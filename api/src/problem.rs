//! [`Problem`]: the one shape of every error, RFC 9457 with a stable `code`, the request's id and the fields at fault.

mod from;

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Map, Value};
use std::{borrow::Cow, fmt};
use utoipa::ToSchema;

/// Why a request was not carried out. It becomes a body at the edge of the process, where the request's id is known.
#[derive(Clone)]
pub struct Problem(Box<Parts>);

#[derive(Clone)]
struct Parts {
    status: StatusCode,
    code: Cow<'static, str>,
    detail: Option<Cow<'static, str>>,
    errors: Vec<FieldError>,
    more: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// One wrong field of a body, a query string, a path or the headers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Its name, with a path where it is inside another: `participantIds[3]`.
    #[schema(example = "username")]
    pub field: String,
    /// Stable, snake_case.
    #[schema(example = "missing")]
    pub code: Cow<'static, str>,
    /// A sentence for people.
    pub message: Cow<'static, str>,
}

/// The code of a refusal that names the fields at fault.
const VALIDATION_FAILED: &str = "validation_failed";

impl Problem {
    pub fn new(status: StatusCode, code: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        let (code, detail) = (code.into(), Some(detail.into()));
        Self(Box::new(Parts { status, code, detail, errors: vec![], more: Map::new(), headers: vec![] }))
    }
    /// 422 with every wrong field.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let detail = if errors.len() == 1 { "a field is wrong" } else { "several fields are wrong" };
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, VALIDATION_FAILED, detail);
        problem.0.errors = errors;
        problem
    }
    /// 422 with one wrong field.
    pub fn invalid_field(field: &'static str, code: &'static str, message: &'static str) -> Self {
        Self::invalid(vec![FieldError { field: field.to_owned(), code: code.into(), message: message.into() }])
    }
    /// 404: absent, or not visible to the caller.
    pub fn not_found(detail: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }
    pub fn forbidden(code: &'static str, detail: &'static str) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, detail)
    }
    /// 401; `code` tells a token that ran out (ask for a new one) from one that is no good (sign in).
    pub fn unauthenticated(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        let challenge = if matches!(code, "token_expired" | "token_invalid" | "session_ended") {
            "Bearer error=\"invalid_token\""
        } else {
            "Bearer"
        };
        Self::new(StatusCode::UNAUTHORIZED, code, detail)
            .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
    }
    /// 503: come back after so many seconds.
    pub fn unavailable(code: &'static str, detail: impl Into<Cow<'static, str>>, retry_after_s: u64) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).with_header(header::RETRY_AFTER, retry_after_s.into())
    }
    /// 429: too many tries; come back after so many seconds.
    pub fn throttled(retry_after_s: u64) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "too many requests, try again later")
            .with_header(header::RETRY_AFTER, retry_after_s.into())
            .with_header(HeaderName::from_static("ratelimit-remaining"), HeaderValue::from_static("0"))
            .with_header(HeaderName::from_static("ratelimit-reset"), retry_after_s.into())
    }
    /// 500. What went wrong is for the log, not for the caller.
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "something went wrong on the server")
    }
    /// What an answer of this status means where nobody said more.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        let (code, detail) = match status {
            StatusCode::BAD_REQUEST => ("malformed_request", "the request could not be read"),
            StatusCode::UNAUTHORIZED => return Self::unauthenticated("unauthenticated", "a token is needed"),
            StatusCode::NOT_FOUND => ("not_found", "there is nothing at this address"),
            StatusCode::METHOD_NOT_ALLOWED => ("method_not_allowed", "this address takes other methods"),
            StatusCode::REQUEST_TIMEOUT => ("body_too_slow", "the body did not come in within 20 s"),
            StatusCode::PAYLOAD_TOO_LARGE => ("too_large", "the body is too large"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => ("unsupported_media_type", "the body must be application/json"),
            StatusCode::UNPROCESSABLE_ENTITY => (VALIDATION_FAILED, "a field is wrong"),
            StatusCode::SERVICE_UNAVAILABLE => return Self::unavailable("unavailable", "try again later", 1),
            status if status.is_client_error() => ("refused", "the request was refused"),
            _ => return Self::internal(),
        };
        Self::new(status, code, detail)
    }

    /// A further member of the problem, such as `mfaToken`.
    #[must_use]
    pub fn with(mut self, member: &'static str, value: impl Into<Value>) -> Self {
        self.0.more.insert(member.to_owned(), value.into());
        self
    }
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    pub fn status(&self) -> StatusCode {
        self.0.status
    }
    pub fn code(&self) -> &str {
        &self.0.code
    }
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// The finished answer.
    pub(crate) fn render(self, request_id: &str) -> Response {
        let Parts { status, code, detail, errors, more, headers } = *self.0;
        let body = ProblemBody {
            r#type: format!("/api/docs#problem-{code}"),
            title: title(&code),
            status: status.as_u16(),
            detail,
            code,
            request_id: request_id.to_owned(),
            errors,
            more,
        };
        let bytes = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], bytes).into_response();
        response.headers_mut().extend(headers);
        response
    }
}

/// What every error looks like.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    /// A URI reference that names this kind of problem.
    #[schema(format = "uri-reference", example = "/api/docs#problem-not_found")]
    r#type: String,
    /// The kind of problem for people.
    #[schema(example = "Not found")]
    title: String,
    /// The HTTP status again.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What happened this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    detail: Option<Cow<'static, str>>,
    /// The kind of problem for programs: stable, snake_case.
    #[schema(value_type = String, pattern = "^[a-z][a-z0-9]*(_[a-z0-9]+)*$", example = "not_found")]
    code: Cow<'static, str>,
    /// The request's id, as in `X-Request-Id`; it finds the request in the server's log.
    request_id: String,
    /// Of a failed validation: every wrong field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<FieldError>,
    #[serde(flatten)]
    #[schema(ignore)]
    more: Map<String, Value>,
}

/// `read_model_behind` → `Read model behind`.
fn title(code: &str) -> String {
    let words = code.replace('_', " ");
    let mut chars = words.chars();
    chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect()
}

impl IntoResponse for Problem {
    /// An answer without a body yet: the outermost layer writes it, once, for whatever way the problem came about.
    fn into_response(self) -> Response {
        let mut response = self.0.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Problem({} {} {:?})", self.0.status.as_u16(), self.0.code, self.0.errors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_the_code_in_words() {
        assert_eq!(title("read_model_behind"), "Read model behind");
        assert_eq!(title(""), "");
    }

    #[test]
    fn a_throttled_caller_is_told_when_to_come_back() {
        let response = Problem::throttled(7).render("r");
        assert_eq!(response.headers()[header::RETRY_AFTER], "7");
        assert_eq!(response.headers()["ratelimit-remaining"], "0");
    }
}
