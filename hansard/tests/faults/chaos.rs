//! Rounds of faults at random: `make chaos ROUNDS=n`, and `SEED=n` to have the same ones again.

use crate::{
    cast::Cast,
    crowd::{Crowd, Ledger},
    fault::Fault,
    judge::{self, Depth},
    line::Rest,
    site::Site,
};
use rand::{SeedableRng, rngs::StdRng};
use runtime::id::{Ids, SystemIds};
use std::{collections::BTreeSet, env, sync::Arc, time::Instant};

const SENDERS: usize = 6;
/// Acked in a round before its fault, and after it.
const MORE: usize = 30;
/// Every so many rounds all is judged, not only what a round can have touched.
const WHOLE_EVERY: u64 = 5;

struct Run {
    site: Site,
    cast: Arc<Cast>,
    ledger: Arc<Ledger>,
    /// Processes that ended by themselves, and how.
    ended: BTreeSet<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: make chaos"]
async fn rounds_of_faults_leave_the_record_whole() {
    let rounds = number("ROUNDS").unwrap_or(20);
    let seed = number("SEED").unwrap_or_else(|| u32::from_le_bytes((&SystemIds as &dyn Ids).random_bytes()).into());
    let site = Site::start_wide().await;
    let cast = Arc::new(Cast::gather(&site.bases()[0]).await);
    let mut run = Run { site, cast, ledger: Arc::default(), ended: BTreeSet::new() };
    for round in 0..rounds {
        let is_last = round + 1 == rounds;
        let depth = if is_last || (round + 1) % WHOLE_EVERY == 0 { Depth::Whole } else { Depth::Order };
        let (started, seed) = (Instant::now(), seed + round);
        let struck = run.round(seed).await;
        let mut faults: Vec<String> = struck.as_ref().err().cloned().into_iter().collect();
        faults.extend(judge::verdict(&run.site, &run.cast, &run.ledger, depth).await);
        eprintln!(
            "round {}/{rounds} seed {seed}: {}{}; {} acked so far; {} ({:.1} s)",
            round + 1,
            struck.unwrap_or_else(|_| format!("{:?}", Fault::of(seed))),
            if run.ended.is_empty() { String::new() } else { format!(" {:?}", run.ended) },
            run.ledger.count(),
            if faults.is_empty() { "right" } else { "WRONG" },
            started.elapsed().as_secs_f64(),
        );
        assert!(faults.is_empty(), "seed {seed}: {faults:#?}");
        run.ended.clear();
    }
}

impl Run {
    /// What was done. The error is what the site didn't get over.
    async fn round(&mut self, seed: u64) -> Result<String, String> {
        let mut random = StdRng::seed_from_u64(seed);
        let mut crowd = Crowd::new(self.ledger.clone());
        for n in 0..SENDERS {
            let (name, line) = (format!("r{seed}-s{n}"), Rest::new(self.site.bases(), n));
            crowd.join(self.cast.clone(), n % self.cast.people.len(), name, line, seed ^ (n as u64) << 32);
        }
        let struck = self.strike(&crowd, seed, &mut random).await;
        crowd.finish().await;
        let ready = self.site.until_ready().await;
        struck.and_then(|what| ready.map(|()| what))
    }

    async fn strike(&mut self, crowd: &Crowd, seed: u64, random: &mut StdRng) -> Result<String, String> {
        let (site, ended) = (&mut self.site, &mut self.ended);
        crowd.goes_on(MORE, || ended.extend(site.tend())).await?;
        let what = Fault::of(seed).strike(site, random).await?;
        let went_on = crowd.goes_on(MORE, || ended.extend(site.tend())).await;
        went_on.map_err(|fault| format!("after this: {what}: {fault}"))?;
        Ok(what)
    }
}

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}
