//! How long searches take in an index that lies in a directory: `query_speed SEARCH_DIR [ROUNDS]`. Everything in it may
//! be read. Prints the median, the 99th percentile and the slowest of each kind of query, in milliseconds.

use search_index::{
    Index,
    query::parse,
    search::{Answer, Order, Question},
};
use std::{
    env,
    error::Error,
    path::Path,
    time::{Duration, Instant},
};

const QUERIES: &[&str] = &[
    "the",
    "ubuntu install",
    "how do i",
    "\"how do i\"",
    "\"the same\" -windows",
    "upgrad*",
    "s*",
    "has:link kernel",
    "-the",
    "after:2010-01-01 error",
    "nosuchwordanywhere",
];

fn main() -> Result<(), Box<dyn Error>> {
    let dir = env::args().nth(1).ok_or("which directory?")?;
    let rounds: usize = env::args().nth(2).map_or(Ok(100), |rounds| rounds.parse())?;
    let index = Index::open(Path::new(&dir))?.ok_or("there is no index at rest")?;
    let scope = index.everything()?;
    let mut all = Vec::new();
    for query in QUERIES {
        let parsed = parse(query)?;
        let question = Question {
            clauses: parsed.clauses,
            has: parsed.has,
            since: parsed.since,
            until: parsed.until,
            scope: scope.clone(),
            order: Order::Best,
            limit: 50,
            ..Question::default()
        };
        let mut took = Vec::with_capacity(rounds);
        let mut total = 0;
        for _ in 0..rounds {
            let started = Instant::now();
            let Answer { total: found, .. } = index.search(&question)?;
            took.push(started.elapsed());
            total = found;
        }
        print(query, total, &mut took);
        all.extend(took);
    }
    print("all of these", 0, &mut all);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a tool that prints its figures")]
fn print(query: &str, total: u64, took: &mut [Duration]) {
    took.sort_unstable();
    let at = |part: usize| {
        took.get((took.len() * part / 100).min(took.len() - 1)).map_or(0.0, |took| took.as_secs_f64() * 1e3)
    };
    println!("{query:<24} {total:>8} hits  p50 {:>8.3}  p99 {:>8.3}  max {:>8.3}", at(50), at(99), at(100));
}
