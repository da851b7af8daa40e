//! Rules that several bodies share, as the domain has them, told field by field before anything is decided.

use crate::fields::Fault;
use domain::{UserId, limits, user};

/// People that one request can name.
const PEOPLE_MAX: usize = 1_000;

/// A field that holds text, or may.
pub trait Text {
    fn text(&self) -> Option<&str>;
}
impl Text for String {
    fn text(&self) -> Option<&str> {
        Some(self)
    }
}
impl Text for Option<String> {
    fn text(&self) -> Option<&str> {
        self.as_deref()
    }
}

fn check(
    field: &impl Text,
    is_right: impl Fn(&str) -> bool,
    code: &'static str,
    message: &'static str,
) -> Result<(), Fault> {
    if field.text().is_none_or(is_right) { Ok(()) } else { Err(Fault { code, message }) }
}

/// Names of people, conversations and workspaces.
pub fn name(field: &impl Text) -> Result<(), Fault> {
    check(field, limits::is_name, "name_invalid", "a name has 1 to 100 characters and is not blank")
}
pub fn username(field: &impl Text) -> Result<(), Fault> {
    check(field, |text| !user::is_reserved(text), "username_reserved", "this username is nobody's to choose")?;
    check(
        field,
        user::is_username,
        "username_invalid",
        "a username has 3 to 32 of a-z, 0-9, dot, underscore and hyphen",
    )
}
pub fn email(field: &impl Text) -> Result<(), Fault> {
    check(field, user::is_email, "email_invalid", "this is no e-mail address")
}
/// A message's text.
pub fn content(field: &impl Text) -> Result<(), Fault> {
    check(field, limits::is_content, "content_invalid", "a message has 1 to 40,000 characters and is not blank")
}
/// Several people at once.
pub fn people(people: &impl AsRef<[UserId]>) -> Result<(), Fault> {
    if people.as_ref().len() <= PEOPLE_MAX {
        Ok(())
    } else {
        Err(Fault { code: "too_many", message: "at most 1,000 people can be named at once" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_absent_breaks_no_rule() {
        assert_eq!(name(&None::<String>), Ok(()));
        assert_eq!(name(&Some(String::new())).map_err(|fault| fault.code), Err("name_invalid"));
    }

    #[test]
    fn characters_are_counted_not_bytes() {
        assert_eq!(content(&"語".repeat(40_000)), Ok(()));
        assert!(content(&"語".repeat(40_001)).is_err());
    }
}
