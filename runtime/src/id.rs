//! [`Ids`]: fresh ids and random bytes. Whoever needs some is given one, so that a test can foretell them.

use crate::clock::Clock;
use rand::{RngCore, SeedableRng, rngs::StdRng};
use std::sync::{Arc, Mutex, PoisonError};
use uuid::{Builder, Uuid};

pub trait Ids: Send + Sync {
    /// A version 7 id, greater than every one that this process was given before.
    fn uuid(&self) -> Uuid;

    /// Fills the bytes with chance. [`SystemIds`]' is good enough for keys and tokens.
    fn fill(&self, bytes: &mut [u8]);
}

impl dyn Ids + '_ {
    pub fn random_bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }
}

/// Ids of the machine's time and the system's randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemIds;

impl Ids for SystemIds {
    #[expect(clippy::disallowed_methods, reason = "this is the place that the others are sent to")]
    fn uuid(&self) -> Uuid {
        Uuid::now_v7()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the place that the others are sent to")]
    fn fill(&self, bytes: &mut [u8]) {
        rand::rng().fill_bytes(bytes);
    }
}

/// The same ids for the same seed and the same times of its clock. For tests and for made-up data, never for secrets.
pub struct SeededIds {
    clock: Arc<dyn Clock>,
    state: Mutex<Seeded>,
}

struct Seeded {
    chance: StdRng,
    millis: u64,
    counter: u32,
}

impl SeededIds {
    pub fn new(seed: u64, clock: Arc<dyn Clock>) -> Self {
        let state = Seeded { chance: StdRng::seed_from_u64(seed), millis: 0, counter: 0 };
        Self { clock, state: Mutex::new(state) }
    }
}

impl Ids for SeededIds {
    fn uuid(&self) -> Uuid {
        let now = u64::try_from(self.clock.now().timestamp_millis()).unwrap_or_default();
        self.state.lock().unwrap_or_else(PoisonError::into_inner).next(now)
    }

    fn fill(&self, bytes: &mut [u8]) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).chance.fill_bytes(bytes);
    }
}

impl Seeded {
    /// Bits of an id that count the ids of one millisecond: RFC 9562's `rand_a` and what `rand_b` has before its
    /// third byte.
    const COUNTER_BITS: u32 = 26;

    fn next(&mut self, now: u64) -> Uuid {
        if now > self.millis {
            (self.millis, self.counter) = (now, 0);
        } else if self.counter + 1 < 1 << Self::COUNTER_BITS {
            self.counter += 1;
        } else {
            // More ids than a millisecond holds, or a clock set back: order matters more than the time.
            (self.millis, self.counter) = (self.millis + 1, 0);
        }
        let mut bytes = [0; 10];
        self.chance.fill_bytes(&mut bytes);
        let [_, high, middle, low] = (self.counter >> 14).to_be_bytes();
        debug_assert_eq!(high, 0, "the part above `rand_b` has twelve bits");
        bytes[0] = middle;
        bytes[1] = low;
        let [_, _, high, low] = (self.counter & 0x3fff).to_be_bytes();
        bytes[2] = high;
        bytes[3] = low;
        Builder::from_unix_timestamp_millis(self.millis, &bytes).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::FixedClock;
    use chrono::DateTime;

    fn clock(millis: i64) -> Arc<FixedClock> {
        Arc::new(FixedClock::at(DateTime::from_timestamp_millis(millis).unwrap()))
    }

    #[test]
    fn ids_of_a_process_are_in_order() {
        for ids in [&SystemIds as &dyn Ids, &SeededIds::new(1, clock(1_800_000_000_000))] {
            let made: Vec<Uuid> = (0..40_000).map(|_| ids.uuid()).collect();
            assert!(made.is_sorted_by(|a, b| a < b));
            assert!(made.iter().all(|id| id.get_version_num() == 7));
        }
    }

    #[test]
    fn an_id_carries_the_time_of_its_clock() {
        let id = SeededIds::new(1, clock(1_800_000_000_123)).uuid();
        assert_eq!(id.get_timestamp().unwrap().to_unix(), (1_800_000_000, 123_000_000));
    }

    #[test]
    fn ids_stay_in_order_when_the_clock_is_set_back() {
        let clock = clock(1_800_000_000_000);
        let ids = SeededIds::new(1, clock.clone());
        let before = ids.uuid();
        clock.set(DateTime::from_timestamp_millis(1_700_000_000_000).unwrap());
        assert!(ids.uuid() > before);
    }

    #[test]
    fn the_same_seed_gives_the_same_ids_and_bytes() {
        let made = |seed| {
            let ids: Arc<dyn Ids> = Arc::new(SeededIds::new(seed, clock(1_800_000_000_000)));
            (ids.uuid(), ids.random_bytes::<32>())
        };
        assert_eq!(made(7), made(7));
        assert_ne!(made(7), made(8));
    }
}
