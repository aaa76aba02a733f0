//! Virtual time: an agenda of what will happen when. Nothing waits for real.

use std::{cmp::Reverse, collections::BinaryHeap, fmt, time::Duration};

use antiphon_spec::time::Timestamp;

/// When a run begins, for clocks that are right.
const START: u64 = 1_000_000;

/// A time in a run, in microseconds since its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(u64);

impl Instant {
    pub(crate) fn after(self, time: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX)))
    }

    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// What a clock shows that is so many seconds ahead, or behind.
    pub(crate) fn on_clock(self, skew: i64) -> Timestamp {
        Timestamp((START + self.0 / 1_000_000).saturating_add_signed(skew))
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03} s", self.0 / 1_000_000, self.0 / 1000 % 1000)
    }
}

/// What will happen, the soonest first; of two things at one time, what was planned first.
#[derive(Debug)]
pub(crate) struct Agenda<T> {
    entries: BinaryHeap<Reverse<Entry<T>>>,
    sequence: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at: Instant,
    sequence: u64,
    what: T,
}

impl<T> Entry<T> {
    fn place(&self) -> (Instant, u64) {
        (self.at, self.sequence)
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.place().cmp(&other.place())
    }
}

impl<T> Agenda<T> {
    pub(crate) fn new() -> Self {
        Self { entries: BinaryHeap::new(), sequence: 0 }
    }

    pub(crate) fn plan(&mut self, at: Instant, what: T) {
        self.sequence += 1;
        self.entries.push(Reverse(Entry { at, sequence: self.sequence, what }));
    }

    /// When the next thing happens.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.entries.peek().map(|Reverse(entry)| entry.at)
    }

    pub(crate) fn next(&mut self) -> Option<(Instant, T)> {
        self.entries.pop().map(|Reverse(entry)| (entry.at, entry.what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soonest_comes_first_and_the_older_of_two() {
        let at = |millis| Instant::default().after(Duration::from_millis(millis));
        let mut agenda = Agenda::new();
        for (millis, what) in [(20, 'c'), (10, 'a'), (10, 'b'), (30, 'd')] {
            agenda.plan(at(millis), what);
        }
        assert_eq!(agenda.next_at(), Some(at(10)));
        let order: Vec<char> = std::iter::from_fn(|| agenda.next()).map(|(_, what)| what).collect();
        assert_eq!(order, ['a', 'b', 'c', 'd']);
    }

    #[test]
    fn clocks_may_be_wrong() {
        let now = Instant::default().after(Duration::from_millis(2500));
        assert_eq!(now.to_string(), "2.500 s");
        assert_eq!(now.on_clock(0), Timestamp(START + 2));
        assert_eq!(now.on_clock(-10), Timestamp(START - 8));
    }
}
