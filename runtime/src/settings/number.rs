//! Settings that are numbers: ports, counts, times and rates.

use super::value::Value;
use std::{num::NonZeroU64, time::Duration};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port(pub u16);

impl Value for Port {
    const MUST_BE: &'static str = "a port from 1 to 65535";

    fn parse(text: &str) -> Option<Self> {
        number(text).filter(|port| *port > 0).and_then(|port| port.try_into().ok()).map(Self)
    }
}

/// At least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count(pub u32);

impl Value for Count {
    const MUST_BE: &'static str = "a whole number from 1 up";

    fn parse(text: &str) -> Option<Self> {
        number(text).filter(|count| *count > 0).and_then(|count| count.try_into().ok()).map(Self)
    }
}

impl Value for NonZeroU64 {
    const MUST_BE: &'static str = "a whole number of bytes from 1 up";

    fn parse(text: &str) -> Option<Self> {
        number(text).and_then(Self::new)
    }
}

/// For names that end in `_MS`: plain milliseconds, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Millis(pub Duration);

impl Value for Millis {
    const MUST_BE: &'static str = "a whole number of milliseconds from 1 up";

    fn parse(text: &str) -> Option<Self> {
        number(text).filter(|millis| *millis > 0).map(|millis| Self(Duration::from_millis(millis)))
    }
}

/// A time with its unit, longer than nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl Span {
    /// A century: what is added to a time must not leave the calendar.
    const MILLIS_MAX: u64 = 100 * 366 * 24 * 60 * 60 * 1000;
}

impl Value for Span {
    const MUST_BE: &'static str = "a number with its unit (ms, s, m, h, d or w), such as 15m or 7d";

    fn parse(text: &str) -> Option<Self> {
        let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
        let millis_each = match &text[unit_at..] {
            "ms" => 1,
            "s" => 1000,
            "m" => 60 * 1000,
            "h" => 60 * 60 * 1000,
            "d" => 24 * 60 * 60 * 1000,
            "w" => 7 * 24 * 60 * 60 * 1000,
            _ => return None,
        };
        let millis = number(&text[..unit_at])?.checked_mul(millis_each)?;
        (1..=Self::MILLIS_MAX).contains(&millis).then(|| Self(Duration::from_millis(millis)))
    }
}

/// So many in each period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    pub count: u32,
    pub period: Duration,
}

impl Value for RateLimit {
    const MUST_BE: &'static str = "a number for each period, such as 600/1m";

    fn parse(text: &str) -> Option<Self> {
        let (count, period) = text.split_once('/')?;
        Some(Self { count: Count::parse(count)?.0, period: Span::parse(period)?.0 })
    }
}

/// Digits only: what `parse` also takes, such as `+5`, would surprise.
fn number(text: &str) -> Option<u64> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_a_unit() {
        assert_eq!(Span::parse("15m"), Some(Span(Duration::from_mins(15))));
        assert_eq!(Span::parse("7d"), Some(Span(Duration::from_hours(7 * 24))));
        assert_eq!(Span::parse("250ms"), Some(Span(Duration::from_millis(250))));
        for wrong in ["soon", "-", "", "15", "m", "0s", "15 m", "-1d", "1y", "99999999999999999w", "5300w"] {
            assert_eq!(Span::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_rate_limit_is_a_count_for_each_period() {
        assert_eq!(RateLimit::parse("600/1m"), Some(RateLimit { count: 600, period: Duration::from_mins(1) }));
        for wrong in ["600", "600/", "/1m", "0/1m", "600/0s", "many/1m"] {
            assert_eq!(RateLimit::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_port_is_one_that_can_be_listened_on() {
        assert_eq!(Port::parse("65535"), Some(Port(65535)));
        for wrong in ["0", "65536", "-1", "+80", "eighty", "3001 "] {
            assert_eq!(Port::parse(wrong), None, "{wrong}");
        }
    }
}
