//! [`Crowd`]: people who send without a pause, each message until it is acked, and remember what they were told.

use crate::{
    cast::Cast,
    line::{Ack, Answer, Draft, Line, Touch},
    site::PATIENCE,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

/// Between two messages of one sender, in milliseconds.
const PACE_MS: std::ops::Range<u64> = 10..50;
/// Every so many messages an older one is sent again, as if its ack had been lost.
const AGAIN_EVERY: u32 = 8;
/// Every so many messages something is done to one, which the read models must keep up with.
const TOUCH_EVERY: u32 = 3;

/// A message that its sender knows to be in the log.
#[derive(Clone)]
pub struct Acked {
    pub draft: Draft,
    pub ack: Ack,
}

/// What all senders of a run were told.
#[derive(Default)]
pub struct Ledger {
    acked: Mutex<Vec<Acked>>,
    wrong: Mutex<BTreeSet<String>>,
}

impl Ledger {
    pub fn acked(&self) -> Vec<Acked> {
        self.acked.lock().unwrap().clone()
    }
    pub fn count(&self) -> usize {
        self.acked.lock().unwrap().len()
    }
    /// What nobody should have been told, and what never was acked.
    pub fn wrong(&self) -> Vec<String> {
        self.wrong.lock().unwrap().iter().cloned().collect()
    }
    fn note(&self, wrong: String) {
        self.wrong.lock().unwrap().insert(wrong);
    }
}

pub struct Crowd {
    ledger: Arc<Ledger>,
    over: watch::Sender<bool>,
    senders: JoinSet<()>,
}

impl Crowd {
    pub fn new(ledger: Arc<Ledger>) -> Self {
        Self { ledger, over: watch::Sender::new(false), senders: JoinSet::new() }
    }

    /// Someone begins to send over a line. `name` is unlike any other sender's of the run.
    pub fn join(&mut self, cast: Arc<Cast>, person: usize, name: String, line: impl Line, seed: u64) {
        let random = StdRng::seed_from_u64(seed);
        let sender = Sender { cast, person, name, line, random, ledger: self.ledger.clone(), sent: 0, acked: vec![] };
        self.senders.spawn(sender.run(self.over.subscribe()));
    }

    /// Waits until so many more are acked: what was done to the site has been got over. Someone tends it meanwhile.
    pub async fn goes_on(&self, more: usize, mut tend: impl FnMut()) -> Result<(), String> {
        let (from, started) = (self.ledger.count(), Instant::now());
        while self.ledger.count() < from + more {
            if started.elapsed() > PATIENCE {
                return Err(format!("not within {} s: {more} messages are acked", PATIENCE.as_secs()));
            }
            tend();
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Returns when everyone has the ack of their last message.
    pub async fn finish(mut self) {
        self.over.send_replace(true);
        while let Some(ended) = self.senders.join_next().await {
            ended.unwrap();
        }
    }
}

struct Sender<L> {
    cast: Arc<Cast>,
    person: usize,
    name: String,
    line: L,
    random: StdRng,
    ledger: Arc<Ledger>,
    sent: u32,
    /// Its own, to be sent again.
    acked: Vec<Acked>,
}

impl<L: Line> Sender<L> {
    async fn run(mut self, mut over: watch::Receiver<bool>) {
        while !*over.borrow_and_update() {
            let draft = self.draft();
            self.sent += 1;
            if let Some(ack) = self.send_until_acked(&draft).await {
                let acked = Acked { draft, ack };
                self.ledger.acked.lock().unwrap().push(acked.clone());
                self.acked.push(acked);
            }
            if self.sent.is_multiple_of(AGAIN_EVERY) {
                self.send_again().await;
            }
            if self.sent.is_multiple_of(TOUCH_EVERY) {
                self.touch_any().await;
            }
            let pause = Duration::from_millis(self.random.random_range(PACE_MS));
            let _ = timeout(pause, over.changed()).await;
        }
    }

    /// Some have a `clientMessageId`, some an `Idempotency-Key`, some both: each keeps it from being sent twice.
    fn draft(&mut self) -> Draft {
        let talks = self.cast.talks_of(self.person);
        let talk = talks[self.random.random_range(0..talks.len())];
        let name = format!("{}-{}", self.name, self.sent);
        let (with_id, with_key) = [(false, true), (true, false), (true, true)][self.sent as usize % 3];
        Draft {
            talk,
            conversation: self.cast.talks[talk].id.clone(),
            client_message_id: with_id.then(|| name.clone()),
            idempotency_key: with_key.then(|| format!("key {name}")),
            content: name,
        }
    }

    async fn send_until_acked(&mut self, draft: &Draft) -> Option<Ack> {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            match self.line.send(&self.cast.people[self.person], draft).await {
                Answer::Acked(ack) => return Some(ack),
                Answer::Unknown => {}
                Answer::Wrong(what) => self.ledger.note(what),
            }
            sleep(Duration::from_millis(self.random.random_range(50..250))).await;
        }
        self.ledger.note(format!("{} was never acked", draft.content));
        None
    }

    async fn send_again(&mut self) {
        if self.acked.is_empty() {
            return;
        }
        let Acked { draft, ack } = self.acked[self.random.random_range(0..self.acked.len())].clone();
        if let Some(again) = self.send_until_acked(&draft).await.filter(|again| again.id != ack.id) {
            self.ledger.note(format!("{} was acked as {} and, sent again, as {}", draft.content, ack.id, again.id));
        }
    }

    async fn touch_any(&mut self) {
        if self.acked.is_empty() {
            return;
        }
        let acked = self.acked[self.random.random_range(0..self.acked.len())].clone();
        let touch = [Touch::React, Touch::Read, Touch::Pin][self.random.random_range(0..3)];
        if let Some(wrong) = self.line.touch(&self.cast.people[self.person], &acked, touch).await {
            self.ledger.note(wrong);
        }
    }
}
