//! The binary `antiphon-models`: lists, checks and explores the models.

use std::{
    io::{self, Write},
    net::{SocketAddr, TcpListener},
    process::ExitCode,
    time::Duration,
};

use antiphon_models::{
    SessionModel,
    catalogue::{self, Entry},
    check::Options,
    families::{self, Family, Listed},
    simulation::{self, Replay, Search},
};
use clap::{Parser, Subcommand};
use stateright::Model as _;

/// Checks the machines of Antiphon in every order of events, within bounds.
#[derive(Debug, Parser)]
#[command(name = "antiphon-models", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists the models.
    List,
    /// Explores models to their end and says what became of every property.
    Check {
        /// The model; every one, if absent.
        #[arg(value_parser = named, conflicts_with_all = ["only", "bounded", "mutants"])]
        model: Option<Listed>,
        /// Only the models of this family.
        #[arg(long, value_name = "FAMILY", conflicts_with_all = ["mutants", "mutant"])]
        only: Option<Family>,
        /// Only the small models, which take seconds; each wrong variant only in the model that the book names.
        #[arg(long)]
        bounded: bool,
        /// Instead of the machines as they are, every wrong variant that a model must catch.
        #[arg(long)]
        mutants: bool,
        /// Instead of the machines as they are, this wrong variant, whoever must catch it.
        #[arg(long, conflicts_with_all = ["bounded", "mutants"])]
        mutant: Option<String>,
        /// How many threads search.
        #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
        threads: u16,
    },
    /// Plays whole lives of sessions in virtual time, under faults, each drawn from a seed.
    Simulate {
        /// How many runs.
        #[arg(long, default_value_t = 2000, conflicts_with_all = ["seed", "mutants"])]
        runs: u64,
        /// The seed of the first run.
        #[arg(long, default_value_t = 0, conflicts_with = "seed")]
        first_seed: u64,
        /// Plays the one run of this seed.
        #[arg(long, conflicts_with = "mutants")]
        seed: Option<u64>,
        /// Tells all that happens in the run.
        #[arg(long, requires = "seed")]
        trace: bool,
        /// Instead of the machines as they are, every wrong variant that a simulation must catch.
        #[arg(long)]
        mutants: bool,
        /// How many threads play.
        #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
        threads: u16,
    },
    /// Exports traces of the models' runs as vectors for the conformance suite.
    #[cfg(feature = "export")]
    Export(export::ExportArguments),
    /// Serves a model to a web browser, step by step.
    Explore {
        /// The model of sessions; the small ones are the readable ones.
        #[arg(value_parser = named_session)]
        model: Entry,
        /// Where to listen.
        #[arg(long, default_value = "127.0.0.1:3000")]
        address: SocketAddr,
    },
}

