//! Clocks, medians and the table.

use std::{
    fs,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};

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

    /// What something takes.
    pub(crate) async fn time(&self, doing: impl Future<Output = ()>) -> Cost {
        let (cpu, wall) = (self.cpu(), Instant::now());
        doing.await;
        let wall = wall.elapsed();
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

/// Ours and the twin's costs of one kind of work, a pair for each round.
#[derive(Debug)]
pub(crate) struct Rounds {
    pub(crate) work: String,
    pub(crate) members: usize,
    pub(crate) pairs: Vec<(Cost, Cost)>,
}

/// The head of the table.
pub(crate) fn head() -> String {
    let head = "work                         |  n | CPU us: Antiphon     bare |  ratio (quartiles)   | wall us: Antiphon     bare |  ratio";
    let line: String = head.chars().map(|c| if c == '|' { '|' } else { '-' }).collect();
    format!("{head}\n{line}")
}

impl Rounds {
    /// A line of the table.
    pub(crate) fn line(&self) -> String {
        let side = |of: fn(&(Cost, Cost)) -> Duration| quantile(self.pairs.iter().map(of).map(us), 0.5);
        let ratio = |at| quantile(self.pairs.iter().map(|(ours, bare)| us(ours.cpu) / us(bare.cpu)), at);
        let wall = quantile(self.pairs.iter().map(|(ours, bare)| us(ours.wall) / us(bare.wall)), 0.5);
        format!(
            "{:28} | {:2} | {:16.1} {:8.1} | {:6.2} ({:.2} - {:.2}) | {:17.1} {:8.1} | {:6.2}",
            self.work,
            self.members,
            side(|(ours, _)| ours.cpu),
            side(|(_, bare)| bare.cpu),
            ratio(0.5),
            ratio(0.25),
            ratio(0.75),
            side(|(ours, _)| ours.wall),
            side(|(_, bare)| bare.wall),
            wall,
        )
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
