//! Rounds of SIGKILL: in each, users of a town of real processes change their profiles without a pause, and a server, the
//! directory node or PostgreSQL is killed at an instant that the seed chooses, and starts again. No change that was acknowledged
//! is lost, everybody is found again, and nobody is found at a server that is dead.
//!
//! `cargo test -p antiphon-tests --test outages` runs one round for each victim; more of them, or one that failed, with
//! arguments behind `--`: `--rounds N`, `--seed N`, `--victim NAME`, `--postgres` for a town that has PostgreSQL. With
//! `--mutants FILE`, the program with the wrong variants, it runs until it has seen that each of some is wrong.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is a test: it fails by panicking, and reports what it did"
)]

#[path = "outages/plan.rs"]
mod plan;
#[path = "outages/round.rs"]
mod round;
#[path = "outages/user.rs"]
mod user;

use std::{collections::BTreeMap, process::ExitCode, sync::Arc, time::Duration};

use antiphon_test_postgres::Postgres;
use antiphon_tests::Store;

use plan::{Plan, Victim};
use round::{Ground, Outcome};

/// The program under test, which cargo has built from the working tree.
const PROGRAM: &str = env!("CARGO_BIN_EXE_antiphon-under-test");

/// Wrong variants that these rounds have to notice, and what each does.
const MUTANTS: [(&str, &str); 6] = [
    ("change-not-written-through", "acknowledges a change that the home server was never told"),
    ("preferences-set-early", "acknowledges a change before the home server has stored it"),
    ("check-out-not-durable", "lends a login epoch and doesn't keep it"),
    ("epoch-repeated", "lends one login epoch twice"),
    ("record-not-inserted", "tells nobody where a user is"),
    ("lost-connection-kept", "keeps the login of a client that is gone"),
];

/// Rounds in which a wrong variant has to be noticed.
const MUTANT_ROUNDS: u64 = 12;

/// What the command line asks for.
struct Arguments {
    rounds: Option<u64>,
    seed: u64,
    victim: Option<Victim>,
    postgres: bool,
    mutants: Option<String>,
}

impl Arguments {
    /// Flags of the built-in harness, and a filter of names that does not mean these rounds, ask for nothing.
    fn read() -> Result<Self, String> {
        let mut asked = Self { rounds: None, seed: 1, victim: None, postgres: false, mutants: None };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            let number = |text: String| text.parse().map_err(|_| format!("{text} is no number"));
            match argument.as_str() {
                "--rounds" => asked.rounds = Some(number(value()?)?),
                "--seed" => asked.seed = number(value()?)?,
                "--victim" => asked.victim = Some(value()?.parse()?),
                "--mutants" => asked.mutants = Some(value()?),
                "--postgres" => asked.postgres = true,
                "--list" => asked.rounds = Some(0),
                flag if flag.starts_with('-') => {}
                filter if "outages".contains(filter) => {}
                _ => asked.rounds = Some(0),
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
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        match &arguments.mutants {
            Some(program) => mutants(program).await,
            None => rounds(&arguments).await,
        }
    })
}

async fn rounds(arguments: &Arguments) -> ExitCode {
    let asked_for = arguments.rounds;
    if asked_for == Some(0) {
        return ExitCode::SUCCESS;
    }
    if !arguments.postgres && !series(arguments, None).await {
        return ExitCode::FAILURE;
    }
    // Who asks for nothing special gets both.
    if arguments.postgres || asked_for.is_none() {
        let Some(postgres) = Store::own_postgres("rounds of outages") else { return ExitCode::SUCCESS };
        if !series(arguments, Some(&postgres)).await {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// One round after the other: they share PostgreSQL, which may be the victim.
async fn series(arguments: &Arguments, postgres: Option<&Arc<Postgres>>) -> bool {
    let victims = Victim::of(postgres.is_some());
    let rounds = arguments.rounds.unwrap_or_else(|| u64::try_from(victims.len()).unwrap());
    let mut tally: BTreeMap<Victim, Tally> = BTreeMap::new();
    for seed in arguments.seed..arguments.seed.saturating_add(rounds) {
        let plan = Plan::draw(seed, arguments.victim, victims);
        let ground = Ground { program: PROGRAM.to_owned(), mutant: None, postgres: postgres.cloned() };
        let victim = plan.victim;
        let Ok(outcome) = tokio::spawn(round::play(plan, ground)).await else {
            let postgres = if postgres.is_some() { " --postgres" } else { "" };
            eprintln!(
                "again: cargo test -p antiphon-tests --test outages -- --rounds 1 --seed {seed} --victim {victim}{postgres}"
            );
            return false;
        };
        tally.entry(victim).or_default().add(outcome);
    }
    let store = if postgres.is_some() { "PostgreSQL" } else { "SQLite" };
    for (victim, Tally { rounds, changes, back }) in tally {
        let back = back.as_secs_f64();
        println!(
            "{store:10} {victim:14} {rounds:4} rounds, {changes:6} changes acknowledged, all found again after {back:6.3} s at most"
        );
    }
    true
}

/// Runs each wrong variant until a round has noticed it, after the program as it is, in which no round may see anything.
async fn mutants(program: &str) -> ExitCode {
    // Processes are started in the folder of their town.
    let program =
        std::fs::canonicalize(program).expect("--mutants names the program with the wrong variants");
    let play = async |seed: u64, mutant| {
        let plan = Plan::draw(seed, None, Victim::of(false));
        let ground = Ground { program: program.to_str().unwrap().to_owned(), mutant, postgres: None };
        tokio::spawn(round::play(plan, ground)).await.map_err(|failed| {
            let failed = failed.into_panic();
            failed.downcast_ref::<String>().cloned().unwrap_or_else(|| "a panic".to_owned())
        })
    };
    if let Err(fault) = play(1, None).await {
        println!("the program that is no wrong variant fails: {fault}");
        return ExitCode::FAILURE;
    }
    let mut caught = 0;
    for (mutant, about) in MUTANTS {
        let mut fate = "SURVIVED".to_owned();
        for seed in 1..=MUTANT_ROUNDS {
            if let Err(fault) = play(seed, Some(mutant)).await {
                fate = format!("caught by the round of seed {seed}: {fault}");
                caught += 1;
                break;
            }
        }
        println!("{mutant:28} {about}: {fate}");
    }
    println!("{caught} of {} mutants caught", MUTANTS.len());
    if caught == MUTANTS.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What came of the rounds with one victim.
#[derive(Default)]
struct Tally {
    rounds: u32,
    changes: u64,
    /// The longest time between the victim's start and the last of all being found again.
    back: Duration,
}

impl Tally {
    fn add(&mut self, outcome: Outcome) {
        self.rounds += 1;
        self.changes += outcome.changes;
        self.back = self.back.max(outcome.back);
    }
}
