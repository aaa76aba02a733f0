//! Hostile peers against a server process, while honest users look each other up and log in.
//!
//! `cargo bench -p antiphon-tests --bench hostile` prints a table; words behind `--` choose the attacks whose names contain
//! one of them, and `--seconds N` says how long each half of a round takes. For each attack there are rounds that take turns: a
//! quiet half and a half under attack, so that what disturbs the machine disturbs both. Told are the honest users' latencies
//! in both halves and their ratio, and the most memory that the server ever had, against the bound that it states. A ratio
//! of the 99th percentile above 3, a request of an honest user that fails, or memory above the bound fails the run.
//!
//! The attackers are a thread of this process that runs where nobody else wants to (`SCHED_IDLE`): they take the time that is
//! left, as a machine of their own would; what they make the server do is done at the server's priority.
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark fails by panicking, and prints"
)]

mod attack;
mod figures;
mod honest;

use std::{
    fs,
    process::{Command, ExitCode},
    time::Duration,
};

use antiphon::config::Limits;
use antiphon_tests::{OWN_RATES, Town, people::Ground};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::runtime::{Builder, Runtime};

use self::{
    attack::{ALL, Attack, Attackers},
    figures::{Latencies, millis},
    honest::Honest,
};

/// Rounds of each attack.
const ROUNDS: usize = 2;

/// So long after an attack its connections are gone, and the next half is as quiet as the first.
const AFTERMATH: Duration = Duration::from_secs(2);

/// How much later an honest user's slowest answers may come.
const RATIO_MAX: f64 = 3.0;

/// What the command line asks for.
struct Arguments {
    names: Vec<String>,
    half: Duration,
}

impl Arguments {
    fn read() -> Self {
        let mut asked = Self { names: Vec::new(), half: Duration::from_secs(5) };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            if argument == "--seconds" {
                let seconds = arguments.next().and_then(|text| text.parse().ok());
                asked.half = Duration::from_secs(seconds.expect("--seconds needs a number"));
            } else if !argument.starts_with('-') {
                asked.names.push(argument);
            }
        }
        asked
    }

    fn wants(&self, attack: &Attack) -> bool {
        self.names.is_empty() || self.names.iter().any(|name| attack.name.contains(name.as_str()))
    }
}

fn main() -> ExitCode {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, rustix::process::Rlimit { current: limit.maximum, ..limit })
        .expect("as many files may be open as the system allows");
    let attackers = Builder::new_multi_thread()
        .worker_threads(1)
        .on_thread_start(give_way)
        .enable_all()
        .build()
        .expect("a runtime can be had");
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let passed = runtime.expect("a runtime can be had").block_on(run(&Arguments::read(), &attackers));
    attackers.shutdown_background();
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Lets this thread run only while nobody else wants to. A thread of the lowest priority alone would keep what it has
/// until its slice of some milliseconds is over, and those would be counted as the server's.
fn give_way() {
    let thread = rustix::thread::gettid().as_raw_nonzero().to_string();
    let status = Command::new("chrt").args(["--idle", "--pid", "0", &thread]).status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "chrt (of util-linux) lets a thread give way to others"
    );
}

async fn run(arguments: &Arguments, runtime: &Runtime) -> bool {
    let town = Town::found(env!("CARGO_BIN_EXE_antiphon-under-test")).await;
    let mut home = town.server_with("home.example", OWN_RATES).await;
    town.prepare("evil.example", OWN_RATES).await;
    let process = home.process().id();
    let ground = Ground::new(&town, &home);
    let honest = Honest::settle(&ground).await;
    let attackers = Attackers::settle(&ground).await;
    let bound = Limits::default().memory_bytes_max() >> 10;
    println!(
        "{:24} {:>10} | {:>23} {:>23} {:>6} | {:>23} {:>23} {:>6} | {:>9}",
        "attack",
        "deeds/s",
        "lookups ms p50 p99",
        "under attack",
        "ratio",
        "logins ms p50 p99",
        "under attack",
        "ratio",
        "peak MiB"
    );
    let mut passed = true;
    for attack in ALL.iter().filter(|attack| arguments.wants(attack)) {
        let (mut quiet, mut pressed) = (Latencies::default(), Latencies::default());
        let mut deeds = 0;
        reset_peak(process);
        for _ in 0..ROUNDS {
            quiet += honest.live(arguments.half).await;
            let running = attackers.begin(runtime, attack);
            pressed += honest.live(arguments.half).await;
            deeds += running.end().await;
            tokio::time::sleep(AFTERMATH).await;
        }
        let peak = peak_kib(process);
        let seconds = arguments.half.as_secs_f64() * ROUNDS as f64;
        let mut line = format!("{:24} {:>10.0}", attack.name, deeds as f64 / seconds);
        let mut is_good = peak <= bound;
        for (quiet, pressed) in
            [(&mut quiet.lookups, &mut pressed.lookups), (&mut quiet.logins, &mut pressed.logins)]
        {
            let (before, during) = (figures::percentiles(quiet), figures::percentiles(pressed));
            let ratio = during.1.as_secs_f64() / before.1.as_secs_f64();
            is_good &= ratio <= RATIO_MAX;
            line += &format!(
                " | {:>11}{:>12} {:>11}{:>12} {ratio:>6.2}",
                millis(before.0),
                millis(before.1),
                millis(during.0),
                millis(during.1)
            );
        }
        println!("{line} | {:>9.1}{}", peak as f64 / 1024.0, if is_good { "" } else { "  FAILS" });
        passed &= is_good;
    }
    println!("the server's bound: {} MiB", bound >> 10);
    passed
}

/// The most memory that a process ever had, since it was reset.
fn peak_kib(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the server runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the system tells");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

fn reset_peak(process: u32) {
    fs::write(format!("/proc/{process}/clear_refs"), "5").expect("the peak can be reset");
}
