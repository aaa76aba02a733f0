//! Medians, quantiles, and how far two samples are apart.

use std::{fs, time::Duration};

/// The value below which this share of all values lies.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let index = (share * (values.len() - 1) as f64).round() as usize;
    values[index]
}

pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The median with the quartiles, of the ratios of two series round by round.
pub(crate) fn ratio(over: &[f64], under: &[f64]) -> String {
    let ratios: Vec<f64> = over.iter().zip(under).map(|(over, under)| over / under).collect();
    let at = |share| quantile(&ratios, share);
    format!("{:.3} ({:.3} - {:.3})", at(0.5), at(0.25), at(0.75))
}

pub(crate) fn micros(latency: Duration) -> f64 {
    latency.as_secs_f64() * 1e6
}

/// The greatest distance of the distribution functions of two samples (Kolmogorov and Smirnov).
pub(crate) fn apart(one: &[f64], other: &[f64]) -> f64 {
    let (mut one, mut other) = (one.to_vec(), other.to_vec());
    one.sort_by(f64::total_cmp);
    other.sort_by(f64::total_cmp);
    let below = |values: &[f64], at: f64| values.partition_point(|it| *it <= at) as f64 / values.len() as f64;
    one.iter().chain(&other).map(|at| (below(&one, *at) - below(&other, *at)).abs()).fold(0.0, f64::max)
}

/// The distance that two samples of one distribution exceed once in a hundred times.
pub(crate) fn apart_by_chance(one: usize, other: usize) -> f64 {
    let (one, other) = (one as f64, other as f64);
    1.628 * ((one + other) / (one * other)).sqrt()
}

/// The CPU time of a process, up to when its threads last waited for something.
pub(crate) fn cpu_of(process: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("the process runs");
    let nanoseconds = |task: fs::DirEntry| {
        // A thread may end while it is counted.
        let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0)
    };
    Duration::from_nanos(tasks.flatten().map(nanoseconds).sum())
}
