//! [`body`]: a problem as it stands in an ack, in a refused upgrade and in a refused connect: RFC 9457, as over REST.

use commands::Problem;
use projections::ProjectionError;
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    r#type: String,
    title: String,
    status: u16,
    detail: &'a str,
    code: &'a str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Wrong<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

#[derive(Serialize)]
struct Wrong<'a> {
    field: &'a str,
    code: &'a str,
    message: &'a str,
}

/// The JSON object. `request_id` is the frame's, which its events carry as `correlationId`.
pub(crate) fn body(problem: &Problem, request_id: &str) -> String {
    let Problem { status, code, detail, fields, retry_after_s } = problem;
    let body = Body {
        r#type: format!("/api/docs#problem-{code}"),
        title: title(code),
        status: *status,
        detail,
        code,
        request_id,
        errors: fields
            .iter()
            .map(|wrong| Wrong { field: &wrong.field, code: wrong.code, message: &wrong.message })
            .collect(),
        retry_after: *retry_after_s,
    };
    serde_json::to_string(&body).unwrap_or_default()
}

/// The views could not be read.
pub(crate) fn of_views(error: ProjectionError) -> Problem {
    if let ProjectionError::Store(error) = error {
        return error.into();
    }
    tracing::error!(error = %error, "a read model could not be read");
    if error.is_passing() { Problem::store_unavailable() } else { Problem::internal() }
}

fn title(code: &str) -> String {
    let words = code.replace('_', " ");
    let mut chars = words.chars();
    chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use commands::WrongField;

    #[test]
    fn a_problem_in_an_ack_has_the_shape_that_it_has_over_rest() {
        let wrong = WrongField { field: "content".to_owned(), code: "missing", message: "this field is needed".into() };
        insta::assert_snapshot!(
            body(&Problem::invalid(vec![wrong]), "r1"),
            @r#"{"type":"/api/docs#problem-validation_failed","title":"Validation failed","status":422,"detail":"a field is wrong","code":"validation_failed","requestId":"r1","errors":[{"field":"content","code":"missing","message":"this field is needed"}]}"#
        );
        insta::assert_snapshot!(
            body(&Problem::throttled(1), "r2"),
            @r#"{"type":"/api/docs#problem-rate_limited","title":"Rate limited","status":429,"detail":"too many requests, try again later","code":"rate_limited","requestId":"r2","retryAfter":1}"#
        );
    }
}
