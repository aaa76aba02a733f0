//! Named deadlines in order: a name is armed once, arming it again moves it.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

/// The deadlines of one kind of names.
#[derive(Debug)]
pub(super) struct Timers<Name> {
    by_name: BTreeMap<Name, Instant>,
    /// Names stand beside the times, so that two of one instant do not collide.
    by_time: BTreeSet<(Instant, Name)>,
}

impl<Name: Clone + Ord> Timers<Name> {
    pub(super) const fn new() -> Self {
        Self { by_name: BTreeMap::new(), by_time: BTreeSet::new() }
    }

    pub(super) fn arm(&mut self, name: Name, at: Instant) {
        self.disarm(&name);
        self.by_time.insert((at, name.clone()));
        self.by_name.insert(name, at);
    }

    pub(super) fn disarm(&mut self, name: &Name) {
        if let Some(at) = self.by_name.remove(name) {
            self.by_time.remove(&(at, name.clone()));
        }
    }

    pub(super) fn disarm_all(&mut self, mut which: impl FnMut(&Name) -> bool) {
        self.by_name.retain(|name, _| !which(name));
        self.by_time.retain(|(_, name)| !which(name));
    }

    /// When the next one fires.
    pub(super) fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes out one whose time is over.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Name> {
        if self.next().is_none_or(|at| at > now) {
            return None;
        }
        let (_, name) = self.by_time.pop_first()?;
        self.by_name.remove(&name);
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Timers;

    #[test]
    fn deadlines_come_in_order_and_once() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut timers = Timers::new();
        timers.arm("late", at(9));
        timers.arm("early", at(3));
        timers.arm("same", at(3));
        timers.arm("gone", at(1));
        timers.disarm(&"gone");
        assert_eq!(timers.next(), Some(at(3)));
        assert_eq!(timers.take_due(at(2)), None);
        assert_eq!(timers.take_due(at(3)), Some("early"));
        assert_eq!(timers.take_due(at(3)), Some("same"));
        assert_eq!(timers.take_due(at(3)), None);
        timers.arm("late", at(4));
        assert_eq!(timers.take_due(at(10)), Some("late"));
        assert_eq!(timers.take_due(at(10)), None);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_whole_group_is_disarmed() {
        let start = Instant::now();
        let mut timers = Timers::new();
        for name in 0..10 {
            timers.arm(name, start);
        }
        timers.disarm_all(|name| *name != 7);
        assert_eq!(timers.take_due(start), Some(7));
        assert_eq!(timers.next(), None);
    }
}
