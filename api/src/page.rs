//! [`Page`]: which part of a list is asked for.

use crate::fields::{Fault, query};

query! {
    /// A part of a list.
    #[derive(Clone, Copy, Debug)]
    pub struct Page {
        /// At most so many.
        #[param(minimum = 1, maximum = 100, default = 50)]
        limit: Option<u32> => limit,
        /// Leave out so many first.
        #[param(minimum = 0, default = 0)]
        offset: Option<u32>,
    }
}

/// What a list holds where nobody said how much.
pub const LIMIT_DEFAULT: u32 = 50;
pub const LIMIT_MAX: u32 = 100;

impl Page {
    /// From fields of a larger query string, whose rule for `limit` is [`limit`].
    pub fn of(limit: Option<u32>, offset: Option<u32>) -> Self {
        Self { limit, offset }
    }
    /// 1 to 100.
    pub fn limit(self) -> u32 {
        self.limit.unwrap_or(LIMIT_DEFAULT)
    }
    pub fn offset(self) -> u32 {
        self.offset.unwrap_or(0)
    }
}

/// The rule of a field `limit`.
pub fn limit(limit: &(impl Copy + Into<Option<u32>>)) -> Result<(), Fault> {
    match (*limit).into() {
        Some(limit) if !(1..=LIMIT_MAX).contains(&limit) => {
            Err(Fault { code: "out_of_range", message: "a page holds 1 to 100" })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::Fields;

    #[test]
    fn a_page_is_50_from_the_start_unless_said() {
        let page: Page = Fields::of_query("").into_input().unwrap_or_else(|errors| panic!("{errors:?}"));
        assert_eq!((page.limit(), page.offset()), (50, 0));
    }

    #[test]
    fn limit_and_offset_are_both_named_when_both_are_wrong() {
        for query in
            ["limit=0&offset=-1", "limit=101&offset=abc", "limit=99999999999999999999&offset=1.5", "limit=&offset="]
        {
            let Err(errors) = Fields::of_query(query).into_input::<Page>() else { panic!("{query} was taken") };
            let fields: Vec<_> = errors.iter().map(|error| error.field.as_str()).collect();
            assert_eq!(fields, ["limit", "offset"], "{query}");
        }
    }
}
