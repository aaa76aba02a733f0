//! Clocks, medians and the table.

use std::{
    fs,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};

/// What is left of the last work, such as links that close, is not the next one's: so long it may take.
const SETTLING: Duration = Duration::from_millis(3);

/// What something took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// CPU time of this process, and of the servers.
    pub(crate) cpu: Duration,
    /// Time.
    pub(crate) wall: Duration,
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.cpu += other.cpu;
        self.wall += other.wall;
    }
}

impl std::ops::Div<u32> for Cost {
    type Output = Self;

    fn div(self, by: u32) -> Self {
        Self { cpu: self.cpu / by, wall: self.wall / by }
    }
}

/// The clocks of this process, and of the processes that work for it.
#[derive(Debug)]
pub(crate) struct Clocks {
    processes: Vec<u32>,
}

impl Clocks {
    pub(crate) fn new(processes: Vec<u32>) -> Self {
        Self { processes }
    }

    /// What something takes; the CPU time is that of what it leaves to be done as well, such as credit that servers
    /// still pass on.
    pub(crate) async fn time(&self, doing: impl Future<Output = ()>) -> Cost {
        let (cpu, wall) = (self.cpu(), Instant::now());
        doing.await;
        let wall = wall.elapsed();
        settle().await;
        Cost { cpu: self.cpu().saturating_sub(cpu), wall }
    }

    fn cpu(&self) -> Duration {
        let own = clock_gettime(ClockId::ProcessCPUTime);
        let nanoseconds = u64::try_from(own.tv_nsec).expect("a clock counts forward");
        let own = Duration::new(u64::try_from(own.tv_sec).expect("a clock counts forward"), 0)
            + Duration::from_nanos(nanoseconds);
        own + self.processes.iter().map(|process| cpu_of(*process)).sum::<Duration>()
    }
}

/// Lets what is under way come to its end.
pub(crate) async fn settle() {
    tokio::time::sleep(SETTLING).await;
}

/// The CPU time of another process, up to when it last waited for something.
fn cpu_of(process: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("the process runs");
    let nanoseconds = |task: fs::DirEntry| {
        // A thread may end while it is counted.
        let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0)
    };
    Duration::from_nanos(tasks.flatten().map(nanoseconds).sum())
}

/// What one kind of work costs in one round, in each of the three ways.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Round {
    pub(crate) direct: Cost,
    pub(crate) relayed: Cost,
    pub(crate) bare: Cost,
}

impl std::ops::Div<u32> for Round {
    type Output = Self;

    fn div(self, by: u32) -> Self {
        Self { direct: self.direct / by, relayed: self.relayed / by, bare: self.bare / by }
    }
}

/// All rounds of one kind of work.
#[derive(Debug)]
pub(crate) struct Rounds {
    pub(crate) work: String,
    pub(crate) members: usize,
    pub(crate) rounds: Vec<Round>,
}

/// The head of the table.
pub(crate) fn head() -> String {
    let head = "work                         |  n | clock | us: direct    relayed       bare | direct / bare        | \
                relayed / bare          | relayed / direct";
    let line: String = head.chars().map(|c| if c == '|' { '|' } else { '-' }).collect();
    format!("{head}\n{line}")
}

impl Rounds {
    /// The lines of the table: medians, and behind each ratio its quartiles over the rounds.
    pub(crate) fn lines(&self) -> String {
        let line = |clock: &str, on: fn(&Cost) -> Duration| {
            let side = |of: fn(&Round) -> &Cost| self.quantile(0.5, |round| us(on(of(round))));
            let ratio = |over: fn(&Round) -> (&Cost, &Cost)| {
                let at = |share| {
                    self.quantile(share, |round| {
                        let (one, other) = over(round);
                        us(on(one)) / us(on(other))
                    })
                };
                format!("{:5.2} ({:.2} - {:.2})", at(0.5), at(0.25), at(0.75))
            };
            format!(
                "{:28} | {:2} | {clock:5} | {:10.1} {:10.1} {:10.1} | {:20} | {:23} | {}",
                self.work,
                self.members,
                side(|round| &round.direct),
                side(|round| &round.relayed),
                side(|round| &round.bare),
                ratio(|round| (&round.direct, &round.bare)),
                ratio(|round| (&round.relayed, &round.bare)),
                ratio(|round| (&round.relayed, &round.direct)),
            )
        };
        format!("{}\n{}", line("CPU", |cost| cost.cpu), line("time", |cost| cost.wall))
    }

    fn quantile(&self, share: f64, of: impl Fn(&Round) -> f64) -> f64 {
        quantile(self.rounds.iter().map(of), share)
    }
}

fn us(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// The value below which this share of all values lies.
fn quantile(values: impl Iterator<Item = f64>, share: f64) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index among some dozen values"
    )]
    let index = (share * (values.len() - 1) as f64).round() as usize;
    values[index]
}
