//! [`Clock`]: what time it is. Whoever needs the time is given one, so that a test can stop it.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use std::sync::{Mutex, PoisonError};

pub trait Clock: Send + Sync {
    /// The moment in UTC, in whole milliseconds.
    fn now(&self) -> DateTime<Utc>;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the place that the others are sent to")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(3)
    }
}

/// A clock that stands still until it is set.
#[derive(Debug)]
pub struct FixedClock(Mutex<DateTime<Utc>>);

impl FixedClock {
    pub fn at(now: DateTime<Utc>) -> Self {
        Self(Mutex::new(now.trunc_subsecs(3)))
    }

    pub fn set(&self, now: DateTime<Utc>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = now.trunc_subsecs(3);
    }

    pub fn advance(&self, by: TimeDelta) {
        let later = self.now() + by;
        self.set(later);
    }
}

impl Clock for FixedClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_clock_stands_still_until_it_is_advanced() {
        let noon = DateTime::from_timestamp(1_800_000_000, 123_456_789).unwrap();
        let clock = FixedClock::at(noon);
        assert_eq!(clock.now(), clock.now());
        assert_eq!(clock.now().timestamp_subsec_nanos(), 123_000_000, "whole milliseconds");
        clock.advance(TimeDelta::minutes(5));
        assert_eq!(clock.now().timestamp(), 1_800_000_300);
    }

    #[test]
    fn the_system_clock_tells_whole_milliseconds() {
        assert_eq!(SystemClock.now().timestamp_subsec_nanos() % 1_000_000, 0);
    }
}
