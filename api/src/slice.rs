//! [`Slice`]: the routes of one noun. A route comes with its description or not at all.

use utoipa::openapi::{PathItem, path::Operation};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

/// Routes that belong together, each described by its `#[utoipa::path]`.
///
/// Only what [`utoipa_axum::routes!`] makes can be added, so router and document can't drift apart.
pub struct Slice<S = crate::App> {
    name: &'static str,
    description: &'static str,
    routes: Vec<UtoipaMethodRouter<S>>,
}

impl<S: Clone + Send + Sync + 'static> Slice<S> {
    /// `name` is the noun of the module, and the first part of its operations' ids.
    pub fn new(name: &'static str, description: &'static str) -> Self {
        Self { name, description, routes: vec![] }
    }

    /// One path with the handlers of all its methods: `.with(routes!(list, create))`.
    #[must_use]
    pub fn with(mut self, mut route: UtoipaMethodRouter<S>) -> Self {
        assert_eq!(route.1.paths.len(), 1, "{}: handlers of one routes! must have one path", self.name);
        for operation in route.1.paths.values_mut().flat_map(operations) {
            operation.tags = Some(vec![self.name.to_owned()]);
            operation.operation_id = operation.operation_id.take().map(|verb| operation_id(self.name, &verb));
        }
        self.routes.push(route);
        self
    }

    pub(crate) fn tag(&self) -> (&'static str, &'static str) {
        (self.name, self.description)
    }
    /// Component schemas with their names, as they come: the same name may come more than once.
    #[cfg(test)]
    pub(crate) fn schemas(&self) -> impl Iterator<Item = &(String, utoipa::openapi::RefOr<utoipa::openapi::Schema>)> {
        self.routes.iter().flat_map(|route| &route.0)
    }
    pub(crate) fn add_to(self, router: OpenApiRouter<S>) -> OpenApiRouter<S> {
        self.routes.into_iter().fold(router, OpenApiRouter::routes)
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete].into_iter().flatten()
}

/// `message` and `send_later` → `messageSendLater`.
fn operation_id(slice: &str, verb: &str) -> String {
    let capital = |word: &str| {
        let mut chars = word.chars();
        chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect::<String>()
    };
    std::iter::once(slice.to_owned()).chain(verb.split('_').map(capital)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_named_by_noun_and_verb() {
        assert_eq!(operation_id("message", "send_later"), "messageSendLater");
    }
}
