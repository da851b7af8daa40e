//! Writes every error as a problem, however it came about: by a handler, an extractor, the router or a layer.

use crate::{layer::observe::Observed, problem::Problem};
use axum::{
    extract::Request,
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

pub(crate) async fn mend(request: Request, next: Next) -> Response {
    let request_id = request.extensions().get::<Observed>().map_or_else(String::new, |seen| seen.request_id.clone());
    let is_options = *request.method() == Method::OPTIONS;
    let response = next.run(request).await;
    let status = response.status();
    if is_options && status == StatusCode::METHOD_NOT_ALLOWED {
        // What the path takes is added by its router, around every layer.
        return StatusCode::NO_CONTENT.into_response();
    }
    if !status.is_client_error() && !status.is_server_error() || is_problem(response.headers()) {
        return response;
    }
    let (mut parts, _) = response.into_parts();
    let problem = parts.extensions.remove::<Problem>().unwrap_or_else(|| Problem::of_status(status));
    let mut mended = problem.render(&request_id);
    for (name, value) in &parts.headers {
        if *name != header::CONTENT_TYPE && *name != header::CONTENT_LENGTH && !mended.headers().contains_key(name) {
            mended.headers_mut().append(name, value.clone());
        }
    }
    mended
}

fn is_problem(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/problem+json"))
}