fn main() -> ExitCode {
    let mut out = io::stdout().lock();
    let good = match Arguments::parse().command {
        Command::List => list(&mut out),
        Command::Check { mutants: true, bounded, threads, .. } => {
            check_mutants(usize::from(threads), None, (bounded, None), &mut out)
        }
        Command::Check { mutant: Some(name), model, threads, .. } => {
            check_mutants(usize::from(threads), Some(&name), (false, model.as_ref()), &mut out)
        }
        Command::Check { model: Some(model), threads, .. } => {
            check_all(std::iter::once(model), usize::from(threads), &mut out)
        }
        Command::Check { model: None, only, bounded, threads, .. } => {
            let chosen = families::all().filter(|listed| {
                (listed.quick || !bounded) && only.is_none_or(|family| listed.family == family)
            });
            check_all(chosen, usize::from(threads), &mut out)
        }
        Command::Simulate { seed: Some(seed), trace, .. } => replay(seed, trace, &mut out),
        Command::Simulate { mutants: true, threads, first_seed, .. } => {
            simulate_mutants(usize::from(threads), first_seed, &mut out)
        }
        Command::Simulate { runs, first_seed, threads, .. } => {
            simulate_all(runs, first_seed, usize::from(threads), &mut out)
        }
        #[cfg(feature = "export")]
        Command::Export(arguments) => arguments.run(&mut out),
        Command::Explore { model, address } => explore(&model, address, &mut out),
    };
    match good {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // The reader of a pipe may have gone; standard error may still be there.
            let _ = writeln!(io::stderr(), "antiphon-models: cannot write the result: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(feature = "export")]
mod export {
    //! `export`.

    use std::{
        io::{self, Write},
        path::{Path, PathBuf},
    };

    use antiphon_models::export::{
        Choice, Effort, ExportError, file_of_book, file_of_vectors, make, read_choices, read_places,
        render_choices, search, with_summary,
    };
    use clap::{ArgGroup, Args};

    #[derive(Debug, Args)]
    #[command(group(ArgGroup::new("what").required(true)))]
    pub(super) struct ExportArguments {
        /// Search for traces, and make the files anew.
        #[arg(long, group = "what")]
        write: bool,
        /// Make the vectors anew from the runs that were chosen before, without a search.
        #[arg(long, group = "what")]
        replay: bool,
        /// Fail if the chosen runs don't make the vectors that are there, or leave a place out.
        #[arg(long, group = "what")]
        check: bool,
        /// How many states of each model are searched.
        #[arg(long, default_value_t = 4000)]
        states: usize,
        /// How many runs of the simulation are searched.
        #[arg(long, default_value_t = 500)]
        runs: u64,
        /// The list of chosen runs.
        #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/traces.txt"))]
        choices: PathBuf,
        /// The file of vectors.
        #[arg(long, value_name = "FILE", default_value_os_t = file_of_vectors())]
        vectors: PathBuf,
        /// The chapter of the book that tells what they reach.
        #[arg(long, value_name = "FILE", default_value_os_t = file_of_book())]
        book: PathBuf,
    }

    impl ExportArguments {
        pub(super) fn run(&self, out: &mut impl Write) -> io::Result<bool> {
            match self.export(out) {
                Ok(good) => Ok(good),
                Err(error) => {
                    writeln!(io::stderr(), "antiphon-models: {error}")?;
                    Ok(false)
                }
            }
        }

        fn export(&self, out: &mut impl Write) -> Result<bool, ExportError> {
            let failed = |path: &Path| {
                let path = path.display().to_string();
                move |error| ExportError::File(path, error)
            };
            let mut tell = |text: &str| {
                // Whoever doesn't read the progress may read the result.
                let _ = writeln!(out, "{text}").and_then(|()| out.flush());
            };
            let places = read_places()?;
            let choices: Vec<Choice> = if self.write {
                search(Effort { states: self.states, runs: self.runs }, &mut tell)
            } else {
                read_choices(&std::fs::read_to_string(&self.choices).map_err(failed(&self.choices))?)?
            };
            let export = make(&choices, &places)?;
            let summary = export.summary(&places);
            tell(&summary);
            let gaps = export.gaps(&places);
            gaps.iter().for_each(|gap| tell(&format!("NOT REACHED: {gap}")));
            let mut good = gaps.is_empty();
            let book = std::fs::read_to_string(&self.book).map_err(failed(&self.book))?;
            let said = with_summary(&book, &summary);
            if self.check {
                let there = std::fs::read_to_string(&self.vectors).map_err(failed(&self.vectors))?;
                if there != export.text {
                    tell(
                        "NOT WHAT IS THERE: run `cargo model-traces --replay`, or `--write` for a new search",
                    );
                    good = false;
                }
                if said.as_deref() != Some(book.as_str()) {
                    tell(&format!(
                        "NOT WHAT {} SAYS: run `cargo model-traces --replay`",
                        self.book.display()
                    ));
                    good = false;
                }
                return Ok(good);
            }
            if self.write {
                std::fs::write(&self.choices, render_choices(&choices)).map_err(failed(&self.choices))?;
            }
            if let Some(said) = said {
                std::fs::write(&self.book, said).map_err(failed(&self.book))?;
            }
            std::fs::write(&self.vectors, &export.text).map_err(failed(&self.vectors))?;
            Ok(good)
        }
    }
}

/// The model of a name on the command line.
fn named(name: &str) -> Result<Listed, String> {
    families::find(name).ok_or_else(no_such_model)
}

/// The model of a name on the command line that can be gone through step by step.
fn named_session(name: &str) -> Result<Entry, String> {
    catalogue::find(name).copied().ok_or_else(no_such_model)
}

fn no_such_model() -> String {
    "there is no such model; `antiphon-models list` shows those that there are".to_owned()
}

fn list(out: &mut impl Write) -> io::Result<bool> {
    for listed in families::all() {
        let longer = if listed.quick { "" } else { " (takes longer)" };
        writeln!(out, "{:<24} {}{longer}", listed.name, listed.about)?;
    }
    Ok(true)
}

fn check_all(chosen: impl Iterator<Item = Listed>, threads: usize, out: &mut impl Write) -> io::Result<bool> {
    let options = Options { threads, states_max: None, progress: Some(Duration::from_secs(10)) };
    let mut good = true;
    for listed in chosen {
        let report = listed.check(options);
        writeln!(out, "{}: {}\n{report}", listed.name, listed.about)?;
        out.flush()?;
        good &= report.is_good();
    }
    writeln!(out, "{}", if good { "all properties hold" } else { "FAILED" })?;
    Ok(good)
}

/// The library of counterexamples.
#[cfg(feature = "mutants")]
const LIBRARY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../spec/text/counterexamples.md");

#[cfg(feature = "mutants")]
fn check_mutants(
    threads: usize,
    name: Option<&str>,
    (bounded, model): (bool, Option<&Listed>),
    out: &mut impl Write,
) -> io::Result<bool> {
    use antiphon_models::{
        check::Steps,
        mutants::{Fate, Hunt, caught_by, check_mutants, read_library},
    };

    let library = read_library(&std::fs::read_to_string(LIBRARY)?);
    let mut differences = 0;
    let mut written = Ok(());
    let mut tell = |fate: &Fate| {
        let Some(report) = &fate.caught else {
            return writeln!(out, "{} (breaks {}): NOT CAUGHT\n", fate.mutant, fate.breaks);
        };
        let property = caught_by(report).unwrap_or_default();
        writeln!(out, "{} (breaks {}): caught by {}", fate.mutant, fate.breaks, report.model)?;
        match report.failure() {
            Some((_, steps)) => {
                writeln!(out, "  \"{property}\" fails after {} steps:", steps.len())?;
                write!(out, "{}", Steps(steps))?;
            }
            None => writeln!(out, "  \"{property}\" is never reached in {} states", report.unique)?,
        }
        // In a model of the user's choice a mutant may be found on another way, or not at all.
        if model.is_none()
            && let Some(difference) = fate.difference(&library)
        {
            differences += 1;
            writeln!(out, "  NOT WHAT THE BOOK SAYS: {difference}")?;
        }
        writeln!(out)?;
        out.flush()
    };
    let hunted = match model {
        Some(model) => Hunt::In(model),
        None if bounded => Hunt::AsBooked(&library),
        None => Hunt::Everywhere,
    };
    let (caught, all) = check_mutants(threads, name, hunted, |fate| {
        if written.is_ok() {
            written = tell(fate);
        }
    });
    written?;
    writeln!(out, "{caught} of {all} mutants caught")?;
    if differences > 0 {
        writeln!(out, "{differences} differ from spec/text/counterexamples.md")?;
    }
    Ok(caught == all && all > 0 && differences == 0)
}

#[cfg(not(feature = "mutants"))]
fn check_mutants(
    _threads: usize,
    _name: Option<&str>,
    _where: (bool, Option<&Listed>),
    _out: &mut impl Write,
) -> io::Result<bool> {
    writeln!(
        io::stderr(),
        "antiphon-models: this build has no mutants; run `cargo models check --mutants`, which builds them in"
    )?;
    Ok(false)
}

/// So many runs reach all places that are worth reaching.
const RUNS_FOR_ALL_PLACES: u64 = 2000;

fn simulate_all(runs: u64, first_seed: u64, threads: usize, out: &mut impl Write) -> io::Result<bool> {
    let search = Search { first_seed, runs, threads, progress: Some(Duration::from_secs(10)) };
    let (summary, failure) = simulation::simulate(&search);
    write!(out, "{summary}")?;
    if let Some(failure) = failure {
        write!(out, "{failure}")?;
        return Ok(false);
    }
    let missed = summary.missed();
    if runs >= RUNS_FOR_ALL_PLACES && !missed.is_empty() {
        writeln!(out, "NOT REACHED: {}", missed.join("; "))?;
        return Ok(false);
    }
    writeln!(out, "all properties hold")?;
    Ok(true)
}

fn replay(seed: u64, trace: bool, out: &mut impl Write) -> io::Result<bool> {
    let replay = Replay::of(seed, trace);
    write!(out, "{replay}")?;
    Ok(replay.is_good())
}

#[cfg(feature = "mutants")]
fn simulate_mutants(threads: usize, first_seed: u64, out: &mut impl Write) -> io::Result<bool> {
    let mut written = Ok(());
    let (caught, all) = simulation::mutants::simulate_mutants(threads, first_seed, |fate| {
        if written.is_ok() {
            written = writeln!(out, "{fate}").and_then(|()| out.flush());
        }
    });
    written?;
    writeln!(out, "{caught} of {all} mutants caught")?;
    Ok(caught == all)
}

#[cfg(not(feature = "mutants"))]
fn simulate_mutants(_threads: usize, _first_seed: u64, _out: &mut impl Write) -> io::Result<bool> {
    writeln!(
        io::stderr(),
        "antiphon-models: this build has no mutants; run `cargo models simulate --mutants`, which builds them in"
    )?;
    Ok(false)
}

fn explore(entry: &Entry, address: SocketAddr, out: &mut impl Write) -> io::Result<bool> {
    // The explorer panics if it cannot listen, so see first whether it can.
    if let Err(error) = TcpListener::bind(address) {
        writeln!(
            io::stderr(),
            "antiphon-models: cannot listen on {address}: {error}; choose another --address"
        )?;
        return Ok(false);
    }
    writeln!(
        out,
        "{}: {}\nopen http://{address}/ in a web browser; ctrl-c ends it",
        entry.name, entry.about
    )?;
    out.flush()?;
    SessionModel::new(entry.scenario).checker().serve(address);
    Ok(true)
}
