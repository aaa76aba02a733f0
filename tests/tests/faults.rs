//! Rounds of SIGKILL: in each, a town of real processes chats while somebody joins, and one of them is killed at an
//! instant that the seed chooses. Whoever is left agrees on who is in the session, and has every message that was
//! acknowledged.
//!
//! `cargo test -p antiphon-tests --test faults` runs one round for each victim; more of them, or one that failed, with
//! arguments behind `--`: `--rounds N`, `--seed N`, `--victim NAME`, `--jobs N`, `--postgres` for towns whose servers have PostgreSQL.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is a test: it fails by panicking, and reports what it did"
)]

#[path = "faults/ledger.rs"]
mod ledger;
#[path = "faults/plan.rs"]
mod plan;
#[path = "faults/round.rs"]
mod round;
#[path = "faults/witness.rs"]
mod witness;

use std::{collections::BTreeMap, process::ExitCode, time::Duration};

use tokio::task::JoinSet;

use antiphon_tests::Store;
use plan::{Plan, Victim};

/// The program under test, which cargo has built from the working tree.
const PROGRAM: &str = env!("CARGO_BIN_EXE_antiphon-under-test");

/// What the command line asks for.
struct Arguments {
    rounds: u64,
    seed: u64,
    victim: Option<Victim>,
    jobs: usize,
    store: Store,
}

impl Arguments {
    /// Flags of the built-in harness, and a filter of names that does not mean these rounds, ask for nothing.
    fn read() -> Result<Self, String> {
        let victims = u64::try_from(Victim::ALL.len()).unwrap();
        let mut asked = Self { rounds: victims, seed: 1, victim: None, jobs: 2, store: Store::Sqlite };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            let number = |text: String| text.parse().map_err(|_| format!("{text} is no number"));
            match argument.as_str() {
                "--rounds" => asked.rounds = number(value()?)?,
                "--seed" => asked.seed = number(value()?)?,
                "--jobs" => asked.jobs = number(value()?)?.try_into().unwrap_or(1),
                "--victim" => asked.victim = Some(value()?.parse()?),
                "--postgres" => {
                    asked.store = Store::postgres("rounds of faults").ok_or("nothing has run")?;
                }
                "--list" => asked.rounds = 0,
                flag if flag.starts_with('-') => {}
                filter if "faults".contains(filter) => {}
                _ => asked.rounds = 0,
            }
        }
        Ok(asked)
    }
}

fn main() -> ExitCode {
    let arguments = match Arguments::read() {
        Ok(arguments) => arguments,
        Err(fault) => {
            eprintln!("{fault}");
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.unwrap().block_on(run(&arguments))
}

async fn run(arguments: &Arguments) -> ExitCode {
    let mut running = JoinSet::new();
    let mut tally: BTreeMap<Victim, Tally> = BTreeMap::new();
    let mut seeds = arguments.seed..arguments.seed.saturating_add(arguments.rounds);
    loop {
        while running.len() < arguments.jobs.max(1)
            && let Some(seed) = seeds.next()
        {
            let plan = Plan::draw(seed, arguments.victim);
            let store = arguments.store.clone();
            running.spawn(async move {
                let round = tokio::spawn(round::play(plan.clone(), store)).await;
                (plan, round)
            });
        }
        let Some(ended) = running.join_next().await else { break };
        let (plan, round) = ended.unwrap();
        let Ok(outcome) = round else {
            let (seed, victim) = (plan.seed, plan.victim);
            eprintln!("the round failed: {plan:?}");
            let postgres = if matches!(arguments.store, Store::Postgres(_)) { " --postgres" } else { "" };
            eprintln!(
                "again: cargo test -p antiphon-tests --test faults -- --rounds 1 --seed {seed} --victim {victim}{postgres}"
            );
            return ExitCode::FAILURE;
        };
        let tally = tally.entry(plan.victim).or_default();
        tally.rounds += 1;
        tally.joined += u32::from(outcome.joined);
        tally.agreed = tally.agreed.max(outcome.agreed);
    }
    for (victim, Tally { rounds, joined, agreed }) in tally {
        let agreed = agreed.as_secs_f64();
        println!(
            "{victim:14} {rounds:4} rounds, {joined:4} joins went on, agreed after {agreed:6.3} s at most"
        );
    }
    ExitCode::SUCCESS
}

/// What came of the rounds with one victim.
#[derive(Default)]
struct Tally {
    rounds: u32,
    /// Rounds in which the newcomer was a member after the fault.
    joined: u32,
    /// The longest time between a fault and agreement.
    agreed: Duration,
}
